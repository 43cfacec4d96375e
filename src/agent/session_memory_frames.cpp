// SPDX-License-Identifier: Apache-2.0
//
// The session's frames about device memory.
#include "agent/session.h"

namespace vaccel::agent {

Status Session::handle_allocate_memory() {
  auto wanted = wire::decode_allocate_memory(channel_.body());
  if (!wanted) return wanted.error();
  if (draining_) return failure(VACCEL_UNAVAILABLE, "the agent is shutting down");
  if (other_requests_ >= host_.limits().max_calls_in_flight) {
    return failure(VACCEL_RESOURCE_EXHAUSTED, "%u requests of this session are in flight; that is the limit",
                   other_requests_);
  }
  WorkerSlot& worker = memory_.worker() != nullptr ? *memory_.worker() : host_.worker_for({});
  if (Status status = permit_memory(*wanted, worker); !status.ok()) return status;
  auto memory = memory_.reserve(worker, wanted->bytes, *origin_.tenant);
  if (!memory) return memory.error();
  ++other_requests_;
  wanted->memory = (*memory)->number();
  WorkerRequest request{.message = std::move(*wanted), .model = {}, .tenant = origin_.tenant, .done = {}};
  const auto ticket = std::make_shared<uint64_t>(0);  // known once it has been submitted
  request.done = [self = self_, memory = std::move(*memory), ticket,
                  id = channel_.header().request_id](const WorkerReply& reply) mutable {
    if (reply.status.ok()) memory->allocated();
    Session* session = *self;
    if (session == nullptr) return;  // the memory goes again
    session->allocations_.erase(*ticket);
    --session->other_requests_;
    if (!reply.status.ok()) {
      session->send_failure(id, reply.status);
    } else {
      const uint32_t number = session->memory_.add(std::move(memory));
      session->send(id, wire::MemoryAllocated{number, reply.backend});
    }
    if (session->draining_) session->drain();
  };
  *ticket = worker.submit(std::move(request));
  allocations_.insert(*ticket);
  return {};
}

// Without a name it is the backend that is best at products, as for a call of that.
Status Session::permit_memory(wire::AllocateMemory& wanted, const WorkerSlot& worker) const {
  wire::Call product{.operator_name = "gemm", .backend = wanted.backend};
  product.inputs.push_back({.name = {}, .dtype = VACCEL_FLOAT32});
  if (Status status = permit_backend(product, {}, worker); !status.ok()) return status;
  wanted.backend = std::move(product.backend);
  return {};
}

// Has no answer; a client that frees what it does not have is told, and nothing else comes of it.
Status Session::handle_free_memory() {
  const auto free = wire::decode_free_memory(channel_.body());
  return free ? memory_.free(free->memory) : free.error();
}

}  // namespace vaccel::agent
