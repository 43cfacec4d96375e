// SPDX-License-Identifier: Apache-2.0
#include "runtime/runtime.h"

#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>

#include "runtime/backend_library.h"
#include "runtime/backend_run.h"
#include "runtime/cancel_watcher.h"
#include "runtime/descriptions.h"
#include "runtime/linalg/gemm.h"
#include "runtime/linalg/gemv.h"
#include "runtime/linalg/vectors.h"
#include "runtime/memory.h"
#include "runtime/model_store.h"
#include "runtime/operators/backend_operator.h"
#include "runtime/operators/classify.h"
#include "runtime/operators/depth.h"
#include "runtime/operators/detect.h"
#include "runtime/operators/echo.h"
#include "runtime/operators/infer.h"
#include "runtime/operators/pose.h"
#include "runtime/operators/registry.h"
#include "runtime/operators/segment.h"
#include "runtime/operators/transfer.h"
#include "runtime/work_threads.h"

namespace vaccel::runtime {
namespace {

constexpr size_t kLeastWorkThreads = 4;

// What a thread was told last; see the functions that describe, in runtime.h.
struct LastTold {
  std::unique_ptr<AgentText> agent;
  std::unique_ptr<ModelListText> models;
  std::unique_ptr<ModelText> model;
  std::unique_ptr<OperatorListText> operators;
};

LastTold& last_told() {
  static thread_local LastTold told;
  return told;
}

Status check_call(const RuntimeCall& call) {
  if (call.size < sizeof(RuntimeCall) || call.operator_name == nullptr || call.output == nullptr) {
    return failure(VACCEL_INVALID_ARGUMENT,
                   "the call has no operator, no output function, or %zu bytes instead of %zu", call.size,
                   sizeof(RuntimeCall));
  }
  return {};
}

Status check_memories(RuntimeCall& call, const Operator& wanted) {
  if (Status status = choose_backend_of_memories(call); !status.ok()) return status;
  if (wanted.takes_device_memory()) return {};
  return failure(
      VACCEL_UNIMPLEMENTED,
      "operator '%s' cannot use memory on the device of backend '%s'; download it first, or allocate "
      "the buffer for a backend without memory of its own",
      wanted.name().c_str(), call.backend);
}

Result<Catalogue> read_catalogue(const RuntimeConfig& config) {
  return config.catalogue.empty() ? Result<Catalogue>{Catalogue()}
                                  : Catalogue::read(config.catalogue, config.model_prefix);
}

}  // namespace

// In the order of their construction; destroyed in the opposite one: work ends before models close, and
// models before backends.
struct Runtime::Implementation {
  Implementation(RuntimeConfig runtime_config, const Catalogue& catalogue)
      : config(std::move(runtime_config)),
        backends(Backends::load(config, config.log)),
        models(catalogue, backends, config.log),
        linalg_backends(backends),
        work(std::max<size_t>(std::thread::hardware_concurrency(), kLeastWorkThreads)) {
    operators.add(std::make_unique<ClassifyOperator>(config.image_limits, watcher));
    operators.add(std::make_unique<DetectOperator>(config.image_limits, watcher));
    operators.add(std::make_unique<SegmentOperator>(config.image_limits, watcher));
    operators.add(std::make_unique<PoseOperator>(config.image_limits, watcher));
    operators.add(std::make_unique<DepthOperator>(config.image_limits, watcher));
    operators.add(std::make_unique<InferOperator>(watcher));
    operators.add(std::make_unique<EchoOperator>());
    operators.add(std::make_unique<TransferOperator>());
    add_linear_algebra();
    for (const auto& backend : backends.running())
      add_operators_of(*backend);
  }

  void add_linear_algebra() {
    operators.add(std::make_unique<linalg::GemmOperator>(linalg_backends, watcher));
    operators.add(std::make_unique<linalg::GemvOperator>(linalg_backends, watcher));
    for (const linalg::VectorOperation& operation : linalg::vector_operations())
      operators.add(std::make_unique<linalg::VectorOperator>(operation, linalg_backends, watcher));
  }

  void add_operators_of(BackendLibrary& backend) {
    const vaccel_backend& table = backend.table();
    for (size_t index = 0; index < table.operator_count; ++index) {
      const vaccel_backend_operator& one = table.operators[index];
      if (!operators.add(std::make_unique<BackendOperator>(one, backend, watcher)) && config.log) {
        config.log(2, std::string("operator '") + one.name + "' of backend '" + backend.name() +
                          "' is left out: there is one of that name already");
      }
    }
  }

