// SPDX-License-Identifier: Apache-2.0
//
// Device memory of one session: held in a worker, known here by number and size. All of a session's lies in one worker,
// since one call may use several of them. What a guest says is a number from elsewhere; what is kept here is the agent's own.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "agent/config.h"
#include "agent/tenant.h"
#include "agent/traffic.h"
#include "agent/worker_slot.h"
#include "core/status.h"
#include "wire/messages.h"

namespace vaccel::agent {

/// What a session takes, what calls still hold of it included. Shared with its memories, which may outlast it.
struct DeviceUsage {
  uint64_t bytes = 0;
  uint32_t count = 0;
};

/// Freed in its worker when it goes. Shared: by its session and by calls that use it, which may outlast its being freed.
class DeviceMemory {
 public:
  /// Counts as taken from now on; the worker is to allocate it under number(). Worker and traffic must outlive it.
  DeviceMemory(WorkerSlot& worker, uint64_t bytes, Traffic& traffic, std::shared_ptr<DeviceUsage> usage,
               std::array<Taken, 2> taken);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  /// The worker has it. Called when its answer comes, so by the present process of the worker's.
  void allocated() { process_ = worker_.process_count(); }
  /// Whether its worker has ended since.
  [[nodiscard]] bool lost() const { return process_ != worker_.process_count(); }

  [[nodiscard]] WorkerSlot& worker() const { return worker_; }
  /// Between agent and worker.
  [[nodiscard]] uint32_t number() const { return number_; }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }

 private:
  WorkerSlot& worker_;
  Traffic& traffic_;
  const std::shared_ptr<DeviceUsage> usage_;
  const std::array<Taken, 2> taken_;  // of its tenant's buffers and their bytes
  const uint64_t bytes_;
  const uint32_t number_;
  uint64_t process_ = 0;  // 0: not allocated yet
};

using HeldMemories = std::vector<std::shared_ptr<DeviceMemory>>;

class SessionMemory {
 public:
  /// @param first  The number that the client gets for its first one; kFirstMemoryNumber is added.
  SessionMemory(const Limits& limits, Traffic& traffic, uint32_t first)
      : limits_(limits), traffic_(traffic), next_(first) {}

  /// The worker that has what a call refers to; nullptr: it refers to none of this session's.
  [[nodiscard]] WorkerSlot* worker_of(const wire::Call& call) const;
  /// The worker where its memory lies; nullptr: it has had none yet.
  [[nodiscard]] WorkerSlot* worker() const { return worker_; }

  /// Sets aside so much of the session's and the tenant's limits, in a worker that stays the same from now on. RESOURCE_EXHAUSTED.
  Result<std::shared_ptr<DeviceMemory>> reserve(WorkerSlot& worker, uint64_t bytes, Tenant& tenant);
  /// Takes one that the worker has allocated. @return the number by which the client knows it.
  uint32_t add(std::shared_ptr<DeviceMemory> memory);
  /// INVALID_ARGUMENT: none of its numbers.
  Status free(uint32_t number);

  /// Checks that what a call refers to lies within memories of this session's that are there yet, adds these to `held`, and
  /// puts their numbers in the worker. INVALID_ARGUMENT; UNAVAILABLE: the worker has ended since.
  Status resolve(wire::Call& call, HeldMemories& held) const;
  /// The other way round, for results that a worker has put there; INTERNAL: it was told of no such place.
  Status translate(wire::CallResult& result, const HeldMemories& held) const;

 private:
  Result<std::shared_ptr<DeviceMemory>> find(wire::Segment segment, uint64_t offset, uint64_t bytes,
                                             const std::string& what) const;

  const Limits& limits_;
  Traffic& traffic_;
  const std::shared_ptr<DeviceUsage> usage_ = std::make_shared<DeviceUsage>();
  WorkerSlot* worker_ = nullptr;
  std::map<uint32_t, std::shared_ptr<DeviceMemory>> memories_;  // by the client's number
  uint32_t next_;
};

}  // namespace vaccel::agent
