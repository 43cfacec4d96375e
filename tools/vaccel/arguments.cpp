// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>
#include <utility>

#include "tools/vaccel/duration.h"
#include "vaccel/vaccel.h"

namespace vaccel::tool {
namespace {

constexpr uint32_t kMostClasses = 100'000;
constexpr uint32_t kMostRepeats = 1'000'000;  // each is remembered

constexpr const char* kExitCodes = R"(Exit codes:
  0    done
  1    another failure: a fault of vAccel's or of a framework's
  2    wrong usage, or an input that cannot be right
  3    not found: file, model, operator
  4    unavailable: no agent, or its worker died; trying again may help
  5    the deadline passed
  6    a limit was reached
  7    permission denied
  8    cancelled by the other end
  9    understood, but nothing there can do it
  130  interrupted (Ctrl-C)
)";

constexpr const char* kEndpoints = R"(Endpoints:
  unix:/path        the agent's unix socket
  vsock:CID:PORT    from a VM; CID 2 is the host
  tcp:HOST:PORT     an address, or localhost
  local:            no agent: the runtime is loaded into this process
  If none is given: $VACCEL_ENDPOINT, else the first of unix:/run/vaccel/agent.sock,
  vsock:2:4411 and local: that is there.

)";

constexpr const char* kExamples = R"(Examples:
  vaccel classify cat.jpg
  vaccel detect street.jpg -o found.png
  vaccel --endpoint unix:/run/vaccel/agent.sock --json classify cat.jpg
  vaccel infer mobilenet --input input=image.npy --output-dir results
  vaccel models mobilenet
  vaccel ping --count 10 --interval 100ms

)";

// A command that looks at photos, and what may be said about it.
struct VisionCommand {
  const char* name;
  const char* description;
  const char* draws;  // nullptr: nothing
  bool takes_min_score;
  const char* top;  // nullptr: it takes none
  uint32_t usual_top;
  uint32_t most_top;
  const char* examples;
};

constexpr VisionCommand kVisionCommands[] = {
    {"classify", "Say what a photo shows", nullptr, false, "How many classes to show; default: 5", 5,
     kMostClasses, R"(Examples:
  vaccel classify cat.jpg
  vaccel classify --model mobilenet --top 1 --repeat 100 cat.jpg
  vaccel classify *.jpg
  curl -s https://example.org/cat.jpg | vaccel classify -
)"},
    {"detect", "Find the objects in a photo", "boxes", true, "How many objects to show at most; default: 100",
     0, kMostClasses, R"(Examples:
  vaccel detect street.jpg
  vaccel detect street.jpg -o found.png --min-score 0.3
  vaccel detect *.jpg -o pictures
)"},
    {"segment", "Say what each pixel of a photo belongs to", "colours over it", false, nullptr, 0, 0,
     R"(Examples:
  vaccel segment cat.jpg
  vaccel segment cat.jpg -o mask.png
)"},
    {"pose", "Find how the bodies in a photo are posed", "skeletons", true,
     "How many bodies to show at most; default: as the model says", 0, kMostClasses, R"(Examples:
  vaccel pose dancer.jpg
  vaccel pose dancer.jpg -o skeleton.png --top 1
)"},
    {"depth", "Say how far away everything in a photo is", "depth in colours", false, nullptr, 0, 0,
     R"(Examples:
  vaccel depth room.jpg
  vaccel depth room.jpg -o depth.png
)"}};

constexpr const char* kInferExamples = R"(Examples:
  vaccel infer mobilenet --input image.npy
  vaccel infer detector --input image=a.npy --input threshold=b.npy --output boxes=boxes.npy
  vaccel infer mobilenet --input image.npy --output-dir results
)";

constexpr const char* kModelsExamples = R"(Examples:
  vaccel models
  vaccel models mobilenet
)";

