// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <string_view>

#include "common/option_values.h"

namespace vaccel::onnxruntime {
namespace {

constexpr size_t kMostProviders = 16;

GraphOptimizationLevel parse_optimization(const vaccel_backend_option& option) {
  const std::string_view value = option.value;
  if (value == "none") return ORT_DISABLE_ALL;
  if (value == "basic") return ORT_ENABLE_BASIC;
  if (value == "extended") return ORT_ENABLE_EXTENDED;
  if (value == "all") return ORT_ENABLE_ALL;
  refuse(VACCEL_INVALID_ARGUMENT, "%s: '%s' is \"%s\"; it must be none, basic, extended or all", option.where,
         option.key, option.value);
}

// "providers.0.device_id" -> provider 0, key "device_id".
void parse_provider(const vaccel_backend_option& option, std::vector<ProviderOptions>& providers) {
  const auto [index, key] = backends::parse_element_key(option, "providers", kMostProviders, "name");
  if (providers.size() <= index) providers.resize(index + 1);
  ProviderOptions& provider = providers[index];
  if (key == "name") {
    provider.name = option.value;
  } else if (key == "required") {
    provider.required = backends::parse_boolean(option);
  } else {
    provider.values.emplace_back(key, option.value);
  }
}

// One node, Identity, from float "x" to "y": ONNX IR version 8, opset 13.
constexpr unsigned char kProbeModel[] = {
    0x08, 0x08, 0x3a, 0x34, 0x0a, 0x10, 0x0a, 0x01, 'x',  0x12, 0x01, 'y',  0x22, 0x08, 'I',  'd',
    'e',  'n',  't',  'i',  't',  'y',  0x12, 0x02, 'p',  'p',  0x5a, 0x0d, 0x0a, 0x01, 'x',  0x12,
    0x08, 0x0a, 0x06, 0x08, 0x01, 0x12, 0x02, 0x0a, 0x00, 0x62, 0x0d, 0x0a, 0x01, 'y',  0x12, 0x08,
    0x0a, 0x06, 0x08, 0x01, 0x12, 0x02, 0x0a, 0x00, 0x42, 0x04, 0x0a, 0x00, 0x10, 0x0d};

struct KeysAndValues {
  std::vector<const char*> keys;
  std::vector<const char*> values;

