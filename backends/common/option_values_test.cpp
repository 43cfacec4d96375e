// SPDX-License-Identifier: Apache-2.0
#include "option_values.h"

#include <gtest/gtest.h>

#include "failure.h"

namespace vaccel::backends {
namespace {

// What `parse` makes of a value, as text, or the sentence with which it is refused.
template <typename Parse>
std::string outcome(const char* key, const char* value, Parse parse) {
  try {
    return parse(vaccel_backend_option{key, value, "vaccel.toml:3:1"});
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.status, VACCEL_INVALID_ARGUMENT);
    return failure.sentence;
  }
}

TEST(OptionValues, IntegersAreWholeAndInRange) {
  const auto integer = [](const char* value) {
    return outcome("threads", value,
                   [](const auto& option) { return std::to_string(parse_integer(option, -2, 8)); });
  };
  EXPECT_EQ(integer("8"), "8");
  EXPECT_EQ(integer("-2"), "-2");
  for (const char* value : {"", "9", "-3", "1.5", "2 ", " 2", "+2", "0x2", "two", "99999999999999999999"}) {
    EXPECT_EQ(integer(value),
              std::string("vaccel.toml:3:1: 'threads' is ") + value + "; it must be an integer, -2 to 8");
  }
}

TEST(OptionValues, BooleansAreTwoWords) {
  const auto boolean = [](const char* value) {
    return outcome("fast", value,
                   [](const auto& option) { return std::string(parse_boolean(option) ? "yes" : "no"); });
  };
  EXPECT_EQ(boolean("true"), "yes");
  EXPECT_EQ(boolean("false"), "no");
  for (const char* value : {"", "1", "True", "true "})
    EXPECT_EQ(boolean(value),
              std::string("vaccel.toml:3:1: 'fast' is ") + value + "; it must be true or false");
}

TEST(OptionValues, BytesMayBeMany) {
  const auto bytes = [](const char* value) {
    return outcome("limit", value,
                   [](const auto& option) { return std::to_string(parse_bytes(option, 4096)); });
  };
  EXPECT_EQ(bytes("4096"), "4096");
  EXPECT_EQ(bytes("18446744073709551615"), "18446744073709551615");
  for (const char* value : {"", "4095", "-1", "1e9", "18446744073709551616"}) {
    EXPECT_EQ(bytes(value), std::string("vaccel.toml:3:1: 'limit' is ") + value +
                                "; it must be a number of bytes, at least 4096");
  }
}

TEST(OptionValues, KeysOfElementsHaveAnIndexAndAName) {
  const auto element = [](const char* key) {
    return outcome(key, "x", [](const auto& option) {
      const auto [index, name] = parse_element_key(option, "providers", 16, "name");
      return std::to_string(index) + " " + name;
    });
  };
  EXPECT_EQ(element("providers.0.device_id"), "0 device_id");
  EXPECT_EQ(element("providers.15.a.b"), "15 a.b");
  for (const char* key :
       {"providers.16.name", "providers.0", "providers.0.", "providers.", "providers.x.name",
        "providers.-1.name", "providers.99999999999999999999.name", "providers.0name"}) {
    EXPECT_EQ(element(key),
              "vaccel.toml:3:1: 'providers' must be an array of at most 16 tables: [{ name = \"...\" }]")
        << key;
  }
}

TEST(OptionValues, UnknownOptionsAreToldThoseThatThereAre) {
  EXPECT_EQ(outcome("treads", "1",
                    [](const auto& option) -> std::string { refuse_unknown(option, "library, threads"); }),
            "vaccel.toml:3:1: unknown option 'treads'; there are: library, threads");
}

}  // namespace
}  // namespace vaccel::backends
