// SPDX-License-Identifier: Apache-2.0
//
// Writes the seed corpus of the fuzz targets: for each decoder a folder with bodies that a real exchange
// would have.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "wire/messages.h"

namespace {

using namespace vaccel::wire;

std::filesystem::path root;

void write(const std::string& folder, const std::string& name, std::span<const std::byte> bytes) {
  std::filesystem::create_directories(root / folder);
  std::ofstream file(root / folder / name, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

Tensor image_tensor(uint64_t bytes) {
  Tensor tensor{.name = "image", .dtype = VACCEL_UINT8, .rank = 1};
  tensor.shape[0] = static_cast<int64_t>(bytes);
  tensor.bytes = bytes;
  return tensor;
}

Call classify_call() {
  Call call{.operator_name = "classify",
            .model = 7,
            .backend = "onnxruntime",
            .timeout_us = 250'000,
            .timings = true};
  call.attributes = {{"top", int64_t{5}}, {"threshold", 0.25}, {"note", std::string("text")}};
  call.inputs = {image_tensor(240'000)};
  return call;
}

Call infer_call() {
  Call call{.operator_name = "infer", .model = 1};
  Tensor tensor{.name = "input", .dtype = VACCEL_FLOAT32, .rank = 4, .shape = {1, 3, 224, 224}};
  tensor.bytes = 602'112;
  Tensor strings{.name = "words", .dtype = VACCEL_STRING, .rank = 1, .shape = {2}};
  strings.segment = Segment::kCalls;
  strings.offset = 602'112;
  strings.bytes = 64;
  Tensor in_window = tensor;
  in_window.segment = static_cast<Segment>(kFirstWindowNumber);
  in_window.offset = 4100;
  call.inputs = {tensor, strings, in_window};
  call.window = in_window.segment;
  call.places = {{"scores", 8192, 4004},
                 {"", 65'536, 64},
                 {"kept", 128, 64, static_cast<Segment>(kFirstMemoryNumber + 1)}};
  call.area_offset = 1 << 20;
  call.area_bytes = 1 << 19;
  return call;
}

StatusReport status_report() {
  StatusReport report{
      .server = "vacceld 0.1.0", .sessions = 3, .workers = 1, .calls = 1000, .failed_calls = 1};
  report.vms = {{.name = "vm1",
                 .tenant = "acme",
                 .listen = "hvsock:/run/vm1.vsock:4411",
                 .cid = 0,
                 .window = "/dev/shm/vm1.window",
                 .window_bytes = 1 << 28,
                 .leased_bytes = 4096,
                 .leases = 1,
                 .sessions = 2,
                 .problem = ""}};
  return report;
}

StatusReport status_lists() {
  StatusReport report{.server = "vacceld 0.1.0", .workers = 2, .more = true};
  report.tenants = {{.name = "acme", .weight = 4, .sessions = 2, .calls = 1000, .failed_calls = 1},
                    {.name = "default", .weight = 1, .bytes_in_flight = 1 << 20}};
  report.models = {{.name = "mobilenet",
                    .state = LoadState::kLoaded,
                    .backend = "onnxruntime",
                    .problem = "",
                    .workers = {0, 1},
                    .calls = 1000}};
  report.worker_list = {
      {.index = 0, .pid = 4711, .ready = true, .problem = "", .threads = 8, .cpus = "0-3", .device = "0"},
      {.index = 1, .problem = "it was killed by signal 9", .cpus = "", .device = ""}};
  report.backends = {{"onnxruntime", "1.20", "CPU", ""}};
  return report;
}

Description operators() {
  Description description;
  description.operators = {{"vendor.top",
                            "The largest of a tensor",
                            {{VACCEL_OPERATOR_INPUT, "x", "float32 [?]", ""},
                             {VACCEL_OPERATOR_ATTRIBUTE, "top", "integer >= 1, required", "how many"}},
                            {{"openblas", VACCEL_FLOAT64, 90}}}};
  description.more = true;
  return description;
}

Description models() {
  ModelInfo model{.name = "mobilenet",
                  .task = "classify",
                  .description = "MobileNet",
                  .version = "1",
                  .license = "Apache-2.0",
                  .backend = "onnxruntime",
                  .problem = "",
                  .inputs = {},
                  .outputs = {}};
  model.inputs = {{"input", VACCEL_FLOAT32, 4, {1, 3, 224, 224}}};
  model.outputs = {{"scores", VACCEL_FLOAT32, 2, {-1, 1001}}, {"any", VACCEL_INT64, -1, {}}};
  return {.server = "vacceld 0.1.0",
          .worker_count = 1,
          .model_count = 2,
          .backends = {{"onnxruntime", "1.28.2", "CPU", ""}, {"torch", "", "", "libtorch.so: not found"}},
          .models = {model},
          .more = true};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  root = argv[1];
  Encoder encoder;
  write("hello", "usual", encoder.encode(Hello{.client = "vaccel/0.1.0"}));
  write("hello", "wide", encoder.encode(Hello{.version_min = 0, .version_max = 0xffff, .client = ""}));
  write("welcome", "usual", encoder.encode(Welcome{1, "vacceld 0.1.0", 1 << 28, 64}));
  write("open_model", "usual", encoder.encode(OpenModel{"mobilenet", true}));
  write("model_opened", "usual", encoder.encode(ModelOpened{3}));
  write("close_model", "usual", encoder.encode(CloseModel{3}));
  write("done", "usual", encoder.encode(Done{}));
  write("describe", "server", encoder.encode(Describe{}));
  write("describe", "models", encoder.encode(Describe{Subject::kModels, "", 128}));
  write("describe", "operators", encoder.encode(Describe{Subject::kOperators, "", 20}));
  write("describe", "model", encoder.encode(Describe{Subject::kModel, "mobilenet", 0}));
  write("description", "usual", encoder.encode(models()));
  write("description", "operators", encoder.encode(operators()));
  write("call", "classify", encoder.encode(classify_call()));
  write("call", "infer", encoder.encode(infer_call()));
  write("call", "echo", encoder.encode(Call{.operator_name = "vaccel.echo"}));
  write("result", "empty", encoder.encode(CallResult{}));
  write("result", "usual", encoder.encode(CallResult{infer_call().inputs, {.agent_ns = 1, .infer_ns = 2}}));
  write("failure", "usual", encoder.encode(Failure{VACCEL_NOT_FOUND, "no model 'x'", 1000}));
  write("cancel", "usual", encoder.encode(Cancel{99}));
  write("release", "usual", encoder.encode(Release{{0, 64, 4096}}));
  write("open_window", "usual", encoder.encode(OpenWindow{true}));
  write("window_opened", "memory",
        encoder.encode(
            WindowOpened{WindowKind::kMemory, 1 << 28, {1, 2, 3, 4, 5}, 4096, 69'632, 1 << 27, 1024}));
  write("window_opened", "device",
        encoder.encode(WindowOpened{.kind = WindowKind::kDevice, .bytes = 1 << 27}));
  write("lease", "usual", encoder.encode(Lease{602'112, 64}));
  write("leased", "usual", encoder.encode(Leased{1 << 20, 655'360}));
  write("import_window", "usual", encoder.encode(ImportWindow{16, 2 << 20, 1 << 28}));
  write("drop_window", "usual", encoder.encode(DropWindow{16}));
  write("allocate_memory", "usual", encoder.encode(AllocateMemory{"opencl", 1 << 20, 0}));
  write("memory_allocated", "usual", encoder.encode(MemoryAllocated{kFirstMemoryNumber + 1, "opencl"}));
  write("free_memory", "usual", encoder.encode(FreeMemory{kFirstMemoryNumber + 1}));
  write("wake", "usual", encoder.encode(Wake{}));
  write("ping", "usual", encoder.encode(Ping{}));
  write("set_tenant", "usual", encoder.encode(SetTenant{"acme", "weight = 4\n", false}));
  write("set_tenant", "remove", encoder.encode(SetTenant{"acme", "", true}));
  write("read_tenant", "usual", encoder.encode(ReadTenant{"acme"}));
  write("tenant_settings", "usual", encoder.encode(TenantSettings{"weight = 4\nmax_sessions = 10\n"}));
  write("reload", "usual", encoder.encode(Reload{}));
  write("reloaded", "usual", encoder.encode(Reloaded{"[worker] count needs a restart\n"}));
  write("lift_quarantine", "usual", encoder.encode(LiftQuarantine{"mobilenet"}));
  write("attach_vm", "usual",
        encoder.encode(
            AttachVm{"vm1", "hvsock:/run/vm1.vsock:4411", 0, "acme", "/dev/shm/vm1.window", 0, true}));
  write("attach_vm", "cid", encoder.encode(AttachVm{.name = "vm2", .cid = 42, .memory_bytes = 1 << 28}));
  write("vm_attached", "usual", encoder.encode(VmAttached{"/dev/shm/vm1.window", 1 << 28}));
  write("detach_vm", "usual", encoder.encode(DetachVm{"vm1"}));
  write("read_status", "usual", encoder.encode(ReadStatus{}));
  write("read_status", "page", encoder.encode(ReadStatus{500, StatusList::kTenants}));
  write("status_report", "usual", encoder.encode(status_report()));
  write("status_report", "lists", encoder.encode(status_lists()));
  write("header", "call", encode_header({Kind::kCall, 1, 5, 300, 602'112}));
  write("header", "hello", encode_header({Kind::kHello, 1, 1, 40, 0}));
  return 0;
}
