// SPDX-License-Identifier: Apache-2.0
//
// A C++ program against the installed library; it does what program.c does.
#include <cstdio>
#include <vaccel/vaccel.hpp>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    const vaccel::Session session(argv[1]);
    const std::vector<float> values{1, 2, 3};
    const auto outputs = session.call("reference.echo", "", {}, {vaccel::tensor("x", values)},
                                      {.timeout = std::chrono::seconds(10), .backend = {}, .outputs = {}});
    std::printf("%s %g\n", std::string(outputs[0].name()).c_str(),
                static_cast<double>(outputs["x"].as<float>()[2]));
  } catch (const vaccel::Error& error) {
    std::printf("%s: %s\n", error.code_name(), error.what());
    return 1;
  }
}
