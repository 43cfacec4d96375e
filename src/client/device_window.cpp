// SPDX-License-Identifier: Apache-2.0
#include "client/device_window.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <bit>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "channel/window_format.h"
#include "wire/limits.h"

namespace vaccel::client {

/// The windows that this process has mapped. A mapping belongs to the process, as the device does, so this is one for
/// all sessions; those in it are owned by others, and leave it as they go.
struct DeviceWindows {
  static std::shared_ptr<DeviceWindow> find(const DeviceWindow::Node& node, uint64_t bytes) {
    for (DeviceWindow* window = first; window != nullptr; window = window->next_) {
      if (window->node_ != node || window->bytes_ != bytes) continue;
      // One whose last owner has just let go waits for the mutex to leave, and has nothing to give.
      if (std::shared_ptr<DeviceWindow> owned = window->weak_from_this().lock()) return owned;
    }
    return nullptr;
  }

  static void add(DeviceWindow& window) { window.next_ = std::exchange(first, &window); }

  static void remove(const DeviceWindow& window) {
    for (DeviceWindow** link = &first; *link != nullptr; link = &(*link)->next_) {
      if (*link == &window) {
        *link = window.next_;
        return;
      }
    }
  }

  static constinit std::mutex mutex;  // of all of it; never held while an owner lets go
  static constinit DeviceWindow* first;
};

constinit std::mutex DeviceWindows::mutex;
constinit DeviceWindow* DeviceWindows::first = nullptr;

DeviceWindow::DeviceWindow(std::string path, const Node& node, Mapping mapping, uint64_t bytes)
    : path_(std::move(path)), node_(node), mapping_(std::move(mapping)), bytes_(bytes) {}

DeviceWindow::~DeviceWindow() {
  const std::lock_guard lock(DeviceWindows::mutex);
  DeviceWindows::remove(*this);
}

namespace {

constexpr uint64_t kUsualAlignment = uint64_t{2} << 20;

/// A number from one of sysfs's files; 0: it is not there, or no number.
uint64_t read_number(const std::string& path) {
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  char text[32] = {};
  if (!file.valid() || ::read(file.get(), text, sizeof text - 1) <= 0) return 0;
  return std::strtoull(text, nullptr, 10);
}

unsigned long long mebibytes(uint64_t bytes) {
  return bytes >> 20;
}

/// A dax device that has been opened.
struct Device {
  std::string path;
  UniqueFd fd;
  DeviceWindow::Node node;
  uint64_t size = 0;
  uint64_t alignment = 0;  // What offset and length of a mapping are multiples of.

