// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <thread>

#include "tools/vaccel/commands.h"
#include "tools/vaccel/file.h"
#include "tools/vaccel/json.h"
#include "tools/vaccel/session.h"
#include "tools/vaccel/sha256.h"
#include "tools/vaccel/text.h"

namespace vaccel::tool {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;  // an agent takes up to 4 MiB at a time
constexpr size_t kMostFiles = 16;
constexpr const char* kDescription = "model.toml";

struct ModelFile {
  std::vector<std::byte> bytes;
  std::string sha256;
};
using ModelFiles = std::map<std::string, ModelFile>;  // by name

ModelFile file_of(std::vector<std::byte> bytes) {
  std::string digest = sha256_of(bytes);
  return {std::move(bytes), std::move(digest)};
}

// What a file alone says: it can be run on tensors.
Result<std::string> description_of(const std::string& path, const std::string& file,
                                   const std::string& sha256) {
  const std::string ending = std::filesystem::path(path).extension();
  const char* format = ending == ".onnx"     ? "onnx"
                       : ending == ".tflite" ? "tflite"
                       : ending == ".pt"     ? "torchscript"
                                             : nullptr;
  if (format == nullptr) {
    return fail(
        VACCEL_INVALID_ARGUMENT,
        "%s ends in none of .onnx, .tflite, .pt; give a folder with a model.toml that says what it is",
        path.c_str());
  }
  return "task = \"infer\"\n[model]\nfile = \"" + file + "\"\nformat = \"" + format + "\"\nsha256 = \"" +
         sha256 + "\"\n";
}

Result<ModelFiles> read_folder(const std::string& path) {
  ModelFiles files;
  std::error_code error;
  for (std::filesystem::directory_iterator entries(path, error), end; !error && entries != end;
       entries.increment(error)) {
    const std::string name = entries->path().filename();
    if (name.starts_with('.') || !entries->is_regular_file(error)) continue;
    if (files.size() == kMostFiles)
      return fail(VACCEL_INVALID_ARGUMENT, "%s has more than %zu files", path.c_str(), kMostFiles);
    auto bytes = read_file(entries->path());
    if (!bytes) return Unexpected{bytes.error()};
    files.emplace(name, file_of(std::move(*bytes)));
  }
  if (error) return fail(VACCEL_NOT_FOUND, "cannot read %s: %s", path.c_str(), error.message().c_str());
  if (!files.contains(kDescription))
    return fail(VACCEL_NOT_FOUND, "%s has no model.toml, which says what the model is", path.c_str());
  return files;
}

Result<ModelFiles> read_model(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return read_folder(path);
  auto bytes = read_file(path);
  if (!bytes) return Unexpected{bytes.error()};
  ModelFiles files;
  const std::string name = "model" + std::filesystem::path(path).extension().string();
  ModelFile& model = files.emplace(name, file_of(std::move(*bytes))).first->second;
  const auto text = description_of(path, name, model.sha256);
  if (!text) return Unexpected{text.error()};
  const auto view = std::as_bytes(std::span(*text));
  files.emplace(kDescription, file_of({view.begin(), view.end()}));
  return files;
}

vaccel_attribute text(const char* name, const std::string& value) {
  vaccel_attribute attribute{};
  attribute.name = name;
  attribute.type = VACCEL_ATTRIBUTE_STRING;
  attribute.value.string = value.c_str();
  return attribute;
}

vaccel_attribute integer(const char* name, uint64_t value) {
  vaccel_attribute attribute{};
  attribute.name = name;
  attribute.type = VACCEL_ATTRIBUTE_INT;
  attribute.value.integer = static_cast<int64_t>(value);
  return attribute;
}

// One piece from `offset` on; of no bytes: how much is there. @return how much is there now.
Result<uint64_t> send_piece(Session& session, const ModelFile& file, uint64_t offset, size_t bytes) {
  const vaccel_attribute attributes[] = {text("sha256", file.sha256), integer("bytes", file.bytes.size()),
                                         integer("offset", offset)};
  const auto shape = static_cast<int64_t>(bytes);
  vaccel_tensor piece{};
  piece.name = "data";
  piece.dtype = VACCEL_UINT8;
  piece.bytes = bytes;
  piece.rank = 1;
  piece.shape = &shape;
  piece.data = const_cast<std::byte*>(file.bytes.data() + offset);
  const auto inputs =
      bytes == 0 ? std::span<const vaccel_tensor>{} : std::span<const vaccel_tensor>(&piece, 1);
  auto outputs = session.call("vaccel.upload", nullptr, attributes, inputs);
  // The agent takes so much in a second and no more, and says when to go on.
  for (uint32_t wait_us = vaccel_error_retry_after_us();
       !outputs && outputs.error().code() == VACCEL_RESOURCE_EXHAUSTED && wait_us > 0;
       wait_us = vaccel_error_retry_after_us()) {
    std::this_thread::sleep_for(std::chrono::microseconds(wait_us));
    outputs = session.call("vaccel.upload", nullptr, attributes, inputs);
  }
  if (!outputs) return Unexpected{outputs.error()};
  if ((*outputs)->count != 1 || (*outputs)->tensors[0].dtype != VACCEL_INT64)
    return fail(VACCEL_INTERNAL, "the agent's answer to an upload is none");
  const int64_t have = *static_cast<const int64_t*>((*outputs)->tensors[0].data);
  return static_cast<uint64_t>(std::max<int64_t>(have, 0));
}

// @return how many bytes were sent: none of what the agent had already.
Result<uint64_t> send_file(Session& session, const std::string& name, const ModelFile& file, Output& output) {
  uint64_t sent = 0;
  auto have = send_piece(session, file, 0, 0);
  while (have && *have < file.bytes.size()) {
    const size_t bytes = std::min<size_t>(kPieceBytes, file.bytes.size() - *have);
    const uint64_t before = *have;
    have = send_piece(session, file, before, bytes);
    if (have && *have <= before)
      return fail(VACCEL_UNAVAILABLE, "the agent does not go on with %s", name.c_str());
    sent += bytes;
    if (have && !output.json() && output.is_terminal() && file.bytes.size() > kPieceBytes)
      output.line(name + "  " + std::to_string(*have * 100 / file.bytes.size()) + " %");
  }
  if (!have) return have;
  return sent;
}

}  // namespace

