// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccelctl/arguments.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <sstream>

#include "core/byte_size.h"

namespace vaccel::ctl {
namespace {

constexpr const char* kExitCodes = R"(Exit codes:
  0  done
  1  another failure: a fault of vAccel's
  2  wrong usage, or an input that cannot be right
  3  not found: file, VM
  4  unavailable: no agent, or the window is in use; trying again may help
  6  a limit was reached, or there is no memory
  7  permission denied
)";

constexpr const char* kExamples = R"(Examples:
  vaccelctl window create /dev/shm/vm1.window --size 512M
  vaccelctl vm attach vm1 --socket /run/vm1/v.sock --window /dev/shm/vm1.window
  vaccelctl vm attach vm2 --cid 7 --memory 512M --prefault
  vaccelctl vm detach vm1
  vaccelctl tenant set acme weight=4 max_calls_in_flight=64 models=mobilenet,ssd-*
  vaccelctl reload
  vaccelctl status
  vaccelctl top

)";

constexpr const char* kCreateNotes = R"(
The file is a new VM's window before it boots; memory is only taken as it is used. Put it on a tmpfs
such as /dev/shm. The VM and its agent share all of it, so no two VMs may have the same one.

Example:
  vaccelctl window create /dev/shm/vm1.window --size 512M
)";

constexpr const char* kShowNotes = R"(
Example:
  vaccelctl window show /dev/shm/vm1.window
)";

constexpr const char* kAttachNotes = R"(
--socket is the VM's hybrid vsock: Firecracker's uds_path, Cloud Hypervisor's socket, or
vhost-device-vsock's uds-path; the agent listens on PATH_PORT. --cid is for VMs with the kernel's
vhost-vsock, and needs a vsock endpoint in the agent's configuration.

Examples:
  vaccelctl vm attach vm1 --socket /run/vm1/v.sock --window /dev/shm/vm1.window
  vaccelctl vm attach vm2 --cid 7 --tenant acme --memory 512M --prefault
)";

constexpr const char* kDetachNotes = R"(
Calls of the VM that are under way are finished first.

Example:
  vaccelctl vm detach vm1
)";

constexpr const char* kListNotes = R"(
Example:
  vaccelctl vm list
)";

constexpr const char* kSetTenantNotes = R"(
The keys are those of [[tenant]] in the configuration: weight, max_sessions, max_calls_in_flight,
max_bytes_in_flight, max_models_open, max_leases, max_leased_bytes, max_device_buffers,
max_device_bytes, max_upload_bytes, max_upload_models, calls_per_second, burst, models, operators,
backends. What is not named stays. It holds until the agent is started again or reads its
configuration again.

Examples:
  vaccelctl tenant set acme weight=4 calls_per_second=500
  vaccelctl tenant set acme models=mobilenet,ssd-* max_device_bytes=512M
)";

constexpr const char* kShowTenantNotes = R"(
Prints TOML, as the configuration has it.

Example:
  vaccelctl tenant show acme
)";

constexpr const char* kRemoveTenantNotes = R"(
Its sessions go on, with what holds for tenants of which nothing is said.

Example:
  vaccelctl tenant remove acme
)";

constexpr const char* kReloadNotes = R"(
No session is dropped. A file with a mistake changes nothing. The same happens at SIGHUP.

Example:
  vaccelctl reload
)";

constexpr const char* kReleaseNotes = R"(
What has ended workers again and again is in quarantine for a while; the agent's log names it.

Examples:
  vaccelctl release mobilenet
  vaccelctl release "operator gemm"
)";

constexpr const char* kStatusNotes = R"(
Example:
  vaccelctl status --json
)";

constexpr const char* kTopNotes = R"(
Tenants and models come in the order of their calls a second. q or Ctrl-C ends it. Where standard
output is no terminal it does what --once does.

Examples:
  vaccelctl top
  vaccelctl top --once --interval 5
)";

