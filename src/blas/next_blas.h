// SPDX-License-Identifier: Apache-2.0
//
// The BLAS that the program would have used without libvaccel-blas.so: where what is not sent to an agent is computed.
#pragma once

namespace vaccel::blas {

/// The function of that name in the library that VACCEL_BLAS_LIBRARY names; else in the next library in line; else in any
/// BLAS that the program has loaded (modules of interpreters load theirs out of everybody's sight); else in the system's.
/// There is always one: a program that calls what nobody has ends, as the loader would have ended it.
void* find_in_next_blas(const char* name);

/// The same, looked up once: NextFunction<decltype(cblas_sgemm)> next{"cblas_sgemm"}; next(...).
template <typename Function>
class NextFunction {
 public:
  explicit constexpr NextFunction(const char* name) : name_(name) {}

  template <typename... Arguments>
  auto operator()(Arguments... arguments) {
    Function* function = __atomic_load_n(&function_, __ATOMIC_ACQUIRE);
    if (function == nullptr) {
      function = reinterpret_cast<Function*>(find_in_next_blas(name_));
      __atomic_store_n(&function_, function, __ATOMIC_RELEASE);  // whoever else looks finds the same
    }
    return function(arguments...);
  }

 private:
  const char* name_;
  Function* function_ = nullptr;
};

}  // namespace vaccel::blas