Status run_command(const UploadArguments& arguments, const Context& context) {
  const auto files = read_model(arguments.path);
  if (!files) return files.error();
  auto session = Session::open(context.common, context.interrupt);
  if (!session) return session.error();
  uint64_t sent = 0;
  uint64_t all = 0;
  std::string list;
  for (const auto& [name, file] : *files) {
    const auto bytes = send_file(*session, name, file, context.output);
    if (!bytes) return bytes.error().within(name);
    sent += *bytes;
    all += file.bytes.size();
    list += name + " " + file.sha256 + "\n";
  }
  const vaccel_attribute attributes[] = {text("name", arguments.name), text("files", list)};
  const auto put = session->call("vaccel.put_model", nullptr, attributes, {});
  if (!put) return put.error();
  const std::string model = "own/" + arguments.name;
  if (context.output.json()) {
    context.output.object(json_of_upload(session->endpoint(), model, all, sent));
  } else {
    context.output.line(model + " is ready: " + std::to_string(all) + " bytes, of which " +
                        std::to_string(sent) + " were sent");
  }
  return {};
}

Status run_command(const DeleteArguments& arguments, const Context& context) {
  auto session = Session::open(context.common, context.interrupt);
  if (!session) return session.error();
  const vaccel_attribute attributes[] = {text("name", arguments.name)};
  const auto deleted = session->call("vaccel.delete_model", nullptr, attributes, {});
  if (!deleted) return deleted.error();
  const std::string model = "own/" + arguments.name;
  if (context.output.json()) {
    context.output.object(json_of_deletion(session->endpoint(), model));
  } else {
    context.output.line(model + " is deleted");
  }
  return {};
}

}  // namespace vaccel::tool
