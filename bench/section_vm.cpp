// SPDX-License-Identifier: Apache-2.0
//
// vm: calls from inside a QEMU guest to the agent on the host, with the window that they share and without. Where the
// CPU is emulated the figures say nothing about real speed; their ratios, of the same run, still say what the window
// saves.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <tuple>

#include "failure.h"
#include "guest_bench.h"
#include "section.h"
#include "subprocess.h"

namespace vaccel::bench {
namespace {

constexpr const char* kProgram = "vaccel-bench-guest";
constexpr const char* kWindowSize = "64M";
/// A call with so many bytes in the window is at least five times as quick as one that sends them.
constexpr size_t kGoalBytes = 600'000;
constexpr double kGoalRatio = 0.2;

/// By path, size, and "rounds" or "samples".
using Numbers = std::map<std::tuple<std::string, size_t, std::string>, std::vector<double>>;

std::string size_name(size_t bytes) {
  if (bytes < 1'000) return std::to_string(bytes) + " B";
  if (bytes < 1'000'000) return std::to_string(bytes / 1'000) + " KB";
  return std::to_string(bytes / 1'000'000) + " MB";
}

class VmSection {
 public:
  VmSection(const Setting& setting, Report& report)
      : setting_(setting),
        report_(report),
        vm_folder_(setting),
        agent_folder_(setting, {.keys = vm_configuration()}) {}

  void measure();

 private:
  [[nodiscard]] std::string vsock() const { return (vm_folder_.path() / "vsock").string(); }
  [[nodiscard]] std::string window() const { return (vm_folder_.path() / "window").string(); }
  [[nodiscard]] std::string vm_configuration() const {
    return "vm = [{name = \"bench\", listen = \"hvsock:" + vsock() + ":4411\", window = \"" + window() +
           "\"}]\n";
  }
  [[nodiscard]] std::string facts() const { return (vm_folder_.path() / "guest.json").string(); }
  [[nodiscard]] std::vector<std::string> run_in_vm(const std::vector<std::string>& arguments) const;
  [[nodiscard]] Numbers run_in_guest() const;
  [[nodiscard]] std::string accelerator() const;
  void report_size(const Numbers& numbers, const std::string& guest, size_t bytes);

  const Setting& setting_;
  Report& report_;
  WorkFolder vm_folder_;
  WorkFolder agent_folder_;
};

// What a program prints, read to its end.
std::string output_of(const std::vector<std::string>& command) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) give_up("cannot make a pipe");
  const UniqueFd reads{ends[0]};
  UniqueFd writes{ends[1]};
  ChildProcess program(command, {.output = writes.get()});
  writes.reset();
  std::string text;
  std::array<char, 65536> piece{};
  for (ssize_t size = 0; (size = ::read(reads.get(), piece.data(), piece.size())) > 0;)
    text.append(piece.data(), static_cast<size_t>(size));
  program.expect_success();
  return text;
}

Numbers parsed(const std::string& text) {
  Numbers numbers;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string path, kind;
    size_t bytes = 0;
    words >> path >> bytes >> kind;
    numbers[{path, bytes, kind}] = {std::istream_iterator<double>(words), {}};
  }
  return numbers;
}

// The tool that boots guests, and where it finds what they are made of.
std::vector<std::string> VmSection::run_in_vm(const std::vector<std::string>& arguments) const {
  std::vector<std::string> command{"/usr/bin/env", "VACCEL_BUILD=" + setting_.programs.parent_path().string(),
                                   "VACCEL_PARTS=" VACCEL_BENCH_PARTS, VACCEL_BENCH_RUN_IN_VM};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

Numbers VmSection::run_in_guest() const {
  const double seconds = setting_.seconds_per_case;
  const auto limit = static_cast<long>(60 + 3 * seconds * std::size(kGuestPayloads));
  return parsed(output_of(run_in_vm({"--vsock-uds", vsock(), "--window", window(), "--describe", facts(),
                                     "--timeout", std::to_string(limit), "--file",
                                     (setting_.programs / kProgram).string() + ":/bin/" + kProgram, "--",
                                     kProgram, std::to_string(seconds)})));
}

// "kvm", or "tcg": an emulated CPU.
std::string VmSection::accelerator() const {
  std::ifstream file(facts());
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return text.find("\"kvm\"") != std::string::npos ? "kvm" : "tcg";
}

void VmSection::report_size(const Numbers& numbers, const std::string& guest, size_t bytes) {
  const auto get = [&](const char* path, const char* kind) -> const std::vector<double>& {
    const auto found = numbers.find({path, bytes, kind});
    if (found == numbers.end() || found->second.empty())
      give_up("the guest told no %s of '%s' with %zu bytes", kind, path, bytes);
    return found->second;
  };
  const auto add = [&](const char* path, const char* words, const char* beside, const char* beside_words,
                       Goal goal) {
    report_.add("vm", {.name = size_name(bytes) + " " + words + " (" + guest + ")",
                       .ours = get(path, "rounds"),
                       .beside_name = beside_words,
                       .beside = get(beside, "rounds"),
                       .goal = goal,
                       .our_samples = get(path, "samples"),
                       .beside_samples = get(beside, "samples")});
  };
  constexpr const char* kInline = "inline over vsock";
  add("window", "in the window", "inline", kInline,
      bytes == kGoalBytes ? Goal::at_most_times(kGoalRatio) : Goal{});
  add("copied", "copied into the window", "inline", kInline, {});
  if (bytes > kGuestSmall) add("window", "in the window, again", "small", "64 B in the window", {});
  for (const char* path : {"window", "copied", "inline"})
    report_.add("vm",
                {.path = std::string("guest, ") + path, .bytes = bytes, .samples = get(path, "samples")});
}

void VmSection::measure() {
  if (const std::string missing = output_of(run_in_vm({"--check"})); !missing.empty()) {
    report_.skip("vm", "calls from a guest", missing.substr(0, missing.find('\n')));
    return;
  }
  output_of(
      {(setting_.programs / "vaccelctl").string(), "window", "create", window(), "--size", kWindowSize});
  const AgentProcess agent(setting_, agent_folder_);
  const Numbers numbers = run_in_guest();
  for (const size_t bytes : kGuestPayloads)
    report_size(numbers, accelerator(), bytes);
}

}  // namespace

void measure_vm(const Setting& setting, Report& report) {
  VmSection(setting, report).measure();
}

}  // namespace vaccel::bench
