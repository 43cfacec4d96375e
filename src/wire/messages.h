// SPDX-License-Identifier: Apache-2.0
//
// The bodies of frames as plain values, and the codec between the two. A decoder takes bytes that nobody else
// can write (the caller has copied them), verifies them as FlatBuffers, checks every limit of limits.h, and
// only then makes a value; what it returns needs no further look at lengths. It cannot know what a handle or
// name refers to: that is its caller's part. The schema itself is schema.fbs; its generated code is not seen
// outside messages.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/status.h"
#include "vaccel/types.h"
#include "wire/frame.h"

namespace vaccel::wire {

/// Which memory a tensor's data lie in.
enum class Segment : uint32_t {
  kPayload = 0,  ///< The frame's own payload.
  kCalls = 1,    ///< Memory that the agent writes and the worker maps: the inputs of calls.
  kResults = 2,  ///< Memory that the worker writes and the agent maps: the outputs of calls.
};

/// A tensor in a body: what it is, and where its data lie.
struct Tensor {
  std::string name;
  int32_t dtype = 0;
  int32_t rank = 0;
  std::array<int64_t, VACCEL_MAX_RANK> shape{};
  Segment segment = Segment::kPayload;
  uint64_t offset = 0;
  uint64_t bytes = 0;

  [[nodiscard]] std::span<const int64_t> dimensions() const {
    return {shape.data(), static_cast<size_t>(rank)};
  }
};

struct Attribute {
  std::string name;
  std::variant<int64_t, double, std::string> value;
};

struct Hello {
  static constexpr Kind kKind = Kind::kHello;
  uint16_t version_min = kOldestVersion;
  uint16_t version_max = kNewestVersion;
  std::string client;
};

struct Welcome {
  static constexpr Kind kKind = Kind::kWelcome;
  uint16_t version = 0;
  std::string server;
  uint64_t max_payload_bytes = 0;
  uint32_t max_calls_in_flight = 0;
};

struct OpenModel {
  static constexpr Kind kKind = Kind::kOpenModel;
  std::string name;
};

struct ModelOpened {
  static constexpr Kind kKind = Kind::kModelOpened;
  uint32_t model = 0;
  std::string backend;
};

struct CloseModel {
  static constexpr Kind kKind = Kind::kCloseModel;
  uint32_t model = 0;
};

struct Done {
  static constexpr Kind kKind = Kind::kDone;
};

enum class Subject : uint8_t { kServer = 0, kModels = 1, kModel = 2 };

struct Describe {
  static constexpr Kind kKind = Kind::kDescribe;
  Subject subject = Subject::kServer;
  std::string model;
  uint32_t start = 0;
};

struct TensorInfo {
  std::string name;
  int32_t dtype = 0;
  int32_t rank = 0;  ///< -1: any.
  std::array<int64_t, VACCEL_MAX_RANK> shape{};
};

struct ModelInfo {
  std::string name;
  std::string task;
  std::string description;
  std::string version;
  std::string license;
  std::string backend;
  std::string problem;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
};

struct BackendInfo {
  std::string name;
  std::string version;
  std::string devices;
  std::string problem;
};

struct Description {
  static constexpr Kind kKind = Kind::kDescription;
  std::string server;
  uint32_t worker_count = 0;
  uint32_t model_count = 0;
  std::vector<BackendInfo> backends;
  std::vector<ModelInfo> models;
  bool more = false;
};

struct Call {
  static constexpr Kind kKind = Kind::kCall;
  std::string operator_name;
  uint32_t model = 0;
  std::string backend;
  std::vector<Attribute> attributes;
  std::vector<Tensor> inputs;
  uint64_t timeout_us = 0;
  bool timings = false;
};

struct CallResult {
  static constexpr Kind kKind = Kind::kResult;
  std::vector<Tensor> outputs;
  vaccel_timings timings{};
};

struct Failure {
  static constexpr Kind kKind = Kind::kFailure;
  vaccel_status code = VACCEL_INTERNAL;
  std::string message;
  uint64_t retry_after_us = 0;

  static Failure from(const Status& status) { return {status.code(), status.message(), 0}; }
  [[nodiscard]] Status status() const { return {code, message}; }
};

struct Cancel {
  static constexpr Kind kKind = Kind::kCancel;
  uint64_t request = 0;
};

struct Release {
  static constexpr Kind kKind = Kind::kRelease;
  std::vector<uint64_t> offsets;
};

/// Encodes bodies into memory that it keeps and reuses. What encode() returns lives until the next encode().
class Encoder {
 public:
  Encoder();
  ~Encoder();
  Encoder(Encoder&&) noexcept;
  Encoder& operator=(Encoder&&) noexcept;

  std::span<const std::byte> encode(const Hello&);
  std::span<const std::byte> encode(const Welcome&);
  std::span<const std::byte> encode(const OpenModel&);
  std::span<const std::byte> encode(const ModelOpened&);
  std::span<const std::byte> encode(const CloseModel&);
  std::span<const std::byte> encode(const Done&);
  std::span<const std::byte> encode(const Describe&);
  /// Texts are cut to their limits; whether all of it fits one body is for the caller to see (size() <=
  /// kMaxBodyBytes).
  std::span<const std::byte> encode(const Description&);
  std::span<const std::byte> encode(const Call&);
  std::span<const std::byte> encode(const CallResult&);
  /// The message is cut to kMaxTextBytes.
  std::span<const std::byte> encode(const Failure&);
  std::span<const std::byte> encode(const Cancel&);
  std::span<const std::byte> encode(const Release&);

 private:
  struct Builder;
  std::unique_ptr<Builder> builder_;
};

/// What tensors in a body may refer to.
struct TensorRules {
  uint64_t payload_bytes = 0;  ///< Of this frame: tensors in Segment::kPayload lie within it.
  bool other_segments =
      false;  ///< Whether the sender may name another segment; its bounds are for the caller to check.
};

/// Each decoder: PROTOCOL_ERROR for bytes that are not such a body; INVALID_ARGUMENT for one whose content
/// cannot be right (a tensor's size, a name too long), where the connection may go on. `body` may have any
/// alignment.
Result<Hello> decode_hello(std::span<const std::byte> body);
Result<Welcome> decode_welcome(std::span<const std::byte> body);
Result<OpenModel> decode_open_model(std::span<const std::byte> body);
Result<ModelOpened> decode_model_opened(std::span<const std::byte> body);
Result<CloseModel> decode_close_model(std::span<const std::byte> body);
Result<Done> decode_done(std::span<const std::byte> body);
Result<Describe> decode_describe(std::span<const std::byte> body);
Result<Description> decode_description(std::span<const std::byte> body);
Result<Call> decode_call(std::span<const std::byte> body, const TensorRules& rules);
Result<CallResult> decode_result(std::span<const std::byte> body, const TensorRules& rules);
Result<Failure> decode_failure(std::span<const std::byte> body);
Result<Cancel> decode_cancel(std::span<const std::byte> body);
Result<Release> decode_release(std::span<const std::byte> body);

/// The newest version that both ends speak; UNIMPLEMENTED: there is none.
Result<uint16_t> negotiate_version(const Hello& hello);

}  // namespace vaccel::wire