  const RuntimeConfig config;
  const Backends backends;
  std::mutex catalogue_mutex;
  ModelStore models;
  const linalg::BackendChoice linalg_backends;
  CancelWatcher watcher;
  OperatorRegistry operators;
  WorkThreads work;
};

Runtime::Runtime(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
Runtime::~Runtime() = default;

Result<std::unique_ptr<Runtime>> Runtime::create(RuntimeConfig config) {
  auto catalogue = read_catalogue(config);
  if (!catalogue) return Unexpected{catalogue.error()};
  return std::unique_ptr<Runtime>(
      new Runtime(std::make_unique<Implementation>(std::move(config), *catalogue)));
}

Status Runtime::read_catalogue_again() {
  // One after the other: what was read last is what holds.
  const std::lock_guard lock(implementation_->catalogue_mutex);
  const auto catalogue = read_catalogue(implementation_->config);
  if (!catalogue) return catalogue.error();
  implementation_->models.replace(*catalogue);
  return {};
}

Result<Model*> Runtime::open_model(const std::string& name) {
  return implementation_->models.open(name);
}

void Runtime::close_model(Model* model) {
  implementation_->models.close(model);
}

uint32_t Runtime::calls_wanted(const Model& model) {
  return model.primary().batcher().calls_wanted();
}

Status Runtime::call(RuntimeCall& call) {
  const auto run = [&]() -> Status {
    if (Status status = check_call(call); !status.ok()) return status;
    const std::string_view name = call.operator_name;
    const Operator* found = implementation_->operators.find(name);
    if (found == nullptr) return implementation_->operators.unknown(name);
    if (call.memory_count > 0) {
      if (Status status = check_memories(call, *found); !status.ok()) return status;
    }
    if (Status status = check_alive(call); !status.ok()) return status;
    return found->run(call);
  };
  Status status = run();
  if (!status.ok() && call.error.set != nullptr) call.error.set(call.error.context, status.message().c_str());
  return status;
}

Status Runtime::post(void (*work)(void*), void* argument) {
  return implementation_->work.post(work, argument);
}

std::vector<BackendReport> Runtime::backends() const {
  return implementation_->backends.reports();
}

void Runtime::import_window(std::span<std::byte> memory) {
  for (const auto& backend : implementation_->backends.running())
    backend->import_window(memory);
}

void Runtime::drop_window(std::span<std::byte> memory) {
  for (const auto& backend : implementation_->backends.running())
    backend->drop_window(memory);
}

Result<std::unique_ptr<Memory>> Runtime::allocate_memory(const std::string& backend, size_t bytes) {
  if (!backend.empty()) {
    const auto found = implementation_->backends.find(backend);
    if (!found) return Unexpected{found.error()};
    return Memory::allocate(**found, bytes);
  }
  const auto best =
      implementation_->linalg_backends.choose(nullptr, VACCEL_LINALG_GEMM, "gemm", VACCEL_FLOAT32);
  if (!best) return Unexpected{best.error()};
  return Memory::allocate(*best->backend, bytes);
}

const vaccel_agent& Runtime::describe() {
  LastTold& told = last_told();
  told.agent = std::make_unique<AgentText>(backends(), implementation_->models.size());
  return told.agent->view();
}

const vaccel_model_list& Runtime::list_models() {
  LastTold& told = last_told();
  told.models = std::make_unique<ModelListText>(implementation_->models.list());
  return told.models->view();
}

Result<const vaccel_model*> Runtime::describe_model(const std::string& name) {
  auto facts = implementation_->models.describe(name);
  if (!facts) return Unexpected{facts.error()};
  LastTold& told = last_told();
  told.model = std::make_unique<ModelText>(std::move(*facts), true);
  return &told.model->view();
}

const vaccel_operator_list& Runtime::list_operators() {
  std::vector<OperatorFacts> all;
  for (const auto& one : implementation_->operators.all()) {
    OperatorFacts& facts = all.emplace_back(one->facts());
    if (!facts.works_on_model) continue;
    for (const auto& backend : implementation_->backends.running()) {
      if (backend->table().model_open != nullptr) facts.offers.push_back({backend->name(), 0, 0});
    }
  }
  std::sort(all.begin(), all.end(),
            [](const auto& left, const auto& right) { return left.name < right.name; });
  LastTold& told = last_told();
  told.operators = std::make_unique<OperatorListText>(std::move(all));
  return told.operators->view();
}

}  // namespace vaccel::runtime
