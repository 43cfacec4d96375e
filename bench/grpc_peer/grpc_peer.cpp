// SPDX-License-Identifier: Apache-2.0
//
// vaccel-bench-grpc: both ends of a unary gRPC call, for vaccel-bench, which starts one process of each. gRPC as its
// own documentation shows it (synchronous service, one channel, protobuf messages), with no limit on message sizes.
//
//   vaccel-bench-grpc serve unix:/path   serves; prints "ready" when it does, and ends with its parent
//   vaccel-bench-grpc call unix:/path    prints "ready" when connected. Then, for each line "BYTES CALLS" that it
//                                        reads, makes so many calls with so many bytes, one after the other, and prints
//                                        a line with the nanoseconds of each. Ends with its input.
#include <grpcpp/grpcpp.h>
#include <sys/prctl.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "service.grpc.pb.h"

namespace {

using vaccel::bench::Payload;
using vaccel::bench::Taken;
using vaccel::bench::Upload;

constexpr int kUnlimited = -1;
constexpr std::chrono::seconds kConnectTimeout{10};

class UploadService final : public Upload::Service {
  grpc::Status Send(grpc::ServerContext*, const Payload* payload, Taken* taken) override {
    taken->set_bytes(payload->payload().size());
    return grpc::Status::OK;
  }
};

int serve(const std::string& address) {
  UploadService service;
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kUnlimited);
  builder.SetMaxSendMessageSize(kUnlimited);
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server) {
    std::cerr << "vaccel-bench-grpc: cannot listen on " << address << "\n";
    return EXIT_FAILURE;
  }
  std::cout << "ready" << std::endl;
  server->Wait();
  return EXIT_SUCCESS;
}

// Makes one call and returns its nanoseconds; 0 when it failed, which is said.
uint64_t call_once(Upload::Stub& stub, const Payload& payload) {
  const vaccel::Stopwatch stopwatch;
  grpc::ClientContext context;
  Taken taken;
  const grpc::Status status = stub.Send(&context, payload, &taken);
  const uint64_t elapsed_ns = stopwatch.elapsed_ns();
  if (status.ok() && taken.bytes() == payload.payload().size()) return elapsed_ns;
  std::cerr << "vaccel-bench-grpc: " << payload.payload().size()
            << " bytes: " << (status.ok() ? "not all arrived" : status.error_message()) << "\n";
  return 0;
}

int call(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kUnlimited);
  arguments.SetMaxSendMessageSize(kUnlimited);
  const auto channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + kConnectTimeout)) {
    std::cerr << "vaccel-bench-grpc: nobody answers on " << address << "\n";
    return EXIT_FAILURE;
  }
  const auto stub = Upload::NewStub(channel);
  std::cout << "ready" << std::endl;
  Payload payload;
  size_t bytes = 0;
  size_t calls = 0;
  while (std::cin >> bytes >> calls) {
    if (payload.payload().size() != bytes) payload.set_payload(std::string(bytes, 'x'));
    std::vector<uint64_t> took(calls);
    for (uint64_t& elapsed_ns : took) {
      elapsed_ns = call_once(*stub, payload);
      if (elapsed_ns == 0) return EXIT_FAILURE;
    }
    for (const uint64_t elapsed_ns : took)
      std::cout << elapsed_ns << ' ';
    std::cout << std::endl;
  }
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  const std::string_view what = argc == 3 ? argv[1] : "";
  if (what == "serve") return serve(argv[2]);
  if (what == "call") return call(argv[2]);
  std::fprintf(stderr, "usage: vaccel-bench-grpc serve|call unix:/path\n");
  return 2;
}
