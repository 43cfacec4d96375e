// SPDX-License-Identifier: Apache-2.0
//
// Loads the library of a framework, which may be absent: then the backend is shown with the reason.
#pragma once

#include <dlfcn.h>

#include <string>
#include <vector>

#include "failure.h"

namespace vaccel::backends {

/// Which library, for sentences.
struct LibraryNames {
  const char* framework;           ///< "ONNX Runtime"
  const char* backend;             ///< Of [backend.NAME], where an option may say where the library is.
  const char* option = "library";  ///< That option.
};

/// Opens the first of `files` that can be opened; nullptr, and the reason of each, when none can. Never unloaded: threads,
/// exit handlers and thread-local destructors of frameworks outlive their backends.
void* open_first(const std::vector<std::string>& files, std::string& reasons);

/// Opens `path`, or, where the configuration names none, the first of `candidates` that there is. UNAVAILABLE, with the
/// reasons of all, when none can be opened.
void* open_library(const LibraryNames& names, const std::string& path,
                   const std::vector<std::string>& candidates);

/// The file of that name beside this backend's own library, whether or not it is there; "": it is not known where that
/// is.
std::string file_beside_backend(const char* name);

/// Finds a function; nullptr where the library has none of that name.
template <typename Function>
void find_if_there(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
}

/// Finds a function. UNAVAILABLE without it: "the library exports no NAME: it is OTHERWISE".
template <typename Function>
void find_function(void* library, const char* name, const char* otherwise, Function& function) {
  find_if_there(library, name, function);
  if (function == nullptr) refuse(VACCEL_UNAVAILABLE, "the library exports no %s: it is %s", name, otherwise);
}

}  // namespace vaccel::backends
