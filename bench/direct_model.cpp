// SPDX-License-Identifier: Apache-2.0
#include "direct_model.h"

#include <dlfcn.h>
#include <onnxruntime_c_api.h>

#include <cstdlib>
#include <string>

#include "catalogue_model.h"
#include "failure.h"
#include "runtime/vision/image_decode.h"
#include "runtime/vision/image_prepare.h"
#include "runtime/vision/top_classes.h"
#include "session.h"

namespace vaccel::bench {
namespace {

constexpr size_t kTop = 5;
constexpr uint32_t kOldestApi = 14;  // the backend's own

const OrtApi* load_api(const Setting& setting) {
  const std::string file = (setting.backends / "libonnxruntime.so").string();
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) give_up("cannot load ONNX Runtime: %s", ::dlerror());
  const auto base = reinterpret_cast<decltype(&OrtGetApiBase)>(::dlsym(library, "OrtGetApiBase"));
  const OrtApi* api = base != nullptr ? base()->GetApi(kOldestApi) : nullptr;
  if (api == nullptr) give_up("%s is not ONNX Runtime, or too old", file.c_str());
  return api;
}

size_t element_count(const std::vector<int64_t>& shape) {
  size_t count = 1;
  for (const int64_t dimension : shape) {
    if (dimension <= 0) give_up("the model has an input or output without a fixed shape");
    count *= static_cast<size_t>(dimension);
  }
  return count;
}

}  // namespace

// ONNX Runtime's objects. Released in the opposite order of their making.
struct DirectModel::Framework {
  Framework(const Setting& setting, const char* model_name, int64_t rows)
      : model(setting, model_name), open_rows(rows), api(load_api(setting)) {
    auto bytes = runtime::read_model_file(model.entry());
    if (!bytes) give_up("%s", bytes.error().message().c_str());
    must(api->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "vaccel-bench", &environment));
    must(api->CreateSessionOptions(&options));
    must(api->SetIntraOpNumThreads(options, 0));
    must(api->SetInterOpNumThreads(options, 1));
    must(api->AddSessionConfigEntry(options, "session.intra_op.allow_spinning", "0"));
    must(api->AddSessionConfigEntry(options, "session.inter_op.allow_spinning", "0"));
    must(api->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL));
    must(api->CreateSessionFromArray(environment, bytes->bytes().data(), bytes->bytes().size(), options,
                                     &session));
    must(api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory));
  }
  ~Framework() {
    for (OrtValue* output : outputs)
      api->ReleaseValue(output);
    if (input != nullptr) api->ReleaseValue(input);
    if (memory != nullptr) api->ReleaseMemoryInfo(memory);
    if (session != nullptr) api->ReleaseSession(session);
    if (options != nullptr) api->ReleaseSessionOptions(options);
    if (environment != nullptr) api->ReleaseEnv(environment);
  }
  Framework(const Framework&) = delete;
  Framework& operator=(const Framework&) = delete;

  void must(OrtStatus* status) const {
    if (status == nullptr) return;
    const std::string words = api->GetErrorMessage(status);
    api->ReleaseStatus(status);
    give_up("ONNX Runtime: %s", words.c_str());
  }

  // The fixed shape of an input or output.
  std::vector<int64_t> shape_of(OrtStatus*(ORT_API_CALL* info_of)(const OrtSession*, size_t, OrtTypeInfo**),
                                size_t index) const {
    OrtTypeInfo* info = nullptr;
    must(info_of(session, index, &info));
    const OrtTensorTypeAndShapeInfo* tensor = nullptr;
    must(api->CastTypeInfoToTensorInfo(info, &tensor));
    size_t rank = 0;
    must(api->GetDimensionsCount(tensor, &rank));
    std::vector<int64_t> shape(rank);
    must(api->GetDimensions(tensor, shape.data(), rank));
    api->ReleaseTypeInfo(info);
    if (!shape.empty() && shape.front() == -1) shape.front() = open_rows;
    return shape;
  }

  OrtValue* value_on(std::span<float> values, const std::vector<int64_t>& shape) const {
    OrtValue* value = nullptr;
    must(api->CreateTensorWithDataAsOrtValue(memory, values.data(), values.size_bytes(), shape.data(),
                                             shape.size(), ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value));
    return value;
  }

  const CatalogueModel model;
  const int64_t open_rows;
  const OrtApi* api;
  OrtEnv* environment = nullptr;
  OrtSessionOptions* options = nullptr;
  OrtSession* session = nullptr;
  OrtMemoryInfo* memory = nullptr;
  OrtValue* input = nullptr;
  std::vector<std::string> output_names;
  std::vector<const char*> output_name_pointers;
  std::vector<OrtValue*> outputs;
};

DirectModel::DirectModel(const Setting& setting, const char* model, int64_t rows)
    : framework_(std::make_unique<Framework>(setting, model, rows)) {
  Framework& framework = *framework_;
  const OrtApi* api = framework.api;
  input_shape_ = framework.shape_of(api->SessionGetInputTypeInfo, 0);
  input_.resize(element_count(input_shape_));
  framework.input = framework.value_on(input_, input_shape_);
  size_t count = 0;
  framework.must(api->SessionGetOutputCount(framework.session, &count));
  OrtAllocator* allocator = nullptr;
  framework.must(api->GetAllocatorWithDefaultOptions(&allocator));
  for (size_t index = 0; index < count; ++index) {
    char* name = nullptr;
    framework.must(api->SessionGetOutputName(framework.session, index, allocator, &name));
    framework.output_names.emplace_back(name);
    framework.must(api->AllocatorFree(allocator, name));
    const std::vector<int64_t> shape = framework.shape_of(api->SessionGetOutputTypeInfo, index);
    outputs_.emplace_back(element_count(shape));
    framework.outputs.push_back(framework.value_on(outputs_.back(), shape));
  }
  for (const std::string& name : framework.output_names)
    framework.output_name_pointers.push_back(name.c_str());
}

DirectModel::~DirectModel() = default;

const char* DirectModel::input_name() const {
  return framework_->model.description().image->input.c_str();
}

int32_t DirectModel::classify(std::span<const std::byte> image) {
  const auto picture = runtime::decode_image(image, {}, pixels_);
  if (!picture) give_up("%s", picture.error().message().c_str());
  const runtime::ModelDescription& model = framework_->model.description();
  runtime::prepare_image(*picture, *model.image, input_.data());
  infer();
  return runtime::top_classes(outputs_.front(), kTop, model.classify->activation).front().index;
}

float DirectModel::infer() {
  Framework& framework = *framework_;
  const char* name = input_name();
  framework.must(framework.api->Run(framework.session, nullptr, &name, &framework.input, 1,
                                    framework.output_name_pointers.data(), framework.outputs.size(),
                                    framework.outputs.data()));
  return outputs_.front().front();
}

}  // namespace vaccel::bench
