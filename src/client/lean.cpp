// SPDX-License-Identifier: Apache-2.0
//
// What this library needs of the C++ runtime, without the machinery of exceptions that the standard library's own
// versions bring (unwinder, demangler: 100 KB). Nothing here is seen outside the library, and no test links it.
// (std::make_shared would bring that machinery back: it is shared_ptr<T>{new T} here.)
//
// Sizes that others decide (tensors, results) are allocated with malloc and checked. What remains are small
// objects, and conditions that are faults of this library: there the process ends, as it would with an uncaught
// exception.
#include <cstdlib>
#include <new>

void* operator new(size_t size) {
  void* memory = std::malloc(size > 0 ? size : 1);
  if (memory == nullptr) std::abort();
  return memory;
}

void* operator new[](size_t size) {
  return operator new(size);
}

void operator delete(void* memory) noexcept {
  std::free(memory);
}

void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}

void operator delete[](void* memory) noexcept {
  std::free(memory);
}

void operator delete[](void* memory, size_t) noexcept {
  std::free(memory);
}

extern "C" void __cxa_pure_virtual() {
  std::abort();
}

// Declared in <bits/functexcept.h>: what the standard library's templates call where they would throw.
namespace std {

void __throw_bad_alloc() {
  abort();
}

void __throw_bad_array_new_length() {
  abort();
}

void __throw_length_error(const char*) {
  abort();
}

void __throw_logic_error(const char*) {
  abort();
}

void __throw_out_of_range_fmt(const char*, ...) {
  abort();
}

void __throw_system_error(int) {
  abort();
}

}  // namespace std
