// SPDX-License-Identifier: Apache-2.0
#include "environment.h"

#include <algorithm>
#include <mutex>
#include <vector>

namespace vaccel::onnxruntime {
namespace {

// The hosts of the instances that are alive, in the order of their making.
struct Hosts {
  std::mutex mutex;
  std::vector<const vaccel_backend_host*> alive;
};

Hosts& hosts() {
  static auto* const kept = new Hosts;  // threads of ONNX Runtime may log when the process is ending
  return *kept;
}

void ORT_API_CALL write_log(void* /*parameter*/, OrtLoggingLevel severity, const char* /*category*/,
                            const char* /*id*/, const char* /*location*/, const char* message) {
  const int level = severity <= ORT_LOGGING_LEVEL_INFO ? 0 : severity == ORT_LOGGING_LEVEL_WARNING ? 2 : 3;
  const std::lock_guard lock(hosts().mutex);
  if (hosts().alive.empty()) return;
  const vaccel_backend_host* host = hosts().alive.back();
  host->log(host->context, level, message);
}

}  // namespace

Environment::Environment(const Api& api, const vaccel_backend_host* host)
    : host_(host),
      environment_(api.make<OrtEnv>(api->ReleaseEnv, VACCEL_UNAVAILABLE, api->CreateEnvWithCustomLogger,
                                    OrtLoggingFunction{write_log}, static_cast<void*>(nullptr),
                                    ORT_LOGGING_LEVEL_WARNING, "vaccel")) {
  const std::lock_guard lock(hosts().mutex);
  hosts().alive.push_back(host_);
}

Environment::~Environment() {
  const std::lock_guard lock(hosts().mutex);
  std::erase(hosts().alive, host_);
}

}  // namespace vaccel::onnxruntime
