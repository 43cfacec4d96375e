// SPDX-License-Identifier: Apache-2.0
#include "device.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

namespace vaccel::opencl {
namespace {

constexpr size_t kMostGroupSize = 64;

// What a query for text returns: the C string of unknown length behind clGet*Info.
template <typename Query>
std::string text(const char* call, Query query) {
  size_t bytes = 0;
  check(query(size_t{0}, static_cast<void*>(nullptr), &bytes), call);
  std::vector<char> characters(bytes + 1);
  check(query(bytes, static_cast<void*>(characters.data()), static_cast<size_t*>(nullptr)), call);
  std::string found = characters.data();
  // Names of CPUs are padded with blanks, in front as well.
  const size_t first = found.find_first_not_of(' ');
  return first == std::string::npos ? "" : found.substr(first, found.find_last_not_of(' ') - first + 1);
}

std::string platform_text(const OpenCl& cl, cl_platform_id platform, cl_platform_info what) {
  return text("clGetPlatformInfo", [&](size_t bytes, void* value, size_t* needed) {
    return cl.clGetPlatformInfo(platform, what, bytes, value, needed);
  });
}

std::string device_text(const OpenCl& cl, cl_device_id device, cl_device_info what) {
  return text("clGetDeviceInfo", [&](size_t bytes, void* value, size_t* needed) {
    return cl.clGetDeviceInfo(device, what, bytes, value, needed);
  });
}

template <typename T>
T device_value(const OpenCl& cl, cl_device_id device, cl_device_info what) {
  T value{};
  check(cl.clGetDeviceInfo(device, what, sizeof value, &value, nullptr), "clGetDeviceInfo");
  return value;
}

// Drivers of OpenCL 1.1 and older may not know the question.
bool asks_doubles(const OpenCl& cl, cl_device_id device) {
  cl_device_fp_config config = 0;
  const int answer = cl.clGetDeviceInfo(device, CL_DEVICE_DOUBLE_FP_CONFIG, sizeof config, &config, nullptr);
  return answer == CL_SUCCESS && config != 0;
}

size_t power_of_two_below(size_t number) {
  size_t power = 1;
  while (power * 2 <= number)
    power *= 2;
  return power;
}

Device look_at(const OpenCl& cl, cl_platform_id platform, cl_device_id id) {
  Device device;
  device.platform = platform;
  device.id = id;
  device.type = device_value<cl_device_type>(cl, id, CL_DEVICE_TYPE);
  device.name = device_text(cl, id, CL_DEVICE_NAME);
  device.platform_name = platform_text(cl, platform, CL_PLATFORM_NAME);
  device.platform_version = platform_text(cl, platform, CL_PLATFORM_VERSION);
  device.driver = device_text(cl, id, CL_DRIVER_VERSION);
  device.has_doubles = asks_doubles(cl, id);
  device.shares_memory = device_value<cl_bool>(cl, id, CL_DEVICE_HOST_UNIFIED_MEMORY) != CL_FALSE;
  const auto largest_group = device_value<size_t>(cl, id, CL_DEVICE_MAX_WORK_GROUP_SIZE);
  device.group_size = power_of_two_below(std::min(kMostGroupSize, largest_group));
  device.compute_units = device_value<cl_uint>(cl, id, CL_DEVICE_MAX_COMPUTE_UNITS);
  device.clock_mhz = device_value<cl_uint>(cl, id, CL_DEVICE_MAX_CLOCK_FREQUENCY);
  device.most_bytes = device_value<cl_ulong>(cl, id, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
  device.part_alignment =
      std::max<size_t>(device_value<cl_uint>(cl, id, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8, 1);  // bits
  return device;
}

bool is_usable(const OpenCl& cl, cl_device_id id) {
  return device_value<cl_bool>(cl, id, CL_DEVICE_AVAILABLE) != CL_FALSE &&
         device_value<cl_bool>(cl, id, CL_DEVICE_COMPILER_AVAILABLE) != CL_FALSE;
}

std::vector<cl_platform_id> platforms(const OpenCl& cl) {
  cl_uint count = 0;
  const int answer = cl.clGetPlatformIDs(0, nullptr, &count);
  if (answer != CL_SUCCESS || count == 0) {
    refuse(VACCEL_UNAVAILABLE,
           "no OpenCL platform: the loader found no driver (clGetPlatformIDs: %s, %d). Drivers register in "
           "/etc/OpenCL/vendors",
           error_name(answer), answer);
  }
  std::vector<cl_platform_id> found(count);
  check(cl.clGetPlatformIDs(count, found.data(), nullptr), "clGetPlatformIDs");
  return found;
}

std::vector<cl_device_id> devices_of(const OpenCl& cl, cl_platform_id platform) {
  cl_uint count = 0;
  // A platform without a device is no failure: the driver is installed, and the device is not.
  if (cl.clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, nullptr, &count) != CL_SUCCESS || count == 0) {
    return {};
  }
  std::vector<cl_device_id> found(count);
  check(cl.clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, found.data(), nullptr), "clGetDeviceIDs");
  return found;
}

std::string lower_case(std::string_view words) {
  std::string lower(words);
  for (char& letter : lower) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return lower;
}

std::optional<size_t> number_in(const std::string& words) {
  size_t number = 0;
  const auto [end, error] = std::from_chars(words.data(), words.data() + words.size(), number);
  if (error != std::errc() || end != words.data() + words.size()) return std::nullopt;
  return number;
}

// `wanted` is empty, the index, or a part of the name in any case.
bool fits(const std::string& wanted, size_t index, const std::string& name) {
  if (wanted.empty()) return true;
  if (const std::optional<size_t> number = number_in(wanted)) return *number == index;
  return lower_case(name).find(lower_case(wanted)) != std::string::npos;
}

int rank_of(cl_device_type type) {
  if ((type & CL_DEVICE_TYPE_GPU) != 0) return 3;
  if ((type & CL_DEVICE_TYPE_ACCELERATOR) != 0) return 2;
  return (type & CL_DEVICE_TYPE_CPU) != 0 ? 1 : 0;
}

bool is_better(const Device& one, const Device& other) {
  if (rank_of(one.type) != rank_of(other.type)) return rank_of(one.type) > rank_of(other.type);
  return one.compute_units * one.clock_mhz > other.compute_units * other.clock_mhz;
}

}  // namespace

std::string describe(const Device& device) {
  const int rank = rank_of(device.type);
  const char* kind = rank == 3 ? "GPU" : rank == 2 ? "accelerator" : rank == 1 ? "CPU" : "custom device";
  return device.name + " (" + kind + ", " + device.platform_name + ", driver " + device.driver + ")";
}

Device choose_device(const OpenCl& cl, const Options& options) {
  std::optional<Device> best;
  std::string all;
  size_t platform_index = 0;
  size_t device_index = 0;
  for (const cl_platform_id platform : platforms(cl)) {
    const std::string name = platform_text(cl, platform, CL_PLATFORM_NAME);
    const bool platform_fits = fits(options.platform, platform_index++, name);
    for (const cl_device_id id : devices_of(cl, platform)) {
      if (!is_usable(cl, id)) continue;
      const Device device = look_at(cl, platform, id);
      all += (all.empty() ? "" : ", ") + describe(device);
      const bool type_fits =
          options.type == CL_DEVICE_TYPE_ALL ? rank_of(device.type) > 0 : (device.type & options.type) != 0;
      if (!platform_fits || !type_fits || !fits(options.device, device_index++, device.name)) continue;
      if (!best || is_better(device, *best)) best = device;
    }
  }
  if (best) return *best;
  if (all.empty()) refuse(VACCEL_UNAVAILABLE, "no OpenCL device that is available and has a compiler");
  refuse(VACCEL_UNAVAILABLE,
         "no OpenCL device is as [backend.opencl] platform, type and device ask; there are: %s", all.c_str());
}

}  // namespace vaccel::opencl
