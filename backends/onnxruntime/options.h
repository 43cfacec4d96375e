// SPDX-License-Identifier: Apache-2.0
//
// The options of [backend.onnxruntime], and the execution providers that they name.
//
//   library             path of libonnxruntime.so; default: beside the backend, else where the loader finds it
//   threads             threads within one operation; 0, the default: one for each core
//   inter_threads       threads across operations of one model; default 1
//   spinning            whether idle threads spin for a while; default false, since others need the cores
//   graph_optimization  "none", "basic", "extended" or "all"; default "all"
//   providers           [{ name = "CUDAExecutionProvider", required = false, KEY = VALUE... }, ...], in order of
//                       preference; the keys are the provider's own. The CPU comes last by itself.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "api.h"

namespace vaccel::onnxruntime {

struct ProviderOptions {
  std::string name;
  bool required = false;
  std::vector<std::pair<std::string, std::string>> values;
};

struct Options {
  std::string library;
  int threads = 0;
  int inter_threads = 1;
  bool spinning = false;
  GraphOptimizationLevel graph_optimization = ORT_ENABLE_ALL;
  std::vector<ProviderOptions> providers;
};

/// INVALID_ARGUMENT, with the option's place, for what is unknown or out of range.
Options parse_options(const vaccel_backend_option* options, size_t count);

/// What sessions are made with, and what became of the providers.
struct SessionSetup {
  Handle<OrtSessionOptions> options;
  std::string devices;                ///< "CUDAExecutionProvider, CPU"
  std::vector<std::string> warnings;  ///< Of providers that were skipped, with the reason.
};

/// Tries each provider on a tiny model first: one may load and then find no device. UNAVAILABLE when one that
/// is required does not work.
SessionSetup make_session_setup(const Api& api, const OrtEnv* environment, const Options& options);

}  // namespace vaccel::onnxruntime
