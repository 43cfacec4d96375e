// SPDX-License-Identifier: Apache-2.0
//
// ONNX Runtime's library, loaded at run time, and its C API made safe to use: handles that release
// themselves, statuses that become exceptions. Exceptions stay within this backend; guarded() in
// onnxruntime.cpp ends them.
#pragma once

#include <onnxruntime_c_api.h>

#include <memory>
#include <string>

#include "common/failure.h"
#include "vaccel/backend.h"

namespace vaccel::onnxruntime {

using backends::Failure;
using backends::refuse;

template <typename T>
struct Release {
  void (*function)(T*) = nullptr;
  void operator()(T* handle) const { function(handle); }
};
template <typename T>
using Handle = std::unique_ptr<T, Release<T>>;

class Api {
 public:
  /// Loads the library and takes the newest version of the API that it and the headers share. `path` empty:
  /// beside this backend, else where the loader finds it. UNAVAILABLE when there is none.
  static Api load(const std::string& path);

  const OrtApi* operator->() const { return api_; }
  [[nodiscard]] const std::string& version() const { return version_; }

  /// Throws what `status` says, as `code`.
  void check(OrtStatus* status, vaccel_status code) const;
  /// The words of `status`, which is released.
  [[nodiscard]] std::string take_words(OrtStatus* status) const;

  /// Calls `function(arguments..., T** out)`, a member of OrtApi that makes a handle.
  template <typename T, typename... Parameters, typename... Arguments>
  Handle<T> make(void (*release)(T*), vaccel_status code, OrtStatus* (*function)(Parameters...),
                 Arguments... arguments) const {
    T* handle = nullptr;
    check(function(arguments..., &handle), code);
    return Handle<T>(handle, Release<T>{release});
  }

 private:
  const OrtApi* api_ = nullptr;
  std::string version_;
};

}  // namespace vaccel::onnxruntime
