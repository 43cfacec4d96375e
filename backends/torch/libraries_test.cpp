// SPDX-License-Identifier: Apache-2.0
//
// What is said where LibTorch is another one than the backend was built with. A program of its own, since torch_test is
// linked to the right one.
#include "../common/model_source_testing.h"
#include "../common/other_library_testing.h"

namespace vaccel::torch_backend {
namespace {

// The backend itself needs little of LibTorch and is loaded; its engine is, or is not, with the first model.
TEST(TorchLibraries, OfAnotherVersionAreTheReason) {
  const char* kBackend = "libvaccel-backend-torch.so";
  const auto backend = runtime::testing::backend_folder() / kBackend;
  if (!std::filesystem::exists(backend)) GTEST_SKIP() << "skipped: no " << backend;
  const backend_testing::FolderWithOtherLibrary folder({"libvaccel-torch.so", kBackend}, "libc10.so");
  const backend_testing::ModelOpener opener("torch", "torchscript", {}, folder.path());
  const std::string outcome = opener.from_memory("any");
  EXPECT_TRUE(outcome.starts_with("UNAVAILABLE: cannot load LibTorch: ")) << outcome;
  EXPECT_NE(outcome.find("undefined symbol: "), std::string::npos) << outcome;
}

// Where there is no LibTorch at all, the loader says so at once, and nobody waits for a model to hear it.
TEST(TorchLibraries, AreNeededByTheBackendItself) {
  const auto backend = runtime::testing::backend_folder() / "libvaccel-backend-torch.so";
  if (!std::filesystem::exists(backend)) GTEST_SKIP() << "skipped: no " << backend;
  EXPECT_NE(runtime::testing::read_text(backend).find("libc10.so"), std::string::npos);
}

}  // namespace
}  // namespace vaccel::torch_backend
