// SPDX-License-Identifier: Apache-2.0
//
// A model's nets. A cv::dnn::Net keeps the tensors of a run in itself, so that one run at a time may use it; for runs at
// the same time there are several, read from the same file, each made when it is first needed.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <opencv2/dnn.hpp>
#include <vector>

#include "vaccel/backend.h"

namespace vaccel::opencv {

class NetPool {
 public:
  using Maker = std::function<cv::dnn::Net()>;

  /// Makes the first net at once: what `make` throws is thrown here.
  NetPool(Maker make, size_t most);

  /// A net for one run.
  class Lease {
   public:
    Lease(NetPool& pool, std::unique_ptr<cv::dnn::Net> net) : pool_(pool), net_(std::move(net)) {}
    /// Without give_back() the net goes: after an exception nobody knows what state it is in.
    ~Lease() { pool_.put(nullptr, net_ != nullptr); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    cv::dnn::Net* operator->() { return net_.get(); }
    void give_back() { pool_.put(std::move(net_), true); }

   private:
    NetPool& pool_;
    std::unique_ptr<cv::dnn::Net> net_;
  };

  /// Waits while all nets are taken; throws a Failure when the run is cancelled meanwhile.
  Lease take(vaccel_backend_run& run);

 private:
  void wait_for_net(vaccel_backend_run& run);
  void put(std::unique_ptr<cv::dnn::Net> net, bool taken);

  const Maker make_;
  const size_t most_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<std::unique_ptr<cv::dnn::Net>> idle_;
  size_t taken_ = 0;
};

}  // namespace vaccel::opencv
