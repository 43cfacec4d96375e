// SPDX-License-Identifier: Apache-2.0
#include "direct_model.h"

#include <dlfcn.h>
#include <onnxruntime_c_api.h>

#include <cstdlib>
#include <string>

#include "failure.h"
#include "runtime/catalogue.h"
#include "runtime/vision/image_decode.h"
#include "runtime/vision/image_prepare.h"
#include "runtime/vision/top_classes.h"
#include "session.h"

namespace vaccel::bench {
namespace {

constexpr size_t kTop = 5;
constexpr uint32_t kOldestApi = 14;  // the backend's own

runtime::Catalogue read_catalogue(const Setting& setting) {
  auto catalogue = runtime::Catalogue::read(setting.catalogue);
  if (!catalogue) give_up("%s; scripts/make-catalogue makes one", catalogue.error().message().c_str());
  const runtime::CatalogueEntry* entry = catalogue->find(kModel);
  if (entry == nullptr) {
    give_up("there is no model '%s' in %s; scripts/make-catalogue makes it", kModel,
            setting.catalogue.c_str());
  }
  if (!entry->problem.empty()) give_up("model '%s': %s", kModel, entry->problem.c_str());
  if (!entry->model.image || !entry->model.classify) give_up("model '%s' does not classify", kModel);
  return std::move(*catalogue);
}

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
    if (dimension <= 0) give_up("model '%s' has an input or output without a fixed shape", kModel);
    count *= static_cast<size_t>(dimension);
  }
  return count;
}

}  // namespace

// ONNX Runtime's objects. Released in the opposite order of their making.
struct DirectModel::Framework {
  explicit Framework(const Setting& setting)
      : catalogue(read_catalogue(setting)), entry(*catalogue.find(kModel)), api(load_api(setting)) {
    auto bytes = runtime::read_model_file(entry);
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
    if (output != nullptr) api->ReleaseValue(output);
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

  // The fixed shape of the only input or output.
  std::vector<int64_t> shape_of(OrtStatus*(ORT_API_CALL* info_of)(const OrtSession*, size_t,
                                                                  OrtTypeInfo**)) const {
    OrtTypeInfo* info = nullptr;
    must(info_of(session, 0, &info));
    const OrtTensorTypeAndShapeInfo* tensor = nullptr;
    must(api->CastTypeInfoToTensorInfo(info, &tensor));
    size_t rank = 0;
    must(api->GetDimensionsCount(tensor, &rank));
    std::vector<int64_t> shape(rank);
    must(api->GetDimensions(tensor, shape.data(), rank));
    api->ReleaseTypeInfo(info);
    return shape;
  }

  OrtValue* value_on(std::span<float> values, const std::vector<int64_t>& shape) const {
    OrtValue* value = nullptr;
    must(api->CreateTensorWithDataAsOrtValue(memory, values.data(), values.size_bytes(), shape.data(),
                                             shape.size(), ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value));
    return value;
  }

  const runtime::Catalogue catalogue;
  const runtime::CatalogueEntry& entry;
  const OrtApi* api;
  OrtEnv* environment = nullptr;
  OrtSessionOptions* options = nullptr;
  OrtSession* session = nullptr;
  OrtMemoryInfo* memory = nullptr;
  OrtValue* input = nullptr;
  OrtValue* output = nullptr;
};

DirectModel::DirectModel(const Setting& setting) : framework_(std::make_unique<Framework>(setting)) {
  const OrtApi* api = framework_->api;
  input_shape_ = framework_->shape_of(api->SessionGetInputTypeInfo);
  input_.resize(element_count(input_shape_));
  framework_->input = framework_->value_on(input_, input_shape_);
  const std::vector<int64_t> output_shape = framework_->shape_of(api->SessionGetOutputTypeInfo);
  scores_.resize(element_count(output_shape));
  framework_->output = framework_->value_on(scores_, output_shape);
}

DirectModel::~DirectModel() = default;

const char* DirectModel::input_name() const {
  return framework_->entry.model.image->input.c_str();
}

int32_t DirectModel::classify(std::span<const std::byte> image) {
  const auto picture = runtime::decode_image(image, {}, pixels_);
  if (!picture) give_up("%s", picture.error().message().c_str());
  const runtime::ModelDescription& model = framework_->entry.model;
  runtime::prepare_image(*picture, *model.image, input_.data());
  infer();
  return runtime::top_classes(scores_, kTop, model.classify->activation).front().index;
}

float DirectModel::infer() {
  const char* input_name = framework_->entry.model.image->input.c_str();
  const char* output_name = framework_->entry.model.classify->output.c_str();
  framework_->must(framework_->api->Run(framework_->session, nullptr, &input_name, &framework_->input, 1,
                                        &output_name, 1, &framework_->output));
  return scores_.front();
}

}  // namespace vaccel::bench
