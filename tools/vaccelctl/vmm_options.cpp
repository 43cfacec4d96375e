// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccelctl/vmm_options.h"

#include "tools/vaccelctl/json.h"

namespace vaccel::ctl {
namespace {

constexpr const char* kDeviceName = "vaccel";

// QEMU ends a value at a comma, and takes two for one.
std::string with_commas_doubled(const std::string& text) {
  std::string doubled;
  for (const char c : text)
    doubled += c == ',' ? ",," : std::string(1, c);
  return doubled;
}

}  // namespace

VmmOptions vmm_options(const std::string& path, uint64_t bytes) {
  const std::string name = kDeviceName;
  return {.qemu = {"-object",
                   "memory-backend-file,id=" + name + ",share=on,mem-path=" + with_commas_doubled(path) +
                       ",size=" + std::to_string(bytes),
                   "-device", "virtio-pmem-pci,memdev=" + name},
          .cloud_hypervisor = {"--pmem", "file=" + path},
          .firecracker_resource = "/pmem/" + name,
          .firecracker_body = json_of_firecracker_pmem(name, path)};
}

std::string shell_line(const std::vector<std::string>& words) {
  constexpr const char* kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+,./:@%";
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += ' ';
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word)
      line += c == '\'' ? "'\\''" : std::string(1, c);
    line += '\'';
  }
  return line;
}

}  // namespace vaccel::ctl
