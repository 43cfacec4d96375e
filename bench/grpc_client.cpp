// SPDX-License-Identifier: Apache-2.0
#include "grpc_client.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <sstream>
#include <utility>

#include "failure.h"

namespace vaccel::bench {
namespace {

constexpr const char* kProgram = "vaccel-bench-grpc";

std::array<UniqueFd, 2> socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    give_up("socketpair: %s", std::strerror(errno));
  return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

}  // namespace

// ---- GrpcClient::Process

GrpcClient::Process::Process(std::array<UniqueFd, 2> ends, const std::vector<std::string>& command)
    : socket_(std::move(ends[0])), process_(command, {.input = ends[1].get(), .output = ends[1].get()}) {}

GrpcClient::Process::Process(const Setting& setting, const std::string& what, const WorkFolder& folder)
    : Process(socket_pair(), {(setting.programs / kProgram).string(), what,
                              "unix:" + (folder.path() / "grpc.sock").string()}) {
  if (const std::string line = read_line(); line != "ready")
    give_up("%s %s says '%s' instead of 'ready'", kProgram, what.c_str(), line.c_str());
}

void GrpcClient::Process::write_line(const std::string& line) {
  const std::string bytes = line + "\n";
  if (::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size()))
    give_up("%s has gone", kProgram);
}

std::string GrpcClient::Process::read_line() {
  std::array<char, 4096> piece;
  size_t end = 0;
  while ((end = read_.find('\n')) == std::string::npos) {
    const ssize_t count = ::recv(socket_.get(), piece.data(), piece.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      process_.expect_success();
      give_up("%s ended early", kProgram);
    }
    read_.append(piece.data(), static_cast<size_t>(count));
  }
  std::string line = read_.substr(0, end);
  read_.erase(0, end + 1);
  return line;
}

// ---- GrpcClient

std::optional<std::string> GrpcClient::missing(const Setting& setting) {
  if (std::filesystem::exists(setting.programs / kProgram)) return std::nullopt;
  return std::string(kProgram) +
         " is not built: it needs gRPC's headers, which 'scripts/setup --for test' installs, in a build "
         "without sanitizers";
}

GrpcClient::GrpcClient(const Setting& setting, const WorkFolder& folder)
    : server_(setting, "serve", folder), client_(setting, "call", folder) {}

std::vector<double> GrpcClient::calls(size_t bytes, size_t count) {
  client_.write_line(std::to_string(bytes) + " " + std::to_string(count));
  std::istringstream line(client_.read_line());
  std::vector<double> took;
  for (double nanoseconds = 0; line >> nanoseconds;)
    took.push_back(nanoseconds);
  if (took.size() != count) give_up("%s told %zu times of %zu calls", kProgram, took.size(), count);
  return took;
}

}  // namespace vaccel::bench
