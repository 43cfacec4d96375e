// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccelctl/arguments.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

namespace vaccel::ctl {
namespace {

Result<std::variant<Arguments, HelpText>> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "vaccelctl");
  return parse_arguments(static_cast<int>(words.size()), words.data());
}

template <typename Command>
Command command_of(std::vector<const char*> words) {
  const auto parsed = parse(std::move(words));
  if (!parsed) {
    ADD_FAILURE() << parsed.error().message();
    return {};
  }
  return std::get<Command>(std::get<Arguments>(*parsed).command);
}

TEST(CtlArguments, EveryCommandIsRead) {
  const auto create =
      command_of<CreateWindowArguments>({"window", "create", "w", "--size", "512M", "--force"});
  EXPECT_EQ(create.path, "w");
  EXPECT_EQ(create.bytes, uint64_t{512} << 20);
  EXPECT_TRUE(create.force);
  EXPECT_EQ(command_of<ShowWindowArguments>({"window", "show", "w"}).path, "w");

  const wire::AttachVm file =
      command_of<AttachArguments>({"vm", "attach", "a", "--socket", "/run/v.sock:7", "--window", "/dev/shm/w",
                                   "--prefault", "--tenant", "t"})
          .vm;
  EXPECT_EQ(file.name, "a");
  EXPECT_EQ(file.listen, "hvsock:/run/v.sock:7");
  EXPECT_EQ(file.cid, 0u);
  EXPECT_EQ(file.window, "/dev/shm/w");
  EXPECT_EQ(file.memory_bytes, 0u);
  EXPECT_TRUE(file.prefault);
  EXPECT_EQ(file.tenant, "t");
  const wire::AttachVm memory =
      command_of<AttachArguments>({"vm", "attach", "b", "--cid", "7", "--memory", "4M"}).vm;
  EXPECT_EQ(memory.cid, 7u);
  EXPECT_EQ(memory.listen, "");
  EXPECT_EQ(memory.memory_bytes, uint64_t{4} << 20);
  EXPECT_FALSE(memory.prefault);

  EXPECT_EQ(command_of<DetachArguments>({"vm", "detach", "a"}).name, "a");
  command_of<ListVmsArguments>({"vm", "list"});
  command_of<StatusArguments>({"status"});
  const TopArguments top = command_of<TopArguments>({"top", "--interval", "0.5", "--once"});
  EXPECT_EQ(top.interval_seconds, 0.5);
  EXPECT_TRUE(top.once);
  EXPECT_FALSE(command_of<TopArguments>({"top"}).once);
}

TEST(CtlArguments, CommonOptionsStandAnywhere) {
  for (const auto& words : std::vector<std::vector<const char*>>{
           {"--control", "/c", "--json", "vm", "list"}, {"vm", "--json", "list", "--control", "/c"}}) {
    const auto parsed = parse(words);
    ASSERT_TRUE(parsed.has_value()) << parsed.error().message();
    EXPECT_EQ(std::get<Arguments>(*parsed).common.control, "/c");
    EXPECT_TRUE(std::get<Arguments>(*parsed).common.json);
  }
  EXPECT_EQ(std::get<Arguments>(*parse({"status"})).common.control, "/run/vaccel/control.sock");
}

TEST(CtlArguments, RelativePathsAreTheCallersOwn) {
  const std::string here = std::filesystem::current_path();
  const wire::AttachVm vm =
      command_of<AttachArguments>({"vm", "attach", "a", "--socket", "v.sock", "--window", "./w"}).vm;
  EXPECT_EQ(vm.listen, "hvsock:" + here + "/v.sock:4411");
  EXPECT_EQ(vm.window, here + "/w");
}

TEST(CtlArguments, AColonInAPathIsNoPort) {
  EXPECT_EQ(parse_hybrid_socket("/run/a:b").value(), "hvsock:/run/a:b:4411");
  EXPECT_EQ(parse_hybrid_socket("/run/a:5:6").value(), "hvsock:/run/a:5:6");
  EXPECT_EQ(parse_hybrid_socket("/run/a:").value(), "hvsock:/run/a::4411");
  EXPECT_FALSE(parse_hybrid_socket(":5").has_value());
  EXPECT_FALSE(parse_hybrid_socket("/run/a:99999999999").has_value());
  EXPECT_FALSE(parse_hybrid_socket("/" + std::string(200, 'x')).has_value());
}

struct Mistake {
  std::vector<const char*> words;
  const char* says;
};

TEST(CtlArguments, MistakesAreToldWithTheHelp) {
  for (const Mistake& mistake :
       {Mistake{{}, "which command?"}, Mistake{{"windw"}, "there is no command 'windw'"},
        Mistake{{"window"}, "which command?"}, Mistake{{"window", "mak"}, "there is no command 'window mak'"},
        Mistake{{"window", "create", "w"}, "--size"}, Mistake{{"window", "create", "--size", "4M"}, "PATH"},
        Mistake{{"window", "create", "w", "--size", "much"}, "not a size"},
        Mistake{{"window", "show", "w", "--sizes"}, "there is no option --sizes"},
        Mistake{{"vm", "attach", "a"}, "either --socket or --cid"},
        Mistake{{"vm", "attach", "a", "--socket", "s", "--cid", "3"}, "excludes"},
        Mistake{{"vm", "attach", "a", "--cid", "0"}, "--cid"},
        Mistake{{"vm", "attach", "a", "--cid", "3", "--window", "w", "--memory", "4M"}, "excludes"},
        Mistake{{"vm", "attach", "a", "--cid", "3", "--prefault"}, "--prefault"},
        Mistake{{"vm", "detach"}, "NAME"}, Mistake{{"--jsn", "status"}, "there is no option --jsn"}}) {
    const auto parsed = parse(mistake.words);
    ASSERT_FALSE(parsed.has_value()) << mistake.says;
    EXPECT_EQ(parsed.error().code(), VACCEL_INVALID_ARGUMENT);
    EXPECT_NE(parsed.error().message().find(mistake.says), std::string::npos) << parsed.error().message();
    EXPECT_NE(parsed.error().message().find("--help)"), std::string::npos) << parsed.error().message();
  }
}

TEST(CtlArguments, HelpIsText) {
  for (const auto& words : std::vector<std::vector<const char*>>{
           {"--help"}, {"vm", "--help"}, {"vm", "attach", "--help"}, {"--version"}}) {
    const auto parsed = parse(words);
    ASSERT_TRUE(parsed.has_value()) << parsed.error().message();
    EXPECT_TRUE(std::holds_alternative<HelpText>(*parsed));
  }
}

}  // namespace
}  // namespace vaccel::ctl
