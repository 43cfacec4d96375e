// SPDX-License-Identifier: Apache-2.0
//
// Tenants on one agent: who somebody is, what each may take and use, how workers' time is shared, and changing all of it
// while sessions go on.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "core/clock.h"
#include "support/agent_process.h"
#include "support/raw_client.h"
#include "support/real_parts.h"

namespace vaccel::integration {
namespace {

constexpr int64_t kLongUs = 60'000'000;

wire::Call delay(int64_t microseconds, int8_t priority = 0) {
  wire::Call call = call_of("reference.delay", {integer("microseconds", microseconds)});
  call.priority = priority;
  return call;
}

wire::Call noop() {
  return call_of("reference.noop");
}

// Two tenants with an endpoint each, besides the one of all.
AgentSetup two_tenants(const std::string& of_a = "", const std::string& of_b = "",
                       const std::string& worker = "") {
  return {.worker = worker,
          .more = "[[tenant]]\nname = \"a\"\nlisten = [\"unix:FOLDER/a.sock\"]\n" + of_a +
                  "\n[[tenant]]\nname = \"b\"\nlisten = [\"unix:FOLDER/b.sock\"]\n" + of_b + "\n"};
}

std::string of(const AgentProcess& agent, const std::string& tenant) {
  return "unix:" + (agent.folder() / (tenant + ".sock")).string();
}

void expect_refused(const Answer& answer, vaccel_status code, const std::string& part) {
  EXPECT_EQ(answer.code, code) << answer.text();
  EXPECT_NE(answer.sentence.find(part), std::string::npos) << answer.sentence;
}

// ---- Who somebody is

TEST(Tenants, AreToldByWhereTheyConnect) {
  AgentSetup setup = two_tenants("max_sessions = 1");
  const AgentProcess agent(setup);
  RawClient first(of(agent, "a"));
  RawClient over(of(agent, "a"), RawClient::Greet::kNo);
  const auto refusal = over.receive();
  ASSERT_TRUE(refusal);
  expect_refused(*refusal, VACCEL_RESOURCE_EXHAUSTED, "tenant 'a' has 1 sessions open");
  EXPECT_TRUE(over.is_closed_by_agent());
  RawClient other(of(agent, "b"));
  RawClient stranger(agent.endpoint());
  for (RawClient* client : {&first, &other, &stranger})
    EXPECT_TRUE(client->ask(2, noop()).is_result());
}

TEST(Tenants, AreToldByTheirUid) {
  const std::string uid = std::to_string(::getuid());
  const AgentProcess agent(
      {.more = "[[tenant]]\nname = \"mine\"\nuids = [" + uid + "]\noperators = [\"reference.echo\"]\n"});
  RawClient client(agent.endpoint());
  expect_refused(client.ask(2, noop()), VACCEL_PERMISSION_DENIED, "tenant 'mine'");
}

TEST(Tenants, StrangersCanBeTurnedAway) {
  AgentSetup setup = two_tenants();
  setup.more = "[tenants]\nunknown = \"refuse\"\n" + setup.more;
  const AgentProcess agent(setup);
  RawClient stranger(agent.endpoint(), RawClient::Greet::kNo);
  const auto refusal = stranger.receive();
  ASSERT_TRUE(refusal);
  expect_refused(*refusal, VACCEL_PERMISSION_DENIED, "none of them");
  EXPECT_TRUE(stranger.is_closed_by_agent());
  RawClient known(of(agent, "a"));
  EXPECT_TRUE(known.ask(2, noop()).is_result());
}

// ---- What they may take

TEST(Tenants, CallsInFlightOfAllSessionsTogether) {
  const AgentProcess agent(two_tenants("max_calls_in_flight = 3"));
  RawClient one(of(agent, "a"));
  RawClient another(of(agent, "a"));
  RawClient other(of(agent, "b"));
  for (uint64_t id = 2; id < 4; ++id)
    one.send(id, delay(kLongUs));
  another.send(2, delay(kLongUs));
  ASSERT_TRUE(eventually([&] { return another.ask(100, noop()).code == VACCEL_RESOURCE_EXHAUSTED; }));
  expect_refused(another.ask(101, noop()), VACCEL_RESOURCE_EXHAUSTED, "tenant 'a' has 3 calls in flight");
  EXPECT_TRUE(other.ask(2, noop()).is_result()) << "nobody else notices";
  one.send(9, wire::Cancel{2});
  EXPECT_EQ(one.await(2)->code, VACCEL_CANCELLED);
  EXPECT_TRUE(eventually([&] { return another.ask(102, noop()).is_result(); }));
  // What a session held is its tenant's again when it goes.
  one.drop();
  uint64_t id = 200;
  another.send(id++, delay(kLongUs));
  EXPECT_TRUE(eventually([&] { return another.ask(id++, noop()).is_result(); }))
      << "with two others under way";
}

TEST(Tenants, BytesInFlight) {
  const AgentProcess agent(two_tenants("max_bytes_in_flight = 10000"));
  RawClient client(of(agent, "a"));
  const auto at_limit = some_bytes(10'000, 1);
  const Answer fits = client.ask(2, call_with_bytes("reference.checksum", at_limit.size()), at_limit);
  EXPECT_EQ(fits.sum(), sum_of(at_limit)) << fits.text();
  const auto over = some_bytes(10'001, 1);
  expect_refused(client.ask(3, call_with_bytes("reference.checksum", over.size()), over),
                 VACCEL_RESOURCE_EXHAUSTED, "limit of 10000");
  expect_refused(client.ask(4, call_with_bytes("vaccel.discard", over.size()), over),
                 VACCEL_RESOURCE_EXHAUSTED, "limit of 10000");
  expect_refused(client.ask(5, call_with_bytes("vaccel.echo", over.size()), over), VACCEL_RESOURCE_EXHAUSTED,
                 "limit of 10000");
  for (uint64_t id = 6; id < 9; ++id)
    EXPECT_TRUE(client.ask(id, call_with_bytes("vaccel.echo", at_limit.size()), at_limit).is_result())
        << "what was taken is given back";
  RawClient other(of(agent, "b"));
  EXPECT_TRUE(other.ask(2, call_with_bytes("reference.checksum", over.size()), over).is_result());
}

// A client that does not take its results holds memory, and that is its tenant's, too.
TEST(Tenants, ResultsThatNobodyTakesCount) {
  const AgentProcess agent(two_tenants("max_bytes_in_flight = \"20M\""));
  RawClient idle(of(agent, "a"));
  const auto bytes = some_bytes(size_t{12} << 20, 1);
  ASSERT_TRUE(idle.send(2, call_with_bytes("reference.echo", bytes.size()), bytes));
  RawClient another(of(agent, "a"));
  uint64_t id = 2;
  EXPECT_TRUE(eventually([&] {
    return another.ask(id++, call_with_bytes("reference.checksum", bytes.size()), bytes).code ==
           VACCEL_RESOURCE_EXHAUSTED;
  }));
  RawClient other(of(agent, "b"));
  EXPECT_TRUE(other.ask(2, call_with_bytes("reference.checksum", bytes.size()), bytes).is_result());
  EXPECT_TRUE(idle.await(2)->is_result());
  EXPECT_TRUE(eventually([&] {
    return another.ask(id++, call_with_bytes("reference.checksum", bytes.size()), bytes).is_result();
  }));
}

TEST(Tenants, CallsPerSecondWithATimeToRetryAfter) {
  const AgentProcess agent(two_tenants("calls_per_second = 5\nburst = 2"));
  RawClient client(of(agent, "a"));
  EXPECT_TRUE(client.ask(2, noop()).is_result());
  EXPECT_TRUE(client.ask(3, noop()).is_result());
  uint64_t id = 4;
  std::optional<Answer> refusal;
  for (int turn = 0; turn < 100 && !refusal; ++turn) {  // a slow machine may have earned another one
    Answer answer = client.ask(id++, noop());
    if (!answer.is_result()) refusal = std::move(answer);
  }
  ASSERT_TRUE(refusal);
  expect_refused(*refusal, VACCEL_RESOURCE_EXHAUSTED, "5 calls per second");
  EXPECT_GT(refusal->retry_after_us, 0u);
  EXPECT_LE(refusal->retry_after_us, 200'000u);
  ::usleep(static_cast<useconds_t>(refusal->retry_after_us));
  EXPECT_TRUE(client.ask(id, noop()).is_result()) << "when it was told to try again";
  RawClient other(of(agent, "b"));
  for (uint64_t call = 2; call < 20; ++call)
    EXPECT_TRUE(other.ask(call, noop()).is_result());
}

TEST(Tenants, DeviceMemoryIsSharedOut) {
  const AgentProcess agent(two_tenants("max_device_bytes = 1000\nmax_device_buffers = 2"));
  RawClient one(of(agent, "a"));
  RawClient another(of(agent, "a"));
  EXPECT_EQ(one.ask(2, wire::AllocateMemory{"reference", 600, 0}).kind, wire::Kind::kMemoryAllocated);
  expect_refused(another.ask(2, wire::AllocateMemory{"reference", 401, 0}), VACCEL_RESOURCE_EXHAUSTED,
                 "tenant 'a' has 600 bytes of device buffers");
  EXPECT_EQ(another.ask(3, wire::AllocateMemory{"reference", 400, 0}).kind, wire::Kind::kMemoryAllocated);
  expect_refused(another.ask(4, wire::AllocateMemory{"reference", 1, 0}), VACCEL_RESOURCE_EXHAUSTED,
                 "tenant 'a' has 2 device buffers");
  RawClient other(of(agent, "b"));
  EXPECT_EQ(other.ask(2, wire::AllocateMemory{"reference", 2000, 0}).kind, wire::Kind::kMemoryAllocated);
  one.drop();
  EXPECT_TRUE(eventually([&] {
    return another.ask(5, wire::AllocateMemory{"reference", 1, 0}).kind == wire::Kind::kMemoryAllocated;
  }));
}

TEST(Tenants, LeasesAndTheirBytes) {
  const AgentProcess agent(two_tenants("max_leased_bytes = \"1M\"\nmax_leases = 3"));
  RawClient client(of(agent, "a"));
  ASSERT_EQ(client.ask(2, wire::OpenWindow{true}).kind, wire::Kind::kWindowOpened);
  const Answer leased = client.ask(3, wire::Lease{600'000, 64});
  ASSERT_EQ(leased.kind, wire::Kind::kLeased) << leased.text();
  expect_refused(client.ask(4, wire::Lease{600'000, 64}), VACCEL_RESOURCE_EXHAUSTED, "tenant 'a' has ");
  client.send(0, wire::Release{{leased.leased.offset}});
  uint64_t id = 5;
  for (int lease = 0; lease < 3; ++lease)
    EXPECT_EQ(client.ask(id++, wire::Lease{1000, 64}).kind, wire::Kind::kLeased);
  expect_refused(client.ask(id, wire::Lease{1000, 64}), VACCEL_RESOURCE_EXHAUSTED, "tenant 'a' has 3 leases");
}

// ---- What they may use

TEST(Tenants, OperatorsAndBackends) {
  const AgentProcess agent(two_tenants("operators = [\"reference.*\"]", "backends = [\"openblas\"]"));
  RawClient a(of(agent, "a"));
  EXPECT_TRUE(a.ask(2, noop()).is_result());
  expect_refused(a.ask(3, call_of("gemm")), VACCEL_PERMISSION_DENIED, "may not use operator 'gemm'");
  EXPECT_TRUE(a.ask(4, call_of("vaccel.discard")).is_result()) << "the agent's own are everybody's";
  RawClient b(of(agent, "b"));
  wire::Call named = noop();
  named.backend = "reference";
  expect_refused(b.ask(2, named), VACCEL_PERMISSION_DENIED, "may not use backend 'reference'");
  expect_refused(b.ask(3, noop()), VACCEL_PERMISSION_DENIED, "no backend that has operator 'reference.noop'");
  expect_refused(b.ask(4, wire::AllocateMemory{"reference", 64, 0}), VACCEL_PERMISSION_DENIED,
                 "may not use backend 'reference'");
  expect_refused(b.ask(5, wire::AllocateMemory{"", 64, 0}), VACCEL_PERMISSION_DENIED, "may use no backend");
}

TEST(Tenants, ModelsThatATenantMayNotUseAreNotThere) {
  VACCEL_NEEDS_MOBILENET();
  AgentSetup setup = two_tenants("models = [\"mobilenet*\"]");
  setup.catalogue = real_catalogue();
  setup.all_backends = true;
  const AgentProcess agent(setup);
  RawClient a(of(agent, "a"));
  RawClient b(of(agent, "b"));
  expect_refused(a.ask(2, wire::OpenModel{"posenet"}), VACCEL_NOT_FOUND, "no model 'posenet'");
  expect_refused(a.ask(3, wire::Describe{wire::Subject::kModel, "posenet", 0}), VACCEL_NOT_FOUND,
                 "no model 'posenet'");
  EXPECT_EQ(a.ask(4, wire::OpenModel{"mobilenet"}).kind, wire::Kind::kModelOpened);
  const auto listed = a.ask(5, wire::Describe{wire::Subject::kModels, "", 0}).description;
  EXPECT_FALSE(listed.models.empty());
  for (const auto& model : listed.models)
    EXPECT_TRUE(model.name.starts_with("mobilenet")) << model.name;
  EXPECT_EQ(listed.model_count, listed.models.size());
  EXPECT_EQ(agent.vaccelctl({"tenant", "set", "a", "models=posenet"}).status, 0);
  wire::Call call = call_of("infer");
  call.model = a.ask(6, wire::OpenModel{"posenet"}).model;
  EXPECT_EQ(agent.vaccelctl({"tenant", "set", "a", "models=mobilenet"}).status, 0);
  expect_refused(a.ask(7, call), VACCEL_PERMISSION_DENIED, "may not use model 'posenet' any more");
  EXPECT_GT(b.ask(2, wire::Describe{wire::Subject::kModels, "", 0}).description.models.size(),
            listed.models.size());
}

// ---- How workers' time is shared

// Both tenants always have eight calls waiting. @return how many of each were done, of `total`.
std::pair<int, int> race(const AgentProcess& agent, int64_t a_us, int64_t b_us, int total) {
  RawClient a(of(agent, "a"));
  RawClient b(of(agent, "b"));
  struct Side {
    RawClient& client;
    int64_t microseconds;
    uint64_t sent = 0;
    int done = 0;
  };
  Side sides[] = {{a, a_us}, {b, b_us}};
  constexpr uint64_t kWaiting = 8;
  for (uint64_t turn = 0; turn < kWaiting; ++turn) {
    for (Side& side : sides)
      side.client.send(2 + side.sent++, delay(side.microseconds));
  }
  while (sides[0].done + sides[1].done < total) {
    for (Side& side : sides) {
      while (const auto answer = side.client.receive(1)) {
        EXPECT_TRUE(answer->is_result()) << answer->text();
        ++side.done;
        side.client.send(2 + side.sent++, delay(side.microseconds));
      }
    }
  }
  return {sides[0].done, sides[1].done};
}

TEST(Tenants, ShareTheWorkersTimeAndNotItsCalls) {
  const AgentProcess agent(two_tenants("", "", "threads = 1"));
  const auto [cheap, dear] = race(agent, 10'000, 40'000, 120);
  const double ratio = cheap * 10.0 / (dear * 40.0);
  EXPECT_GT(ratio, 0.7) << cheap << " of 10 ms, " << dear << " of 40 ms";
  EXPECT_LT(ratio, 1.4) << cheap << " of 10 ms, " << dear << " of 40 ms";
}

TEST(Tenants, ShareByWeight) {
  const AgentProcess agent(two_tenants("weight = 1", "weight = 3", "threads = 1"));
  const auto [one, three] = race(agent, 4'000, 4'000, 200);
  EXPECT_GT(three, one * 2.4) << one << " and " << three;
  EXPECT_LT(three, one * 3.6) << one << " and " << three;
}

TEST(Tenants, PriorityIsAmongATenantsOwnCalls) {
  const AgentProcess agent(two_tenants("", "", "threads = 1"));
  RawClient a(of(agent, "a"));
  a.send(2, delay(200'000));
  ASSERT_TRUE(eventually([&] { return agent.log().find("runs, pid") != std::string::npos; }));
  a.send(3, delay(1000));
  a.send(4, delay(1000, 5));
  a.send(5, delay(1000, -5));
  std::vector<uint64_t> order;
  while (order.size() < 4) {
    const auto answer = a.receive();
    ASSERT_TRUE(answer);
    order.push_back(answer->id);
  }
  EXPECT_EQ(order, (std::vector<uint64_t>{2, 4, 3, 5}));
}

TEST(Tenants, ACallThatCannotBeDoneInTimeIsRefusedAtOnce) {
  const AgentProcess agent(two_tenants("", "", "threads = 1"));
  RawClient a(of(agent, "a"));
  for (uint64_t id = 2; id < 8; ++id)
    ASSERT_TRUE(a.ask(id, delay(50'000)).is_result());  // so that something is known of such calls
  wire::Call hopeless = delay(50'000);
  hopeless.timeout_us = 20'000;
  const Answer refusal = a.ask(10, hopeless);
  expect_refused(refusal, VACCEL_DEADLINE_EXCEEDED, "the call was not begun");
  wire::Call possible = delay(50'000);
  possible.timeout_us = 20'000'000;
  EXPECT_TRUE(a.ask(11, possible).is_result());
}

// ---- Changing it while sessions go on

TEST(Tenants, AreChangedByTheOperator) {
  const AgentProcess agent(two_tenants());
  RawClient a(of(agent, "a"));
  EXPECT_TRUE(a.ask(2, noop()).is_result());
  const Ended set =
      agent.vaccelctl({"tenant", "set", "a", "weight=4", "operators=gemm,vec*", "max_device_bytes=2M"});
  EXPECT_EQ(set.status, 0) << set.log;
  expect_refused(a.ask(3, noop()), VACCEL_PERMISSION_DENIED, "tenant 'a'");
  const Ended shown = agent.vaccelctl({"tenant", "show", "a"});
  EXPECT_EQ(shown.status, 0) << shown.log;
  for (const char* line :
       {"weight = 4\n", "operators = [\"gemm\", \"vec*\"]\n", "max_device_bytes = 2097152\n"})
    EXPECT_NE(shown.log.find(line), std::string::npos) << shown.log;
  EXPECT_EQ(agent.vaccelctl({"tenant", "remove", "a"}).status, 0);
  EXPECT_TRUE(a.ask(4, noop()).is_result()) << "the session goes on";
  const Ended mistake = agent.vaccelctl({"tenant", "set", "a", "weight=0"});
  EXPECT_EQ(mistake.status, 2) << mistake.log;
  EXPECT_NE(mistake.log.find("settings:1:10"), std::string::npos) << mistake.log;
  EXPECT_EQ(agent.vaccelctl({"tenant", "show", "nobody"}).status, 3);
  EXPECT_EQ(agent.vaccelctl({"tenant", "remove", "nobody"}).status, 3);
  EXPECT_EQ(agent.vaccelctl({"tenant", "set", "a", "weight"}).status, 2);
}

class Reload : public ::testing::Test {
 protected:
  void write(const std::string& tables) const {
    std::string text = original_;
    write_file(file_, text + tables);
  }

  const AgentProcess agent_{AgentSetup{}};
  const std::filesystem::path file_ = agent_.folder() / "vaccel.toml";
  const std::string original_ = read_file(file_);
};

TEST_F(Reload, TakesWhatIsNewAndDropsNobody) {
  RawClient client(agent_.endpoint());
  client.send(2, delay(300'000));
  write("[[tenant]]\nname = \"default\"\noperators = [\"vaccel.*\"]\n");
  const Ended reloaded = agent_.vaccelctl({"reload"});
  EXPECT_EQ(reloaded.status, 0) << reloaded.log;
  EXPECT_TRUE(client.await(2)->is_result()) << "what was under way is finished";
  expect_refused(client.ask(3, noop()), VACCEL_PERMISSION_DENIED, "tenant 'default'");
  write("");
  agent_.signal(SIGHUP);
  EXPECT_TRUE(eventually([&] { return client.ask(4, noop()).is_result(); }));
}

TEST_F(Reload, ABadFileChangesNothingAndSaysWhere) {
  RawClient client(agent_.endpoint());
  write("[[tenant]]\nname = \"default\"\noperators = []\nweight = \"much\"\n");
  const Ended refused = agent_.vaccelctl({"reload"});
  EXPECT_EQ(refused.status, 2) << refused.log;
  const auto lines = std::to_string(std::count(original_.begin(), original_.end(), '\n') + 4);
  EXPECT_NE(refused.log.find("vaccel.toml:" + lines + ":10"), std::string::npos) << refused.log;
  EXPECT_TRUE(client.ask(2, noop()).is_result());
}

TEST_F(Reload, TenantsEndpointsAndVmsComeAndGo) {
  const std::string folder = agent_.folder().string();
  write("[[tenant]]\nname = \"a\"\nlisten = [\"unix:" + folder +
        "/a.sock\"]\n[[vm]]\nname = \"vm1\"\nlisten = \"hvsock:" + folder +
        "/v.sock:4411\"\ntenant = \"a\"\n");
  ASSERT_EQ(agent_.vaccelctl({"reload"}).status, 0);
  RawClient a(of(agent_, "a"));
  RawClient vm("unix:" + folder + "/v.sock_4411");
  EXPECT_TRUE(a.ask(2, noop()).is_result());
  EXPECT_TRUE(vm.ask(2, noop()).is_result());
  write("");
  ASSERT_EQ(agent_.vaccelctl({"reload"}).status, 0);
  EXPECT_TRUE(vm.is_closed_by_agent()) << "its VM is no longer in the configuration";
  EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(folder + "/v.sock_4411"); }));
  EXPECT_FALSE(std::filesystem::exists(folder + "/a.sock"));
  EXPECT_TRUE(a.ask(3, noop()).is_result()) << "whoever is connected stays";
}

TEST_F(Reload, SaysWhatNeedsANewAgent) {
  std::string text = original_;
  text.replace(text.find("[worker]\n"), 9, "[worker]\ncount = 2\n");
  write_file(file_, text);
  const Ended reloaded = agent_.vaccelctl({"reload"});
  EXPECT_EQ(reloaded.status, 0) << reloaded.log;
  EXPECT_NE(reloaded.log.find("[worker] takes effect when the agent is started again"), std::string::npos)
      << reloaded.log;
}

// ---- VMs that nobody attaches

UniqueFd make_vmm_socket(const std::filesystem::path& path) {
  std::filesystem::create_directories(path.parent_path());
  UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.string().copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return fd;
}

TEST(WatchedVms, ComeAndGoWithTheirSockets) {
  const AgentProcess agent({.more = "[[watch]]\npattern = \"FOLDER/fc/{tenant}/{vm}/root/v.sock\"\n"
                                    "[[tenant]]\nname = \"acme\"\nmax_sessions = 1\n"});
  const auto socket = agent.folder() / "fc/acme/one/root/v.sock";
  const auto vmm = make_vmm_socket(socket);
  const std::string ours = socket.string() + "_4411";
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(ours); }));
  {
    RawClient guest("unix:" + ours);
    EXPECT_TRUE(guest.ask(2, noop()).is_result());
    RawClient second("unix:" + ours, RawClient::Greet::kNo);
    expect_refused(*second.receive(), VACCEL_RESOURCE_EXHAUSTED, "tenant 'acme'");
    const Ended list = agent.vaccelctl({"vm", "list"});
    EXPECT_NE(list.log.find("acme.one"), std::string::npos) << list.log;
    std::filesystem::remove(socket);
    EXPECT_TRUE(guest.is_closed_by_agent());
  }
  EXPECT_TRUE(eventually([&] {
    return agent.vaccelctl({"vm", "list"}).log.find("acme.one") == std::string::npos;
  }));
  EXPECT_FALSE(std::filesystem::exists(ours));
}

}  // namespace
}  // namespace vaccel::integration
