// SPDX-License-Identifier: Apache-2.0
//
// Delegates: what takes operators away from TensorFlow Lite's own kernels, to an Edge TPU or to XNNPACK. One from outside
// is a shared library with the two functions of TensorFlow Lite's external delegates, tflite_plugin_create_delegate and
// tflite_plugin_destroy_delegate. Each interpreter has delegates of its own, since few may be shared.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "api.h"
#include "options.h"

namespace vaccel::tflite {

class DelegateLibrary {
 public:
  /// Loads the library and makes a first delegate, to see whether its device is there. UNAVAILABLE, and why, when it is
  /// not.
  explicit DelegateLibrary(const DelegateOptions& options);

  [[nodiscard]] const std::string& name() const { return options_.library; }
  /// A delegate; from many threads at once.
  Handle<TfLiteDelegate> take();

 private:
  using Create = TfLiteDelegate* (*)(char** keys, char** values, size_t count, void (*report)(const char*));
  using Destroy = void (*)(TfLiteDelegate*);

  Handle<TfLiteDelegate> make() const;

  DelegateOptions options_;
  Create create_ = nullptr;
  Destroy destroy_ = nullptr;
  std::mutex mutex_;
  // Opening a device twice takes seconds, and not every one can be closed and opened again at once: the first user gets
  // what was made to see that it works.
  Handle<TfLiteDelegate> first_;
};

/// What each interpreter is made with.
class Delegates {
 public:
  /// UNAVAILABLE when one that is required does not work.
  Delegates(const Api& api, const Options& options);

  [[nodiscard]] const std::string& devices() const { return devices_; }  ///< "libedgetpu.so.1, CPU"
  /// Of delegates that were skipped, with the reason.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
  [[nodiscard]] bool has_libraries() const { return !libraries_.empty(); }
  [[nodiscard]] bool has_xnnpack() const { return xnnpack_; }

  /// One of each library, in order.
  std::vector<Handle<TfLiteDelegate>> take();
  /// One that runs on that many threads.
  [[nodiscard]] Handle<TfLiteDelegate> make_xnnpack(int threads) const;

 private:
  const Api& api_;
  bool xnnpack_;
  std::vector<std::unique_ptr<DelegateLibrary>> libraries_;
  std::string devices_;
  std::vector<std::string> warnings_;
};

}  // namespace vaccel::tflite
