// SPDX-License-Identifier: Apache-2.0
#include "client/local.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "client/call_layout.h"
#include "client/request.h"
#include "core/clock.h"
#include "core/tensor.h"

namespace vaccel::client {
namespace {

// Keeps what the runtime says of a failure.
class Sentence {
 public:
  [[nodiscard]] const runtime::ErrorSink& sink() const { return sink_; }
  [[nodiscard]] Status status(vaccel_status code) const {
    return code == VACCEL_OK ? Status{} : Status{code, text_.empty() ? status_name(code) : text_};
  }

 private:
  std::string text_;
  runtime::ErrorSink sink_{
      this, [](void* self, const char* sentence) { static_cast<Sentence*>(self)->text_ = sentence; }};
};

Unexpected no_runtime(const char* why) {
  return fail(
      VACCEL_UNAVAILABLE,
      "a local session needs %s, which cannot be loaded: %s; install it beside libvaccel.so, or start "
      "an agent (vacceld) and open a session with that",
      runtime::kRuntimeLibrary, why);
}

// The runtime beside this library if there is one there, else just its name, for the loader to find. (A run path of
// "$ORIGIN" would say the same, but not to the dlopen() of sanitizers.)
std::string runtime_path() {
  Dl_info self{};
  if (::dladdr(reinterpret_cast<const void*>(&runtime_path), &self) != 0 && self.dli_fname != nullptr) {
    std::string path = self.dli_fname;
    path.resize(path.find_last_of('/') + 1);
    path += runtime::kRuntimeLibrary;
    if (path.front() == '/' && ::access(path.c_str(), F_OK) == 0) return path;
  }
  return runtime::kRuntimeLibrary;
}

Result<const runtime::RuntimeTable*> load_runtime() {
  // Never unloaded: frameworks leave threads and handlers behind that must not lose their code.
  void* library = ::dlopen(runtime_path().c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    const char* why = ::dlerror();
    return no_runtime(why != nullptr ? why : "the loader does not say why");
  }
  const auto entry = reinterpret_cast<runtime::RuntimeEntry>(::dlsym(library, runtime::kRuntimeEntry));
  if (entry == nullptr) return no_runtime("it has no entry; it is not vAccel's");
  const runtime::RuntimeTable* table = entry();
  if (table == nullptr || table->size < sizeof(runtime::RuntimeTable) ||
      table->abi_version != runtime::kRuntimeAbi)
    return no_runtime("it is of another version; install the one that came with this library");
  return table;
}

// Dense inputs: the caller's own, and packed copies of those that are strided.
class DenseInputs {
 public:
  ~DenseInputs() {
    for (void* memory : memory_)
      std::free(memory);
  }
  DenseInputs() = default;
  DenseInputs(const DenseInputs&) = delete;
  DenseInputs& operator=(const DenseInputs&) = delete;

  // RESOURCE_EXHAUSTED: no memory.
  Status set(std::span<const vaccel_tensor> inputs) {
    bool all_dense = true;
    for (const vaccel_tensor& input : inputs)
      all_dense = all_dense && input.strides == nullptr;
    views_ = inputs;
    if (all_dense) return {};
    dense_.assign(inputs.begin(), inputs.end());
    for (vaccel_tensor& tensor : dense_) {
      if (is_dense(tensor)) {
        tensor.strides = nullptr;
        continue;
      }
      const auto bytes = static_cast<size_t>(dense_size(tensor));
      void* memory = std::malloc(bytes);
      if (memory == nullptr && bytes > 0)
        return failure(VACCEL_RESOURCE_EXHAUSTED, "there is no memory to pack a strided tensor of %zu bytes",
                       bytes);
      memory_.push_back(memory);
      pack(tensor, static_cast<std::byte*>(memory));
      tensor.data = memory;
      tensor.bytes = bytes;
      tensor.strides = nullptr;
    }
    views_ = dense_;
    return {};
  }

  [[nodiscard]] std::span<const vaccel_tensor> views() const { return views_; }