  explicit KeysAndValues(const ProviderOptions& provider) {
    for (const auto& [key, value] : provider.values) {
      keys.push_back(key.c_str());
      values.push_back(value.c_str());
    }
  }
};

void append_cuda(const Api& api, const ProviderOptions& provider, OrtSessionOptions* options) {
  const KeysAndValues pairs(provider);
  const auto cuda = api.make<OrtCUDAProviderOptionsV2>(api->ReleaseCUDAProviderOptions, VACCEL_UNAVAILABLE,
                                                       api->CreateCUDAProviderOptions);
  api.check(
      api->UpdateCUDAProviderOptions(cuda.get(), pairs.keys.data(), pairs.values.data(), pairs.keys.size()),
      VACCEL_INVALID_ARGUMENT);
  api.check(api->SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda.get()), VACCEL_UNAVAILABLE);
}

void append_tensorrt(const Api& api, const ProviderOptions& provider, OrtSessionOptions* options) {
  const KeysAndValues pairs(provider);
  const auto tensorrt = api.make<OrtTensorRTProviderOptionsV2>(
      api->ReleaseTensorRTProviderOptions, VACCEL_UNAVAILABLE, api->CreateTensorRTProviderOptions);
  api.check(api->UpdateTensorRTProviderOptions(tensorrt.get(), pairs.keys.data(), pairs.values.data(),
                                               pairs.keys.size()),
            VACCEL_INVALID_ARGUMENT);
  api.check(api->SessionOptionsAppendExecutionProvider_TensorRT_V2(options, tensorrt.get()),
            VACCEL_UNAVAILABLE);
}

// The other providers have one function for all, which knows them by their short names.
void append_other(const Api& api, const ProviderOptions& provider, OrtSessionOptions* options) {
  constexpr std::string_view kSuffix = "ExecutionProvider";
  const KeysAndValues pairs(provider);
  std::string name = provider.name;
  if (name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
  api.check(api->SessionOptionsAppendExecutionProvider(options, name.c_str(), pairs.keys.data(),
                                                       pairs.values.data(), pairs.keys.size()),
            VACCEL_UNAVAILABLE);
}

void append_provider(const Api& api, const ProviderOptions& provider, OrtSessionOptions* options) {
  if (provider.name == "CUDAExecutionProvider" || provider.name == "CUDA") {
    append_cuda(api, provider, options);
  } else if (provider.name == "TensorrtExecutionProvider" || provider.name == "TensorRT") {
    append_tensorrt(api, provider, options);
  } else {
    append_other(api, provider, options);
  }
}

Handle<OrtSessionOptions> new_session_options(const Api& api) {
  return api.make<OrtSessionOptions>(api->ReleaseSessionOptions, VACCEL_INTERNAL, api->CreateSessionOptions);
}

void probe(const Api& api, const OrtEnv* environment, const ProviderOptions& provider) {
  const auto options = new_session_options(api);
  append_provider(api, provider, options.get());
  (void)api.make<OrtSession>(api->ReleaseSession, VACCEL_UNAVAILABLE, api->CreateSessionFromArray,
                             environment, static_cast<const void*>(kProbeModel), sizeof kProbeModel,
                             options.get());
}

void apply_threads(const Api& api, const Options& options, OrtSessionOptions* session) {
  const char* spinning = options.spinning ? "1" : "0";
  api.check(api->SetIntraOpNumThreads(session, options.threads), VACCEL_INTERNAL);
  api.check(api->SetInterOpNumThreads(session, options.inter_threads), VACCEL_INTERNAL);
  if (options.inter_threads != 1) {
    api.check(api->SetSessionExecutionMode(session, ORT_PARALLEL), VACCEL_INTERNAL);
  }
  api.check(api->AddSessionConfigEntry(session, "session.intra_op.allow_spinning", spinning),
            VACCEL_INTERNAL);
  api.check(api->AddSessionConfigEntry(session, "session.inter_op.allow_spinning", spinning),
            VACCEL_INTERNAL);
}

}  // namespace

Options parse_options(const vaccel_backend_option* options, size_t count) {
  Options parsed;
  for (size_t index = 0; index < count; ++index) {
    const vaccel_backend_option& option = options[index];
    const std::string_view key = option.key;
    if (key == "library") {
      parsed.library = option.value;
    } else if (key == "threads") {
      parsed.threads = backends::parse_integer(option, 0, backends::kMostThreads);
    } else if (key == "inter_threads") {
      parsed.inter_threads = backends::parse_integer(option, 0, backends::kMostThreads);
    } else if (key == "spinning") {
      parsed.spinning = backends::parse_boolean(option);
    } else if (key == "graph_optimization") {
      parsed.graph_optimization = parse_optimization(option);
    } else if (key.starts_with("providers.")) {
      parse_provider(option, parsed.providers);
    } else {
      backends::refuse_unknown(option,
                               "library, threads, inter_threads, spinning, graph_optimization, providers");
    }
  }
  for (size_t index = 0; index < parsed.providers.size(); ++index) {
    if (parsed.providers[index].name.empty()) {
      refuse(VACCEL_INVALID_ARGUMENT, "provider %zu of [backend.onnxruntime] has no name", index);
    }
  }
  return parsed;
}

SessionSetup make_session_setup(const Api& api, const OrtEnv* environment, const Options& options) {
  SessionSetup setup;
  setup.options = new_session_options(api);
  apply_threads(api, options, setup.options.get());
  api.check(api->SetSessionGraphOptimizationLevel(setup.options.get(), options.graph_optimization),
            VACCEL_INTERNAL);
  for (const ProviderOptions& provider : options.providers) {
    if (provider.name == "CPUExecutionProvider" || provider.name == "CPU") continue;
    try {
      probe(api, environment, provider);
      append_provider(api, provider, setup.options.get());
      setup.devices += provider.name + ", ";
    } catch (const Failure& failure) {
      const std::string sentence =
          "execution provider '" + provider.name + "' does not work here: " + failure.sentence;
      if (provider.required) throw Failure{VACCEL_UNAVAILABLE, sentence};
      setup.warnings.push_back(sentence);
    }
  }
  setup.devices += "CPU";
  return setup;
}

}  // namespace vaccel::onnxruntime