constexpr const char* kUploadExamples = R"(Examples:
  vaccel upload adder adder.onnx
  vaccel upload cats models/cats
  vaccel classify --model own/cats cat.jpg

A folder has a model.toml, as one of the host's catalogue has; a file alone can be run on
tensors. What the agent has already is not sent again, and an upload that was interrupted goes
on where it was.
)";

constexpr const char* kDeleteExamples = R"(Examples:
  vaccel delete adder
)";

constexpr const char* kInfoExamples = R"(Examples:
  vaccel info
  vaccel --endpoint vsock:2:4411 info --json
)";

constexpr const char* kBackendsExamples = R"(Examples:
  vaccel backends
)";

constexpr const char* kOperatorsExamples = R"(Examples:
  vaccel operators
  vaccel operators gemm
)";

constexpr const char* kPingExamples = R"(Examples:
  vaccel ping
  vaccel ping --count 1000 --interval 0
)";

constexpr const char* kCallExamples = R"(Examples:
  vaccel call classify --model mobilenet --input image=bytes.npy --attribute top=3
  vaccel call reference.delay --attribute microseconds=2000
  vaccel call reference.echo --input x=a.npy --output x=b.npy
  vaccel call gemm --input a.npy --input b.npy --attribute alpha=2 --output c=c.npy
)";

constexpr const char* kTensorNote = R"(
Files are as numpy.save() writes them. --input, --output and --attribute may be given several times.
A path that has a '=' takes one in front of it: --input =a=b.npy. --output-dir is made if need be.
)";

constexpr const char* kAttributeNote = R"(
What looks like a number is one; in double quotes it is a string: --attribute 'text="12"'.
)";

constexpr const char* kCommonNote = R"(
The options of vaccel itself may be given here, too: 'vaccel --help' has them, and the exit codes.
)";

// Option values as they were typed; turned into Arguments once CLI11 has found nothing wrong with their form.
struct Typed {
  std::string endpoint;
  std::string deadline;
  std::string model;  // of all that have --model
  std::string picture;
  std::string name;  // of models and operators
  std::string path;
  std::string interval;
  std::string output_directory;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<std::string> attributes;
  uint32_t count = 0;
  VisionArguments vision;
  float min_score = -1;  // not given
  InferArguments infer;
  CallArguments call;
  bool json = false;
};

// The descriptions of checks are left empty, for the help would show them beside the type's name.
CLI::Validator duration_check() {
  return CLI::Validator(
      [](const std::string& text) {
        const auto duration = parse_duration(text);
        return duration ? std::string() : duration.error().message();
      },
      "");
}

CLI::Validator range_check(uint32_t least, uint32_t most) {
  return CLI::Range(least, most).description("");
}

CLI::App* add_command(CLI::App& app, const char* name, const char* description, const std::string& notes) {
  CLI::App* command = app.add_subcommand(name, description);
  command->group("Commands");
  command->fallthrough();  // --json and its kin after the command
  command->footer(notes + kCommonNote);
  return command;
}

void add_list(CLI::App& command, const char* name, std::vector<std::string>& values, const char* type,
              const char* description) {
  command.add_option(name, values, description)->type_name(type)->allow_extra_args(false);
}

void add_tensors(CLI::App& command, Typed& typed) {
  add_list(command, "--input", typed.inputs, "[NAME=]FILE.npy",
           "An input; without NAME by position; '-' is standard input");
  add_list(command, "--output", typed.outputs, "[NAME=]FILE.npy",
           "Where to write an output; without NAME the only one");
  command.add_option("--output-dir", typed.output_directory, "Where to write all outputs, as NAME.npy")
      ->type_name("DIR");
}

