// SPDX-License-Identifier: Apache-2.0
//
// Makes TorchScript archives for tests, with LibTorch itself. The only file of the tests that is compiled with LibTorch's
// headers is torch_testing.cpp.
#pragma once

#include <string>

namespace vaccel::torch_backend::testing {

/// The archive of a module whose methods are `source`, in TorchScript.
std::string scripted(const std::string& source);

/// The same with a float32 buffer `weight` of `count` ones; the archive claims that it has `claimed` of them, which are
/// either `count` or, with more than 65,535 of both, another number.
std::string with_weight(const std::string& source, int count, int claimed);

/// The archive with each `from` in its code replaced by `to`, which must be as long.
std::string with_code(const std::string& archive, const std::string& from, const std::string& to);

}  // namespace vaccel::torch_backend::testing