  static Result<Device> open(const DeviceFolders& folders, const char* name);
  Result<Mapping> map(uint64_t bytes, int protection) const;
};

Result<Device> Device::open(const DeviceFolders& folders, const char* name) {
  Device device;
  device.path = folders.nodes + "/" + name;
  device.fd = UniqueFd{::open(device.path.c_str(), O_RDWR | O_CLOEXEC)};
  if (!device.fd.valid() && (errno == EACCES || errno == EPERM)) {
    return fail(VACCEL_PERMISSION_DENIED,
                "cannot open %s: %s; the udev rule 70-vaccel.rules gives it to the group vaccel",
                device.path.c_str(), errno_text(errno).c_str());
  }
  struct stat file {};
  if (!device.fd.valid() || ::fstat(device.fd.get(), &file) != 0)
    return fail(VACCEL_NOT_FOUND, "%s: %s", device.path.c_str(), errno_text(errno).c_str());
  device.node = {file.st_dev, file.st_ino, file.st_rdev};
  const std::string folder = folders.devices + "/" + name;
  device.size = S_ISCHR(file.st_mode) ? read_number(folder + "/size") : static_cast<uint64_t>(file.st_size);
  device.alignment = read_number(folder + "/align");
  if (!std::has_single_bit(device.alignment)) device.alignment = kUsualAlignment;
  return device;
}

Result<Mapping> Device::map(uint64_t bytes, int protection) const {
  const auto length = static_cast<size_t>(wire::align_up(bytes, alignment));
  void* address = ::mmap(nullptr, length, protection, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "cannot map %llu MiB of %s: %s", mebibytes(length), path.c_str(),
                errno_text(errno).c_str());
  }
  return Mapping{address, length};
}

/// Whether a device is the window; OK: it is.
Status check(const Device& device, const wire::WindowIdentity& identity, uint64_t bytes) {
  const char* path = device.path.c_str();
  if (device.size < channel::kWindowHeaderBytes)
    return failure(VACCEL_NOT_FOUND, "%s: too small for a window", path);
  const Result<Mapping> start = device.map(channel::kWindowHeaderBytes, PROT_READ);
  if (!start) return start.error();
  const auto header = channel::read_window_header(start->bytes().first(channel::kWindowHeaderBytes));
  if (!header) return failure(VACCEL_NOT_FOUND, "%s: %s", path, header.error().message().c_str());
  const wire::WindowIdentity& found = header->identity;
  if (found.vm_low != identity.vm_low || found.vm_high != identity.vm_high)
    return failure(VACCEL_NOT_FOUND, "%s: the window of another VM", path);
  if (found != identity)
    return failure(VACCEL_NOT_FOUND, "%s: this VM's window, but of another agent or an earlier one", path);
  if (device.size < bytes) {
    return failure(VACCEL_NOT_FOUND, "%s: has %llu MiB where the agent's window has %llu", path,
                   mebibytes(device.size), mebibytes(bytes));
  }
  return {};
}

/// Names of the dax devices, in order.
class DeviceNames {
 public:
  explicit DeviceNames(const DeviceFolders& folders) {
    const auto named = [](const dirent* entry) { return entry->d_name[0] == '.' ? 0 : 1; };
    count_ = ::scandir(folders.devices.c_str(), &entries_, named, ::alphasort);
  }
  DeviceNames(const DeviceNames&) = delete;
  DeviceNames& operator=(const DeviceNames&) = delete;
  ~DeviceNames() {
    for (int index = 0; index < count_; ++index)
      std::free(entries_[index]);
    std::free(entries_);
  }
  [[nodiscard]] int count() const { return count_ > 0 ? count_ : 0; }
  const char* operator[](int index) const { return entries_[index]->d_name; }

 private:
  dirent** entries_ = nullptr;
  int count_ = 0;
};

Result<std::shared_ptr<DeviceWindow>> map_window(const Device& device, uint64_t bytes) {
  const std::lock_guard lock(DeviceWindows::mutex);
  if (std::shared_ptr<DeviceWindow> mapped = DeviceWindows::find(device.node, bytes)) return mapped;
  Result<Mapping> mapping = device.map(bytes, PROT_READ | PROT_WRITE);
  if (!mapping) return Unexpected{mapping.error()};
  // Not make_shared: see lean.cpp.
  std::shared_ptr<DeviceWindow> window{
      new DeviceWindow{device.path, device.node, std::move(*mapping), bytes}};
  DeviceWindows::add(*window);
  return window;
}

}  // namespace

Result<std::shared_ptr<DeviceWindow>> open_device_window(const wire::WindowIdentity& identity, uint64_t bytes,
                                                         const DeviceFolders& folders) {
  const DeviceNames names{folders};
  if (names.count() == 0) return fail(VACCEL_NOT_FOUND, "no dax device here");
  std::string reasons;
  Status refusal;
  for (int index = 0; index < names.count(); ++index) {
    Result<Device> device = Device::open(folders, names[index]);
    Status status = device ? check(*device, identity, bytes) : device.error();
    if (status.ok()) return map_window(*device, bytes);
    if (status.code() != VACCEL_NOT_FOUND && refusal.ok()) refusal = status;
    reasons += (reasons.empty() ? "" : "; ") + status.message();
  }
  // A device that could not be looked at may be the one.
  if (!refusal.ok()) return Unexpected{std::move(refusal)};
  return fail(VACCEL_NOT_FOUND, "none of the %d dax devices is this agent's window (%s)", names.count(),
              reasons.c_str());
}

}  // namespace vaccel::client