void add_vision(CLI::App& app, const VisionCommand& command, Typed& typed) {
  CLI::App* added = add_command(app, command.name, command.description, command.examples);
  added
      ->add_option("PHOTO", typed.vision.photos,
                   "PNG, JPEG or WebP files, of one call; '-' is standard input")
      ->type_name("")
      ->required();
  added->add_option("--model", typed.model, "Default: the only one for this, else the usual one")
      ->type_name("NAME");
  if (command.draws != nullptr) {
    added
        ->add_option("-o,--output", typed.picture,
                     std::string("Draw ") + command.draws + " into this file; of several photos a folder")
        ->type_name("FILE.png");
  }
  if (command.takes_min_score) {
    added
        ->add_option("--min-score", typed.min_score, "Leave out what scores less; default: as the model says")
        ->type_name("0..1")
        ->check(CLI::Range(0.0, 1.0).description(""));
  }
  if (command.top != nullptr) {
    added->add_option("--top", typed.vision.top, command.top)
        ->type_name("N")
        ->check(range_check(1, command.most_top));
  }
  added
      ->add_option("--repeat", typed.vision.repeat,
                   "How often to do it, to see how the times vary; default: 1")
      ->type_name("N")
      ->check(range_check(1, kMostRepeats));
}

void add_commands(CLI::App& app, Typed& typed) {
  for (const VisionCommand& command : kVisionCommands)
    add_vision(app, command, typed);

  CLI::App* infer =
      add_command(app, "infer", "Run a model on tensors", std::string(kInferExamples) + kTensorNote);
  infer->add_option("MODEL", typed.infer.model, "The model; 'vaccel models' lists them")
      ->type_name("")
      ->required();
  add_tensors(*infer, typed);

  CLI::App* models = add_command(app, "models", "List the models, or describe one", kModelsExamples);
  models->add_option("NAME", typed.name, "The model to describe")->type_name("");

  add_command(app, "info", "Describe the agent, its limits and its backends", kInfoExamples);

  add_command(app, "backends", "List the backends with their devices, or why they do not run",
              kBackendsExamples);

  CLI::App* operators =
      add_command(app, "operators", "List what can be called, or describe one", kOperatorsExamples);
  operators->add_option("NAME", typed.name, "The operator to describe")->type_name("");

  CLI::App* ping = add_command(app, "ping", "Measure round trips to the agent", kPingExamples);
  ping->add_option("--count", typed.count, "How many; default: 4, with --json 1")
      ->type_name("N")
      ->check(range_check(1, kMostRepeats));
  ping->add_option("--interval", typed.interval, "From one to the next; default: 1s")
      ->type_name("DURATION")
      ->check(duration_check());

  CLI::App* upload =
      add_command(app, "upload", "Bring a model of one's own, to be used as own/NAME", kUploadExamples);
  upload->add_option("NAME", typed.name, "What it is to be called")->type_name("")->required();
  upload->add_option("PATH", typed.path, "A model's file, or a folder with a model.toml")
      ->type_name("")
      ->required();

  CLI::App* remove = add_command(app, "delete", "Delete a model of one's own", kDeleteExamples);
  remove->add_option("NAME", typed.name, "As it was uploaded")->type_name("")->required();

  CLI::App* call = add_command(app, "call", "Call any operator by name",
                               std::string(kCallExamples) + kTensorNote + kAttributeNote);
  call->add_option("OPERATOR", typed.call.operator_name,
                   "classify, gemm, reference.echo, ...; 'vaccel operators' lists them")
      ->type_name("")
      ->required();
  call->add_option("--model", typed.model, "The model that it works on, if it needs one")->type_name("NAME");
  add_list(*call, "--attribute", typed.attributes, "NAME=VALUE", "An integer, a real number, or a string");
  add_tensors(*call, typed);
}

