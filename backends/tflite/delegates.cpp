// SPDX-License-Identifier: Apache-2.0
#include "delegates.h"

#include <dlfcn.h>

#include <array>
#include <cstdint>

namespace vaccel::tflite {
namespace {

// What a delegate says while it is made; its functions take no context to tell it to.
thread_local std::string reported;

void report(const char* words) {
  reported += (reported.empty() ? "" : "; ") + std::string(words != nullptr ? words : "");
}

// The numbers at the beginning of XNNPACK's options have never changed; what follows them differs from version to
// version, is shorter than this, and means the default where it is 0.
struct XnnpackOptions {
  int32_t threads;
  uint32_t flags;
  std::array<uint64_t, 31> later;
};
constexpr uint32_t kXnnpackSignedAndUnsigned8Bit = 3;

}  // namespace

DelegateLibrary::DelegateLibrary(const DelegateOptions& options) : options_(options) {
  // Never unloaded, like TensorFlow Lite itself: a driver's threads may outlive its delegates.
  void* library = ::dlopen(options_.library.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    const char* reason = ::dlerror();
    refuse(VACCEL_UNAVAILABLE, "%s", reason != nullptr ? reason : options_.library.c_str());
  }
  create_ = reinterpret_cast<Create>(::dlsym(library, "tflite_plugin_create_delegate"));
  destroy_ = reinterpret_cast<Destroy>(::dlsym(library, "tflite_plugin_destroy_delegate"));
  if (create_ == nullptr || destroy_ == nullptr) {
    refuse(VACCEL_UNAVAILABLE, "the library exports no tflite_plugin_%s_delegate: it is no delegate",
           create_ == nullptr ? "create" : "destroy");
  }
  first_ = make();
}

Handle<TfLiteDelegate> DelegateLibrary::take() {
  {
    const std::lock_guard lock(mutex_);
    if (first_ != nullptr) return std::move(first_);
  }
  return make();
}

Handle<TfLiteDelegate> DelegateLibrary::make() const {
  // The interface takes its strings as if it would change them, and gets copies.
  DelegateOptions copy = options_;
  std::vector<char*> keys;
  std::vector<char*> values;
  for (auto& [key, value] : copy.values) {
    keys.push_back(key.data());
    values.push_back(value.data());
  }
  reported.clear();
  TfLiteDelegate* made = create_(keys.data(), values.data(), keys.size(), report);
  if (made == nullptr) {
    refuse(VACCEL_UNAVAILABLE, "%s",
           reported.empty() ? "it makes no delegate, and says nothing of why" : reported.c_str());
  }
  return {made, Release<TfLiteDelegate>{destroy_}};
}

Delegates::Delegates(const Api& api, const Options& options)
    : api_(api), xnnpack_(options.xnnpack && api.xnnpack_create != nullptr && api.xnnpack_delete != nullptr) {
  for (const DelegateOptions& one : options.delegates) {
    try {
      libraries_.push_back(std::make_unique<DelegateLibrary>(one));
      devices_ += one.library + ", ";
    } catch (const Failure& failure) {
      const std::string sentence = "delegate '" + one.library + "' does not work here: " + failure.sentence;
      if (one.required) throw Failure{VACCEL_UNAVAILABLE, sentence};
      warnings_.push_back(sentence);
    }
  }
  devices_ += "CPU";
}

std::vector<Handle<TfLiteDelegate>> Delegates::take() {
  std::vector<Handle<TfLiteDelegate>> taken;
  for (const auto& library : libraries_) {
    try {
      taken.push_back(library->take());
    } catch (const Failure& failure) {
      throw Failure{failure.status, "delegate '" + library->name() + "' failed: " + failure.sentence};
    }
  }
  return taken;
}

Handle<TfLiteDelegate> Delegates::make_xnnpack(int threads) const {
  const XnnpackOptions options{threads, kXnnpackSignedAndUnsigned8Bit, {}};
  Handle<TfLiteDelegate> made(api_.xnnpack_create(&options), Release<TfLiteDelegate>{api_.xnnpack_delete});
  if (made == nullptr) refuse(VACCEL_UNAVAILABLE, "XNNPACK does not start; xnnpack = false does without it");
  return made;
}

}  // namespace vaccel::tflite
