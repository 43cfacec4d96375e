// SPDX-License-Identifier: Apache-2.0
//
// VMs that are attached and detached while an agent runs, by vaccelctl, and their windows. The guest's side is played
// here: its functions connect to the hybrid vsock's socket on the host, and its memory is the window's file. Real guests
// are in tests/vm.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <thread>

#include "channel/window_file.h"
#include "channel/window_mapping.h"
#include "core/clock.h"
#include "support/agent_process.h"
#include "support/raw_client.h"

namespace vaccel::integration {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// The window as the guest's /dev/dax0.0.
class GuestMemory {
 public:
  explicit GuestMemory(const std::string& file) {
    channel::install_window_guard();
    const UniqueFd fd{::open(file.c_str(), O_RDWR | O_CLOEXEC)};
    struct stat status {};
    EXPECT_EQ(::fstat(fd.get(), &status), 0) << file;
    const uint64_t bytes = static_cast<uint64_t>(status.st_size) - channel::kWindowDataOffset;
    auto mapped = channel::WindowMapping::map(fd.get(), channel::kWindowDataOffset, bytes);
    EXPECT_TRUE(mapped.has_value()) << mapped.error().message();
    if (mapped) mapping_ = std::move(*mapped);
  }
  [[nodiscard]] std::span<std::byte> bytes() const { return mapping_->bytes(); }
  [[nodiscard]] wire::WindowIdentity identity() const {
    return channel::read_window_header(bytes()).value().identity;
  }
  [[nodiscard]] bool is_zero(const wire::Leased& lease) const {
    return std::ranges::all_of(bytes().subspan(lease.offset, lease.bytes),
                               [](std::byte byte) { return byte == std::byte{}; });
  }

 private:
  std::optional<channel::WindowMapping> mapping_;
};

class VmAttach : public testing::Test {
 protected:
  explicit VmAttach(AgentSetup setup = {}) : agent(std::move(setup)) {}

  [[nodiscard]] std::string in_folder(const std::string& name) const {
    return (agent.folder() / name).string();
  }
  // Where the functions of a VM arrive.
  [[nodiscard]] std::string guest_endpoint(const std::string& vm) const {
    return "unix:" + in_folder(vm + ".vsock_4411");
  }
  [[nodiscard]] std::string make_window(const std::string& vm, const std::string& size = "8M") const {
    const std::string path = in_folder(vm + ".window");
    const Ended made = agent.vaccelctl({"window", "create", path, "--size", size, "--force"});
    EXPECT_EQ(made.status, 0) << made.log;
    return path;
  }
  [[nodiscard]] Ended attach(const std::string& vm, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"vm", "attach", vm, "--socket", in_folder(vm + ".vsock")});
    return agent.vaccelctl(more);
  }
  void attach_with_window(const std::string& vm, const std::string& size = "8M") const {
    const Ended attached = attach(vm, {"--window", make_window(vm, size)});
    ASSERT_EQ(attached.status, 0) << attached.log;
  }
  [[nodiscard]] wire::StatusReport status() const {
    RawClient control("unix:" + agent.control());
    const Answer answer = control.ask(2, wire::ReadStatus{});
    EXPECT_EQ(answer.kind, wire::Kind::kStatus) << answer.text();
    return answer.status;
  }
  [[nodiscard]] wire::VmStatus status_of(const std::string& vm) const {
    const auto report = status();
    const auto found = std::ranges::find(report.vms, vm, &wire::VmStatus::name);
    if (found != report.vms.end()) return *found;
    ADD_FAILURE() << "no VM " << vm;
    return {};
  }
  static wire::Leased lease(RawClient& client, uint64_t id, uint64_t bytes) {
    const Answer answer = client.ask(id, wire::Lease{bytes, 64});
    EXPECT_EQ(answer.kind, wire::Kind::kLeased) << answer.text();
    return answer.leased;
  }
  static wire::WindowOpened open_window(RawClient& client) {
    const Answer answer = client.ask(2, wire::OpenWindow{.takes_descriptors = false});
    EXPECT_EQ(answer.kind, wire::Kind::kWindowOpened) << answer.text();
    return answer.window;
  }
  static wire::Call checksum_of(const wire::Leased& lease, uint64_t bytes) {
    wire::Call call = call_with_bytes("reference.checksum", bytes);
    wire::Tensor& input = call.inputs[0];
    input.segment = wire::Segment::kWindow;
    input.offset = lease.offset;
    input.dtype = VACCEL_FLOAT32;  // which is used where it lies; integers are copied first
    input.shape[0] = static_cast<int64_t>(bytes / sizeof(float));
    return call;
  }

  AgentProcess agent;
};

