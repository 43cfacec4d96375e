// SPDX-License-Identifier: Apache-2.0
//
// What was typed, as plain values: one struct a command. CLI11 stays in arguments.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "channel/endpoint.h"
#include "core/status.h"
#include "wire/messages.h"

namespace vaccel::ctl {

/// For every command.
struct CommonArguments {
  std::string control = channel::kDefaultControlSocket;
  bool json = false;
};

struct CreateWindowArguments {
  std::string path;
  uint64_t bytes = 0;
  bool force = false;
};

struct ShowWindowArguments {
  std::string path;
};

struct AttachArguments {
  wire::AttachVm vm;
};

struct DetachArguments {
  std::string name;
};

struct ListVmsArguments {};

struct StatusArguments {};

struct TopArguments {
  double interval_seconds = 1;
  bool once = false;
};

struct SetTenantArguments {
  std::string name;
  std::string settings;  ///< TOML.
};

struct ShowTenantArguments {
  std::string name;
};

struct RemoveTenantArguments {
  std::string name;
};

struct ReloadArguments {};

struct ReleaseArguments {
  std::string subject;
};

struct Arguments {
  CommonArguments common;
  std::variant<CreateWindowArguments, ShowWindowArguments, AttachArguments, DetachArguments, ListVmsArguments,
               StatusArguments, TopArguments, SetTenantArguments, ShowTenantArguments, RemoveTenantArguments,
               ReloadArguments, ReleaseArguments>
      command;
};

/// --help and --version: to be printed instead of doing anything.
struct HelpText {
  std::string text;
};

/// INVALID_ARGUMENT: what is wrong, and where the help is.
Result<std::variant<Arguments, HelpText>> parse_arguments(int argc, const char* const* argv);

/// "weight=4" and the like as TOML: lists of names are typed with commas, "models=mobilenet,ssd-*". INVALID_ARGUMENT.
Result<std::string> parse_settings(const std::vector<std::string>& settings);

/// "PATH" or "PATH:PORT", of a hybrid vsock, as the endpoint that the agent listens on; the path made absolute.
/// INVALID_ARGUMENT.
Result<std::string> parse_hybrid_socket(const std::string& text);

}  // namespace vaccel::ctl
