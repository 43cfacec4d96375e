// SPDX-License-Identifier: Apache-2.0
//
// The library's calls as the commands want them: results that free themselves, failures as Status with the library's sentence,
// the deadline from the command line, and Ctrl-C cancelling the call under way. Uses the public C API alone.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "core/status.h"
#include "tools/vaccel/arguments.h"
#include "tools/vaccel/interrupt.h"
#include "vaccel/vaccel.h"

namespace vaccel::tool {

struct Free {
  void operator()(vaccel_session* session) const { vaccel_close(session); }
  void operator()(vaccel_request* request) const { vaccel_request_free(request); }
  void operator()(vaccel_outputs* outputs) const { vaccel_outputs_free(outputs); }
  void operator()(vaccel_classes* classes) const { vaccel_classes_free(classes); }
  void operator()(vaccel_model* model) const { vaccel_model_free(model); }
  void operator()(vaccel_model_list* list) const { vaccel_model_list_free(list); }
  void operator()(vaccel_agent* agent) const { vaccel_agent_free(agent); }
};

/// What the library handed out, freed with its own function.
template <typename T>
using Owned = std::unique_ptr<T, Free>;

class Session {
 public:
  /// Connects. `interrupt` must outlive the session. A failure has the code and sentence of vaccel_open().
  static Result<Session> open(const CommonArguments& common, const Interrupt& interrupt);

  /// "unix:/run/vaccel/agent.sock"
  [[nodiscard]] std::string endpoint() const;

  // Calls with the deadline, and their stages measured. CANCELLED: Ctrl-C, or the other end.
  Result<Owned<vaccel_classes>> classify(const std::string& model, std::span<const std::byte> image,
                                         uint32_t top);
  Result<Owned<vaccel_outputs>> infer(const std::string& model, std::span<const vaccel_tensor> inputs);
  Result<Owned<vaccel_outputs>> call(const std::string& operator_name, const char* model,
                                     std::span<const vaccel_attribute> attributes,
                                     std::span<const vaccel_tensor> inputs);

  /// A round trip, in nanoseconds. Without a deadline on the command line, it may take `patience`.
  Result<uint64_t> ping(std::chrono::microseconds patience);

  Result<Owned<vaccel_model_list>> models();
  Result<Owned<vaccel_model>> model(const std::string& name);
  Result<Owned<vaccel_agent>> agent();

 private:
  Session(Owned<vaccel_session> session, const CommonArguments& common, const Interrupt& interrupt)
      : session_(std::move(session)), deadline_(common.deadline), interrupt_(&interrupt) {}

  [[nodiscard]] vaccel_call_options options() const;
  Status complete(vaccel_request* request, int64_t deadline_ns);
  Result<Owned<vaccel_outputs>> outputs_of(vaccel_status submitted, const Owned<vaccel_request>& request,
                                           int64_t deadline_ns);

  Owned<vaccel_session> session_;
  std::optional<std::chrono::microseconds> deadline_;
  const Interrupt* interrupt_;
};

}  // namespace vaccel::tool
