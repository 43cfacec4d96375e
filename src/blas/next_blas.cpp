// SPDX-License-Identifier: Apache-2.0
#include "blas/next_blas.h"

#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace vaccel::blas {
namespace {

// Whether a function is one of this library: then it is not the next one.
bool is_ours(const void* function) {
  Dl_info self{};
  Dl_info other{};
  return ::dladdr(reinterpret_cast<const void*>(&find_in_next_blas), &self) != 0 &&
         ::dladdr(function, &other) != 0 && self.dli_fbase == other.dli_fbase;
}

void* find_in(void* library, const char* name) {
  void* function = library != nullptr ? ::dlsym(library, name) : nullptr;
  return function != nullptr && !is_ours(function) ? function : nullptr;
}

void* configured_library() {
  const char* path = std::getenv("VACCEL_BLAS_LIBRARY");
  if (path == nullptr || path[0] == '\0') return nullptr;
  void* library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) std::fprintf(stderr, "libvaccel-blas: VACCEL_BLAS_LIBRARY: %s\n", ::dlerror());
  return library;
}

struct Search {
  const char* name;
  void* function;
};

// For dl_iterate_phdr(): looks into each library with "blas" in its file's name.
int look_into(dl_phdr_info* info, size_t, void* argument) {
  auto* search = static_cast<Search*>(argument);
  const char* slash = info->dlpi_name != nullptr ? std::strrchr(info->dlpi_name, '/') : nullptr;
  if (slash == nullptr || std::strstr(slash, "blas") == nullptr) return 0;
  void* library = ::dlopen(info->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
  search->function = find_in(library, search->name);
  if (library != nullptr) ::dlclose(library);  // the program keeps it
  return search->function != nullptr ? 1 : 0;
}

void* find_in_loaded(const char* name) {
  Search search{name, nullptr};
  ::dl_iterate_phdr(look_into, &search);
  return search.function;
}

}  // namespace

void* find_in_next_blas(const char* name) {
  static void* const configured = configured_library();
  if (void* function = find_in(configured, name)) return function;
  if (void* function = find_in(RTLD_NEXT, name)) return function;
  if (void* function = find_in_loaded(name)) return function;
  for (const char* library : {"libblas.so.3", "libopenblas.so.0"}) {
    if (void* function = find_in(::dlopen(library, RTLD_NOW | RTLD_LOCAL), name)) return function;
  }
  std::fprintf(stderr,
               "libvaccel-blas: no BLAS has '%s'; set VACCEL_BLAS_LIBRARY to the path of one that does\n",
               name);
  ::_exit(127);
}

}  // namespace vaccel::blas
