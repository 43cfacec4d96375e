// SPDX-License-Identifier: Apache-2.0
//
// Writes seeds for fuzz_decoders: for each decoder outputs that it accepts, with values of every kind.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace {

using Shapes = std::vector<std::vector<uint8_t>>;

const std::vector<float> kOfEveryKind = {0.1F, 0.9F, 0.4F, 0.8F,  -2.0F, 3.0F,    12.0F,
                                         0.0F, 0.6F, 0.7F, 1e30F, NAN,   INFINITY};

// See fuzz_decoders.cpp for what is where.
void write(const std::filesystem::path& folder, const std::string& name, uint8_t decoder, uint8_t modes,
           uint8_t more, const Shapes& shapes, const std::vector<float>& values = kOfEveryKind) {
  std::string seed;
  for (const uint8_t byte : {decoder, uint8_t{31}, uint8_t{23}, modes, uint8_t{0x9c}, more})
    seed += static_cast<char>(byte);
  for (const auto& shape : shapes) {
    seed += static_cast<char>(shape.size());
    for (const uint8_t dimension : shape)
      seed += static_cast<char>(dimension);
  }
  for (const float value : values) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    seed.append(bytes, sizeof bytes);
  }
  std::ofstream(folder / name, std::ios::binary) << seed;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: runtime_seeds FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = arguments[1];
  std::filesystem::create_directories(folder);
  write(folder, "classify", 0, 3, 5, {{10}});
  write(folder, "ssd-anchors", 1, 0, 8, {{9, 4}, {9, 5}});
  write(folder, "ssd-corners", 1, 3, 6, {{20, 4}, {20, 3}});
  write(folder, "ssd-postprocessed", 2, 0, 0, {{10, 4}, {10}, {10}, {}});
  write(folder, "yolo-rows", 3, 6, 8, {{20, 9}});
  write(folder, "yolo-columns", 3, 0, 2, {{7, 23}});
  write(folder, "segment-nchw", 4, 0, 0, {{5, 12, 9}});
  write(folder, "segment-nhwc", 4, 11, 0, {{12, 9, 5}});
  write(folder, "pose-one", 5, 6, 0, {{3, 8, 8}, {6, 8, 8}});
  write(folder, "pose-several", 5, 9, 1, {{8, 8, 3}, {8, 8, 6}, {8, 8, 4}, {8, 8, 4}});
  write(folder, "depth", 6, 2, 0, {{1, 12, 9}});
  write(folder, "class-map", 7, 0, 4, {{12, 9}}, {0, 1, 2, 3, 4, 2, 1});
  return 0;
}