// Option values as they were typed; turned into Arguments once CLI11 has found nothing wrong with their form.
struct Typed {
  CommonArguments common;
  CreateWindowArguments create;
  ShowWindowArguments show;
  wire::AttachVm attach;
  DetachArguments detach;
  SetTenantArguments set_tenant;
  std::vector<std::string> settings;
  ShowTenantArguments show_tenant;
  RemoveTenantArguments remove_tenant;
  ReleaseArguments release;
  TopArguments top;
  std::string size;
  std::string memory;
  std::string socket;
};

CLI::Validator size_check() {
  return CLI::Validator(
      [](const std::string& text) {
        const auto size = parse_byte_size(text);
        return size ? std::string() : size.error().message();
      },
      "");
}

CLI::App* add_command(CLI::App& group, const char* name, const char* description, const char* notes) {
  CLI::App* command = group.add_subcommand(name, description);
  command->group("Commands");
  command->fallthrough();  // --json and --control after the command
  command->footer(notes);
  return command;
}

CLI::App* add_group(CLI::App& app, const char* name, const char* description) {
  CLI::App* group = app.add_subcommand(name, description);
  group->group("Commands");
  group->fallthrough();
  group->require_subcommand(1);
  return group;
}

void add_window_commands(CLI::App& app, Typed& typed) {
  CLI::App* window = add_group(app, "window", "Make or show the file of a VM's window; no agent is needed");
  CLI::App* create = add_command(*window, "create", "Make the window's file of a new VM", kCreateNotes);
  create->add_option("PATH", typed.create.path, "The file")->type_name("")->required();
  create->add_option("--size", typed.size, "A multiple of 2M, at least 4M: 512M")
      ->type_name("SIZE")
      ->required()
      ->check(size_check());
  create->add_flag("--force", typed.create.force, "Take the place of a file that is there");
  CLI::App* show =
      add_command(*window, "show", "Say what a window's file is, and whether it is right", kShowNotes);
  show->add_option("PATH", typed.show.path, "The file")->type_name("")->required();
}

void add_vm_commands(CLI::App& app, Typed& typed) {
  CLI::App* vm = add_group(app, "vm", "Attach, detach or list VMs, while the agent runs");
  CLI::App* attach = add_command(*vm, "attach", "Tie a VM, its window and a tenant together", kAttachNotes);
  attach->add_option("NAME", typed.attach.name, "A name for the VM")->type_name("")->required();
  CLI::Option* socket =
      attach->add_option("--socket", typed.socket, "The VM's hybrid vsock; default port: 4411")
          ->type_name("PATH[:PORT]");
  attach->add_option("--cid", typed.attach.cid, "The VM's context id, where it has the kernel's vhost-vsock")
      ->type_name("N")
      ->excludes(socket)
      ->check(CLI::Range(uint32_t{1}, channel::kAnyCid - 1).description(""));
  attach->add_option("--tenant", typed.attach.tenant, "Whose the VM is")->type_name("NAME");
  CLI::Option* window =
      attach->add_option("--window", typed.attach.window, "Its window's file; see 'vaccelctl window create'")
          ->type_name("PATH");
  attach->add_option("--memory", typed.memory, "The agent makes a window of this size in memory of its own")
      ->type_name("SIZE")
      ->excludes(window)
      ->check(size_check());
  attach->add_flag("--prefault", typed.attach.prefault, "Take all of the window's memory now");
  CLI::App* detach = add_command(*vm, "detach", "Let a VM's sessions end, and its window go", kDetachNotes);
  detach->add_option("NAME", typed.detach.name, "The VM")->type_name("")->required();
  add_command(*vm, "list", "List the VMs that are attached", kListNotes);
}

