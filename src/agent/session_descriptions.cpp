// SPDX-License-Identifier: Apache-2.0
//
// What a session is told of models and of the agent.
#include "agent/session.h"

#include <algorithm>
#include <iterator>

#include "wire/operator_page.h"

namespace vaccel::agent {
namespace {

wire::ModelInfo catalogue_info(const std::string& name, const runtime::CatalogueEntry& entry,
                               WorkerSlot::ModelState state) {
  return {.name = name,
          .task = runtime::task_name(entry.model.task),
          .description = entry.model.description,
          .version = entry.model.version,
          .license = entry.model.license,
          .backend = std::move(state.backend),
          .problem = entry.problem.empty() ? std::move(state.problem) : entry.problem,
          .inputs = {},
          .outputs = {},
          .metadata = {}};
}

wire::OperatorInfo discard_info() {
  return {kDiscard,
          "Takes anything, returns nothing: what the way to the agent costs",
          {{VACCEL_OPERATOR_INPUT, "...", "any", ""}},
          {}};
}

// What takes models of a tenant's own; session_uploads.cpp.
std::vector<wire::OperatorInfo> upload_infos() {
  return {{kDeleteModel,
           "Deletes a model of one's own",
           {{VACCEL_OPERATOR_ATTRIBUTE, "name", "string, required", "without \"own/\""}},
           {}},
          {kPutModel,
           "Makes a model of one's own of files that were uploaded",
           {{VACCEL_OPERATOR_ATTRIBUTE, "name", "string, required", "it is own/NAME then"},
            {VACCEL_OPERATOR_ATTRIBUTE, "files", "string, required",
             "a line FILE SHA256 for each, model.toml among them"}},
           {}},
          {kUpload,
           "Takes a piece of a file of a model, or says how much is there",
           {{VACCEL_OPERATOR_INPUT, "data", "uint8 [n]", "the piece, at most 4 MiB; none to ask"},
            {VACCEL_OPERATOR_OUTPUT, "have", "int64 [1]", "bytes that are there: where the next piece goes"},
            {VACCEL_OPERATOR_ATTRIBUTE, "sha256", "string, required", "of the whole file"},
            {VACCEL_OPERATOR_ATTRIBUTE, "bytes", "integer >= 1, required", "of the whole file"},
            {VACCEL_OPERATOR_ATTRIBUTE, "offset", "integer >= 0", "where the piece goes; default: 0"}},
           {}}};
}

}  // namespace

// ---- Models and descriptions

Status Session::handle_open_model() {
  auto open = wire::decode_open_model(channel_.body());
  if (!open) return open.error();
  if (draining_) return failure(VACCEL_UNAVAILABLE, "the agent is shutting down");
  if (Status status = find_model(open->name); !status.ok()) return status;
  if (const auto* entry = host_.catalogue().find(open->name); entry != nullptr && !entry->problem.empty()) {
    return failure(VACCEL_UNAVAILABLE, "model '%s' cannot be used: %s", open->name.c_str(),
                   entry->problem.c_str());
  }
  const Limits& limits = host_.limits();
  if (models_.size() + other_requests_ >= limits.max_models_open) {
    return failure(VACCEL_RESOURCE_EXHAUSTED, "this session has %zu models open; the limit is %u",
                   models_.size(), limits.max_models_open);
  }
  const auto worker = worker_of(open->name);
  if (!worker) return worker.error();
  auto taken = origin_.tenant->take(Resource::kModels);
  if (!taken) return taken.error();
  ++other_requests_;
  open->warm_up = false;  // the operator's to say
  WorkerRequest request{.message = *open, .model = open->name, .tenant = origin_.tenant, .done = {}};
  request.done = [self = self_, name = open->name, taken = std::move(*taken),
                  id = channel_.header().request_id](const WorkerReply& reply) mutable {
    Session* session = *self;
    if (session == nullptr) return;
    --session->other_requests_;
    if (!reply.status.ok()) {
      session->send_failure(id, reply.status);
    } else {
      const uint32_t handle = session->next_handle_++;
      session->models_.emplace(handle, OpenedModel{name, std::move(taken)});
      session->send(id, wire::ModelOpened{handle});
    }
    if (session->draining_) session->drain();
  };
  (*worker)->submit(std::move(request));
  return {};
}

// One that it may not use is none: what there is for others is not its business.
Status Session::find_model(const std::string& model) const {
  const bool is_there =
      is_own_model(model)
          ? host_.uploads().has(origin_.tenant->name(), model.substr(std::string_view(kOwnPrefix).size()))
          : host_.catalogue().find(model) != nullptr;
  if (is_there && may_use(model)) return {};
  return failure(VACCEL_NOT_FOUND, "no model '%s'%s; 'vaccel models' lists what there is",
                 printable(model).c_str(),
                 is_own_model(model) ? " of this tenant's own" : " in the catalogue");
}

Result<WorkerSlot*> Session::worker_of(const std::string& model) {
  if (is_own_model(model)) return host_.own_worker(origin_.tenant->name());
  return &host_.worker_for(model);
}

Status Session::handle_close_model() {
  const auto close = wire::decode_close_model(channel_.body());
  if (!close) return close.error();
  if (models_.erase(close->model) == 0) {
    return failure(VACCEL_NOT_FOUND, "model handle %u is none of this session's open models", close->model);
  }
  send(channel_.header().request_id, wire::Done{});
  return {};
}

Status Session::handle_describe() {
  const auto describe = wire::decode_describe(channel_.body());
  if (!describe) return describe.error();
  const uint64_t id = channel_.header().request_id;
  switch (describe->subject) {
    case wire::Subject::kServer:
      describe_server(id);
      return {};
    case wire::Subject::kModels:
      describe_models(id, describe->start);
      return {};
    case wire::Subject::kOperators:
      describe_operators(id, describe->start);
      return {};
    case wire::Subject::kModel:
      break;
  }
  if (Status status = find_model(describe->model); !status.ok()) return status;
  if (other_requests_ >= host_.limits().max_calls_in_flight) {
    return failure(VACCEL_RESOURCE_EXHAUSTED, "%u requests of this session are in flight; that is the limit",
                   other_requests_);
  }
  describe_model(id, describe->model);
  return {};
}

bool Session::may_use(const std::string& model) const {
  return origin_.tenant->settings().models.allows(model);
}

uint32_t Session::model_count() const {
  return static_cast<uint32_t>(std::ranges::count_if(
             host_.catalogue().entries(), [this](const auto& entry) { return may_use(entry.first); })) +
         static_cast<uint32_t>(own_models().size());
}

// By the names that clients call them.
std::vector<std::string> Session::own_models() const {
  std::vector<std::string> names;
  for (const std::string& name : host_.uploads().models(origin_.tenant->name())) {
    if (may_use(kOwnPrefix + name)) names.push_back(kOwnPrefix + name);
  }
  return names;
}

void Session::describe_server(uint64_t request_id) {
  wire::Description description;
  description.server = "vacceld " VACCEL_VERSION_TEXT;
  description.worker_count = static_cast<uint32_t>(host_.workers().size());
  description.model_count = model_count();
  for (const auto& worker :
       host_.workers()) {  // alike; one that has just been restarted has told nothing yet
    if (description.backends.empty()) description.backends = worker->backends();
  }
  send(request_id, description);
}

void Session::describe_models(uint64_t request_id, uint32_t start) {
  // As many as surely fit a body: texts are cut to 512 bytes by the encoder.
  constexpr size_t kPage = 24;
  wire::Description description;
  const auto& entries = host_.catalogue().entries();
  description.model_count = model_count();
  uint32_t index = 0;
  for (const auto& [name, entry] : entries) {
    if (!may_use(name)) continue;
    if (index++ < start) continue;
    if (description.models.size() == kPage) {
      description.more = true;
      break;
    }
    description.models.push_back(catalogue_info(name, entry, host_.worker_for(name).state_of(name)));
  }
  // Of these the agent knows the names alone: their worker tells the rest, one by one.
  for (const std::string& name : own_models()) {
    if (description.more || index++ < start) continue;
    if (description.models.size() == kPage) {
      description.more = true;
      break;
    }
    description.models.push_back({.name = name});
  }
  send(request_id, description);
}

void Session::describe_operators(uint64_t request_id, uint32_t start) {
  wire::Description description;
  std::vector<wire::OperatorInfo> all;
  for (const auto& worker : host_.workers()) {  // alike, as above
    if (all.empty()) all = worker->operators();
  }
  // These go no further than here; the worker has an echo too, and told of it.
  std::vector<wire::OperatorInfo> own{discard_info()};
  if (host_.uploads().enabled() && may_use(kOwnPrefix)) {
    for (wire::OperatorInfo& info : upload_infos())
      own.push_back(std::move(info));
  }
  all.insert(all.end(), std::make_move_iterator(own.begin()), std::make_move_iterator(own.end()));
  std::ranges::sort(all, {}, &wire::OperatorInfo::name);
  wire::put_page(all, start, description);
  send(request_id, description);
}

void Session::describe_model(uint64_t request_id, const std::string& name) {
  const auto* entry = host_.catalogue().find(name);
  if (entry != nullptr && !entry->problem.empty()) {  // it cannot be loaded, but why can be told
    wire::Description description;
    description.models.push_back(catalogue_info(name, *entry, {}));
    return send(request_id, description);
  }
  const auto worker = worker_of(name);
  if (!worker) return send_failure(request_id, worker.error());
  ++other_requests_;
  WorkerRequest request{.message = wire::Describe{wire::Subject::kModel, name, 0},
                        .model = name,
                        .tenant = origin_.tenant,
                        .done = {}};
  request.done = [self = self_, request_id](const WorkerReply& reply) {
    Session* session = *self;
    if (session == nullptr) return;
    --session->other_requests_;
    if (!reply.status.ok()) {
      session->send_failure(request_id, reply.status);
    } else {
      session->send(request_id, reply.description);
    }
    if (session->draining_) session->drain();
  };
  (*worker)->submit(std::move(request));
}

}  // namespace vaccel::agent
