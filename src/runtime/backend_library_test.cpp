// SPDX-License-Identifier: Apache-2.0
//
// The loader on backends that are wrong in one way each; odd_backend_for_tests.cpp makes them.
#include "runtime/backend_library.h"

#include "runtime/runtime_testing.h"

namespace vaccel::runtime {
namespace {

struct Odd {
  const char* name;
  std::string problem;
};

TEST(BackendLibrary, RefusesWhatIsOddWithItsReason) {
  const std::string folder = VACCEL_ODD_BACKENDS;
  const std::string size = std::to_string(sizeof(vaccel_backend));
  const std::string ours =
      " bytes); this runtime has version " + std::to_string(VACCEL_BACKEND_ABI) + ", of " + size + " bytes";
  const Odd cases[] = {
      {"odd0", ""},
      {"odd1", "it was built for another version of the backend interface (" +
                   std::to_string(VACCEL_BACKEND_ABI + 1) + ", a table of " + size + ours},
      {"odd2", "it was built for another version of the backend interface (" +
                   std::to_string(VACCEL_BACKEND_ABI) + ", a table of 24" + ours},
      {"odd3", "its table has score, but not all of the functions for models"},
      {"odd4", "backend 'odd4' failed with UNAVAILABLE (7) and did not say why"},
      {"odd5", "backend 'odd5' made no instance"},
      {"odd6", "its operator 0 lacks a name of the form \"vendor.name\" or its function"},
      {"odd7", folder + "/libvaccel-backend-odd7.so exports no vaccel_backend_entry"},
      {"odd8", "its entry returns no table"},
  };
  for (const Odd& odd : cases) {
    const LogFunction log;
    const auto backend =
        BackendLibrary::load(folder + "/libvaccel-backend-" + odd.name + ".so", odd.name, {}, log);
    EXPECT_EQ(backend ? "" : backend.error().message(), odd.problem) << odd.name;
  }
}

TEST(BackendLibrary, AStatusThatIsNoneIsInternal) {
  RuntimeConfig config;
  config.backend_directory = VACCEL_ODD_BACKENDS;
  config.backends = {"odd0"};
  const auto runtime = Runtime::create(std::move(config));
  ASSERT_TRUE(runtime);
  testing::TestCall call("odd.unexplained");
  EXPECT_EQ(call.run(**runtime), VACCEL_INTERNAL);
  EXPECT_EQ(call.sentence, "backend 'odd0' failed with UNKNOWN (15) and did not say why");
}

// odd0 leaves a letter in each window that it hears of; odd9 has the functions behind the end of its table.
TEST(BackendLibrary, HearsOfWindows) {
  std::vector<std::string> lines;
  RuntimeConfig config;
  config.backend_directory = VACCEL_ODD_BACKENDS;
  config.log = [&lines](int, const std::string& line) { lines.push_back(line); };
  for (const char* name : {"odd0", "odd9"}) {
    config.backends = {name};
    const auto runtime = Runtime::create(config);
    ASSERT_TRUE(runtime) << runtime.error().message();
    std::vector<std::byte> window(2);
    std::vector<std::byte> odd(3);
    const auto mark = [](const std::vector<std::byte>& memory) { return static_cast<char>(memory[0]); };
    const bool hears = std::string(name) == "odd0";
    (*runtime)->drop_window(window);  // which nobody has imported
    EXPECT_EQ(mark(window), '\0');
    (*runtime)->import_window(window);
    EXPECT_EQ(mark(window), hears ? 'i' : '\0');
    (*runtime)->import_window(odd);
    (*runtime)->drop_window(odd);
    EXPECT_EQ(mark(odd), '\0');
    (*runtime)->drop_window(window);
    EXPECT_EQ(mark(window), hears ? 'd' : '\0');
  }
  EXPECT_EQ(lines, std::vector<std::string>{"odd0: a window is used without preparation: an odd window"});
}

// As above: what lies behind the end of a table is never called.
TEST(BackendLibrary, AsksForQuantisationWhereTheTableHasIt) {
  const std::string folder = VACCEL_ODD_BACKENDS;
  const LogFunction log;
  for (const char* name : {"odd0", "odd9"}) {
    const auto backend = BackendLibrary::load(folder + "/libvaccel-backend-" + name + ".so", name, {}, log);
    ASSERT_TRUE(backend) << backend.error().message();
    const ModelQuantisation known = (*backend)->quantisation(nullptr);
    EXPECT_EQ(known.outputs, nullptr);
    ASSERT_EQ(known.inputs != nullptr, std::string(name) == "odd0");
    if (known.inputs != nullptr) {
      EXPECT_EQ(known.inputs->zero_point, 7);
    }
  }
}

}  // namespace
}  // namespace vaccel::runtime