void add_tenant_commands(CLI::App& app, Typed& typed) {
  CLI::App* tenant = add_group(app, "tenant", "Set, show or remove tenants, while the agent runs");
  CLI::App* set =
      add_command(*tenant, "set", "Change what a tenant may do, or make a tenant", kSetTenantNotes);
  set->add_option("NAME", typed.set_tenant.name, "The tenant")->type_name("")->required();
  set->add_option("SETTING", typed.settings, "KEY=VALUE, several")->type_name("")->required();
  CLI::App* show = add_command(*tenant, "show", "Print a tenant's settings", kShowTenantNotes);
  show->add_option("NAME", typed.show_tenant.name, "The tenant")->type_name("")->required();
  CLI::App* remove = add_command(*tenant, "remove", "Forget what was said of a tenant", kRemoveTenantNotes);
  remove->add_option("NAME", typed.remove_tenant.name, "The tenant")->type_name("")->required();
}

void add_common(CLI::App& app, Typed& typed) {
  app.add_option("--control", typed.common.control,
                 std::string("The agent's control socket; default: ") + channel::kDefaultControlSocket)
      ->type_name("PATH");
  app.add_flag("--json", typed.common.json, "Print one JSON object; of an error, too");
  app.set_version_flag("--version", "vaccelctl " VACCEL_VERSION_TEXT, "Print the version");
  app.footer(std::string(kExamples) + kExitCodes);
}

// "vm attach", as far as CLI11 came.
std::string command_of(const CLI::App& app) {
  std::string words;
  for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    words += (words.empty() ? "" : " ") + at->get_name();
  }
  return words;
}

Unexpected mistake(const std::string& sentence, const std::string& command) {
  const std::string help = "vaccelctl " + (command.empty() ? "" : command + " ") + "--help";
  return Unexpected{Status{VACCEL_INVALID_ARGUMENT, sentence + " (see " + help + ")"}};
}

// CLI11 says of a mistyped command that there is none.
Unexpected explain(const CLI::App& app, const CLI::ParseError& error) {
  const std::string command = command_of(app);
  const auto words = app.remaining(true);
  const bool is_whole = command.find(' ') != std::string::npos || command == "status" || command == "top" ||
                        command == "reload" || command == "release";
  if (!words.empty() && words.front().starts_with("-"))
    return mistake("there is no option " + words.front(), command);
  if (is_whole) return mistake(error.what(), command);
  const std::string prefix = command.empty() ? "" : command + " ";
  if (!words.empty()) return mistake("there is no command '" + prefix + words.front() + "'", command);
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) return mistake("which command?", command);
  return mistake(error.what(), command);
}

std::string absolute(const std::string& path) {
  return path.empty() ? path : std::filesystem::absolute(path).lexically_normal().string();
}

Result<std::variant<Arguments, HelpText>> take(const CLI::App& app, Typed& typed) {
  Arguments arguments{.common = typed.common, .command = StatusArguments{}};
  const std::string command = command_of(app);
  if (command == "window create") {
    typed.create.bytes = parse_byte_size(typed.size).value();
    arguments.command = typed.create;
  } else if (command == "window show") {
    arguments.command = typed.show;
  } else if (command == "vm attach") {
    wire::AttachVm& vm = typed.attach;
    if (typed.socket.empty() && vm.cid == 0) return mistake("either --socket or --cid is needed", command);
    if (!typed.socket.empty()) {
      auto listen = parse_hybrid_socket(typed.socket);
      if (!listen) return mistake(listen.error().message(), command);
      vm.listen = std::move(*listen);
    }
    vm.window = absolute(vm.window);
    if (!typed.memory.empty()) vm.memory_bytes = parse_byte_size(typed.memory).value();
    if (vm.prefault && vm.window.empty() && vm.memory_bytes == 0)
      return mistake("--prefault is for a window: --window or --memory", command);
    arguments.command = AttachArguments{std::move(vm)};
  } else if (command == "vm detach") {
    arguments.command = typed.detach;
  } else if (command == "vm list") {
    arguments.command = ListVmsArguments{};
  } else if (command == "tenant set") {
    auto settings = parse_settings(typed.settings);
    if (!settings) return mistake(settings.error().message(), command);
    typed.set_tenant.settings = std::move(*settings);
    arguments.command = typed.set_tenant;
  } else if (command == "tenant show") {
    arguments.command = typed.show_tenant;
  } else if (command == "tenant remove") {
    arguments.command = typed.remove_tenant;
  } else if (command == "reload") {
    arguments.command = ReloadArguments{};
  } else if (command == "top") {
    arguments.command = typed.top;
  } else if (command == "release") {
    arguments.command = typed.release;
  }
  return arguments;
}

}  // namespace

