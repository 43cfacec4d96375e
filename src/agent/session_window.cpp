// SPDX-License-Identifier: Apache-2.0
#include "agent/session_window.h"

#include <algorithm>

namespace vaccel::agent {
namespace {

using Number = unsigned long long;  // for printf

bool lies_in(const WindowLease& lease, uint64_t offset, uint64_t bytes) {
  return offset >= lease.offset() && offset - lease.offset() <= lease.bytes() &&
         bytes <= lease.bytes() - (offset - lease.offset());
}

// Others are on a device, or there is none for the result at this position.
bool lies_in_window(const wire::Place& place) {
  return place.bytes > 0 && place.segment == wire::Segment::kPayload;
}

// Two results in one place would be nobody's.
Status check_disjoint(const wire::Call& call) {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const wire::Place& place : call.places) {
    if (lies_in_window(place)) ranges.emplace_back(place.offset, place.offset + place.bytes);
  }
  if (call.area_bytes > 0) ranges.emplace_back(call.area_offset, call.area_offset + call.area_bytes);
  std::ranges::sort(ranges);
  for (size_t index = 1; index < ranges.size(); ++index) {
    if (ranges[index].first < ranges[index - 1].second) {
      return failure(VACCEL_INVALID_ARGUMENT, "two places for results overlap in the window at offset %llu",
                     static_cast<Number>(ranges[index].first));
    }
  }
  return {};
}

}  // namespace

Result<wire::Leased> SessionWindow::lease(const wire::Lease& wanted) {
  if (leases_.size() >= limits_.max_leases) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "this session has %zu leases; the limit is %u", leases_.size(),
                limits_.max_leases);
  }
  if (wanted.bytes > limits_.max_leased_bytes || leased_bytes_ > limits_.max_leased_bytes - wanted.bytes) {
    return fail(VACCEL_RESOURCE_EXHAUSTED,
                "this session has %llu bytes leased; with %llu more it would be over the limit of %llu",
                static_cast<Number>(leased_bytes_), static_cast<Number>(wanted.bytes),
                static_cast<Number>(limits_.max_leased_bytes));
  }
  auto of_tenant = tenant_->take(Resource::kLeases);
  if (!of_tenant) return Unexpected{of_tenant.error()};
  auto lease = window_->lease(wanted.bytes, wanted.alignment);
  if (!lease) return Unexpected{lease.error()};
  auto bytes_of_tenant = tenant_->take(Resource::kLeasedBytes, (*lease)->bytes());
  if (!bytes_of_tenant) return Unexpected{bytes_of_tenant.error()};
  const wire::Leased leased{(*lease)->offset(), (*lease)->bytes()};
  leased_bytes_ += leased.bytes;
  leases_.emplace(leased.offset,
                  Leased{std::move(*lease), {std::move(*of_tenant), std::move(*bytes_of_tenant)}});
  return leased;
}

Status SessionWindow::release(uint64_t offset) {
  const auto lease = leases_.find(offset);
  if (lease == leases_.end()) {
    return failure(VACCEL_INVALID_ARGUMENT,
                   "offset %llu is given back, where none of this session's leases begins",
                   static_cast<Number>(offset));
  }
  leased_bytes_ -= lease->second.lease->bytes();
  leases_.erase(lease);
  return {};
}

Status SessionWindow::hold(uint64_t offset, uint64_t bytes, const std::string& what, HeldLeases& held) const {
  auto lease = leases_.upper_bound(offset);
  const bool found = lease != leases_.begin() && lies_in(*(--lease)->second.lease, offset, bytes);
  if (!found) {
    return failure(
        VACCEL_INVALID_ARGUMENT,
        "%s, %llu bytes at offset %llu of the window, does not lie in one of this session's leases",
        what.c_str(), static_cast<Number>(bytes), static_cast<Number>(offset));
  }
  if (std::ranges::find(held, lease->second.lease) == held.end()) held.push_back(lease->second.lease);
  return {};
}

Result<uint64_t> SessionWindow::resolve(wire::Call& call, HeldLeases& held) const {
  const auto number = static_cast<wire::Segment>(window_->number());
  uint64_t bytes = 0;
  for (wire::Tensor& tensor : call.inputs) {
    if (tensor.segment != wire::Segment::kWindow) continue;
    if (Status status = hold(tensor.offset, tensor.bytes, "input '" + printable(tensor.name) + "'", held);
        !status.ok())
      return Unexpected{std::move(status)};
    tensor.segment = number;
    bytes += tensor.bytes;
  }
  if (call.window != wire::Segment::kWindow) return bytes;
  call.window = number;
  for (const wire::Place& place : call.places) {
    if (!lies_in_window(place)) continue;
    if (Status status = hold(place.offset, place.bytes, "a place for a result", held); !status.ok())
      return Unexpected{std::move(status)};
  }
  if (call.area_bytes > 0) {
    if (Status status = hold(call.area_offset, call.area_bytes, "the area for results", held); !status.ok())
      return Unexpected{std::move(status)};
  }
  if (Status status = check_disjoint(call); !status.ok()) return Unexpected{std::move(status)};
  return bytes;
}

Result<uint64_t> SessionWindow::translate(wire::CallResult& result, const HeldLeases& held) const {
  uint64_t bytes = 0;
  for (wire::Tensor& tensor : result.outputs) {
    if (!wire::is_imported_window(tensor.segment)) continue;
    const bool known = static_cast<uint32_t>(tensor.segment) == window_->number() &&
                       std::ranges::any_of(held, [&](const std::shared_ptr<WindowLease>& lease) {
                         return lies_in(*lease, tensor.offset, tensor.bytes);
                       });
    if (!known) {
      return fail(VACCEL_INTERNAL, "the worker placed result '%s' where the call has no memory",
                  printable(tensor.name).c_str());
    }
    tensor.segment = wire::Segment::kWindow;
    bytes += tensor.bytes;
  }
  return bytes;
}

}  // namespace vaccel::agent
