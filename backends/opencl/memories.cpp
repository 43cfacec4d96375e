// SPDX-License-Identifier: Apache-2.0
#include "memories.h"

#include <sys/mman.h>

#include "lane.h"

namespace vaccel::opencl {
namespace {

// Addresses that are this process's, and no memory.
class Reservation {
 public:
  explicit Reservation(size_t bytes)
      : bytes_(bytes),
        address_(::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
    if (address_ == MAP_FAILED)
      refuse(VACCEL_RESOURCE_EXHAUSTED, "there are no addresses for %zu bytes", bytes);
  }
  ~Reservation() {
    if (address_ != nullptr) ::munmap(address_, bytes_);
  }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;

  [[nodiscard]] std::byte* address() const { return static_cast<std::byte*>(address_); }
  void keep() { address_ = nullptr; }

 private:
  size_t bytes_;
  void* address_;
};

}  // namespace

Memories::~Memories() {
  for (const auto& [address, entry] : entries_)
    ::munmap(const_cast<std::byte*>(address), entry.bytes);
}

void* Memories::allocate(size_t bytes, Lanes& lanes) {
  if (bytes > device_.most_bytes) {
    refuse(VACCEL_RESOURCE_EXHAUSTED, "%zu bytes are more than the %zu that one buffer may have on %s", bytes,
           device_.most_bytes, device_.name.c_str());
  }
  Reservation reservation(bytes);
  Entry entry{lanes.allocate(bytes), bytes};
  // Some drivers take the device's memory only now.
  std::unique_ptr<Lane> lane = lanes.take();
  lane->fill_with_zeros(entry.memory.get(), bytes);
  lane->finish();
  lanes.give_back(std::move(lane));
  std::byte* const address = reservation.address();
  const std::lock_guard lock(mutex_);
  entries_.emplace(address, std::move(entry));
  reservation.keep();
  return address;
}

void Memories::release(void* address) {
  decltype(entries_)::node_type gone;  // what goes, goes without the lock
  {
    const std::lock_guard lock(mutex_);
    gone = entries_.extract(static_cast<const std::byte*>(address));
  }
  if (!gone.empty()) ::munmap(address, gone.mapped().bytes);
}

std::optional<OnDevice> Memories::find(const void* address) const {
  const auto* at = static_cast<const std::byte*>(address);
  const std::lock_guard lock(mutex_);
  auto entry = entries_.upper_bound(at);
  if (entry == entries_.begin()) return std::nullopt;
  --entry;
  const auto offset = static_cast<size_t>(at - entry->first);
  if (offset >= entry->second.bytes) return std::nullopt;
  return OnDevice{entry->second.memory.get(), offset};
}

}  // namespace vaccel::opencl