void add_common(CLI::App& app, Typed& typed) {
  app.add_option("--endpoint", typed.endpoint, "Where the agent is; see below")->type_name("ENDPOINT");
  app.add_flag("--json", typed.json, "Print one JSON object; of an error, too");
  app.add_option("--deadline", typed.deadline, "Longest wait for a connection, and for a call: 250ms, 2s")
      ->type_name("DURATION")
      ->check(duration_check());
  app.set_version_flag(
      "--version",
      [] { return std::string("vaccel " VACCEL_VERSION_TEXT " (libvaccel ") + vaccel_version() + ")"; },
      "Print the versions of the tool and of the library");
  app.footer(std::string(kEndpoints) + kExamples + kExitCodes);
}

Unexpected mistake(const std::string& sentence, const std::string& command) {
  const std::string help = command.empty() ? "vaccel --help" : "vaccel " + command + " --help";
  return Unexpected{Status{VACCEL_INVALID_ARGUMENT, sentence + " (see " + help + ")"}};
}

std::optional<std::string> unless_empty(std::string& text) {
  return text.empty() ? std::nullopt : std::optional(std::move(text));
}

Result<std::vector<TensorFile>> parse_tensor_files(const std::vector<std::string>& texts,
                                                   const char* option) {
  std::vector<TensorFile> files;
  for (const std::string& text : texts) {
    auto file = parse_tensor_file(text);
    if (!file) return Unexpected{file.error().within(option)};
    files.push_back(std::move(*file));
  }
  return files;
}

Status take_tensors(Typed& typed, TensorArguments& tensors) {
  auto inputs = parse_tensor_files(typed.inputs, "--input");
  if (!inputs) return inputs.error();
  auto outputs = parse_tensor_files(typed.outputs, "--output");
  if (!outputs) return outputs.error();
  tensors = {std::move(*inputs), std::move(*outputs), unless_empty(typed.output_directory)};
  return {};
}

Status take_attributes(const Typed& typed, std::vector<Attribute>& attributes) {
  for (const std::string& text : typed.attributes) {
    auto attribute = parse_attribute(text);
    if (!attribute) return attribute.error().within("--attribute");
    attributes.push_back(std::move(*attribute));
  }
  return {};
}

const VisionCommand* vision_command(const std::string& name) {
  for (const VisionCommand& command : kVisionCommands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

Status take_vision(const VisionCommand& command, Typed& typed, Arguments& arguments) {
  VisionArguments& vision = typed.vision;
  if (std::count(vision.photos.begin(), vision.photos.end(), "-") > 1)
    return {VACCEL_INVALID_ARGUMENT, "'-' is given twice, and there is one standard input"};
  vision.operator_name = command.name;
  vision.model = unless_empty(typed.model);
  vision.output = unless_empty(typed.picture);
  if (typed.min_score >= 0) vision.min_score = typed.min_score;
  if (vision.top == 0) vision.top = command.usual_top;
  arguments.command = std::move(vision);
  return {};
}

// "own/cats" and "cats" are the same.
std::string own_name(const std::string& name) {
  constexpr std::string_view kPrefix = "own/";
  return name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : name;
}

Status take_command(const std::string& command, Typed& typed, Arguments& arguments) {
  if (const VisionCommand* vision = vision_command(command)) return take_vision(*vision, typed, arguments);
  if (command == "infer") {
    if (Status status = take_tensors(typed, typed.infer.tensors); !status.ok()) return status;
    arguments.command = std::move(typed.infer);
  } else if (command == "models") {
    arguments.command = ModelsArguments{unless_empty(typed.name)};
  } else if (command == "info") {
    arguments.command = InfoArguments{};
  } else if (command == "backends") {
    arguments.command = BackendsArguments{};
  } else if (command == "operators") {
    arguments.command = OperatorsArguments{unless_empty(typed.name)};
  } else if (command == "upload") {
    arguments.command = UploadArguments{own_name(typed.name), typed.path};
  } else if (command == "delete") {
    arguments.command = DeleteArguments{own_name(typed.name)};
  } else if (command == "ping") {
    PingArguments ping;
    if (typed.count > 0) ping.count = typed.count;
    if (!typed.interval.empty()) ping.interval = parse_duration(typed.interval).value();
    arguments.command = ping;
  } else {
    typed.call.model = unless_empty(typed.model);
    if (Status status = take_attributes(typed, typed.call.attributes); !status.ok()) return status;
    if (Status status = take_tensors(typed, typed.call.tensors); !status.ok()) return status;
    arguments.command = std::move(typed.call);
  }
  return {};
}

// CLI11 says of a mistyped command that there is none.
Unexpected no_command(const CLI::App& app, const CLI::ParseError& error) {
  const auto words = app.remaining();
  if (!words.empty() && words.front().starts_with("-"))
    return mistake("there is no option " + words.front(), "");
  if (!words.empty()) return mistake("there is no command '" + words.front() + "'", "");
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) return mistake("which command?", "");
  return mistake(error.what(), "");
}

// The command that was typed, as far as CLI11 came.
std::string command_of(const CLI::App& app) {
  const auto commands = app.get_subcommands();
  return commands.empty() ? std::string() : commands.front()->get_name();
}

Result<std::variant<Arguments, HelpText>> take(const CLI::App& app, Typed& typed) {
  Arguments arguments;
  const std::string command = command_of(app);
  if (app.count("--endpoint") > 0) arguments.common.endpoint = std::move(typed.endpoint);
  arguments.common.json = typed.json;
  if (!typed.deadline.empty()) arguments.common.deadline = parse_duration(typed.deadline).value();
  if (arguments.common.deadline &&
      (command == "models" || command == "info" || command == "backends" || command == "operators")) {
    return mistake("--deadline is for calls and ping; " + command + " takes none", command);
  }
  if (Status status = take_command(command, typed, arguments); !status.ok())
    return mistake(status.message(), command);
  return arguments;
}

}  // namespace

