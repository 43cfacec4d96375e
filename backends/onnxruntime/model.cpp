// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "common/model_file.h"
#include "external_data.h"

namespace vaccel::onnxruntime {
namespace {

// It has no code for that; these are the words of its allocators and of its execution providers'.
bool tells_of_memory(const std::string& words) {
  for (const char* some : {"Failed to allocate memory", "out of memory", "bad_alloc", "bad allocation",
                           "smaller than requested bytes"}) {
    if (words.find(some) != std::string::npos) return true;
  }
  return false;
}

Handle<OrtSession> open_session(const Api& api, const OrtEnv* environment, const OrtSessionOptions* options,
                                const vaccel_backend_model_source& source) {
  const backends::ModelBytes model(source);
  const std::string_view bytes = model.bytes();
  if (keeps_weights_elsewhere(bytes)) {
    refuse(VACCEL_INVALID_ARGUMENT,
           "the model keeps weights in other files ('external data'), which are not loaded; save it as one "
           "file (onnx.save with save_as_external_data=False)");
  }
  OrtSession* session = nullptr;
  OrtStatus* status = api->CreateSessionFromArray(environment, bytes.data(), bytes.size(), options, &session);
  if (status != nullptr) {
    const std::string words = api.take_words(status);
    refuse(tells_of_memory(words) ? VACCEL_RESOURCE_EXHAUSTED : VACCEL_INVALID_ARGUMENT,
           "ONNX Runtime refuses the model: %s", words.c_str());
  }
  return Handle<OrtSession>(session, Release<OrtSession>{api->ReleaseSession});
}

// Interrupts a run when the call is cancelled, for as long as this object lives.
class Interruptible {
 public:
  Interruptible(const Api& api, vaccel_backend_run& run)
      : api_(api),
        run_(run),
        options_(api.make<OrtRunOptions>(api->ReleaseRunOptions, VACCEL_INTERNAL, api->CreateRunOptions)) {
    run_.on_cancel(run_.context, interrupt, this);
  }
  ~Interruptible() { run_.on_cancel(run_.context, nullptr, nullptr); }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

  [[nodiscard]] const OrtRunOptions* options() const { return options_.get(); }

 private:
  static void interrupt(void* argument) {
    auto* self = static_cast<Interruptible*>(argument);
    OrtStatus* status = self->api_->RunOptionsSetTerminate(self->options_.get());
    if (status != nullptr) self->api_->ReleaseStatus(status);
  }

  const Api& api_;
  vaccel_backend_run& run_;
  Handle<OrtRunOptions> options_;
};

// What Run() gave back or was given; released with the call.
class Values {
 public:
  Values(const Api& api, size_t count) : api_(api), values_(count, nullptr) {}
  ~Values() {
    for (OrtValue* value : values_) {
      if (value != nullptr) api_->ReleaseValue(value);
    }
  }
  Values(const Values&) = delete;
  Values& operator=(const Values&) = delete;

  void set(size_t index, Handle<OrtValue> value) { values_[index] = value.release(); }
  [[nodiscard]] OrtValue* operator[](size_t index) const { return values_[index]; }
  [[nodiscard]] OrtValue** data() { return values_.data(); }
  [[nodiscard]] size_t size() const { return values_.size(); }

