// SPDX-License-Identifier: Apache-2.0
//
// A hundred VMs with sessions that call, come and go on one agent: nothing of them is left.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "support/agent_process.h"
#include "support/raw_client.h"

namespace vaccel::integration {
namespace {

constexpr size_t kVms = 100;
constexpr size_t kSessionsOfAVm = 3;

// A VM's hybrid vsock as its VMM makes it; a guest's connection arrives beside it, where the agent listens.
class Vm {
 public:
  Vm(const AgentProcess& agent, size_t number)
      : path_(agent.folder() / "vms" / ("vm" + std::to_string(number)) / "v.sock") {
    std::filesystem::create_directories(path_.parent_path());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.string().copy(address.sun_path, sizeof address.sun_path - 1);
    fd_ = UniqueFd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0)
        << std::strerror(errno);
  }
  void end() { std::filesystem::remove(path_); }
  [[nodiscard]] std::string agents_socket() const { return path_.string() + "_4411"; }

  std::vector<std::unique_ptr<RawClient>> sessions;

 private:
  std::filesystem::path path_;
  UniqueFd fd_;
};

void let_all_sessions_call(const std::vector<std::unique_ptr<Vm>>& vms) {
  const auto bytes = some_bytes(1000, 1);
  for (const auto& vm : vms) {
    for (const auto& session : vm->sessions)
      session->send(2, call_with_bytes("reference.checksum", bytes.size()), bytes);
  }
  for (const auto& vm : vms) {
    for (const auto& session : vm->sessions) {
      const auto answer = session->await(2);
      ASSERT_TRUE(answer);
      ASSERT_TRUE(answer->is_result()) << answer->text();
      EXPECT_EQ(answer->sum(), sum_of(bytes));
    }
  }
}

// Half of the VMs end before their sessions do, half of the sessions go first; some with a call under way.
void come_and_go(const AgentProcess& agent) {
  std::vector<std::unique_ptr<Vm>> vms;
  for (size_t number = 0; number < kVms; ++number)
    vms.push_back(std::make_unique<Vm>(agent, number));
  for (const auto& vm : vms) {
    ASSERT_TRUE(eventually([&] { return std::filesystem::exists(vm->agents_socket()); }));
    for (size_t count = 0; count < kSessionsOfAVm; ++count)
      vm->sessions.push_back(std::make_unique<RawClient>("unix:" + vm->agents_socket()));
  }
  let_all_sessions_call(vms);
  EXPECT_EQ(thread_count(agent.pid()), 1u);
  for (size_t number = 0; number < kVms; ++number) {
    Vm& vm = *vms[number];
    if (number % 3 == 0)
      vm.sessions.front()->send(3, call_of("reference.delay", {integer("microseconds", 60'000'000)}));
    if (number % 2 == 0) vm.sessions.clear();
    vm.end();
  }
  for (const auto& vm : vms) {
    EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(vm->agents_socket()); }));
    for (const auto& session : vm->sessions)
      EXPECT_TRUE(session->is_closed_by_agent()) << "its VM has ended";
  }
}

TEST(ManyVms, LeaveNothingBehind) {
  const AgentProcess agent({.limits = "shutdown_timeout_ms = 100",
                            .more = "[[watch]]\npattern = \"FOLDER/vms/{vm}/v.sock\"\ntenant = \"acme\"\n"});
  const auto are_gone = [&] {
    const Ended list = agent.vaccelctl({"vm", "list"});
    return list.status == 0 && list.log.find("vm0") == std::string::npos &&
           list.log.find("acme") == std::string::npos;
  };
  const size_t descriptors = descriptor_count(agent.pid());
  const pid_t worker = agent.worker();
  const size_t of_worker = descriptor_count(worker);
  expect_serves(agent.endpoint());
  int64_t memory_kib = 0;
  for (int time = 0; time < 3 && !HasFatalFailure(); ++time) {
    come_and_go(agent);
    EXPECT_TRUE(eventually(are_gone));
    expect_serves(agent.endpoint());
    EXPECT_TRUE(eventually([&] { return descriptor_count(agent.pid()) <= descriptors; }))
        << descriptor_count(agent.pid()) << " descriptors, " << descriptors << " before";
    if (time == 0) memory_kib = private_kib(agent.pid());  // what the allocator keeps is used again
  }
  EXPECT_TRUE(eventually([&] { return descriptor_count(worker) <= of_worker; }))
      << descriptor_count(worker) << " descriptors in the worker, " << of_worker << " before";
  EXPECT_EQ(agent.worker(), worker);
  if (!is_sanitized()) {
    EXPECT_LT(private_kib(agent.pid()) - memory_kib, 512);
  }
}

}  // namespace
}  // namespace vaccel::integration
