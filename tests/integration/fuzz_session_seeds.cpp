// SPDX-License-Identifier: Apache-2.0
//
// Writes the seeds of fuzz_session: sessions as clients have them, in both of its forms.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <vector>

#include "channel/ring.h"
#include "wire/messages.h"

namespace {

using namespace vaccel::wire;

// One session, as records and as the bytes of its frames.
class Seed {
 public:
  template <typename Message>
  Seed& add(uint8_t id, const Message& message, size_t payload_bytes = 0, uint8_t announced_in_addition = 0) {
    Encoder encoder;
    const auto body = encoder.encode(message);
    const std::vector<std::byte> payload(payload_bytes, std::byte{42});
    const auto low_high = [&](size_t number) {
      put({static_cast<std::byte>(number & 255), static_cast<std::byte>(number >> 8)});
    };
    put({static_cast<std::byte>(Message::kKind), std::byte{id}});
    low_high(body.size());
    low_high(payload.size());
    put({std::byte{announced_in_addition}});
    put(body);
    put(payload);
    const auto header = encode_header({Message::kKind, kNewestVersion, id, static_cast<uint32_t>(body.size()),
                                       payload.size() + announced_in_addition});
    frames_.insert(frames_.end(), header.begin(), header.end());
    frames_.insert(frames_.end(), body.begin(), body.end());
    frames_.insert(frames_.end(), payload.begin(), payload.end());
    return *this;
  }

  void write(const std::filesystem::path& folder, const char* name) const {
    write_file(folder / (std::string(name) + "-records"), std::byte{1}, records_);
    std::vector<std::byte> whole;
    Encoder encoder;
    const auto hello = encoder.encode(Hello{.client = "seed"});
    const auto header =
        encode_header({Kind::kHello, kNewestVersion, 1, static_cast<uint32_t>(hello.size()), 0});
    whole.insert(whole.end(), header.begin(), header.end());
    whole.insert(whole.end(), hello.begin(), hello.end());
    whole.insert(whole.end(), frames_.begin(), frames_.end());
    write_file(folder / (std::string(name) + "-bytes"), std::byte{0}, whole);
  }

 private:
  void put(std::span<const std::byte> bytes) { records_.insert(records_.end(), bytes.begin(), bytes.end()); }
  void put(std::initializer_list<std::byte> bytes) { records_.insert(records_.end(), bytes); }
  static void write_file(const std::filesystem::path& path, std::byte first,
                         std::span<const std::byte> bytes) {
    std::ofstream file(path, std::ios::binary);
    file.put(static_cast<char>(first));
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  std::vector<std::byte> records_;
  std::vector<std::byte> frames_;
};

Call call_of(const char* name, uint64_t bytes, uint64_t timeout_us = 0) {
  Call call{.operator_name = name, .timeout_us = timeout_us};
  call.attributes = {{"microseconds", int64_t{5}}, {"text", std::string("words")}, {"real", 0.5}};
  Tensor tensor{.name = "data", .dtype = VACCEL_UINT8, .rank = 1};
  tensor.shape[0] = static_cast<int64_t>(bytes);
  tensor.bytes = bytes;
  if (bytes > 0) call.inputs = {tensor};
  return call;
}

// After the window's header and the session's rings.
constexpr uint64_t kFirstLease = 4096 + align_up(vaccel::channel::kRingPairBytes, 4096);

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_session_seeds FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  Seed().add(2, call_of("vaccel.echo", 100), 100).add(3, call_of("vaccel.echo", 0)).write(folder, "echo");
  Seed().add(2, call_of("reference.noop", 0)).add(3, Cancel{2}).add(4, Cancel{9}).write(folder, "cancel");
  Seed()
      .add(2, call_of("reference.echo", 100), 100)
      .add(2, call_of("reference.echo", 0))
      .write(folder, "id-again");
  Seed().add(2, call_of("reference.echo", 100, 1), 100).write(folder, "deadline");
  Seed()
      .add(2, call_of("reference.echo", 5000), 5000)
      .add(3, call_of("x", 64), 64)
      .write(folder, "over-limit");
  Seed().add(2, call_of("reference.echo", 200), 100, 100).write(folder, "half-payload");
  Seed().add(2, OpenModel{"mobilenet"}).add(3, CloseModel{7}).write(folder, "models");
  Seed()
      .add(2, Describe{Subject::kServer, "", 0})
      .add(3, Describe{Subject::kModels, "", 3})
      .add(4, Describe{Subject::kModel, "mobilenet", 0})
      .write(folder, "describe");
  Call in_window = call_of("reference.echo", 64);
  in_window.inputs[0].segment = Segment::kWindow;
  in_window.inputs[0].offset = kFirstLease;
  in_window.window = Segment::kWindow;
  in_window.places = {{"", kFirstLease + 64, 64}};
  in_window.area_offset = kFirstLease + 128;
  in_window.area_bytes = 64;
  Seed()
      .add(2, OpenWindow{.takes_descriptors = true})
      .add(3, Lease{4096, 64})
      .add(4, in_window)
      .add(0, Wake{})
      .add(0, Release{{kFirstLease}})
      .add(5, in_window)
      .write(folder, "window");
  Call on_device = call_of("transfer", 64);
  on_device.inputs[0].segment = static_cast<Segment>(kFirstMemoryNumber + 1);
  on_device.places = {{"", 64, 64, static_cast<Segment>(kFirstMemoryNumber + 1)}};
  Seed()
      .add(2, AllocateMemory{"reference", 4096, 0})
      .add(3, AllocateMemory{"", 1 << 20, 0})
      .add(4, on_device)
      .add(5, FreeMemory{kFirstMemoryNumber + 1})
      .write(folder, "device");
  Call upload = call_of("vaccel.upload", 100);
  upload.attributes = {{"sha256", std::string(64, 'a')}, {"bytes", int64_t{200}}, {"offset", int64_t{0}}};
  Call put{.operator_name = "vaccel.put_model"};
  put.attributes = {{"name", std::string("cat")}, {"files", "model.toml " + std::string(64, 'a') + "\n"}};
  Call remove{.operator_name = "vaccel.delete_model"};
  remove.attributes = {{"name", std::string("cat")}};
  Call upload_in_window = in_window;
  upload_in_window.operator_name = upload.operator_name;
  upload_in_window.attributes = upload.attributes;
  Seed().add(2, upload, 100).add(3, put).add(4, OpenModel{"own/cat"}).add(5, remove).write(folder, "upload");
  Seed()
      .add(2, OpenWindow{.takes_descriptors = true})
      .add(3, Lease{4096, 64})
      .add(4, upload_in_window)
      .write(folder, "upload-window");
  Seed many;
  for (uint8_t id = 2; id < 14; ++id)
    many.add(id, call_of("reference.delay", 64), 64);
  many.add(20, Cancel{5}).write(folder, "many");
  return 0;
}
