// SPDX-License-Identifier: Apache-2.0
//
// The library's calls as the commands want them: results that free themselves, failures as Status with the library's sentence,
// the deadline from the command line, and Ctrl-C cancelling the call under way. Uses the public C API alone.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "tools/vaccel/arguments.h"
#include "tools/vaccel/found.h"
#include "tools/vaccel/interrupt.h"
#include "tools/vaccel/owned.h"
#include "vaccel/vaccel.h"

namespace vaccel::tool {

class Session {
 public:
  /// Connects. `interrupt` must outlive the session. A failure has the code and sentence of vaccel_open().
  static Result<Session> open(const CommonArguments& common, const Interrupt& interrupt);

  /// "unix:/run/vaccel/agent.sock"
  [[nodiscard]] std::string endpoint() const;

  // Calls with the deadline, and their stages measured. CANCELLED: Ctrl-C, or the other end.
  /// @return what was found in each image.
  Result<std::vector<Found>> vision(const std::string& operator_name, const std::string& model,
                                    std::span<const vaccel_image> images,
                                    const vaccel_vision_options& wanted);
  Result<Owned<vaccel_outputs>> infer(const std::string& model, std::span<const vaccel_tensor> inputs);
  Result<Owned<vaccel_outputs>> call(const std::string& operator_name, const char* model,
                                     std::span<const vaccel_attribute> attributes,
                                     std::span<const vaccel_tensor> inputs);

  /// A round trip, in nanoseconds. Without a deadline on the command line, it may take `patience`.
  Result<uint64_t> ping(std::chrono::microseconds patience);

  Result<Owned<vaccel_model_list>> models();
  Result<Owned<vaccel_model>> model(const std::string& name);
  Result<Owned<vaccel_agent>> agent();
  Result<Owned<vaccel_operator_list>> operators();

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
