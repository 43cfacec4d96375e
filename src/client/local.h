// SPDX-License-Identifier: Apache-2.0
//
// Sessions without an agent: the runtime is loaded into this process. The guest library contains none of it; it
// finds libvaccel-runtime.so as the loader finds libraries, beside itself first.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "client/completion_queue.h"
#include "client/condition.h"
#include "client/transport.h"
#include "runtime/runtime_abi.h"

namespace vaccel::client {

/// Device memory of the runtime in this process. Buffers that are freed late find it gone with the session.
class LocalMemories final : public DeviceHome {
 public:
  LocalMemories(const runtime::RuntimeTable& table, runtime::Runtime* runtime)
      : table_(table), runtime_(runtime) {}

  [[gnu::cold]] Result<DevicePlace> allocate(const std::shared_ptr<LocalMemories>& self, const char* backend,
                                             size_t bytes, std::byte*& address);
  [[gnu::cold]] void free_memory(uint32_t number) override;
  /// Those of `buffers` that the runtime has to be told of.
  [[gnu::cold]] std::vector<const runtime::Memory*> on_devices(std::span<const BufferMemoryPtr> buffers);
  /// Frees what is left: the runtime ends.
  [[gnu::cold]] void close();

 private:
  const runtime::RuntimeTable& table_;
  std::mutex mutex_;
  runtime::Runtime* runtime_;
  std::vector<runtime::Memory*> memories_;  // by number, from kFirstMemoryNumber on; nullptr: it was freed
};

class LocalTransport final : public Transport {
 public:
  /// Loads the runtime. @param config_path  Empty: /etc/vaccel/vaccel.toml, or defaults if there is none.
  /// UNAVAILABLE: the runtime is not installed, or is another version; or what the runtime says.
  [[gnu::cold]] static Result<std::unique_ptr<Transport>> open(const std::string& config_path,
                                                               CompletionQueue& completions);
  ~LocalTransport() override;

  Status call(const CallSpec& spec, OutputsPtr* outputs) override;
  Result<std::unique_ptr<vaccel_request>> submit(const CallSpec& spec, const RequestTraits& traits) override;
  void take_in() override {}  // nothing arrives: threads of the runtime complete requests
  Result<std::unique_ptr<vaccel_buffer>> allocate_buffer(size_t bytes, uint64_t alignment,
                                                         bool must_be_shared) override;
  [[gnu::cold]] Result<std::unique_ptr<vaccel_buffer>> allocate_on_device(const char* backend,
                                                                          size_t bytes) override;
  [[nodiscard]] const Buffers& buffers() const override { return *buffers_; }
  Result<bool> is_in_place(const void* data, size_t bytes) override;
  Status ping(int64_t deadline_ns) override;
  [[gnu::cold]] Status load_model(const char* name) override;
  [[gnu::cold]] Result<std::unique_ptr<ModelList>> list_models() override;
  [[gnu::cold]] Result<std::unique_ptr<Model>> describe_model(const char* name) override;
  [[gnu::cold]] Result<std::unique_ptr<Agent>> describe_agent() override;
  [[gnu::cold]] Result<std::unique_ptr<OperatorList>> list_operators() override;

 private:
  friend class LocalRequest;

  LocalTransport(std::string endpoint, const runtime::RuntimeTable& table, runtime::Runtime* runtime,
                 CompletionQueue& completions)
      : endpoint_(std::move(endpoint)),
        table_(table),
        runtime_(runtime),
        completions_(completions),
        memories_(new LocalMemories(table, runtime)) {}

  [[gnu::cold]] Result<runtime::Model*> open_model(const char* name);
  /// @param on_devices  What find_on_devices() found when the call was made: its buffers may have been freed since.
  Status run(const CallSpec& spec, const std::atomic<int>* cancelled,
             std::span<const BufferMemoryPtr> on_devices, OutputsPtr* outputs);
  [[gnu::cold]] Result<std::vector<BufferMemoryPtr>> find_on_devices(const CallSpec& spec) const;

  const std::string endpoint_;
  const runtime::RuntimeTable& table_;
  runtime::Runtime* const runtime_;
  CompletionQueue& completions_;
  const std::shared_ptr<LocalMemories> memories_;        // shared: buffers find it while it is there
  const std::shared_ptr<Buffers> buffers_{new Buffers};  // shared with buffers that are freed late

  std::shared_mutex models_mutex_;
  std::map<std::string, runtime::Model*, std::less<>> models_;
  std::mutex describing_;  // what the runtime's describing functions return lives until the next one

  std::mutex jobs_mutex_;
  size_t jobs_ = 0;  // submitted and not finished
  Condition no_jobs_;
};

}  // namespace vaccel::client
