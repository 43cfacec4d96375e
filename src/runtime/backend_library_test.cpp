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
  const Odd cases[] = {
      {"odd0", ""},
      {"odd1", "it was built for another version of the backend interface (2, a table of " + size +
                   " bytes); this runtime has version 1, of " + size + " bytes"},
      {"odd2",
       "it was built for another version of the backend interface (1, a table of 24 bytes); this runtime has "
       "version 1, "
       "of " +
           size + " bytes"},
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

}  // namespace
}  // namespace vaccel::runtime