 private:
  const Api& api_;
  std::vector<OrtValue*> values_;
};

bool is_floating_point(int32_t dtype) {
  return dtype == VACCEL_FLOAT32 || dtype == VACCEL_FLOAT64 || dtype == VACCEL_FLOAT16 ||
         dtype == VACCEL_BFLOAT16;
}

}  // namespace

Model::Model(const Api& api, const OrtEnv* environment, const OrtSessionOptions* options,
             const vaccel_backend_model_source& source)
    : api_(api),
      memory_(api.make<OrtMemoryInfo>(api->ReleaseMemoryInfo, VACCEL_INTERNAL, api->CreateCpuMemoryInfo,
                                      OrtDeviceAllocator, OrtMemTypeDefault)),
      session_(open_session(api, environment, options, source)) {
  inputs_ =
      describe("input", api->SessionGetInputCount, api->SessionGetInputName, api->SessionGetInputTypeInfo);
  outputs_ = describe("output", api->SessionGetOutputCount, api->SessionGetOutputName,
                      api->SessionGetOutputTypeInfo);
  for (size_t index = 0; index < outputs_.types.size(); ++index) {
    size_t bytes = goes_straight(index) ? element_size(outputs_.types[index].dtype) : 0;
    for (const int64_t dimension : outputs_.types[index].shape)
      bytes *= static_cast<size_t>(dimension);
    straight_bytes_.push_back(bytes);
  }
  read_metadata();
}

void Model::note(std::string key, std::string value) {
  if (key.empty() || value.empty()) return;
  const char* kept_key = metadata_texts_.emplace_back(std::move(key)).c_str();
  metadata_.push_back({kept_key, metadata_texts_.emplace_back(std::move(value)).c_str()});
}

void Model::read_metadata() {
  OrtAllocator* allocator = nullptr;
  api_.check(api_->GetAllocatorWithDefaultOptions(&allocator), VACCEL_INTERNAL);
  const auto metadata = api_.make<OrtModelMetadata>(api_->ReleaseModelMetadata, VACCEL_INTERNAL,
                                                    api_->SessionGetModelMetadata, session_.get());
  const auto take = [&](char* text) {
    std::string words = text != nullptr ? text : "";
    if (text != nullptr) api_.check(api_->AllocatorFree(allocator, text), VACCEL_INTERNAL);
    return words;
  };
  using Getter = OrtStatus* (*)(const OrtModelMetadata*, OrtAllocator*, char**);
  const std::pair<const char*, Getter> getters[] = {
      {"producer", api_->ModelMetadataGetProducerName},
      {"graph", api_->ModelMetadataGetGraphName},
      {"graph description", api_->ModelMetadataGetGraphDescription},
      {"description", api_->ModelMetadataGetDescription},
      {"domain", api_->ModelMetadataGetDomain},
  };
  for (const auto& [key, get] : getters) {
    char* text = nullptr;
    api_.check(get(metadata.get(), allocator, &text), VACCEL_INTERNAL);
    note(key, take(text));
  }
  int64_t version = 0;
  api_.check(api_->ModelMetadataGetVersion(metadata.get(), &version), VACCEL_INTERNAL);
  // ONNX Runtime says INT64_MAX of a model that says nothing.
  if (version != 0 && version != INT64_MAX) note("version", std::to_string(version));

  char** keys = nullptr;
  int64_t count = 0;
  api_.check(api_->ModelMetadataGetCustomMetadataMapKeys(metadata.get(), allocator, &keys, &count),
             VACCEL_INTERNAL);
  std::vector<std::string> names;
  for (int64_t index = 0; index < count; ++index)
    names.push_back(take(keys[index]));
  if (keys != nullptr) api_.check(api_->AllocatorFree(allocator, static_cast<void*>(keys)), VACCEL_INTERNAL);
  std::sort(names.begin(), names.end());  // the map has no order of its own
  for (const std::string& name : names) {
    char* text = nullptr;
    api_.check(api_->ModelMetadataLookupCustomMetadataMap(metadata.get(), allocator, name.c_str(), &text),
               VACCEL_INTERNAL);
    note(name, take(text));
  }
}

Model::Side Model::describe(const char* kind, Counter count, Namer name, Typer type) const {
  Side side;
  OrtAllocator* allocator = nullptr;
  api_.check(api_->GetAllocatorWithDefaultOptions(&allocator), VACCEL_INTERNAL);
  size_t total = 0;
  api_.check(count(session_.get(), &total), VACCEL_INTERNAL);
  for (size_t index = 0; index < total; ++index) {
    char* text = nullptr;
    api_.check(name(session_.get(), index, allocator, &text), VACCEL_INTERNAL);
    side.names.emplace_back(text);
    api_.check(api_->AllocatorFree(allocator, text), VACCEL_INTERNAL);
    const auto info =
        api_.make<OrtTypeInfo>(api_->ReleaseTypeInfo, VACCEL_INTERNAL, type, session_.get(), index);
    const OrtTensorTypeAndShapeInfo* tensor = nullptr;
    api_.check(api_->CastTypeInfoToTensorInfo(info.get(), &tensor), VACCEL_INTERNAL);
    if (tensor == nullptr) {
      refuse(VACCEL_UNIMPLEMENTED, "%s '%s' is a sequence, map or optional value; only tensors can be passed",
             kind, side.names.back().c_str());
    }
    side.types.push_back(type_of(api_, tensor));
    const TensorType& facts = side.types.back();
    if (facts.dtype == 0) {
      refuse(VACCEL_UNIMPLEMENTED,
             "%s '%s' has an element type that vAccel has no name for (complex, float8, int4)", kind,
             side.names.back().c_str());
    }
    side.infos.push_back({side.names.back().c_str(), facts.shape.data(),
                          static_cast<int32_t>(facts.shape.size()), facts.dtype});
    side.pointers.push_back(side.names.back().c_str());
  }
  return side;
}

// Results may lie in memory that a guest can write to while the model runs. ONNX Runtime may use an output as
// input of further nodes: wrong floating-point values there give wrong results, wrong integers (as an index)
// memory errors.
bool Model::goes_straight(size_t output) const {
  const TensorType& type = outputs_.types[output];
  return is_floating_point(type.dtype) && !type.shape.empty() &&
         std::all_of(type.shape.begin(), type.shape.end(), [](int64_t dimension) { return dimension > 0; });
}

vaccel_status Model::run(vaccel_backend_run& run) const {
  Values inputs(api_, run.input_count);
  for (size_t index = 0; index < run.input_count; ++index) {
    inputs.set(index, make_value(api_, memory_.get(), run.inputs[index]));
  }
  Values outputs(api_, outputs_.infos.size());
  for (size_t index = 0; index < outputs.size(); ++index) {
    if (straight_bytes_[index] == 0) continue;
    const vaccel_tensor_info& info = outputs_.infos[index];
    void* memory = run.output(run.context, index, info.name, static_cast<vaccel_dtype>(info.dtype), info.rank,
                              info.shape, straight_bytes_[index]);
    if (memory == nullptr) return VACCEL_RESOURCE_EXHAUSTED;
    outputs.set(index,
                api_.make<OrtValue>(api_->ReleaseValue, VACCEL_INTERNAL, api_->CreateTensorWithDataAsOrtValue,
                                    memory_.get(), memory, straight_bytes_[index], info.shape,
                                    static_cast<size_t>(info.rank), element_type(info.dtype)));
  }
  {
    const Interruptible interruptible(api_, run);
    OrtStatus* status =
        api_->Run(session_.get(), interruptible.options(), inputs_.pointers.data(), inputs.data(),
                  inputs.size(), outputs_.pointers.data(), outputs.size(), outputs.data());
    if (status != nullptr) {
      // What it takes for the caller's fault it calls so; all else is its own.
      const bool caller = api_->GetErrorCode(status) == ORT_INVALID_ARGUMENT;
      const std::string words = api_.take_words(status);
      refuse(caller                   ? VACCEL_INVALID_ARGUMENT
             : tells_of_memory(words) ? VACCEL_RESOURCE_EXHAUSTED
                                      : VACCEL_INTERNAL,
             "ONNX Runtime failed: %s", words.c_str());
    }
  }
  for (size_t index = 0; index < outputs.size(); ++index) {
    if (straight_bytes_[index] != 0 || outputs[index] == nullptr) continue;
    if (!copy_out(api_, outputs[index], run, index, outputs_.infos[index].name))
      return VACCEL_RESOURCE_EXHAUSTED;
  }
  return VACCEL_OK;
}

}  // namespace vaccel::onnxruntime