 private:
  std::span<const vaccel_tensor> views_;
  std::vector<vaccel_tensor> dense_;
  std::vector<void*> memory_;
};

void* add_output(void* collector, size_t index, const char* name, vaccel_dtype dtype, int32_t rank,
                 const int64_t* shape, size_t bytes) {
  return static_cast<OutputCollector*>(collector)->add(index, name != nullptr ? name : "", dtype,
                                                       {shape, static_cast<size_t>(rank)}, bytes);
}

// A call's arguments on their own, for a call that outlives the function that made it.
class OwnedSpec {
 public:
  explicit OwnedSpec(const CallSpec& spec) : spec_(spec) {
    spec_.operator_name = keep(spec.operator_name);
    if (spec.model != nullptr) spec_.model = keep(spec.model);
    if (spec.backend != nullptr) spec_.backend = keep(spec.backend);
    attributes_.assign(spec.attributes.begin(), spec.attributes.end());
    for (vaccel_attribute& attribute : attributes_) {
      attribute.name = keep(attribute.name);
      if (attribute.type == VACCEL_ATTRIBUTE_STRING) attribute.value.string = keep(attribute.value.string);
    }
    spec_.attributes = attributes_;
    places_.assign(spec.places.begin(), spec.places.end());
    spec_.places = places_;
    spec_.inputs = {};
  }
  OwnedSpec(const OwnedSpec&) = delete;
  OwnedSpec& operator=(const OwnedSpec&) = delete;
  ~OwnedSpec() {
    for (void* memory : copies_)
      std::free(memory);
  }

  // RESOURCE_EXHAUSTED: no memory.
  Status copy_inputs(std::span<const vaccel_tensor> inputs, const Buffers& buffers) {
    inputs_.reserve(inputs.size());
    for (const vaccel_tensor& input : inputs) {
      const auto bytes = static_cast<size_t>(dense_size(input));
      const bool stays = buffers.on_device(input.data);  // nobody can read it here
      void* memory = stays ? input.data : std::malloc(bytes > 0 ? bytes : 1);
      if (memory == nullptr)
        return failure(VACCEL_RESOURCE_EXHAUSTED, "there is no memory to keep an input of %zu bytes", bytes);
      if (!stays) copies_.push_back(memory);
      if (input.dtype == VACCEL_STRING) {
        std::memcpy(memory, input.data, bytes);
      } else if (!stays) {
        pack(input, static_cast<std::byte*>(memory));
      }
      shapes_.emplace_back(input.shape, input.shape + input.rank);
      vaccel_tensor copy{};
      copy.name = input.name != nullptr ? keep(input.name) : nullptr;
      copy.data = memory;
      copy.bytes = bytes;
      copy.shape = shapes_.back().data();
      copy.rank = input.rank;
      copy.dtype = input.dtype;
      inputs_.push_back(copy);
    }
    spec_.inputs = inputs_;
    return {};
  }

  [[nodiscard]] const CallSpec& spec() const { return spec_; }

 private:
  const char* keep(const char* text) {
    texts_.push_back(std::make_unique<std::string>(text));
    return texts_.back()->c_str();
  }

  CallSpec spec_;
  std::vector<std::unique_ptr<std::string>> texts_;
  std::vector<std::vector<int64_t>> shapes_;
  std::vector<vaccel_attribute> attributes_;
  std::vector<vaccel_tensor> inputs_;
  std::vector<void*> copies_;
  std::vector<vaccel_tensor> places_;
};

// A submitted call, shared by its owner and the thread that runs it: either may be done with it first.
struct Job {
  explicit Job(const CallSpec& call) : arguments(call) {}

  OwnedSpec arguments;
  std::atomic<int> cancelled = 0;
  std::atomic<bool> done = false;
  std::mutex mutex;
  Condition changed;
  vaccel_request* owner = nullptr;  // nullptr: it was freed
  Status status;
  OutputsPtr outputs;
  std::vector<BufferMemoryPtr> on_devices;  // what it uses stays until it is done
};

}  // namespace

// The owner's side of a job.
class LocalRequest final : public vaccel_request {
 public:
  LocalRequest(LocalTransport& transport, std::shared_ptr<Job> job, const RequestTraits& its_traits)
      : vaccel_request(its_traits), transport_(transport), job_(std::move(job)) {
    job_->owner = this;
  }

  ~LocalRequest() override {
    {
      std::unique_lock lock(job_->mutex);
      job_->cancelled = 1;
      // Results may be on their way to the caller's own memory, which is the caller's to reuse after this.
      while (!job_->done && !job_->arguments.spec().places.empty() && started_)
        job_->changed.wait(lock, 0);
      job_->owner = nullptr;
    }
    transport_.completions_.remove(*this);
  }

