// SPDX-License-Identifier: Apache-2.0
#include "runtime/model.h"

#include <algorithm>
#include <cstring>

#include "core/tensor.h"

namespace vaccel::runtime {
namespace {

Result<std::vector<TensorFacts>> copy_facts(const vaccel_tensor_info* infos,
                                            const vaccel_quantisation* quantisation, size_t count,
                                            const char* kind) {
  std::vector<TensorFacts> facts;
  facts.reserve(count);
  for (size_t index = 0; index < count; ++index) {
    const vaccel_tensor_info& info = infos[index];
    if (info.name == nullptr || !is_known_dtype(info.dtype) || info.rank < -1) {
      return fail(VACCEL_INTERNAL, "its %s %zu is described without a name, type or rank", kind, index);
    }
    if (info.rank > VACCEL_MAX_RANK) {
      return fail(VACCEL_UNIMPLEMENTED, "its %s '%s' has rank %d; at most %d dimensions are supported", kind,
                  info.name, info.rank, VACCEL_MAX_RANK);
    }
    TensorFacts one{info.name, {}, info.rank < 0, info.dtype};
    if (info.rank > 0) one.shape.assign(info.shape, info.shape + info.rank);
    if (quantisation != nullptr && quantisation[index].scale != 0 && is_quantised_dtype(info.dtype)) {
      one.quantisation = {quantisation[index].scale, quantisation[index].zero_point};
    }
    facts.push_back(std::move(one));
  }
  return facts;
}

// What model.toml says of a tensor's quantisation, which the model's file may know, too: then both must say the same.
Status add_quantisation(const TensorDeclaration& declared, TensorFacts& fact, const char* kind) {
  if (!declared.quantisation) return {};
  if (fact.quantisation && !declared.quantisation->agrees_with(*fact.quantisation)) {
    return failure(
        VACCEL_INVALID_ARGUMENT,
        "[[%ss]] says that the numbers of '%s' are %s, and its file says %s; leave scale and zero_point "
        "out, or write those of the file",
        kind, printable(fact.name).c_str(), declared.quantisation->text().c_str(),
        fact.quantisation->text().c_str());
  }
  if (!fact.quantisation) fact.quantisation = declared.quantisation;
  return {};
}

// What model.toml declares must be what the model has, whoever knows better; what only model.toml knows is added.
Status merge_declared(const std::vector<TensorDeclaration>& declared, std::vector<TensorFacts>& facts,
                      const char* kind) {
  for (const TensorDeclaration& one : declared) {
    const auto fact =
        std::find_if(facts.begin(), facts.end(), [&](const auto& other) { return other.name == one.name; });
    if (fact == facts.end()) {
      return failure(VACCEL_INVALID_ARGUMENT, "[[%ss]] has '%s', and its %ss are %s", kind,
                     printable(one.name).c_str(), kind, names_of(facts).c_str());
    }
    const TensorFacts said{one.name, one.shape, one.any_rank, one.dtype};
    bool fits = fact->dtype == one.dtype;
    if (!one.any_rank && !fact->any_rank) {
      fits = fits && std::equal(one.shape.begin(), one.shape.end(), fact->shape.begin(), fact->shape.end(),
                                [](int64_t left, int64_t right) {
                                  return left == -1 || right == -1 || left == right;
                                });
    }
    if (fits) {
      if (Status status = add_quantisation(one, *fact, kind); !status.ok()) return status;
      continue;
    }
    return failure(VACCEL_INVALID_ARGUMENT, "[[%ss]] says that '%s' is %s, and it is %s", kind,
                   printable(one.name).c_str(), said.text().c_str(), fact->text().c_str());
  }
  return {};
}

// The backends that may run the model, best first; else why there is none.
Result<std::vector<BackendLibrary*>> candidates(const ModelDescription& model, const Backends& backends) {
  std::vector<BackendLibrary*> found;
  std::string reasons;
  const char* format = model.format.c_str();
  if (model.backends.empty()) {
    for (const auto& backend : backends.running()) {
      if (backend->score(format) > 0) found.push_back(backend.get());
    }
    std::sort(found.begin(), found.end(), [&](const auto* left, const auto* right) {
      const int left_score = left->score(format);
      const int right_score = right->score(format);
      return left_score != right_score ? left_score > right_score
                                       : std::strcmp(left->name(), right->name()) < 0;
    });
    for (const BackendReport& report : backends.reports()) {
      if (!report.problem.empty())
        reasons += "; backend '" + report.name + "' does not run: " + report.problem;
    }
  } else {
    for (const std::string& name : model.backends) {
      const auto backend = backends.find(name);
      if (!backend) {
        reasons += "; " + backend.error().message();
      } else if ((*backend)->score(format) <= 0) {
        reasons += "; backend '" + name + "' does not take that format";
      } else {
        found.push_back(*backend);
      }
    }
  }
  if (!found.empty()) return found;
  return fail(VACCEL_UNAVAILABLE, "no backend here runs its format \"%s\"%s", printable(model.format).c_str(),
              reasons.c_str());
}

}  // namespace

LoadedModel::~LoadedModel() {
  if (handle_ != nullptr) backend_.table().model_close(handle_);
}

Result<std::unique_ptr<LoadedModel>> LoadedModel::load(const CatalogueEntry& entry, FileBytes bytes,
                                                       BackendLibrary& backend, size_t label_count) {
  const vaccel_backend& table = backend.table();
  std::unique_ptr<LoadedModel> model(new LoadedModel(backend));
  model->bytes_ = std::move(bytes);
  vaccel_backend_model_source source{};
  source.size = sizeof source;
  source.name = entry.model.name.c_str();
  source.format = entry.model.format.c_str();
  source.data = model->bytes_.bytes().data();
  source.data_size = model->bytes_.bytes().size();
  const auto declared_inputs = declaration_views(entry.model.inputs);
  const auto declared_outputs = declaration_views(entry.model.outputs);
  source.inputs = declared_inputs.data();
  source.input_count = declared_inputs.size();
  source.outputs = declared_outputs.data();
  source.output_count = declared_outputs.size();
  BackendFailure error;
  const vaccel_backend_error sink = error.sink();
  vaccel_backend_model* handle = nullptr;
  Status status =
      error.outcome(table.model_open(backend.instance(), &source, &sink, &handle), backend.name());
  if (!status.ok()) return Unexpected{std::move(status)};
  model->handle_ = handle;
  if ((table.flags & VACCEL_BACKEND_COPIES_MODELS) != 0) model->bytes_ = FileBytes();

  const vaccel_tensor_info* inputs = nullptr;
  const vaccel_tensor_info* outputs = nullptr;
  size_t input_count = 0;
  size_t output_count = 0;
  table.model_describe(handle, &inputs, &input_count, &outputs, &output_count);
  const ModelQuantisation known = backend.quantisation(handle);
  auto input_facts = copy_facts(inputs, known.inputs, input_count, "input");
  if (!input_facts) return Unexpected{input_facts.error()};
  auto output_facts = copy_facts(outputs, known.outputs, output_count, "output");
  if (!output_facts) return Unexpected{output_facts.error()};
  status = merge_declared(entry.model.inputs, *input_facts, "input");
  if (status.ok()) status = merge_declared(entry.model.outputs, *output_facts, "output");
  if (!status.ok()) return Unexpected{std::move(status)};
  model->inputs_ = std::move(*input_facts);
  model->outputs_ = std::move(*output_facts);
  model->metadata_ = read_metadata(table, handle);

  if (entry.model.task != Task::kInfer) {
    auto plan = plan_vision(entry.model, model->inputs_, model->outputs_, label_count);
    if (!plan) return Unexpected{plan.error()};
    model->plan_ = std::move(*plan);
  }
  if (status = model->make_batcher(entry.model); !status.ok()) return Unexpected{std::move(status)};
  return model;
}

// Nobody knows of a model whether its rows are independent of each other; those of pictures are.
Status LoadedModel::make_batcher(const ModelDescription& description) {
  const Status can_join = Batcher::check(inputs_, outputs_);
  const auto& asked = description.batching.enabled;
  if (asked.value_or(false) && !can_join.ok()) return can_join.within("[batching] cannot be enabled");
  const bool joins = can_join.ok() && asked.value_or(description.task != Task::kInfer);
  batcher_ = std::make_unique<Batcher>(Batcher::Target{.name = description.name,
                                                       .backend = &backend_.table(),
                                                       .model = handle_,
                                                       .inputs = inputs_,
                                                       .outputs = outputs_,
                                                       .log = backend_.log()},
                                       description.batching, joins);
  return {};
}

Result<std::unique_ptr<Model>> Model::load(const CatalogueEntry& entry, const Backends& backends) {
  const auto choice = candidates(entry.model, backends);
  if (!choice) return Unexpected{choice.error()};
  std::unique_ptr<Model> model(new Model(entry, backends));
  auto labels = read_labels(entry);
  if (!labels) return Unexpected{labels.error()};
  model->labels_ = std::move(*labels);
  Status problem;
  for (BackendLibrary* backend : *choice) {
    auto bytes = read_model_file(entry);
    if (!bytes) return Unexpected{bytes.error()};
    auto loaded = LoadedModel::load(entry, std::move(*bytes), *backend, model->labels_.size());
    if (loaded) {
      model->primary_ = std::move(*loaded);
      return model;
    }
    if (problem.ok()) problem = loaded.error();  // what the preferred backend says is what matters
  }
  return Unexpected{std::move(problem)};
}

Result<const LoadedModel*> Model::in_backend(const char* backend) {
  if (backend == nullptr || std::strcmp(backend, primary_->backend().name()) == 0) return primary_.get();
  const std::lock_guard lock(mutex_);
  if (const auto found = others_.find(backend); found != others_.end()) return found->second.get();
  const auto library = backends_.find(backend);
  if (!library) return Unexpected{library.error()};
  if ((*library)->score(entry_.model.format.c_str()) <= 0) {
    return fail(VACCEL_UNIMPLEMENTED, "backend '%s' does not run models of format \"%s\"", backend,
                printable(entry_.model.format).c_str());
  }
  auto bytes = read_model_file(entry_);
  if (!bytes) return Unexpected{bytes.error()};
  auto loaded = LoadedModel::load(entry_, std::move(*bytes), **library, labels_.size());
  if (!loaded) return Unexpected{loaded.error()};
  return others_.emplace(backend, std::move(*loaded)).first->second.get();
}

}  // namespace vaccel::runtime
