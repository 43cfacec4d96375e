// SPDX-License-Identifier: Apache-2.0
//
// vacceld, the host's agent: reads flags and configuration, wires reactor, workers and sessions together, and
// turns signals into an orderly end.
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "agent/agent.h"
#include "agent/control.h"
#include "agent/http_server.h"
#include "agent/metrics_text.h"
#include "agent/notify.h"
#include "agent/privileges.h"
#include "channel/window_mapping.h"
#include "core/clock.h"

namespace {

using namespace vaccel;

constexpr const char* kDefaultConfig = "/etc/vaccel/vaccel.toml";

struct Flags {
  std::string config;
  std::vector<std::string> listen;
  std::string catalogue;
  std::string log;
  std::string log_format;
  std::optional<std::string> control;
  std::optional<std::string> metrics;
  bool check = false;
};

// 2: an argument or the configuration is wrong.
int complain(const Status& status, agent::LogFormat format) {
  if (format == agent::LogFormat::kJson) {
    agent::Log({.format = format}).error("%s", status.message().c_str());
  } else {
    std::fprintf(stderr, "vacceld: %s\n", status.message().c_str());
  }
  return status.code() == VACCEL_INVALID_ARGUMENT || status.code() == VACCEL_NOT_FOUND ? 2 : EXIT_FAILURE;
}

std::filesystem::path find_worker() {
  std::error_code error;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  const auto installed = folder.parent_path() / "libexec" / "vaccel" / "vaccel-worker";
  return std::filesystem::exists(folder / "vaccel-worker", error) ? folder / "vaccel-worker" : installed;
}

// Agents that listen elsewhere, several on a host perhaps, have a control socket where it is asked for.
std::string default_control(const agent::Config& config) {
  for (const channel::Endpoint& endpoint : config.listen) {
    if (endpoint.scheme == channel::Endpoint::Scheme::kUnix && endpoint.path == channel::kDefaultUnixSocket)
      return channel::kDefaultControlSocket;
  }
  return {};
}

Result<agent::Config> make_config(const Flags& given) {
  Flags flags = given;
  agent::Config config;
  std::error_code error;
  if (flags.config.empty() && std::filesystem::exists(kDefaultConfig, error)) flags.config = kDefaultConfig;
  if (!flags.config.empty()) {
    auto read = agent::read_config(flags.config);
    if (!read) return Unexpected{read.error()};
    config = std::move(*read);
  }
  if (!flags.listen.empty()) config.listen.clear();
  for (const std::string& text : flags.listen) {
    auto endpoint = channel::parse_endpoint(text);
    if (!endpoint) return Unexpected{endpoint.error()};
    config.listen.push_back(std::move(*endpoint));
  }
  if (config.listen.empty()) {
    config.listen.push_back(
        channel::parse_endpoint(std::string("unix:") + channel::kDefaultUnixSocket).value());
  }
  if (!flags.catalogue.empty()) config.catalogue = std::filesystem::absolute(flags.catalogue);
  if (!flags.log.empty()) config.log_level = flags.log;
  if (!flags.log_format.empty()) config.log_format = agent::log_format_of(flags.log_format);
  if (flags.control)
    config.control = flags.control->empty() ? "" : std::filesystem::absolute(*flags.control).string();
  if (!config.control) config.control = default_control(config);
  if (flags.metrics) {
    config.metrics.reset();
    if (!flags.metrics->empty()) {
      auto address = agent::parse_http_address(*flags.metrics);
      if (!address) return Unexpected{address.error()};
      config.metrics = std::move(*address);
    }
  }
  if (config.worker.program.empty()) config.worker.program = find_worker();
  if (!std::filesystem::exists(config.worker.program, error)) {
    return fail(VACCEL_NOT_FOUND, "no worker program at %s; name it in the configuration, [worker] program",
                config.worker.program.c_str());
  }
  return config;
}

// The rest is done as that user: what it makes is its own, and where it may not, that shows now.
Status become_user_of(const agent::Config& config) {
  std::vector<std::filesystem::path> folders;
  const auto add = [&folders](const std::filesystem::path& socket) {
    if (socket.is_absolute()) folders.push_back(socket.parent_path());
  };
  for (const channel::Endpoint& endpoint : config.listen)
    add(endpoint.path);
  if (config.control) add(*config.control);
  if (config.metrics) add(config.metrics->path);
  if (!config.uploads.directory.empty()) folders.push_back(config.uploads.directory);
  return agent::become_user(config.user, folders);
}

// A host has many VMs, and a session is a descriptor. Where the limit cannot be raised, it is what it is.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// SIGTERM and SIGINT end the agent, SIGHUP has it read its configuration again.
Result<UniqueFd> take_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::sigaddset(&signals, SIGHUP);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  UniqueFd fd{::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (!fd.valid()) return fail(VACCEL_RESOURCE_EXHAUSTED, "signalfd: %s", errno_text(errno).c_str());
  return fd;
}

void reload(agent::Agent& server, agent::Log& log) {
  agent::notify_service_manager(("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now_ns() / 1000)).c_str());
  const auto notes = server.reload();  // a mistake has been logged
  std::istringstream lines(notes.value_or(""));
  for (std::string line; std::getline(lines, line);)
    log.warning("%s", line.c_str());
  agent::notify_service_manager("READY=1");
}

// What a path answers; see docs/operations.md.
agent::HttpAnswer answer_http(std::string_view path, const agent::Agent& server,
                              const agent::ProcessReader& process) {
  if (path == "/metrics") {
    return {200, "text/plain; version=0.0.4; charset=utf-8",
            agent::metrics_text(server.metrics(), server.state(), process.read(), VACCEL_VERSION_TEXT)};
  }
  constexpr const char* kText = "text/plain; charset=utf-8";
  if (path == "/healthz") return {200, kText, "ok\n"};
  if (path == "/readyz") {
    const Status readiness = server.readiness();
    return readiness.ok() ? agent::HttpAnswer{200, kText, "ok\n"}
                          : agent::HttpAnswer{503, kText, readiness.message() + "\n"};
  }
  return {404, kText, "there are /metrics, /healthz and /readyz\n"};
}

int run(Flags& flags) {
  auto config = make_config(flags);
  agent::LogFormat format = agent::log_format_of(flags.log_format);
  if (!config) return complain(config.error(), format);
  format = config->log_format;
  runtime::Catalogue catalogue;
  if (!config->catalogue.empty()) {
    auto read = runtime::Catalogue::read(config->catalogue);
    if (!read) return complain(read.error(), format);
    catalogue = std::move(*read);
  }
  if (flags.check) {
    std::printf("configuration is fine: %zu listeners, %zu VMs, %zu models\n", config->listen.size(),
                config->vms.size(), catalogue.entries().size());
    return EXIT_SUCCESS;
  }
  if (!config->user.empty()) {
    if (Status status = become_user_of(*config); !status.ok()) return complain(status, format);
  }
  raise_descriptor_limit();
  channel::install_window_guard();
  auto signals = take_signals();
  if (!signals) return complain(signals.error(), format);
  auto reactor = agent::Reactor::create();
  if (!reactor) return complain(reactor.error(), format);

  agent::Log log({.level = config->log_level, .format = format});
  std::vector<std::string> worker_arguments{"--log", config->log_level};
  if (!flags.config.empty()) {
    worker_arguments.insert(worker_arguments.end(),
                            {"--config", std::filesystem::absolute(flags.config).string()});
  }
  if (!config->catalogue.empty()) {
    worker_arguments.insert(worker_arguments.end(), {"--catalogue", config->catalogue.string()});
  }
  if (catalogue.entries().empty())
    log.warning("there is no model: no catalogue is configured, or it is empty");

  const std::string control_path = *config->control;
  const std::optional<channel::Endpoint> metrics_address = config->metrics;
  const mode_t socket_mode = config->socket_mode;
  agent::Agent server(**reactor, log, std::move(*config), std::move(catalogue), std::move(worker_arguments),
                      [&flags] { return make_config(flags); });
  Status failed;
  Status status = server.start([&](Status ready) {
    if (ready.ok()) {
      log.info("ready");
      agent::notify_service_manager("READY=1");
    } else {
      failed = std::move(ready);
      (*reactor)->stop();
    }
  });
  if (!status.ok()) return complain(status, format);
  agent::Control control(**reactor, log, server);
  if (!control_path.empty()) status = control.listen(control_path);
  if (!status.ok()) return complain(status, format);
  const agent::ProcessReader process;
  std::unique_ptr<agent::HttpServer> http;
  if (metrics_address) {
    auto made =
        agent::HttpServer::listen(**reactor, *metrics_address, socket_mode,
                                  [&](std::string_view path) { return answer_http(path, server, process); });
    if (!made) return complain(made.error().within("metrics"), format);
    http = std::move(*made);
    log.info("metrics at %s", metrics_address->text().c_str());
  }
  status = (*reactor)->add(signals->get(), EPOLLIN, [&](uint32_t) {
    signalfd_siginfo signal{};
    while (::read(signals->get(), &signal, sizeof signal) == sizeof signal) {
      if (signal.ssi_signo == SIGHUP) {
        reload(server, log);
      } else {
        agent::notify_service_manager("STOPPING=1");
        server.shut_down();
      }
    }
  });
  if (!status.ok()) return complain(status, format);
  (*reactor)->run();
  (*reactor)->remove(signals->get());
  if (!failed.ok()) return complain(failed, format);
  log.info("stopped");
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "vacceld, the agent of vAccel: runs operators for functions in VMs and processes on this host."};
  Flags flags;
  app.add_option("--config", flags.config,
                 std::string("The configuration (TOML). Default: ") + kDefaultConfig + " if it exists")
      ->check(CLI::ExistingFile);
  app.add_option(
      "--listen", flags.listen,
      "An endpoint to listen on, instead of the configuration's: unix:/path, hvsock:/path:PORT (the host's "
      "side of a VM's hybrid vsock), vsock:CID:PORT, tcp:127.0.0.1:PORT. May be given several times. "
      "Default: unix:/run/vaccel/agent.sock");
  app.add_option("--catalogue", flags.catalogue, "The folder of models, instead of the configuration's")
      ->check(CLI::ExistingDirectory);
  app.add_option("--log", flags.log, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.add_option("--log-format", flags.log_format,
                 "Lines on standard error as people read them (human, the default) or as JSON objects (json)")
      ->check(CLI::IsMember({"human", "json"}));
  app.add_option(
      "--control", flags.control,
      "Where vaccelctl connects, a unix socket, instead of the configuration's; \"\": nowhere. Default: "
      "/run/vaccel/control.sock, if the agent listens on its default endpoint");
  app.add_option(
      "--metrics", flags.metrics,
      "Where /metrics, /healthz and /readyz are, instead of the configuration's: 127.0.0.1:PORT or "
      "unix:/path; \"\": nowhere, the default");
  app.add_flag("--check", flags.check, "Check configuration and catalogue, and exit");
  app.set_version_flag("--version", "vacceld " VACCEL_VERSION_TEXT);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EXIT_SUCCESS : 2;
  }
  return run(flags);
}
