// SPDX-License-Identifier: Apache-2.0
//
// What was typed, as plain values: one struct a command. CLI11 stays in arguments.cpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/status.h"

namespace vaccel::tool {

/// For every command.
struct CommonArguments {
  std::optional<std::string> endpoint;  ///< None: the library finds the agent.
  bool json = false;
  std::optional<std::chrono::microseconds> deadline;  ///< Of each call; 0: has passed.
};

/// A tensor and its .npy file.
struct TensorFile {
  std::string name;  ///< "": by position.
  std::string path;
};

/// The tensors of infer and call.
struct TensorArguments {
  std::vector<TensorFile> inputs;
  std::vector<TensorFile> outputs;
  std::optional<std::string> output_directory;
};

/// Of the commands that look at photos: classify, detect, segment, pose, depth.
struct VisionArguments {
  std::string operator_name;         ///< The command is the operator's name.
  std::vector<std::string> photos;   ///< "-": standard input.
  std::optional<std::string> model;  ///< None: the only one for this, else the usual one.
  std::optional<float> min_score;    ///< None: as the model says.
  uint32_t top = 0;                  ///< 0: as many as the operator returns by itself.
  uint32_t repeat = 1;
  std::optional<std::string> output;  ///< The picture to draw; of several photos the folder for them.
};

struct InferArguments {
  std::string model;
  TensorArguments tensors;
};

struct ModelsArguments {
  std::optional<std::string> name;
};

struct InfoArguments {};

struct BackendsArguments {};

struct OperatorsArguments {
  std::optional<std::string> name;
};

struct UploadArguments {
  std::string name;
  std::string path;  ///< Of a model's file, or of a folder with a model.toml.
};

struct DeleteArguments {
  std::string name;
};

struct PingArguments {
  std::optional<uint32_t> count;  ///< None: 4; with --json 1.
  std::chrono::microseconds interval = std::chrono::seconds(1);
};

struct Attribute {
  std::string name;
  std::variant<int64_t, double, std::string> value;
};

struct CallArguments {
  std::string operator_name;
  std::optional<std::string> model;
  std::vector<Attribute> attributes;
  TensorArguments tensors;
};

struct Arguments {
  CommonArguments common;
  std::variant<VisionArguments, InferArguments, ModelsArguments, InfoArguments, BackendsArguments,
               OperatorsArguments, PingArguments, CallArguments, UploadArguments, DeleteArguments>
      command;
};

/// --help and --version: to be printed instead of doing anything.
struct HelpText {
  std::string text;
};

/// INVALID_ARGUMENT: what is wrong, and where the help is.
Result<std::variant<Arguments, HelpText>> parse_arguments(int argc, const char* const* argv);

/// "NAME=FILE" or "FILE". INVALID_ARGUMENT: no file.
Result<TensorFile> parse_tensor_file(const std::string& text);

/// "NAME=VALUE", the value an integer, a real number, or else a string; in double quotes always a string.
Result<Attribute> parse_attribute(const std::string& text);

}  // namespace vaccel::tool