TEST_F(VmAttach, ItsFunctionsShareItsMemory) {
  const std::string window = make_window("vm1", "8M");
  const Ended attached = attach("vm1", {"--window", window, "--tenant", "acme"});
  ASSERT_EQ(attached.status, 0) << attached.log;
  EXPECT_NE(attached.log.find("mem-path=" + window + ",size=8388608"), std::string::npos) << attached.log;

  const GuestMemory guest(window);
  RawClient client(guest_endpoint("vm1"));
  const wire::WindowOpened opened = open_window(client);
  EXPECT_EQ(opened.kind, wire::WindowKind::kDevice);
  EXPECT_EQ(opened.bytes, 6 * kMiB);
  EXPECT_EQ(opened.identity, guest.identity());

  const auto image = some_bytes(600'000, 3);
  const wire::Leased place = lease(client, 3, image.size());
  ASSERT_LE(place.offset + place.bytes, guest.bytes().size());
  std::ranges::copy(image, guest.bytes().begin() + static_cast<std::ptrdiff_t>(place.offset));
  const Answer sum = client.ask(4, checksum_of(place, image.size()));
  ASSERT_TRUE(sum.is_result()) << sum.text();
  EXPECT_EQ(sum.sum(), sum_of(image));
  EXPECT_EQ(sum.result.copied_bytes, sizeof(uint64_t)) << "no more than the sum itself";

  const auto report = status();
  EXPECT_EQ(report.calls, 1u);
  EXPECT_EQ(report.window_bytes, image.size());
  EXPECT_EQ(report.windows, 1u);
  ASSERT_EQ(report.vms.size(), 1u);
  const wire::VmStatus& vm = report.vms[0];
  EXPECT_EQ(vm.tenant, "acme");
  EXPECT_EQ(vm.window, window);
  EXPECT_EQ(vm.window_bytes, 6 * kMiB);
  EXPECT_EQ(vm.sessions, 1u);
  EXPECT_EQ(vm.leases, opened.ring_bytes > 0 ? 2u : 1u);
  EXPECT_EQ(vm.leased_bytes, place.bytes + opened.ring_bytes);
  EXPECT_EQ(vm.problem, "");

  const Ended detached = agent.vaccelctl({"vm", "detach", "vm1"});
  EXPECT_EQ(detached.status, 0) << detached.log;
  EXPECT_TRUE(client.is_closed_by_agent());
  EXPECT_FALSE(std::filesystem::exists(in_folder("vm1.vsock_4411")));
  EXPECT_TRUE(status().vms.empty());
  EXPECT_FALSE(channel::inspect_window_file(window)->held);
  expect_serves(agent.endpoint());
}

TEST_F(VmAttach, AttachedAgainItHasANewGenerationAndNothingOfTheOld) {
  attach_with_window("vm1");
  const std::string window = in_folder("vm1.window");
  const GuestMemory guest(window);
  const wire::WindowIdentity first = guest.identity();
  EXPECT_EQ(first.generation, 1u);
  ASSERT_EQ(agent.vaccelctl({"vm", "detach", "vm1"}).status, 0);
  std::ranges::fill(guest.bytes().subspan(4096), std::byte{7});
  ASSERT_EQ(attach("vm1", {"--window", window}).status, 0);
  EXPECT_EQ(guest.identity().generation, 2u);
  EXPECT_EQ(guest.identity().vm_low, first.vm_low);
  EXPECT_NE(guest.identity().nonce_low, first.nonce_low);
  RawClient client(guest_endpoint("vm1"));
  open_window(client);
  EXPECT_TRUE(guest.is_zero(lease(client, 3, kMiB)));
}

TEST_F(VmAttach, WhatOneSessionLeavesTheNextDoesNotSee) {
  attach_with_window("vm1");
  const GuestMemory guest(in_folder("vm1.window"));
  wire::Leased place;
  {
    RawClient client(guest_endpoint("vm1"));
    open_window(client);
    place = lease(client, 3, 3 * kMiB);
    std::ranges::fill(guest.bytes().subspan(place.offset, place.bytes), std::byte{7});
    client.drop();
  }
  EXPECT_TRUE(
      eventually([&] { return status_of("vm1").leased_bytes == 0 && status_of("vm1").sessions == 0; }));
  EXPECT_TRUE(eventually([&] { return guest.is_zero(place); }));
}

TEST_F(VmAttach, EachVmHasItsOwn) {
  attach_with_window("vm1");
  attach_with_window("vm2");
  const GuestMemory one(in_folder("vm1.window"));
  const GuestMemory two(in_folder("vm2.window"));
  RawClient first(guest_endpoint("vm1"));
  RawClient second(guest_endpoint("vm2"));
  EXPECT_EQ(open_window(first).identity, one.identity());
  EXPECT_EQ(open_window(second).identity, two.identity());
  EXPECT_NE(one.identity(), two.identity());
  const auto bytes = some_bytes(100'000, 5);
  const wire::Leased place = lease(first, 3, bytes.size());
  std::ranges::copy(bytes, one.bytes().begin() + static_cast<std::ptrdiff_t>(place.offset));
  // The same offset in the other's is the other's, and not leased to it.
  EXPECT_EQ(second.ask(3, checksum_of(place, bytes.size())).code, VACCEL_INVALID_ARGUMENT);
  const Answer sum = first.ask(4, checksum_of(place, bytes.size()));
  EXPECT_TRUE(sum.is_result()) << sum.text();
  EXPECT_EQ(sum.sum(), sum_of(bytes));
  EXPECT_EQ(status().vms.size(), 2u);
}

TEST_F(VmAttach, WithoutAWindowItIsServedAllTheSame) {
  const Ended attached = attach("vm1");
  EXPECT_EQ(attached.status, 0) << attached.log;
  EXPECT_NE(attached.log.find("no window"), std::string::npos) << attached.log;
  RawClient client(guest_endpoint("vm1"));
  const Answer refused = client.ask(2, wire::OpenWindow{});
  EXPECT_EQ(refused.code, VACCEL_UNIMPLEMENTED) << refused.text();
  EXPECT_NE(refused.sentence.find("vm1"), std::string::npos) << refused.sentence;
  expect_serves(guest_endpoint("vm1"));
  EXPECT_EQ(status_of("vm1").window, "");
}

TEST_F(VmAttach, InMemoryOfTheAgentsOwn) {
  const Ended attached = attach("vm1", {"--memory", "16M", "--prefault"});
  ASSERT_EQ(attached.status, 0) << attached.log;
  const wire::VmStatus vm = status_of("vm1");
  EXPECT_NE(attached.log.find(vm.window), std::string::npos) << attached.log;
  const GuestMemory guest(vm.window);  // as a VMM opens it
  EXPECT_EQ(guest.bytes().size(), 14 * kMiB);
  RawClient client(guest_endpoint("vm1"));
  EXPECT_EQ(open_window(client).identity, guest.identity());
  struct stat file {};
  ASSERT_EQ(::stat(vm.window.c_str(), &file), 0);
  EXPECT_GE(file.st_blocks * 512, static_cast<off_t>(14 * kMiB));
}

TEST_F(VmAttach, DetachingWaitsForCallsUnderWay) {
  attach_with_window("vm1");
  RawClient client(guest_endpoint("vm1"));
  RawClient idle(guest_endpoint("vm1"));
  RawClient other(agent.endpoint());
  client.send(2, call_of("reference.delay", {integer("microseconds", 1'000'000)}));
  ASSERT_TRUE(eventually([&] { return status().calls == 1; }));
  Ended detached;
  std::jthread detaching([&] { detached = agent.vaccelctl({"vm", "detach", "vm1"}); });
  EXPECT_TRUE(idle.is_closed_by_agent());
  EXPECT_EQ(client.ask(3, call_of("reference.noop")).code, VACCEL_UNAVAILABLE);
  const Ended again = agent.vaccelctl({"vm", "detach", "vm1"});
  EXPECT_EQ(again.status, 4) << again.log;
  const Ended same_name = attach("vm1");
  EXPECT_EQ(same_name.status, 4) << same_name.log;
  const auto answer = client.await(2);
  EXPECT_TRUE(answer && answer->is_result());
  EXPECT_TRUE(client.is_closed_by_agent());
  detaching.join();
  EXPECT_EQ(detached.status, 0) << detached.log;
  EXPECT_TRUE(other.ask(2, call_of("reference.noop")).is_result());
}

class ImpatientAgent : public VmAttach {
 protected:
  ImpatientAgent() : VmAttach({.limits = "shutdown_timeout_ms = 300"}) {}
};

TEST_F(ImpatientAgent, DetachesWhatDoesNotEnd) {
  attach_with_window("vm1");
  RawClient client(guest_endpoint("vm1"));
  client.send(2, call_of("reference.delay", {integer("microseconds", 60'000'000)}));
  ASSERT_TRUE(eventually([&] { return status().calls == 1; }));
  const Ended detached = agent.vaccelctl({"vm", "detach", "vm1"});
  EXPECT_EQ(detached.status, 0) << detached.log;
  EXPECT_TRUE(client.is_closed_by_agent());
  expect_serves(agent.endpoint());
}

TEST_F(VmAttach, WhatIsThereAlreadyIsRefusedByName) {
  attach_with_window("vm1");
  const std::string window = in_folder("vm1.window");
  const std::string other = make_window("other");
  const auto expect_refused = [&](const std::vector<std::string>& arguments, const std::string& words) {
    std::vector<std::string> all{"vm", "attach"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Ended refused = agent.vaccelctl(all);
    EXPECT_EQ(refused.status, 2) << refused.log;
    EXPECT_NE(refused.log.find(words), std::string::npos) << refused.log;
  };
  expect_refused({"vm1", "--socket", in_folder("x")}, "there is a VM 'vm1' already");
  expect_refused({"vm2", "--socket", in_folder("vm1.vsock"), "--window", other}, "for VM 'vm1'");
  expect_refused({"vm2", "--socket", in_folder("x"), "--window", window}, "VM 'vm1' has the window");
  // The same file by another name.
  std::filesystem::create_hard_link(window, in_folder("hard.window"));
  expect_refused({"vm2", "--socket", in_folder("x"), "--window", in_folder("hard.window")},
                 "VM 'vm1' has the window");
  expect_refused({"vm2", "--cid", "7"}, "vsock:any:4411");
  expect_refused({"vm 2", "--cid", "7"}, "cannot be a VM's name");
  expect_refused({"vm2", "--socket", in_folder("x"), "--memory", "3M"}, "multiple of 2 MiB");
  EXPECT_EQ(agent.vaccelctl({"vm", "detach", "vm2"}).status, 3);
  EXPECT_EQ(agent.vaccelctl({"window", "create", window, "--size", "8M", "--force"}).status, 4);
  EXPECT_EQ(status().vms.size(), 1u);
  EXPECT_FALSE(std::filesystem::exists(in_folder("x_4411")));
  EXPECT_FALSE(channel::inspect_window_file(other)->held);
}

TEST_F(VmAttach, ABadWindowIsRefusedWithWhatToDo) {
  const std::string window = in_folder("bad.window");
  const auto expect_refused = [&](int status, const std::string& words) {
    const Ended refused = attach("bad", {"--window", window});
    EXPECT_EQ(refused.status, status) << refused.log;
    EXPECT_NE(refused.log.find(words), std::string::npos) << refused.log;
    EXPECT_NE(refused.log.find(window), std::string::npos) << refused.log;
    EXPECT_TRUE(this->status().vms.empty());
    EXPECT_FALSE(std::filesystem::exists(in_folder("bad.vsock_4411")));
  };
  const auto overwrite = [&](uint64_t offset) {
    const UniqueFd file{::open(window.c_str(), O_RDWR | O_CLOEXEC)};
    EXPECT_EQ(::pwrite(file.get(), "12345678", 8, static_cast<off_t>(offset)), 8);
  };
  expect_refused(3, "'vaccelctl window create' makes one");
  write_file(window, std::string(5'000'000, 'x'));
  expect_refused(2, "5000000 bytes cannot be a window's file");
  std::filesystem::resize_file(window, 8 * kMiB);
  expect_refused(2, "no NVDIMM DAX info block");
  ASSERT_EQ(make_window("bad"), window);
  std::filesystem::resize_file(window, 6 * kMiB);
  expect_refused(2, "truncated or extended");
  ASSERT_EQ(make_window("bad"), window);
  overwrite(channel::kInfoBlockOffset + 64);
  expect_refused(2, "checksum is wrong");
  ASSERT_EQ(make_window("bad"), window);
  overwrite(channel::kWindowDataOffset);
  expect_refused(2, "does not begin with a window's header");
  ASSERT_EQ(make_window("bad"), window);
  std::filesystem::rename(window, window + ".real");
  std::filesystem::create_symlink(window + ".real", window);
  expect_refused(2, "symbolic link");
  std::filesystem::remove(window);
  ASSERT_EQ(make_window("bad"), window);
  {
    const AgentProcess another;
    ASSERT_EQ(another.vaccelctl({"vm", "attach", "x", "--socket", in_folder("x"), "--window", window}).status,
              0);
    expect_refused(4, "another agent has it");
  }
  EXPECT_EQ(attach("bad", {"--window", window}).status, 0);
}

// The VMM's process may do this at any time, by fault or by malice.
TEST_F(VmAttach, AFileThatIsTruncatedUnderAllOfThemEndsNobody) {
  attach_with_window("vm1", "16M");
  const GuestMemory guest(in_folder("vm1.window"));
  RawClient client(guest_endpoint("vm1"));
  open_window(client);
  const wire::Leased place = lease(client, 3, kMiB);
  std::ranges::fill(guest.bytes().subspan(place.offset, place.bytes), std::byte{1});
  EXPECT_EQ(client.ask(4, checksum_of(place, kMiB)).sum(), kMiB);  // the worker has it mapped
  const pid_t worker = agent.worker();
  std::filesystem::resize_file(in_folder("vm1.window"), 0);
  client.ask(5, checksum_of(place, kMiB));  // an answer of any kind, or the session's end
  EXPECT_TRUE(eventually([&] { return !status_of("vm1").problem.empty(); }));
  RawClient late(guest_endpoint("vm1"));
  EXPECT_EQ(late.ask(2, wire::OpenWindow{}).code, VACCEL_UNAVAILABLE);
  EXPECT_EQ(agent.worker(), worker) << "the worker was ended";
  expect_serves(agent.endpoint());
  expect_serves(guest_endpoint("vm1"));
  const Ended listed = agent.vaccelctl({"vm", "list"});
  EXPECT_NE(listed.log.find("truncated"), std::string::npos) << listed.log;
  EXPECT_EQ(agent.vaccelctl({"vm", "detach", "vm1"}).status, 0);
}

TEST_F(VmAttach, AHostHasManyVms) {
  constexpr int kMany = 150;  // more than go into one body
  RawClient control("unix:" + agent.control());
  for (int number = 0; number < kMany; ++number) {
    wire::AttachVm vm{.name = "vm" + std::to_string(number)};
    vm.listen = "hvsock:" + in_folder(vm.name + ".vsock") + ":4411";
    ASSERT_EQ(control.ask(static_cast<uint64_t>(number) + 2, vm).kind, wire::Kind::kVmAttached);
  }
  const Ended listed = agent.vaccelctl({"vm", "list"});
  EXPECT_EQ(listed.status, 0);
  EXPECT_EQ(std::ranges::count(listed.log, '\n'), kMany + 1) << listed.log;
  EXPECT_NE(listed.log.find("vm149"), std::string::npos);
  expect_serves(guest_endpoint("vm77"));
}

// ---- From the configuration

TEST(VmAttachConfigured, IsAttachedWhenTheAgentStartsAndAgainAfterItWasKilled) {
  AgentProcess agent(
      {.more = "[[vm]]\nname = \"vm1\"\nlisten = \"hvsock:FOLDER/vm1.vsock:4411\"\nmemory = \"8M\"\n"});
  const std::string guest = "unix:" + (agent.folder() / "vm1.vsock_4411").string();
  expect_serves(guest);
  agent.kill();
  agent.start();
  expect_serves(guest);
  RawClient client(guest);
  EXPECT_EQ(client.ask(2, wire::OpenWindow{}).kind, wire::Kind::kWindowOpened);
}

TEST(VmAttachConfigured, AFileIsLetGoByAnAgentThatDies) {
  const TemporaryFolder folder;
  const std::string window = folder.path() / "vm1.window";
  ASSERT_TRUE(channel::create_window_file(window, 8 * kMiB, false).ok());
  AgentProcess agent(
      {.more = "[[vm]]\nname = \"vm1\"\nlisten = \"hvsock:FOLDER/vm1.vsock:4411\"\nwindow = \"" + window +
               "\"\n"});
  const GuestMemory guest(window);
  EXPECT_EQ(guest.identity().generation, 1u);
  agent.kill();
  agent.start();
  EXPECT_EQ(guest.identity().generation, 2u);
}

TEST(VmAttachConfigured, AnAgentThatCannotDoesNotStart) {
  const std::string vm = "[[vm]]\nname = \"vm1\"\n";
  const auto expect_refused = [](const std::string& more, const std::string& words) {
    const Ended refused = AgentProcess::run_to_end({.more = more});
    EXPECT_EQ(refused.status, 2) << refused.log;
    EXPECT_NE(refused.log.find(words), std::string::npos) << refused.log;
  };
  expect_refused(vm + "cid = 7\n", "attaching VM 'vm1': VMs are told by their CID at a vsock endpoint");
  expect_refused(vm + "listen = \"hvsock:FOLDER/v:1\"\nwindow = \"FOLDER/none\"\n",
                 "'vaccelctl window create'");
  expect_refused(vm, "needs either 'listen'");
  expect_refused(vm + "listen = \"hvsock:FOLDER/v:1\"\n" + vm + "listen = \"hvsock:FOLDER/w:1\"\n",
                 "there is a VM 'vm1' already");
}

// ---- The control socket

TEST_F(VmAttach, TheControlSocketIsTheAgentsOwn) {
  struct stat file {};
  ASSERT_EQ(::stat(agent.control().c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
}

TEST_F(VmAttach, AControlClientThatMisbehavesIsClosed) {
  const std::string control = "unix:" + agent.control();
  {
    RawClient client(control, RawClient::Greet::kNo);
    client.send_text(std::string(100, 'x'));
    EXPECT_TRUE(client.is_closed_by_agent());
  }
  {
    RawClient client(control, RawClient::Greet::kNo);
    EXPECT_EQ(client.ask(1, wire::ReadStatus{}).code, VACCEL_PROTOCOL_ERROR);
    EXPECT_TRUE(client.is_closed_by_agent());
  }
  {
    RawClient client(control);
    const Answer refused = client.ask(2, call_of("reference.noop"));
    EXPECT_EQ(refused.code, VACCEL_PROTOCOL_ERROR);
    EXPECT_NE(refused.sentence.find("control socket"), std::string::npos) << refused.sentence;
    EXPECT_TRUE(client.is_closed_by_agent());
  }
  {
    RawClient client(control);
    client.announce(2, wire::ReadStatus{}, 100);
    EXPECT_TRUE(client.is_closed_by_agent());
  }
  {
    RawClient client(control);
    client.send_body(wire::Kind::kAttachVm, 2, some_bytes(200, 1));
    EXPECT_TRUE(client.is_closed_by_agent());
  }
  // What belongs on the control socket has no place elsewhere.
  RawClient function(agent.endpoint());
  EXPECT_EQ(function.ask(2, wire::DetachVm{"vm1"}).code, VACCEL_PROTOCOL_ERROR);
  EXPECT_TRUE(function.is_closed_by_agent());
  EXPECT_EQ(status().vms.size(), 0u);
}

TEST_F(VmAttach, ControlClientsAreCountedAndAskOneThingAfterTheOther) {
  const std::string control = "unix:" + agent.control();
  {
    RawClient client(control);
    for (uint64_t id = 2; id < 100; ++id)
      client.send(id, wire::ReadStatus{});
    for (uint64_t id = 2; id < 100; ++id) {
      const auto answer = client.receive();
      ASSERT_TRUE(answer.has_value());
      EXPECT_EQ(answer->id, id);
    }
  }
  std::vector<std::unique_ptr<RawClient>> many;
  for (int count = 0; count < 32; ++count)
    many.push_back(std::make_unique<RawClient>(control));
  RawClient one_more(control, RawClient::Greet::kNo);
  const auto refused = one_more.receive();
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->code, VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_TRUE(one_more.is_closed_by_agent());
  many.clear();
  EXPECT_TRUE(eventually([&] { return agent.vaccelctl({"status"}).status == 0; }));
}

}  // namespace
}  // namespace vaccel::integration