Result<std::variant<Arguments, HelpText>> parse_arguments(int argc, const char* const* argv) {
  CLI::App app{"Runs operators on the host's accelerators: looks at photos, runs models, says what there is.",
               "vaccel"};
  Typed typed;
  app.get_formatter()->label("SUBCOMMAND", "COMMAND");
  app.get_formatter()->column_width(32);
  app.require_subcommand(1);
  add_common(app, typed);
  add_commands(app, typed);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const std::string command = command_of(app);
    if (error.get_exit_code() != 0 && command.empty()) return no_command(app, error);
    if (error.get_exit_code() != 0) return mistake(error.what(), command);
    std::ostringstream text;
    app.exit(error, text, text);
    return HelpText{text.str()};
  }
  return take(app, typed);
}

Result<TensorFile> parse_tensor_file(const std::string& text) {
  const size_t equals = text.find('=');
  TensorFile file;
  if (equals != std::string::npos) file.name = text.substr(0, equals);
  file.path = equals == std::string::npos ? text : text.substr(equals + 1);
  if (file.path.empty()) {
    return fail(VACCEL_INVALID_ARGUMENT, "'%s' names no file; it must be NAME=FILE.npy or FILE.npy",
                printable(text).c_str());
  }
  return file;
}

Result<Attribute> parse_attribute(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return fail(VACCEL_INVALID_ARGUMENT, "'%s' must be NAME=VALUE", printable(text).c_str());
  }
  const std::string name = text.substr(0, equals);
  const std::string value = text.substr(equals + 1);
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    return Attribute{name, value.substr(1, value.size() - 2)};
  }
  const char* begin = value.data();
  const char* end = begin + value.size();
  int64_t integer = 0;
  if (const auto read = std::from_chars(begin, end, integer);
      read.ec == std::errc{} && read.ptr == end && begin != end) {
    return Attribute{name, integer};
  }
  double real = 0;
  if (const auto read = std::from_chars(begin, end, real);
      read.ec == std::errc{} && read.ptr == end && begin != end) {
    return Attribute{name, real};
  }
  return Attribute{name, value};
}

}  // namespace vaccel::tool
