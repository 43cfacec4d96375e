// SPDX-License-Identifier: Apache-2.0
#include "agent/tenant.h"

#include <gtest/gtest.h>

namespace vaccel::agent {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

std::shared_ptr<Tenant> tenant_with(TenantSettings settings) {
  return std::make_shared<Tenant>("acme", std::move(settings));
}

TEST(Tenant, EveryResourceHasItsLimit) {
  for (size_t index = 0; index < kResourceCount; ++index) {
    const auto resource = static_cast<Resource>(index);
    TenantSettings settings;
    settings.limits[index] = 5;
    const auto tenant = tenant_with(settings);
    auto four = tenant->take(resource, 4);
    ASSERT_TRUE(four) << key_of(resource);
    EXPECT_FALSE(tenant->take(resource, 2)) << key_of(resource);
    EXPECT_FALSE(tenant->take(resource, UINT64_MAX)) << key_of(resource);
    auto fifth = tenant->take(resource, 1);
    ASSERT_TRUE(fifth) << key_of(resource);
    const auto over = tenant->take(resource, 1);
    ASSERT_FALSE(over) << key_of(resource);
    EXPECT_EQ(over.error().code(), VACCEL_RESOURCE_EXHAUSTED);
    EXPECT_NE(over.error().message().find("tenant 'acme' has 5 "), std::string::npos)
        << over.error().message();
    EXPECT_NE(over.error().message().find("limit of 5"), std::string::npos) << over.error().message();
    *four = Taken();
    EXPECT_EQ(tenant->taken(resource), 1u);
    EXPECT_TRUE(tenant->in_use());
    fifth->give_back();
    fifth->give_back();  // once
    EXPECT_EQ(tenant->taken(resource), 0u);
    EXPECT_FALSE(tenant->in_use());
  }
}

TEST(Tenant, WhatIsTakenMovesAndOutlivesEverything) {
  auto tenant = tenant_with({});
  Taken kept = *tenant->take(Resource::kSessions, 3);
  Taken moved = std::move(kept);
  EXPECT_EQ(kept.amount(), 0u);  // NOLINT(bugprone-use-after-move): that it is empty is what is tested
  EXPECT_EQ(tenant->taken(Resource::kSessions), 3u);
  moved = *tenant->take(Resource::kSessions, 1);
  EXPECT_EQ(tenant->taken(Resource::kSessions), 1u);
  tenant.reset();
  moved.give_back();
}

TEST(Tenant, ALowerLimitHoldsForWhatComes) {
  const auto tenant = tenant_with({});
  Taken taken = *tenant->take(Resource::kCalls, 10);
  TenantSettings fewer;
  fewer.limits[static_cast<size_t>(Resource::kCalls)] = 2;
  tenant->set(fewer);
  EXPECT_FALSE(tenant->take(Resource::kCalls));
  taken.give_back();
  EXPECT_TRUE(tenant->take(Resource::kCalls, 2));
}

TEST(Tenant, CallsPerSecondWithABurst) {
  TenantSettings settings;
  settings.calls_per_second = 10;
  settings.burst = 3;
  const auto tenant = tenant_with(settings);
  for (int call = 0; call < 3; ++call)
    EXPECT_TRUE(tenant->count_call(kSecond).ok()) << call;
  const Status over = tenant->count_call(kSecond);
  EXPECT_EQ(over.code(), VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_EQ(over.retry_after_us(), 100'000u);
  EXPECT_FALSE(tenant->count_call(kSecond + kSecond / 20).ok());
  EXPECT_TRUE(tenant->count_call(kSecond + kSecond / 10 + 1).ok()) << "when it was told to";
  int taken = 0;
  for (int64_t now = 10 * kSecond; now < 20 * kSecond; now += kSecond / 100)
    taken += tenant->count_call(now).ok() ? 1 : 0;
  EXPECT_GE(taken, 100);
  EXPECT_LE(taken, 103);
}

TEST(Tenant, NoRateIsNoLimit) {
  const auto tenant = tenant_with({});
  for (int call = 0; call < 10'000; ++call)
    ASSERT_TRUE(tenant->count_call(kSecond).ok());
}

TEST(Tenant, SaysWhenToTryAgain) {
  TenantSettings settings;
  settings.limits[static_cast<size_t>(Resource::kCalls)] = 2;
  const auto tenant = tenant_with(settings);
  tenant->call_took(8'000'000);
  const Taken both = *tenant->take(Resource::kCalls, 2);
  EXPECT_EQ(tenant->take(Resource::kCalls).error().retry_after_us(), 4000u);
}

TenantTables tables_of(const std::string& toml) {
  auto document = runtime::TomlDocument::parse(toml, "vaccel.toml");
  EXPECT_TRUE(document) << document.error().message();
  runtime::TomlTable root = document->root();
  TenantTables tables = read_tenants(root);
  const Status status = document->finish();
  EXPECT_TRUE(status.ok()) << status.message();
  return tables;
}

std::string problem_of(const std::string& toml) {
  auto document = runtime::TomlDocument::parse(toml, "vaccel.toml");
  EXPECT_TRUE(document) << document.error().message();
  runtime::TomlTable root = document->root();
  (void)read_tenants(root);
  return document->finish().message();
}

TEST(TenantSettings, AreReadOverWhatHoldsForAll) {
  const TenantTables tables = tables_of(R"(
[tenants]
unknown = "refuse"
weight = 3
max_sessions = 7
[[tenant]]
name = "acme"
weight = 5
max_device_bytes = "2M"
calls_per_second = 2.5
models = ["mobilenet", "ssd-*"]
operators = []
uids = [1000, 1001]
listen = ["unix:/run/acme.sock"]
[[tenant]]
name = "other"
)");
  EXPECT_TRUE(tables.refuse_unknown);
  ASSERT_EQ(tables.tenants.size(), 2u);
  const TenantConfig& acme = tables.tenants[0];
  EXPECT_EQ(acme.settings.weight, 5u);
  EXPECT_EQ(acme.settings.limit(Resource::kSessions), 7u);
  EXPECT_EQ(acme.settings.limit(Resource::kDeviceBytes), uint64_t{2} << 20);
  EXPECT_EQ(acme.settings.burst_calls(), 2.5);
  EXPECT_TRUE(acme.settings.models.allows("mobilenet"));
  EXPECT_TRUE(acme.settings.models.allows("ssd-anything"));
  EXPECT_FALSE(acme.settings.models.allows("mobilenet-2"));
  EXPECT_FALSE(acme.settings.operators.allows("gemm"));
  EXPECT_TRUE(acme.settings.backends.allows("whatever"));
  EXPECT_EQ(acme.uids, (std::vector<uid_t>{1000, 1001}));
  ASSERT_EQ(acme.listen.size(), 1u);
  EXPECT_EQ(tables.tenants[1].settings.weight, 3u);
}

TEST(Permission, StarsStandForAnything) {
  const auto allows = [](const char* pattern, const std::string& name) {
    return Permission{std::vector<std::string>{pattern}}.allows(name);
  };
  EXPECT_TRUE(allows("a", "a"));
  EXPECT_FALSE(allows("a", "ab"));
  EXPECT_FALSE(allows("a", ""));
  EXPECT_TRUE(allows("*", ""));
  EXPECT_TRUE(allows("**", "abc"));
  EXPECT_TRUE(allows("a*", "a"));
  EXPECT_TRUE(allows("a*c", "abcbc"));
  EXPECT_FALSE(allows("a*c", "abcb"));
  EXPECT_TRUE(allows("*b*d*", "abcde"));
  EXPECT_FALSE(allows("*d*b*", "abcde"));
  EXPECT_FALSE(allows("a?c", "abc")) << "nothing else stands for anything";
  EXPECT_FALSE(allows("[ab]", "a"));
  EXPECT_FALSE(allows("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", std::string(255, 'a'))) << "and it ends soon";
  EXPECT_FALSE(Permission{std::vector<std::string>{}}.allows("a"));
  EXPECT_TRUE(Permission{}.allows("a"));
}

TEST(TenantSettings, MistakesHaveLineAndColumn) {
  const std::pair<const char*, const char*> cases[] = {
      {"[[tenant]]\nname = \"a\"\nweight = 0\n", "vaccel.toml:3:10"},
      {"[[tenant]]\nname = \"a\"\nweight = 10001\n", "vaccel.toml:3:10"},
      {"[[tenant]]\nname = \"a\"\nwieght = 1\n", "vaccel.toml:3:1: unknown key 'wieght'"},
      {"[[tenant]]\nname = \"a b\"\n", "vaccel.toml:2:8"},
      {"[[tenant]]\nname = \"a\"\n[[tenant]]\nname = \"a\"\n", "vaccel.toml:4:8"},
      {"[[tenant]]\nname = \"a\"\nuids = [1]\n[[tenant]]\nname = \"b\"\nuids = [1]\n", "vaccel.toml:6:8"},
      {"[[tenant]]\nname = \"a\"\ncalls_per_second = -1\n", "vaccel.toml:3:20"},
      {"[[tenant]]\nname = \"a\"\nmodels = [\"\"]\n", "vaccel.toml:3:10"},
      {"[[tenant]]\nname = \"a\"\nlisten = [\"vsock:any:1\"]\n", "vaccel.toml:3:10"},
      {"[[tenant]]\nname = \"a\"\nlisten = [\"unix:/a\"]\n[[tenant]]\nname = \"b\"\nlisten = [\"unix:/a\"]\n",
       "vaccel.toml:6:10"},
      {"[tenants]\nunknown = \"perhaps\"\n", "vaccel.toml:2:11"},
      {"[[tenant]]\nweight = 1\n", "name"},
  };
  for (const auto& [toml, expected] : cases)
    EXPECT_NE(problem_of(toml).find(expected), std::string::npos) << toml << problem_of(toml);
}

TEST(TenantSettings, AsTomlAreReadAgainAsTheyWere) {
  TenantSettings settings;
  settings.weight = 9;
  settings.limits = {1, 2, 3, 4, 5, 6, 7, 8};
  settings.calls_per_second = 0.1;
  settings.burst = 4;
  settings.max_upload_bytes = 1 << 20;
  settings.max_upload_models = 0;
  settings.models.patterns = {"a", "b-*", "with \"quotes\" and \\"};
  settings.backends.patterns.emplace();
  auto document = runtime::TomlDocument::parse(toml_of(settings), "x");
  ASSERT_TRUE(document) << document.error().message();
  TenantSettings read;
  runtime::TomlTable root = document->root();
  read_tenant_settings(root, read);
  EXPECT_TRUE(document->finish().ok()) << document->finish().message();
  EXPECT_EQ(read, settings);
}

TEST(Tenants, AreKnownByNameAndUid) {
  Tenants tenants;
  tenants.apply(tables_of("[[tenant]]\nname = \"acme\"\nuids = [7]\nweight = 2\n"));
  EXPECT_EQ((*tenants.of_uid(7))->name(), "acme");
  EXPECT_EQ((*tenants.of_uid(8))->name(), "default");
  EXPECT_EQ((*tenants.of_uid(std::nullopt))->name(), "default");
  EXPECT_EQ((*tenants.of_name("fresh"))->settings().weight, 1u);
}

TEST(Tenants, StrangersCanBeRefused) {
  Tenants tenants;
  tenants.apply(tables_of("[tenants]\nunknown = \"refuse\"\n[[tenant]]\nname = \"acme\"\nuids = [7]\n"));
  EXPECT_TRUE(tenants.of_uid(7));
  EXPECT_EQ(tenants.of_uid(8).error().code(), VACCEL_PERMISSION_DENIED);
  EXPECT_EQ(tenants.of_name("fresh").error().code(), VACCEL_PERMISSION_DENIED);
}

TEST(Tenants, AReloadChangesThemWhereTheyStand) {
  Tenants tenants;
  tenants.apply(
      tables_of("[[tenant]]\nname = \"acme\"\nweight = 2\n[[tenant]]\nname = \"gone\"\nweight = 8\n"));
  const auto acme = *tenants.of_name("acme");
  const auto gone = *tenants.of_name("gone");
  const Taken open = *acme->take(Resource::kSessions);
  tenants.apply(tables_of("[tenants]\nweight = 5\n[[tenant]]\nname = \"acme\"\nweight = 3\n"));
  EXPECT_EQ(acme->settings().weight, 3u);
  EXPECT_EQ(acme->taken(Resource::kSessions), 1u);
  EXPECT_EQ(gone->settings().weight, 5u) << "what holds for all";
}

TEST(Tenants, AreSetAndRemovedAtRunTime) {
  Tenants tenants;
  EXPECT_TRUE(tenants.set("acme", "weight = 4\nmodels = [\"x\"]\n").ok());
  const auto acme = *tenants.find("acme");
  EXPECT_EQ(acme->settings().weight, 4u);
  EXPECT_TRUE(tenants.set("acme", "burst = 2").ok());
  EXPECT_EQ(acme->settings().weight, 4u) << "what is not named stays";
  const Status mistake = tenants.set("acme", "weight = 4\nburst = -1");
  EXPECT_NE(mistake.message().find("settings:2:9"), std::string::npos) << mistake.message();
  EXPECT_EQ(acme->settings().burst, 2u);
  EXPECT_EQ(tenants.set("a/b", "").code(), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(tenants.set("new", "name = \"x\"").code(), VACCEL_INVALID_ARGUMENT);
  EXPECT_FALSE(tenants.find("new"));
  EXPECT_TRUE(tenants.remove("acme").ok());
  EXPECT_EQ(acme->settings().weight, 1u);
  EXPECT_EQ(tenants.remove("acme").code(), VACCEL_NOT_FOUND);
}

TEST(Tenants, ManyThatHaveGoneAreForgotten) {
  Tenants tenants;
  for (int number = 0; number < 10'000; ++number)
    ASSERT_TRUE(tenants.of_name("vm-" + std::to_string(number)));
  EXPECT_LT(tenants.all().size(), 200u);
}

TEST(Tenants, WhatOneHasDoneIsToldUntilThereAreMany) {
  Tenants tenants;
  (*tenants.of_name("busy"))->totals().ended(VACCEL_OK);
  tenants.forget_if_unused("busy");
  ASSERT_TRUE(tenants.find("busy"));
  EXPECT_EQ((*tenants.of_name("busy"))->totals().calls, 1u);
  for (int number = 0; number < 10'000; ++number) {
    const std::string name = "vm-" + std::to_string(number);
    ASSERT_TRUE(tenants.of_name(name));
    (*tenants.of_name(name))->totals().ended(VACCEL_OK);
    tenants.forget_if_unused(name);
  }
  EXPECT_LT(tenants.all().size(), 200u);
  EXPECT_FALSE(tenants.find("busy"));
  ASSERT_TRUE(tenants.set("removed", "weight = 2").ok());
  (*tenants.of_name("removed"))->totals().ended(VACCEL_OK);
  ASSERT_TRUE(tenants.remove("removed").ok());
  EXPECT_FALSE(tenants.find("removed"));
}

TEST(Tenants, OneOfWhichNothingWasSaidIsForgottenWhenItIsGone) {
  Tenants tenants;
  {
    auto passing = *tenants.of_name("passing");
    Taken open = *passing->take(Resource::kSessions);
    tenants.forget_if_unused("passing");
    EXPECT_TRUE(tenants.find("passing"));
  }
  tenants.forget_if_unused("passing");
  EXPECT_FALSE(tenants.find("passing"));
  EXPECT_TRUE(tenants.set("named", "weight = 2").ok());
  tenants.forget_if_unused("named");
  EXPECT_TRUE(tenants.find("named"));
}

}  // namespace
}  // namespace vaccel::agent
