// SPDX-License-Identifier: Apache-2.0
//
// CLBlast on the first device of the best kind that there is: both matrices written to the device, multiplied, the
// product read back, by a program that keeps its buffers. Where device and host share memory the buffers are the
// program's own memory, and mapping the product is all that is left of reading it.
#include <clblast_c.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "peer.h"

namespace {

using vaccel::bench::Peer;
using vaccel::bench::PeerMissing;
using vaccel::bench::PeerProblem;
using vaccel::bench::PeerResult;

template <typename T>
struct Release {
  cl_int(CL_API_CALL* function)(T*) = nullptr;
  void operator()(T* handle) const { function(handle); }
};
template <typename T>
using Handle = std::unique_ptr<T, Release<T>>;

void must(int error, const char* call) {
  if (error != CL_SUCCESS) throw std::runtime_error(std::string(call) + " failed: " + std::to_string(error));
}

// A GPU before an accelerator before a CPU, as the backend chooses by itself.
cl_device_id choose_device() {
  cl_uint platform_count = 0;
  if (clGetPlatformIDs(0, nullptr, &platform_count) != CL_SUCCESS || platform_count == 0)
    throw PeerMissing("no OpenCL platform: no driver is registered in /etc/OpenCL/vendors");
  std::vector<cl_platform_id> platforms(platform_count);
  must(clGetPlatformIDs(platform_count, platforms.data(), nullptr), "clGetPlatformIDs");
  constexpr cl_device_type kKinds[] = {CL_DEVICE_TYPE_GPU, CL_DEVICE_TYPE_ACCELERATOR, CL_DEVICE_TYPE_CPU};
  for (const cl_device_type type : kKinds) {
    for (const cl_platform_id platform : platforms) {
      cl_device_id device = nullptr;
      if (clGetDeviceIDs(platform, type, 1, &device, nullptr) == CL_SUCCESS) return device;
    }
  }
  throw PeerMissing("no OpenCL device");
}

bool shares_memory(cl_device_id device) {
  cl_bool shared = CL_FALSE;
  must(clGetDeviceInfo(device, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof shared, &shared, nullptr),
       "clGetDeviceInfo");
  return shared != CL_FALSE;
}

class OpenclPeer final : public Peer {
 public:
  explicit OpenclPeer(const PeerProblem& problem)
      : n_(static_cast<size_t>(problem.inputs[0].shape[0])),
        host_a_(problem.inputs[0].data),
        host_b_(problem.inputs[1].data),
        product_(n_ * n_) {
    cl_device_id device = choose_device();
    shared_ = shares_memory(device);
    int error = CL_SUCCESS;
    context_ = {clCreateContext(nullptr, 1, &device, nullptr, nullptr, &error), {clReleaseContext}};
    must(error, "clCreateContext");
    queue_ = {clCreateCommandQueue(context_.get(), device, 0, &error), {clReleaseCommandQueue}};
    must(error, "clCreateCommandQueue");
    a_ = allocate(const_cast<float*>(host_a_));
    b_ = allocate(const_cast<float*>(host_b_));
    c_ = allocate(product_.data());
  }
  PeerResult run() override {
    if (!shared_) {
      write(a_.get(), host_a_);
      write(b_.get(), host_b_);
    }
    cl_command_queue queue = queue_.get();
    must(CLBlastSgemm(CLBlastLayoutRowMajor, CLBlastTransposeNo, CLBlastTransposeNo, n_, n_, n_, 1, a_.get(),
                      0, n_, b_.get(), 0, n_, 0, c_.get(), 0, n_, &queue, nullptr),
         "CLBlastSgemm");
    read(c_.get());
    return {product_.data(), product_.size()};
  }

 private:
  [[nodiscard]] size_t bytes() const { return n_ * n_ * sizeof(float); }

  [[nodiscard]] Handle<_cl_mem> allocate(float* host) const {
    int error = CL_SUCCESS;
    Handle<_cl_mem> memory(
        clCreateBuffer(context_.get(), shared_ ? CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR : CL_MEM_READ_WRITE,
                       bytes(), shared_ ? host : nullptr, &error),
        {clReleaseMemObject});
    must(error, "clCreateBuffer");
    return memory;
  }
  void write(cl_mem memory, const float* host) const {
    must(clEnqueueWriteBuffer(queue_.get(), memory, CL_FALSE, 0, bytes(), host, 0, nullptr, nullptr),
         "clEnqueueWriteBuffer");
  }
  void read(cl_mem memory) {
    if (!shared_) {
      must(clEnqueueReadBuffer(queue_.get(), memory, CL_TRUE, 0, bytes(), product_.data(), 0, nullptr,
                               nullptr),
           "clEnqueueReadBuffer");
      return;
    }
    int error = CL_SUCCESS;
    void* mapped = clEnqueueMapBuffer(queue_.get(), memory, CL_TRUE, CL_MAP_READ, 0, bytes(), 0, nullptr,
                                      nullptr, &error);
    must(error, "clEnqueueMapBuffer");
    must(clEnqueueUnmapMemObject(queue_.get(), memory, mapped, 0, nullptr, nullptr),
         "clEnqueueUnmapMemObject");
    must(clFinish(queue_.get()), "clFinish");
  }

  size_t n_;
  const float* host_a_;
  const float* host_b_;
  std::vector<float> product_;
  bool shared_ = false;
  // Released in the opposite order.
  Handle<_cl_context> context_;
  Handle<_cl_command_queue> queue_;
  Handle<_cl_mem> a_;
  Handle<_cl_mem> b_;
  Handle<_cl_mem> c_;
};

}  // namespace

const vaccel::bench::PeerEntry* vaccel_bench_peer() {
  static const vaccel::bench::PeerEntry kEntry{
      "CLBlastSgemm", [](const PeerProblem& problem) -> Peer* { return new OpenclPeer(problem); }};
  return &kEntry;
}
