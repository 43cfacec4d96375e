// SPDX-License-Identifier: Apache-2.0
//
// For tests of backends: models opened through a backend's table, from a file and from memory. The runtime reads files
// itself, so this is the only way on which a backend gets a path.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "runtime/backend_library.h"
#include "runtime/runtime_testing.h"

namespace vaccel::backend_testing {

class ModelOpener {
 public:
  ModelOpener(const std::string& backend, const char* format,
              const std::vector<runtime::BackendOption>& options = {},
              const std::filesystem::path& folder = runtime::testing::backend_folder())
      : backend_(backend), format_(format) {
    auto loaded = runtime::BackendLibrary::load(folder / ("libvaccel-backend-" + backend + ".so"), backend,
                                                options, log_);
    if (loaded)
      library_ = std::move(*loaded);
    else
      ADD_FAILURE() << loaded.error().message();
  }

  /// "" when the model can be opened, else "STATUS: sentence".
  [[nodiscard]] std::string from_file(const std::filesystem::path& file) const {
    vaccel_backend_model_source source{};
    source.path = file.c_str();
    return open(source);
  }
  [[nodiscard]] std::string from_memory(const std::string& bytes) const {
    vaccel_backend_model_source source{};
    source.data = bytes.data();
    source.data_size = bytes.size();
    return open(source);
  }

 private:
  [[nodiscard]] std::string open(vaccel_backend_model_source source) const {
    source.size = sizeof source;
    source.name = "m";
    source.format = format_;
    runtime::BackendFailure failure;
    const vaccel_backend_error error = failure.sink();
    vaccel_backend_model* model = nullptr;
    const vaccel_status status = library_->table().model_open(library_->instance(), &source, &error, &model);
    if (status == VACCEL_OK) library_->table().model_close(model);
    const Status told = failure.outcome(status, backend_.c_str());
    return told.ok() ? "" : std::string(status_name(told.code())) + ": " + told.message();
  }

  std::string backend_;
  const char* format_;
  runtime::LogFunction log_ = [](int, const std::string&) {};
  std::unique_ptr<runtime::BackendLibrary> library_;
};

/// A folder with a model, and files of weights in it and outside of it, for models that name them; the current folder is
/// the model's as long as this lives, for frameworks that would look there.
class FolderWithWeights {
 public:
  explicit FolderWithWeights(const std::string& weights) : before_(std::filesystem::current_path()) {
    std::filesystem::create_directory(models());
    for (const auto& file : {models() / "inside.bin", outside()})
      runtime::testing::write_text(file, weights);
    std::filesystem::create_symlink(outside(), models() / "link.bin");
    std::filesystem::current_path(models());
  }
  ~FolderWithWeights() { std::filesystem::current_path(before_); }
  FolderWithWeights(const FolderWithWeights&) = delete;
  FolderWithWeights& operator=(const FolderWithWeights&) = delete;

  [[nodiscard]] std::filesystem::path models() const { return folder_.path() / "models"; }
  /// Ways to name the weights, from the models' folder.
  [[nodiscard]] std::vector<std::string> names() const {
    return {"inside.bin", "./inside.bin",     "../outside.bin",
            "link.bin",   outside().string(), (models() / "inside.bin").string()};
  }

 private:
  [[nodiscard]] std::filesystem::path outside() const { return folder_.path() / "outside.bin"; }

  runtime::testing::TemporaryFolder folder_;
  std::filesystem::path before_;
};

}  // namespace vaccel::backend_testing
