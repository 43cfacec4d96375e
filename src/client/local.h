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

class LocalTransport final : public Transport {
 public:
  /// Loads the runtime. @param config_path  Empty: /etc/vaccel/vaccel.toml, or defaults if there is none.
  /// UNAVAILABLE: the runtime is not installed, or is another version; or what the runtime says.
  static Result<std::unique_ptr<Transport>> open(const std::string& config_path,
                                                 CompletionQueue& completions);
  ~LocalTransport() override;

  Status call(const CallSpec& spec, OutputsPtr* outputs) override;
  Result<std::unique_ptr<vaccel_request>> submit(const CallSpec& spec, const RequestTraits& traits) override;
  void take_in() override {}  // nothing arrives: threads of the runtime complete requests
  Result<std::unique_ptr<vaccel_buffer>> allocate_buffer(size_t bytes, uint64_t alignment,
                                                         bool must_be_shared) override;
  Result<bool> is_in_place(const void* data, size_t bytes) override;
  Status ping(int64_t deadline_ns) override;
  Status load_model(const char* name) override;
  Result<std::unique_ptr<ModelList>> list_models() override;
  Result<std::unique_ptr<Model>> describe_model(const char* name) override;
  Result<std::unique_ptr<Agent>> describe_agent() override;
  Result<std::unique_ptr<OperatorList>> list_operators() override;

 private:
  friend class LocalRequest;

  LocalTransport(std::string endpoint, const runtime::RuntimeTable& table, runtime::Runtime* runtime,
                 CompletionQueue& completions)
      : endpoint_(std::move(endpoint)), table_(table), runtime_(runtime), completions_(completions) {}

  Result<runtime::Model*> open_model(const char* name);
  Status run(const CallSpec& spec, const std::atomic<int>* cancelled, OutputsPtr* outputs);

  const std::string endpoint_;
  const runtime::RuntimeTable& table_;
  runtime::Runtime* const runtime_;
  CompletionQueue& completions_;

  std::shared_mutex models_mutex_;
  std::map<std::string, runtime::Model*, std::less<>> models_;
  std::mutex describing_;  // what the runtime's describing functions return lives until the next one

  std::mutex jobs_mutex_;
  size_t jobs_ = 0;  // submitted and not finished
  Condition no_jobs_;
};

}  // namespace vaccel::client