  Status start() {
    {
      const std::lock_guard lock(transport_.jobs_mutex_);
      ++transport_.jobs_;
    }
    auto* argument = new Posted{transport_, job_};
    started_ = true;
    const auto code = transport_.table_.post(transport_.runtime_, &run, argument);
    if (code == VACCEL_OK) return {};
    started_ = false;
    delete argument;
    finish_job(transport_);
    return failure(code, "the runtime has no thread to run the call on");
  }

  [[nodiscard]] bool done() const override { return job_->done.load(std::memory_order_acquire); }
  [[nodiscard]] const Status& status() const override { return job_->status; }
  OutputsPtr& outputs() override { return job_->outputs; }
  void cancel() override { job_->cancelled = 1; }
  void handed_out() override { transport_.completions_.remove(*this); }

  bool wait(int64_t deadline_ns) override {
    std::unique_lock lock(job_->mutex);
    while (!job_->done) {
      if (!job_->changed.wait(lock, deadline_ns)) return job_->done;
    }
    return true;
  }

 private:
  struct Posted {
    LocalTransport& transport;
    std::shared_ptr<Job> job;
  };

  static void run(void* argument) {
    const std::unique_ptr<Posted> posted{static_cast<Posted*>(argument)};
    Job& job = *posted->job;
    LocalTransport& transport = posted->transport;
    OutputsPtr outputs;
    Status status = job.cancelled != 0
                        ? failure(VACCEL_CANCELLED, "the call was cancelled before it began")
                        : transport.run(job.arguments.spec(), &job.cancelled, job.on_devices, &outputs);
    {
      const std::lock_guard lock(job.mutex);
      job.status = std::move(status);
      job.outputs = std::move(outputs);
      job.done.store(true, std::memory_order_release);
      if (job.owner != nullptr) transport.completions_.push(*job.owner);
      job.changed.notify_all();
    }
    finish_job(transport);
  }

  static void finish_job(LocalTransport& transport) {
    const std::lock_guard lock(transport.jobs_mutex_);
    if (--transport.jobs_ == 0) transport.no_jobs_.notify_all();
  }

