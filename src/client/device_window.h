// SPDX-License-Identifier: Apache-2.0
//
// A VM's window as a process in the guest gets at it: a dax device, which is memory that guest and host both map.
// A guest may have several such devices, of other purposes, other agents or other VMs' windows by mistake; which one
// is ours its header says. What lies in the window, and who may use which part, is not known here.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/status.h"
#include "core/unique_fd.h"
#include "wire/messages.h"

namespace vaccel::client {

/// Where the kernel shows its dax devices.
struct DeviceFolders {
  std::string nodes = "/dev";
  std::string devices = "/sys/bus/dax/devices";  ///< A folder a device, with the files `size` and `align`.
};

/// All of a window, mapped for reading and writing until the last owner lets go. Owners are sessions and buffers, in
/// any thread, which is why it is shared. Made by open_device_window() alone.
class DeviceWindow : public std::enable_shared_from_this<DeviceWindow> {
 public:
  /// Which device node, told apart from one of the same name that came later.
  struct Node {
    dev_t device = 0;
    ino_t inode = 0;
    dev_t number = 0;
    bool operator==(const Node&) const = default;
  };

  DeviceWindow(std::string path, const Node& node, Mapping mapping, uint64_t bytes);
  DeviceWindow(const DeviceWindow&) = delete;
  DeviceWindow& operator=(const DeviceWindow&) = delete;
  ~DeviceWindow();

  /// From the window's header on.
  [[nodiscard]] std::span<std::byte> bytes() const { return mapping_.bytes().first(bytes_); }
  [[nodiscard]] const std::string& path() const { return path_; }  ///< "/dev/dax0.0"

 private:
  friend struct DeviceWindows;
  const std::string path_;
  const Node node_;
  const Mapping mapping_;
  const uint64_t bytes_;
  DeviceWindow* next_ = nullptr;
};

/// Finds the device whose header has `identity`, and maps all of it; a process that has it mapped already, for
/// another session or an earlier agent, gets the same mapping. The headers are read at each call.
/// @param bytes  The window's size as the agent tells it: more is never touched, and a smaller device is an error.
/// @return NOT_FOUND: there is no dax device, or none of them is this window; PERMISSION_DENIED: one that may be it
/// cannot be opened; RESOURCE_EXHAUSTED: no address space for it.
Result<std::shared_ptr<DeviceWindow>> open_device_window(const wire::WindowIdentity& identity, uint64_t bytes,
                                                         const DeviceFolders& folders = {});

}  // namespace vaccel::client
