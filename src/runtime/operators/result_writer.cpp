// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/result_writer.h"

#include <array>
#include <cstring>

namespace vaccel::runtime {

const char* ResultWriter::full_name(const char* name, std::string& buffer) const {
  if (image_ == 0) return name;
  buffer = std::to_string(image_) + "." + name;
  return buffer.c_str();
}

Result<void*> ResultWriter::request(const char* name, vaccel_dtype dtype, std::span<const size_t> shape,
                                    size_t size) {
  std::array<int64_t, VACCEL_MAX_RANK> dimensions{};
  size_t bytes = size;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    dimensions[axis] = static_cast<int64_t>(shape[axis]);
    bytes *= shape[axis];
  }
  std::string buffer;
  return request_output(call_, next_++, full_name(name, buffer), dtype, {dimensions.data(), shape.size()},
                        bytes);
}

Status ResultWriter::strings(const char* name, std::span<const std::string_view> values) {
  const size_t count = values.size();
  size_t bytes = (count + 1) * sizeof(uint32_t);
  for (const std::string_view value : values)
    bytes += value.size() + 1;
  const int64_t shape[] = {static_cast<int64_t>(count)};
  std::string buffer;
  const auto memory = request_output(call_, next_++, full_name(name, buffer), VACCEL_STRING, shape, bytes);
  if (!memory) return memory.error();
  auto* base = static_cast<char*>(*memory);
  auto offset = static_cast<uint32_t>((count + 1) * sizeof(uint32_t));
  std::memcpy(base, &offset, sizeof offset);
  for (size_t index = 0; index < count; ++index) {
    std::memcpy(base + offset, values[index].data(), values[index].size());
    base[offset + values[index].size()] = '\0';
    offset += static_cast<uint32_t>(values[index].size() + 1);
    std::memcpy(base + (index + 1) * sizeof offset, &offset, sizeof offset);
  }
  return {};
}

}  // namespace vaccel::runtime
