// SPDX-License-Identifier: Apache-2.0
#include "model_file.h"

#include <fstream>
#include <iterator>

#include "failure.h"

namespace vaccel::backends {
namespace {

std::string read_file(const char* path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) refuse(VACCEL_NOT_FOUND, "cannot read %s", path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

ModelBytes::ModelBytes(const vaccel_backend_model_source& source)
    : own_(source.data == nullptr ? read_file(source.path) : std::string()),
      bytes_(source.data == nullptr
                 ? std::string_view(own_)
                 : std::string_view(static_cast<const char*>(source.data), source.data_size)) {}

}  // namespace vaccel::backends
