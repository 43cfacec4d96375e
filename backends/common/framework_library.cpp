// SPDX-License-Identifier: Apache-2.0
#include "framework_library.h"

#include <filesystem>

namespace vaccel::backends {

void* open_first(const std::vector<std::string>& files, std::string& reasons) {
  for (const std::string& file : files) {
    if (void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) return library;
    const char* reason = ::dlerror();
    reasons += (reasons.empty() ? "" : "; ") + std::string(reason != nullptr ? reason : file);
  }
  return nullptr;
}

void* open_library(const LibraryNames& names, const std::string& path,
                   const std::vector<std::string>& candidates) {
  std::string reasons;
  if (void* library = open_first(path.empty() ? candidates : std::vector<std::string>{path}, reasons))
    return library;
  refuse(VACCEL_UNAVAILABLE, "cannot load %s (%s); [backend.%s] %s = \"PATH\" says where it is",
         names.framework, reasons.c_str(), names.backend, names.option);
}

std::string file_beside_backend(const char* name) {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&file_beside_backend), &info) == 0 || info.dli_fname == nullptr)
    return "";
  return (std::filesystem::path(info.dli_fname).parent_path() / name).string();
}

}  // namespace vaccel::backends
