// SPDX-License-Identifier: Apache-2.0
#include "worker/windows.h"

#include <chrono>
#include <span>

namespace vaccel::worker {
namespace {

constexpr std::chrono::seconds kLongestWait{5};

}  // namespace

Status Windows::import(const wire::ImportWindow& import, const UniqueFd& memory) {
  auto mapping = channel::WindowMapping::map(memory.get(), import.start, import.bytes);
  if (!mapping) return mapping.error();
  const std::span<std::byte> window = mapping->bytes();
  runtime_.import_window(window);
  mapping->before_unmapping([&runtime = runtime_, window] { runtime.drop_window(window); });
  {
    const std::lock_guard lock(mutex_);
    windows_.insert_or_assign(import.window, std::move(*mapping));
  }
  imported_.notify_all();
  return {};
}

void Windows::drop(uint32_t number) {
  // What goes, goes without the lock: a device may take its time to let go.
  decltype(windows_)::node_type gone;
  const std::lock_guard lock(mutex_);
  gone = windows_.extract(number);
}

Result<channel::WindowMapping> Windows::find(uint32_t number) const {
  std::unique_lock lock(mutex_);
  auto window = windows_.find(number);
  const bool there = imported_.wait_for(lock, kLongestWait, [&] {
    window = windows_.find(number);
    return window != windows_.end();
  });
  if (!there) return fail(VACCEL_INTERNAL, "the worker could not map window %u", number);
  return window->second;
}

}  // namespace vaccel::worker