  LocalTransport& transport_;
  const std::shared_ptr<Job> job_;
  bool started_ = false;
};

Result<std::unique_ptr<Transport>> LocalTransport::open(const std::string& config_path,
                                                        CompletionQueue& completions) {
  const auto table = load_runtime();
  if (!table) return Unexpected{table.error()};
  Sentence sentence;
  runtime::Runtime* runtime = nullptr;
  const auto code =
      (*table)->create(config_path.empty() ? nullptr : config_path.c_str(), &sentence.sink(), &runtime);
  if (code != VACCEL_OK) return Unexpected{sentence.status(code)};
  return std::unique_ptr<Transport>{
      new LocalTransport("local:" + config_path, **table, runtime, completions)};
}

LocalTransport::~LocalTransport() {
  {
    std::unique_lock lock(jobs_mutex_);
    while (jobs_ > 0)
      no_jobs_.wait(lock, 0);
  }
  memories_->close();
  for (const auto& [name, model] : models_)
    table_.close_model(runtime_, model);
  table_.destroy(runtime_);
}

Result<runtime::Model*> LocalTransport::open_model(const char* name) {
  {
    const std::shared_lock lock(models_mutex_);
    if (const auto known = models_.find(std::string_view{name}); known != models_.end()) return known->second;
  }
  Sentence sentence;
  runtime::Model* model = nullptr;
  const auto code = table_.open_model(runtime_, name, &sentence.sink(), &model);
  if (code != VACCEL_OK) return Unexpected{sentence.status(code)};
  const std::lock_guard lock(models_mutex_);
  const auto [known, added] = models_.try_emplace(name, model);
  if (!added) table_.close_model(runtime_, model);  // another thread was quicker, and has the same one
  return known->second;
}

Status LocalTransport::call(const CallSpec& spec, OutputsPtr* outputs) {
  if (!buffers_->any()) return run(spec, nullptr, {}, outputs);
  const auto on_devices = find_on_devices(spec);
  return on_devices ? run(spec, nullptr, *on_devices, outputs) : on_devices.error();
}

Status LocalTransport::run(const CallSpec& spec, const std::atomic<int>* cancelled,
                           std::span<const BufferMemoryPtr> on_devices, OutputsPtr* outputs) {
  Sentence sentence;
  OutputCollector collector(spec.places);
  DenseInputs inputs;
  vaccel_timings timings{};
  const int64_t started_ns = outputs != nullptr ? now_ns() : 0;
  runtime::Model* model = nullptr;
  if (spec.model != nullptr) {
    const auto opened = open_model(spec.model);
    if (!opened) return opened.error();
    model = *opened;
  }
  std::vector<const runtime::Memory*> memories;
  if (!on_devices.empty()) memories = memories_->on_devices(on_devices);
  if (Status status = inputs.set(spec.inputs); !status.ok()) return status;
  // Every field is given: what is zeroed first would be zeroed by `rep stos`, which takes longer than all else here.
  runtime::RuntimeCall call{.size = sizeof call,
                            .operator_name = spec.operator_name,
                            .model = model,
                            .backend = spec.backend,
                            .attributes = spec.attributes.data(),
                            .attribute_count = spec.attributes.size(),
                            .inputs = inputs.views().data(),
                            .input_count = inputs.views().size(),
                            .deadline_ns = spec.deadline_ns,
                            .cancelled = cancelled,
                            .timings = spec.timings ? &timings : nullptr,
                            .output = &add_output,
                            .output_context = &collector,
                            .error = sentence.sink(),
                            .memories = memories.data(),
                            .memory_count = memories.size()};
  const auto code = table_.call(runtime_, &call);
  if (code != VACCEL_OK) return collector.status().ok() ? sentence.status(code) : collector.status();
  if (outputs == nullptr && spec.places.empty()) return {};
  auto results = collector.finish();
  if (!results) return results.error();
  if (outputs == nullptr) return {};
  *outputs = std::move(*results);
  timings.total_ns = static_cast<uint64_t>(now_ns() - started_ns);
  (*outputs)->timings = timings;
  return {};
}

Result<std::unique_ptr<vaccel_request>> LocalTransport::submit(const CallSpec& spec,
                                                               const RequestTraits& traits) {
  auto on_devices = find_on_devices(spec);
  if (!on_devices) return Unexpected{on_devices.error()};
  std::shared_ptr<Job> job{new Job(spec)};
  job->on_devices = std::move(*on_devices);
  if (Status status = job->arguments.copy_inputs(spec.inputs, *buffers_); !status.ok())
    return Unexpected{std::move(status)};
  auto request = std::make_unique<LocalRequest>(*this, std::move(job), traits);
  if (Status status = request->start(); !status.ok()) return Unexpected{std::move(status)};
  return request;
}

// The runtime is in this process, and uses any memory where it lies: all of it counts as shared.
Result<std::unique_ptr<vaccel_buffer>> LocalTransport::allocate_buffer(size_t bytes, uint64_t alignment,
                                                                       bool) {
  return ordinary_buffer(bytes, alignment);
}

// ---- Device memory

Result<DevicePlace> LocalMemories::allocate(const std::shared_ptr<LocalMemories>& self, const char* backend,
                                            size_t bytes, std::byte*& address) {
  Sentence sentence;
  runtime::Memory* memory = nullptr;
  runtime::MemoryPlace place{};
  const std::lock_guard lock(mutex_);
  const auto code = table_.allocate_memory(runtime_, backend, bytes, &sentence.sink(), &memory, &place);
  if (code != VACCEL_OK) return Unexpected{sentence.status(code)};
  const auto number = static_cast<uint32_t>(wire::kFirstMemoryNumber + memories_.size());
  memories_.push_back(memory);
  address = static_cast<std::byte*>(place.address);
  return DevicePlace{self, static_cast<DeviceHome*>(this), number,
                     place.backend != nullptr ? place.backend : ""};
}

void LocalMemories::free_memory(uint32_t number) {
  const std::lock_guard lock(mutex_);
  const size_t index = number - wire::kFirstMemoryNumber;
  if (index >= memories_.size() || memories_[index] == nullptr) return;
  table_.free_memory(runtime_, std::exchange(memories_[index], nullptr));
}

std::vector<const runtime::Memory*> LocalMemories::on_devices(std::span<const BufferMemoryPtr> buffers) {
  std::vector<const runtime::Memory*> memories;
  const std::lock_guard lock(mutex_);
  for (const BufferMemoryPtr& buffer : buffers) {
    if (buffer->device->backend.empty()) continue;
    const runtime::Memory* memory = memories_[buffer->device->number - wire::kFirstMemoryNumber];
    if (std::find(memories.begin(), memories.end(), memory) == memories.end()) memories.push_back(memory);
  }
  return memories;
}

void LocalMemories::close() {
  const std::lock_guard lock(mutex_);
  for (runtime::Memory* memory : memories_) {
    if (memory != nullptr) table_.free_memory(runtime_, memory);
  }
  memories_.clear();
}

Result<std::unique_ptr<vaccel_buffer>> LocalTransport::allocate_on_device(const char* backend, size_t bytes) {
  std::byte* address = nullptr;
  auto place = memories_->allocate(memories_, backend, bytes, address);
  if (!place) return Unexpected{place.error()};
  BufferMemoryPtr memory{new BufferMemory(address, bytes, false, std::move(*place))};
  return std::make_unique<vaccel_buffer>(std::move(memory), buffers_);
}

// What a call uses. Errors as Buffers::find(), and for what lies on a device with gaps.
Result<std::vector<BufferMemoryPtr>> LocalTransport::find_on_devices(const CallSpec& spec) const {
  CallMemory memory;
  CallLayout layout;
  if (buffers_->any()) {
    Status status =
        layout.find_in_buffers(spec, *buffers_, static_cast<const DeviceHome*>(memories_.get()), memory);
    if (!status.ok()) return Unexpected{std::move(status)};
  }
  memory.finished = true;
  return std::move(memory.buffers);
}

Result<bool> LocalTransport::is_in_place(const void*, size_t) {
  return true;
}

Status LocalTransport::ping(int64_t) {
  return {};  // the runtime is in this process: that this runs is the sign of life
}

Status LocalTransport::load_model(const char* name) {
  const auto model = open_model(name);
  return model ? Status{} : model.error();
}

// What describes runs seldom: small is better than fast, hence cold.

[[gnu::cold]] Result<std::unique_ptr<ModelList>> LocalTransport::list_models() {
  const std::lock_guard lock(describing_);
  Sentence sentence;
  const vaccel_model_list* list = nullptr;
  const auto code = table_.list_models(runtime_, &sentence.sink(), &list);
  if (code != VACCEL_OK) return Unexpected{sentence.status(code)};
  std::vector<wire::ModelInfo> infos;
  for (size_t index = 0; index < list->count; ++index)
    infos.push_back(copy_model(*list->models[index]));
  return std::make_unique<ModelList>(std::move(infos));
}

[[gnu::cold]] Result<std::unique_ptr<OperatorList>> LocalTransport::list_operators() {
  const std::lock_guard lock(describing_);
  Sentence sentence;
  const vaccel_operator_list* list = nullptr;
  const auto code = table_.list_operators(runtime_, &sentence.sink(), &list);
  if (code != VACCEL_OK) return Unexpected{sentence.status(code)};
  return std::make_unique<OperatorList>(copy_operators(*list));
}

[[gnu::cold]] Result<std::unique_ptr<Model>> LocalTransport::describe_model(const char* name) {
  const std::lock_guard lock(describing_);
  Sentence sentence;
  const vaccel_model* model = nullptr;
  const auto code = table_.describe_model(runtime_, name, &sentence.sink(), &model);
  if (code != VACCEL_OK) return Unexpected{sentence.status(code)};
  return std::make_unique<Model>(copy_model(*model));
}

[[gnu::cold]] Result<std::unique_ptr<Agent>> LocalTransport::describe_agent() {
  const std::lock_guard lock(describing_);
  Sentence sentence;
  const vaccel_agent* agent = nullptr;
  const auto code = table_.describe(runtime_, &sentence.sink(), &agent);
  if (code != VACCEL_OK) return Unexpected{sentence.status(code)};
  return std::make_unique<Agent>(endpoint_, copy_agent(*agent),
                                 AgentLimits{0, agent->max_payload_bytes, agent->max_calls_in_flight,
                                             "this process's own memory", agent->max_payload_bytes});
}

}  // namespace vaccel::client
