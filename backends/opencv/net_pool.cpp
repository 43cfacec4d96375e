// SPDX-License-Identifier: Apache-2.0
#include "net_pool.h"

#include "failure.h"

namespace vaccel::opencv {

NetPool::NetPool(Maker make, size_t most) : make_(std::move(make)), most_(most) {
  idle_.push_back(std::make_unique<cv::dnn::Net>(make_()));
}

void NetPool::put(std::unique_ptr<cv::dnn::Net> net, bool taken) {
  if (!taken) return;
  {
    const std::lock_guard lock(mutex_);
    --taken_;
    if (net != nullptr) idle_.push_back(std::move(net));
  }
  changed_.notify_one();
}

// Comes back with a place taken, but not yet a net.
void NetPool::wait_for_net(vaccel_backend_run& run) {
  {
    const std::lock_guard lock(mutex_);
    if (taken_ < most_) {
      ++taken_;
      return;
    }
  }
  // Registered and cleared without the lock, which the interruption takes.
  run.on_cancel(
      run.context,
      [](void* self) {
        auto* pool = static_cast<NetPool*>(self);
        { const std::lock_guard lock(pool->mutex_); }  // so that who just looked is waiting by now
        pool->changed_.notify_all();
      },
      this);
  bool cancelled = false;
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      cancelled = run.cancelled(run.context) != 0;
      return cancelled || taken_ < most_;
    });
    if (!cancelled) ++taken_;
  }
  run.on_cancel(run.context, nullptr, nullptr);
  if (cancelled) {
    changed_.notify_one();  // the news of a free net may have come to this run
    refuse(VACCEL_CANCELLED, "the call was cancelled while it waited for one of %zu instances of the model",
           most_);
  }
}

NetPool::Lease NetPool::take(vaccel_backend_run& run) {
  wait_for_net(run);
  std::unique_ptr<cv::dnn::Net> net;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      net = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  try {
    if (net == nullptr) net = std::make_unique<cv::dnn::Net>(make_());
  } catch (...) {
    put(nullptr, true);
    throw;
  }
  return {*this, std::move(net)};
}

}  // namespace vaccel::opencv
