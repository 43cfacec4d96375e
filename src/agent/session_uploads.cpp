// SPDX-License-Identifier: Apache-2.0
//
// A session's models of its tenant's own: operators of the agent's that take files in pieces, make models of them, and delete these.
// The agent looks into no file: the tenant's worker does when it loads the model, which is how an upload ends.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "agent/session.h"

namespace vaccel::agent {
namespace {

constexpr uint64_t kMostPieceBytes = uint64_t{4} << 20;

const wire::Attribute* find(const wire::Call& call, std::string_view name) {
  const auto found = std::ranges::find(call.attributes, name, &wire::Attribute::name);
  return found == call.attributes.end() ? nullptr : &*found;
}

Result<std::string> text_of(const wire::Call& call, const char* name) {
  const wire::Attribute* attribute = find(call, name);
  const auto* text = attribute == nullptr ? nullptr : std::get_if<std::string>(&attribute->value);
  if (text == nullptr)
    return fail(VACCEL_INVALID_ARGUMENT, "operator '%s' needs a string '%s'", call.operator_name.c_str(),
                name);
  return *text;
}

Result<uint64_t> number_of(const wire::Call& call, const char* name, std::optional<uint64_t> otherwise) {
  const wire::Attribute* attribute = find(call, name);
  if (attribute == nullptr && otherwise) return *otherwise;
  const auto* number = attribute == nullptr ? nullptr : std::get_if<int64_t>(&attribute->value);
  if (number == nullptr || *number < 0)
    return fail(VACCEL_INVALID_ARGUMENT, "operator '%s' needs an integer '%s', 0 or more",
                call.operator_name.c_str(), name);
  return static_cast<uint64_t>(*number);
}

// "model.toml SHA256\nmodel.onnx SHA256\n"
std::vector<UploadStore::ModelFile> files_in(std::string_view text) {
  std::vector<UploadStore::ModelFile> files;
  while (!text.empty()) {
    const auto end = static_cast<size_t>(std::ranges::find(text, '\n') - text.begin());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    const size_t space = std::min(line.find(' '), line.size());
    files.emplace_back(line.substr(0, space), line.substr(std::min(space + 1, line.size())));
  }
  return files;
}

// A window's memory is read through its file: the agent maps none.
Status read_window(const Window& window, uint64_t offset, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t got =
        ::pread(window.fd(), bytes.data(), bytes.size(), static_cast<off_t>(window.start() + offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      return failure(VACCEL_UNAVAILABLE, "the window cannot be read: %s",
                     errno_text(got == 0 ? EIO : errno).c_str());
    offset += static_cast<uint64_t>(got);
    bytes = bytes.subspan(static_cast<size_t>(got));
  }
  return {};
}

}  // namespace

bool Session::is_upload_operator(const std::string& name) {
  return name == kUpload || name == kPutModel || name == kDeleteModel;
}

Status Session::handle_upload_operator(wire::Call call) {
  if (!may_use(kOwnPrefix)) {
    return failure(VACCEL_PERMISSION_DENIED, "tenant '%s' may not have models of its own",
                   origin_.tenant->name().c_str());
  }
  if (!host_.uploads().enabled()) {
    return failure(VACCEL_UNIMPLEMENTED,
                   "this agent takes no models of its clients' own; its operator can allow them: [uploads]");
  }
  if (call.operator_name == kUpload) return handle_upload(std::move(call));
  if (!call.inputs.empty())
    return failure(VACCEL_INVALID_ARGUMENT, "operator '%s' takes no tensors", call.operator_name.c_str());
  return call.operator_name == kPutModel ? handle_put_model(call) : handle_delete_model(call);
}

Status Session::handle_upload(wire::Call call) {
  const wire::Header header = channel_.header();
  auto sha256 = text_of(call, "sha256");
  auto bytes = number_of(call, "bytes", std::nullopt);
  auto offset = number_of(call, "offset", 0);
  if (!sha256) return sha256.error();
  if (!bytes) return bytes.error();
  if (!offset) return offset.error();
  if (call.inputs.size() > 1)
    return failure(VACCEL_INVALID_ARGUMENT, "operator '%s' takes one tensor, 'data', or none", kUpload);
  const wire::Tensor* const data = call.inputs.empty() ? nullptr : call.inputs.data();
  if (data != nullptr && (data->dtype != VACCEL_UINT8 || data->bytes > kMostPieceBytes ||
                          wire::is_device_memory(data->segment))) {
    return failure(VACCEL_INVALID_ARGUMENT,
                   "operator '%s' takes uint8 tensors of at most %llu bytes, that lie in no device buffer",
                   kUpload, static_cast<unsigned long long>(kMostPieceBytes));
  }
  // All of the payload is the piece: what the tenant is charged for, and no more than that.
  if (header.payload_bytes > 0 && (data == nullptr || data->segment != wire::Segment::kPayload ||
                                   data->offset != 0 || data->bytes != header.payload_bytes)) {
    return failure(VACCEL_INVALID_ARGUMENT,
                   "operator '%s' takes a payload that is its tensor, and nothing else", kUpload);
  }
  auto taken = origin_.tenant->take(Resource::kBytes, data != nullptr ? data->bytes : 0);
  if (!taken) return taken.error();
  own_.taken = std::move(*taken);
  own_.piece = UploadStore::Piece{std::move(*sha256), *bytes, *offset};
  own_.data_offset = data != nullptr && data->bytes > 0 ? data->offset : 0;
  own_.data_bytes = data != nullptr ? data->bytes : 0;
  own_.metrics = metrics_.calls_of(kUpload, {}, host_.workers());
  own_.request_id = header.request_id;
  if (header.payload_bytes > 0) {
    own_.payload.resize(header.payload_bytes);
    const channel::Destination destination{own_.payload.data(), own_.payload.size()};
    channel_.accept_payload({&destination, 1});
    return {};
  }
  if (data != nullptr && data->bytes > 0) {
    // Before anything is read: the piece must be leased to this session.
    HeldLeases held;
    const auto checked =
        window_ ? window_->resolve(call, held) : fail(VACCEL_INVALID_ARGUMENT, "there is no window");
    Status status = checked ? Status() : checked.error();
    own_.payload.resize(own_.data_bytes);
    if (status.ok()) status = read_window(window_->window(), own_.data_offset, own_.payload);
    own_.data_offset = 0;
    if (!status.ok()) {
      forget_upload();
      return status;
    }
  }
  finish_upload();
  return {};
}

void Session::forget_upload() {
  own_.request_id = 0;
  own_.piece.reset();
  own_.payload = {};
  own_.taken.give_back();
}

void Session::finish_upload() {
  const uint64_t id = own_.request_id;
  const auto bytes = std::span<const std::byte>(own_.payload).subspan(own_.data_offset, own_.data_bytes);
  count_call(bytes.size(), 0);
  const auto have = host_.uploads().append(origin_.tenant->name(), upload_quota(), *own_.piece, bytes);
  own_.metrics.ended(have ? VACCEL_OK : have.error().code());
  forget_upload();
  if (!have) {
    send_failure(id, have.error());
    return count_refusal(have.error());
  }
  const auto number = static_cast<int64_t>(*have);
  wire::CallResult result;
  wire::Tensor tensor{.name = "have", .dtype = VACCEL_INT64, .rank = 1, .bytes = sizeof number};
  tensor.shape[0] = 1;
  result.outputs.push_back(std::move(tensor));
  struct Kept final : channel::Retained {
    int64_t number = 0;
  };
  auto kept = std::make_unique<Kept>();
  kept->number = number;
  const std::span<const std::byte> payload = std::as_bytes(std::span(&kept->number, 1));
  send(id, result, {&payload, 1}, std::move(kept));
}

UploadStore::Quota Session::upload_quota() const {
  return host_.uploads().quota_of(origin_.tenant->settings());
}

// The files become a model, and the worker loads it: what is wrong with it is told now, and then there is no model.
Status Session::handle_put_model(const wire::Call& call) {
  const auto name = text_of(call, "name");
  const auto files = text_of(call, "files");
  if (!name) return name.error();
  if (!files) return files.error();
  if (other_requests_ >= host_.limits().max_calls_in_flight) {
    return failure(VACCEL_RESOURCE_EXHAUSTED, "%u requests of this session are in flight; that is the limit",
                   other_requests_);
  }
  auto taken = origin_.tenant->take(Resource::kCalls);
  if (!taken) return taken.error();
  const std::string tenant = origin_.tenant->name();
  const bool was_there = host_.uploads().has(tenant, *name);
  if (Status status = host_.uploads().put(tenant, upload_quota(), *name, files_in(*files)); !status.ok())
    return status;
  const std::string model = kOwnPrefix + *name;
  auto worker = host_.own_worker(tenant);
  if (!worker) {
    if (!was_there) (void)host_.uploads().remove(tenant, *name);
    return worker.error();
  }
  ++other_requests_;
  // What follows may outlive the session: a model that cannot be loaded goes all the same. One that was not loaded for another
  // reason stays: trying again may help.
  const auto done = [self = self_, &host = host_, slot = *worker, id = channel_.header().request_id, tenant,
                     name = *name, model, was_there,
                     call_of_tenant = std::make_shared<Taken>(std::move(*taken))](const Status& status) {
    if (!status.ok() && !was_there && !slot->state_of(model).problem.empty()) {
      (void)host.uploads().remove(tenant, name);
      slot->forget_model(model);
    }
    call_of_tenant->give_back();
    Session* const session = *self;
    if (session == nullptr) return;
    --session->other_requests_;
    if (status.ok()) {
      session->send(id, wire::CallResult{});
    } else {
      session->send_failure(id, status);
    }
    if (session->draining_) session->drain();
  };
  (*worker)->read_catalogue_again([slot = *worker, of = origin_.tenant, model, done](const Status& status) {
    if (!status.ok()) return done(status);
    WorkerRequest request{.message = wire::OpenModel{model}, .model = model, .tenant = of, .done = {}};
    request.done = [done](const WorkerReply& reply) { done(reply.status); };
    slot->submit(std::move(request));
  });
  return {};
}

Status Session::handle_delete_model(const wire::Call& call) {
  const auto name = text_of(call, "name");
  if (!name) return name.error();
  const std::string& tenant = origin_.tenant->name();
  if (Status status = host_.uploads().remove(tenant, *name); !status.ok()) return status;
  if (const auto worker = host_.own_worker(tenant)) {
    (*worker)->forget_model(kOwnPrefix + *name);
    (*worker)->read_catalogue_again([](const Status&) {});
  }
  send(channel_.header().request_id, wire::CallResult{});
  return {};
}

}  // namespace vaccel::agent