Result<std::variant<Arguments, HelpText>> parse_arguments(int argc, const char* const* argv) {
  CLI::App app{"Attaches VMs and their windows to the agent of this host, and says how it is.", "vaccelctl"};
  Typed typed;
  app.get_formatter()->label("SUBCOMMAND", "COMMAND");
  app.get_formatter()->column_width(32);
  app.require_subcommand(1);
  add_common(app, typed);
  add_window_commands(app, typed);
  add_vm_commands(app, typed);
  add_tenant_commands(app, typed);
  add_command(app, "reload", "Have the agent read its configuration again", kReloadNotes);
  CLI::App* release =
      add_command(app, "release", "Let a model be used again that has ended workers", kReleaseNotes);
  release->add_option("SUBJECT", typed.release.subject, "A model, or \"operator NAME\"")
      ->type_name("")
      ->required();
  add_command(app, "status", "Say how the agent is: tenants, models, workers, VMs", kStatusNotes);
  CLI::App* top = add_command(app, "top", "Show what tenants and models do, again and again", kTopNotes);
  top->add_option("--interval", typed.top.interval_seconds,
                  "Seconds between two looks, 0.1 to 3600; default: 1")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 3600.0).description(""));
  top->add_flag("--once", typed.top.once, "Look twice, print once, and exit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) return explain(app, error);
    std::ostringstream text;
    app.exit(error, text, text);
    return HelpText{text.str()};
  }
  return take(app, typed);
}

Result<std::string> parse_settings(const std::vector<std::string>& settings) {
  const auto quoted = [](const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') result += '\\';
      result += c;
    }
    return result + '"';
  };
  std::string toml;
  for (const std::string& setting : settings) {
    const size_t equals = setting.find('=');
    const std::string key = setting.substr(0, equals);
    const bool is_key =
        !key.empty() && key.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos;
    if (equals == std::string::npos || !is_key)
      return fail(VACCEL_INVALID_ARGUMENT, "'%s' is not KEY=VALUE", printable(setting).c_str());
    const std::string value = setting.substr(equals + 1);
    toml += key + " = ";
    if (key == "models" || key == "operators" || key == "backends") {
      toml += '[';
      std::istringstream names(value);
      for (std::string name; std::getline(names, name, ',');)
        toml += (toml.back() == '[' ? "" : ", ") + quoted(name);
      toml += ']';
    } else if (!value.empty() && value.find_first_not_of("0123456789.e-+") == std::string::npos) {
      toml += value;
    } else {
      toml += quoted(value);
    }
    toml += '\n';
  }
  return toml;
}

Result<std::string> parse_hybrid_socket(const std::string& text) {
  const size_t colon = text.rfind(':');
  const bool has_port = colon != std::string::npos && colon + 1 < text.size() &&
                        text.find_first_not_of("0123456789", colon + 1) == std::string::npos;
  const std::string path = has_port ? text.substr(0, colon) : text;
  const std::string port = has_port ? text.substr(colon + 1) : std::to_string(channel::kDefaultPort);
  if (path.empty()) return fail(VACCEL_INVALID_ARGUMENT, "'%s' has no path", printable(text).c_str());
  const auto endpoint = channel::parse_endpoint("hvsock:" + absolute(path) + ":" + port);
  if (!endpoint) return Unexpected{endpoint.error()};
  return endpoint->text();
}

}  // namespace vaccel::ctl
