// SPDX-License-Identifier: Apache-2.0
#include "wire/messages.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "wire/limits.h"

namespace vaccel::wire {
namespace {

Tensor float_tensor(uint64_t offset) {
  Tensor tensor{.name = "input", .dtype = VACCEL_FLOAT32, .rank = 2, .shape = {2, 3}};
  tensor.offset = offset;
  tensor.bytes = 24;
  return tensor;
}

Call example() {
  Call call{
      .operator_name = "infer", .model = 9, .backend = "onnxruntime", .timeout_us = 77, .timings = true};
  call.attributes = {{"top", int64_t{-5}}, {"alpha", 0.5}, {"mode", std::string("fast")}};
  call.inputs = {float_tensor(0), float_tensor(64)};
  return call;
}

TEST(Call, ComesOutAsItWentIn) {
  Encoder encoder;
  const auto call = decode_call(encoder.encode(example()), {.payload_bytes = 88});
  ASSERT_TRUE(call.has_value()) << call.error().message();
  EXPECT_EQ(call->operator_name, "infer");
  EXPECT_EQ(call->model, 9u);
  EXPECT_EQ(call->backend, "onnxruntime");
  EXPECT_EQ(call->timeout_us, 77u);
  EXPECT_TRUE(call->timings);
  ASSERT_EQ(call->attributes.size(), 3u);
  EXPECT_EQ(std::get<int64_t>(call->attributes[0].value), -5);
  EXPECT_EQ(std::get<double>(call->attributes[1].value), 0.5);
  EXPECT_EQ(std::get<std::string>(call->attributes[2].value), "fast");
  ASSERT_EQ(call->inputs.size(), 2u);
  EXPECT_EQ(call->inputs[1].name, "input");
  EXPECT_EQ(call->inputs[1].offset, 64u);
  EXPECT_EQ(call->inputs[1].dimensions().size(), 2u);
  EXPECT_EQ(call->inputs[1].shape[1], 3);
}

Status decode_with(void (*change)(Call&), TensorRules rules = {.payload_bytes = 88}) {
  Call call = example();
  change(call);
  Encoder encoder;
  const auto decoded = decode_call(encoder.encode(call), rules);
  return decoded ? Status{} : decoded.error();
}

TEST(Call, TensorsMayNotReachBeyondThePayload) {
  EXPECT_TRUE(decode_with([](Call&) {}).ok());
  EXPECT_EQ(decode_with([](Call&) {}, {.payload_bytes = 87}).code(), VACCEL_INVALID_ARGUMENT);
  EXPECT_FALSE(decode_with([](Call& call) { call.inputs[0].offset = ~uint64_t{0} - 63; }).ok());
  EXPECT_FALSE(decode_with([](Call& call) { call.inputs[0].offset = 128; }).ok());
}

TEST(Call, TensorsAreAlignedAndAsLargeAsTheirShapeSays) {
  EXPECT_FALSE(decode_with([](Call& call) { call.inputs[0].offset = 4; }).ok());
  EXPECT_EQ(decode_with([](Call& call) { call.inputs[0].bytes = 20; }).message(),
            "tensor 'input', float32 [2, 3], takes 24 bytes, not 20");
  EXPECT_FALSE(decode_with([](Call& call) { call.inputs[0].shape[0] = -2; }).ok());
  EXPECT_FALSE(decode_with([](Call& call) {
                 call.inputs[0].shape = {int64_t{1} << 40, int64_t{1} << 40};
               }).ok());
  EXPECT_FALSE(decode_with([](Call& call) { call.inputs[0].dtype = 0; }).ok());
  EXPECT_FALSE(decode_with([](Call& call) { call.inputs[0].dtype = 15; }).ok());
}

TEST(Call, OtherSegmentsAreForThoseWhoMay) {
  const auto elsewhere = [](Call& call) { call.inputs[0].segment = Segment::kCalls; };
  EXPECT_EQ(decode_with(elsewhere).code(), VACCEL_INVALID_ARGUMENT);
  EXPECT_TRUE(decode_with(elsewhere, {.payload_bytes = 88, .other_segments = true}).ok());
  EXPECT_FALSE(decode_with([](Call& call) { call.inputs[0].segment = static_cast<Segment>(3); },
                           {.payload_bytes = 88, .other_segments = true})
                   .ok());
}

TEST(Call, DeviceMemoryIsForThoseWhoMay) {
  const auto on_device = [](Call& call) {
    call.inputs[0].segment = static_cast<Segment>(kFirstMemoryNumber + 5);
    call.inputs[0].offset = 3;
  };
  EXPECT_EQ(decode_with(on_device).code(), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(decode_with(on_device, {.payload_bytes = 88, .window = true}).code(), VACCEL_INVALID_ARGUMENT);
  EXPECT_TRUE(decode_with(on_device, {.payload_bytes = 88, .device_memory = true}).ok());
  EXPECT_TRUE(decode_with(on_device, {.payload_bytes = 88, .other_segments = true}).ok());
  // Results need no window to go there, and cannot go to another segment.
  const auto placed = [](Call& call) {
    call.places = {{"", 8, 64, static_cast<Segment>(kFirstMemoryNumber)}};
  };
  EXPECT_EQ(decode_with(placed).code(), VACCEL_INVALID_ARGUMENT);
  EXPECT_TRUE(decode_with(placed, {.payload_bytes = 88, .device_memory = true}).ok());
  EXPECT_FALSE(decode_with(
                   [](Call& call) {
                     call.places = {{"", 8, 64, Segment::kResults}};
                   },
                   {.payload_bytes = 88, .other_segments = true, .device_memory = true})
                   .ok());
  EXPECT_FALSE(decode_with(
                   [](Call& call) {
                     call.places = {{"", 8, 64}};
                   },
                   {.payload_bytes = 88, .device_memory = true})
                   .ok());
  // It is no window.
  EXPECT_FALSE(decode_with([](Call& call) { call.window = static_cast<Segment>(kFirstMemoryNumber); },
                           {.payload_bytes = 88, .other_segments = true, .device_memory = true})
                   .ok());
  EXPECT_FALSE(is_imported_window(static_cast<Segment>(kFirstMemoryNumber)));
  EXPECT_TRUE(is_imported_window(static_cast<Segment>(kFirstMemoryNumber - 1)));
}

TEST(TenantMessages, ComeOutAsTheyWentIn) {
  Encoder encoder;
  const auto set = decode_set_tenant(encoder.encode(SetTenant{"acme", "weight = 4\n", true}));
  ASSERT_TRUE(set.has_value()) << set.error().message();
  EXPECT_EQ(set->name, "acme");
  EXPECT_EQ(set->settings, "weight = 4\n");
  EXPECT_TRUE(set->remove);
  EXPECT_EQ(decode_read_tenant(encoder.encode(ReadTenant{"acme"}))->name, "acme");
  EXPECT_EQ(decode_tenant_settings(encoder.encode(TenantSettings{"burst = 1\n"}))->settings, "burst = 1\n");
  EXPECT_EQ(decode_reloaded(encoder.encode(Reloaded{"a\nb\n"}))->notes, "a\nb\n");
  EXPECT_EQ(decode_lift_quarantine(encoder.encode(LiftQuarantine{"mobilenet"}))->subject, "mobilenet");
  EXPECT_TRUE(decode_ping(encoder.encode(Ping{})).has_value());
  EXPECT_TRUE(decode_reload(encoder.encode(Reload{})).has_value());
  // As much as fits, and no more: what would be cut is cut by the sender.
  const std::string most(kMaxSettingsBytes, 'a');
  EXPECT_EQ(decode_set_tenant(encoder.encode(SetTenant{"t", most + "b", false}))->settings, most);
}

TEST(Call, PriorityHasItsRange) {
  Encoder encoder;
  const auto decoded = [&](int8_t priority) {
    return decode_call(encoder.encode(Call{.operator_name = "x", .priority = priority}), {});
  };
  EXPECT_EQ(decoded(100)->priority, 100);
  EXPECT_EQ(decoded(-100)->priority, -100);
  EXPECT_EQ(decoded(101).error().code(), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(decoded(-101).error().code(), VACCEL_INVALID_ARGUMENT);
}

TEST(DeviceMemory, ComesOutAsItWentIn) {
  Encoder encoder;
  const auto allocate = decode_allocate_memory(encoder.encode(AllocateMemory{"opencl", 12345, 678}));
  ASSERT_TRUE(allocate.has_value()) << allocate.error().message();
  EXPECT_EQ(allocate->backend, "opencl");
  EXPECT_EQ(allocate->bytes, 12345u);
  EXPECT_EQ(allocate->memory, 678u);
  const auto allocated = decode_memory_allocated(encoder.encode(MemoryAllocated{kFirstMemoryNumber, "cuda"}));
  ASSERT_TRUE(allocated.has_value()) << allocated.error().message();
  EXPECT_EQ(allocated->memory, kFirstMemoryNumber);
  EXPECT_EQ(allocated->backend, "cuda");
  EXPECT_EQ(decode_free_memory(encoder.encode(FreeMemory{77}))->memory, 77u);
}

TEST(DeviceMemory, HasLimits) {
  Encoder encoder;
  const auto asks = [&](uint64_t bytes) {
    const auto allocate = decode_allocate_memory(encoder.encode(AllocateMemory{"", bytes, 0}));
    return allocate ? VACCEL_OK : allocate.error().code();
  };
  EXPECT_EQ(asks(0), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(asks(1), VACCEL_OK);
  EXPECT_EQ(asks(kMaxMemoryBytes), VACCEL_OK);
  EXPECT_EQ(asks(kMaxMemoryBytes + 1), VACCEL_INVALID_ARGUMENT);
  EXPECT_FALSE(
      decode_memory_allocated(encoder.encode(MemoryAllocated{kFirstMemoryNumber - 1, ""})).has_value());
}

TEST(Call, CountsAndNamesHaveLimits) {
  EXPECT_TRUE(decode_with([](Call& call) { call.inputs.resize(kMaxTensors, float_tensor(0)); }).ok());
  EXPECT_FALSE(decode_with([](Call& call) { call.inputs.resize(kMaxTensors + 1, float_tensor(0)); }).ok());
  EXPECT_FALSE(decode_with([](Call& call) {
                 call.attributes.resize(kMaxAttributes + 1, {"a", int64_t{1}});
               }).ok());
  EXPECT_EQ(decode_with([](Call& call) { call.operator_name = std::string("a\0b", 3); }).message(),
            "the operator's name has a NUL in it");
}

TEST(Bodies, TruncatedOrRandomOnesAreErrorsAndNothingElse) {
  Encoder encoder;
  const auto encoded = encoder.encode(example());
  const std::vector<std::byte> whole(encoded.begin(), encoded.end());
  const TensorRules rules{.payload_bytes = 88};
  for (size_t length = 0; length < whole.size(); ++length) {
    // An exact-size copy, so that a sanitizer sees the first byte that is read too far.
    const std::vector<std::byte> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    const auto decoded = decode_call(part, rules);
    if (length < whole.size() / 2) {  // what is missing from a longer one may be padding
      EXPECT_FALSE(decoded.has_value()) << length;
    }
  }
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::byte> bytes(random() % 200);
    for (auto& byte : bytes)
      byte = static_cast<std::byte>(random());
    (void)decode_call(bytes, rules);
    (void)decode_description(bytes);
    (void)decode_result(bytes, rules);
  }
}

TEST(Bodies, MayLieAtAnyAddress) {
  Encoder encoder;
  const auto encoded = encoder.encode(example());
  std::vector<std::byte> shifted(encoded.size() + 1);
  std::memcpy(shifted.data() + 1, encoded.data(), encoded.size());
  EXPECT_TRUE(decode_call(std::span(shifted).subspan(1), {.payload_bytes = 88}).has_value());
}

TEST(Description, ComesOutAsItWentIn) {
  Description description{.server = "vacceld",
                          .worker_count = 2,
                          .model_count = 3,
                          .backends = {{"onnxruntime", "1.28.2", "CPU", ""}},
                          .models = {{.name = "m",
                                      .task = "infer",
                                      .description = "",
                                      .version = "1",
                                      .license = "",
                                      .backend = "",
                                      .problem = "broken",
                                      .inputs = {},
                                      .outputs = {},
                                      .metadata = {{"author", "nobody"}}}},
                          .more = true};
  description.models[0].inputs = {{"x", VACCEL_FLOAT32, 4, {1, -1, 224, 224}}, {"y", VACCEL_STRING, -1, {}}};
  Encoder encoder;
  const auto back = decode_description(encoder.encode(description));
  ASSERT_TRUE(back.has_value()) << back.error().message();
  EXPECT_EQ(back->backends[0].version, "1.28.2");
  EXPECT_EQ(back->models[0].problem, "broken");
  EXPECT_EQ(back->models[0].inputs[0].shape[1], -1);
  EXPECT_EQ(back->models[0].inputs[1].rank, -1);
  EXPECT_EQ(back->models[0].metadata.at(0).key, "author");
  EXPECT_EQ(back->models[0].metadata.at(0).value, "nobody");
  EXPECT_TRUE(back->more);
}

Description described(OperatorInfo info) {
  Description description;
  description.operators.push_back(std::move(info));
  return description;
}

OperatorInfo top_operator() {
  return {"vendor.top",
          "The largest of a tensor",
          {{VACCEL_OPERATOR_INPUT, "x", "float32 [?]", ""},
           {VACCEL_OPERATOR_ATTRIBUTE, "top", "integer >= 1, required", "how many"}},
          {{"openblas", VACCEL_FLOAT64, 90}, {"reference", 0, 0}}};
}

TEST(Description, MetadataHasLimits) {
  const auto decoded = [](std::vector<Metadata> metadata) {
    Description description;
    description.models.emplace_back().metadata = std::move(metadata);
    Encoder encoder;
    return decode_description(encoder.encode(description));
  };
  const Metadata longest{std::string(kMaxNameBytes, 'k'), std::string(kMaxTextBytes, 'v')};
  const auto back = decoded({longest});
  ASSERT_TRUE(back.has_value()) << back.error().message();
  EXPECT_EQ(back->models[0].metadata.at(0).value, longest.value);
  EXPECT_TRUE(decoded(std::vector<Metadata>(kMaxMetadata, {"k", "v"})).has_value());
  EXPECT_EQ(decoded(std::vector<Metadata>(kMaxMetadata + 1, {"k", "v"})).error().message(),
            "65 metadata of a model are more than the 64 allowed");
  EXPECT_EQ(decoded({{"k", std::string("a\0b", 3)}}).error().message(),
            "a value of metadata has a NUL in it");
}

TEST(Description, TellsOfOperators) {
  Encoder encoder;
  const auto describe = decode_describe(encoder.encode(Describe{Subject::kOperators, "", 7}));
  ASSERT_TRUE(describe.has_value());
  EXPECT_EQ(describe->subject, Subject::kOperators);
  EXPECT_EQ(describe->start, 7u);
  EXPECT_FALSE(decode_describe(encoder.encode(Describe{static_cast<Subject>(4), "", 0})).has_value());

  const auto back = decode_description(encoder.encode(described(top_operator())));
  ASSERT_TRUE(back.has_value()) << back.error().message();
  const OperatorInfo& info = back->operators.at(0);
  EXPECT_EQ(info.name, "vendor.top");
  EXPECT_EQ(info.description, "The largest of a tensor");
  EXPECT_EQ(info.parts.at(0).kind, VACCEL_OPERATOR_INPUT);
  EXPECT_EQ(info.parts.at(0).type, "float32 [?]");
  EXPECT_EQ(info.parts.at(1).name, "top");
  EXPECT_EQ(info.parts.at(1).description, "how many");
  EXPECT_EQ(info.backends.at(0).dtype, VACCEL_FLOAT64);
  EXPECT_EQ(info.backends.at(0).score, 90);
  EXPECT_EQ(info.backends.at(1).name, "reference");
}

std::string refusal_of(void (*change)(OperatorInfo&)) {
  OperatorInfo info = top_operator();
  change(info);
  Encoder encoder;
  const auto back = decode_description(encoder.encode(described(std::move(info))));
  if (back) return "";
  EXPECT_EQ(back.error().code(), VACCEL_INVALID_ARGUMENT);
  return back.error().message();
}

TEST(Description, OperatorsHaveLimits) {
  EXPECT_EQ(refusal_of([](OperatorInfo&) {}), "");
  EXPECT_EQ(refusal_of([](OperatorInfo& info) { info.parts.resize(kMaxOperatorParts, info.parts[0]); }), "");
  EXPECT_EQ(refusal_of([](OperatorInfo& info) { info.parts.resize(kMaxOperatorParts + 1, info.parts[0]); }),
            "65 parts of an operator are more than the 64 allowed");
  EXPECT_EQ(refusal_of([](OperatorInfo& info) { info.backends.resize(kMaxOperatorBackends + 1); }),
            "257 backends of an operator are more than the 256 allowed");
  EXPECT_EQ(refusal_of([](OperatorInfo& info) { info.parts[0].kind = 0; }),
            "a part of an operator is of kind 0, which is none");
  EXPECT_EQ(refusal_of([](OperatorInfo& info) { info.parts[0].kind = 4; }),
            "a part of an operator is of kind 4, which is none");
  EXPECT_EQ(refusal_of([](OperatorInfo& info) { info.backends[0].dtype = 15; }),
            "an operator's backend is for dtype 15, which is none");
  EXPECT_EQ(refusal_of([](OperatorInfo& info) { info.parts[1].type = std::string("a\0b", 3); }),
            "a part's type has a NUL in it");
  Encoder encoder;
  Description many;
  many.operators.resize(kMaxOperatorsInBody + 1);
  EXPECT_FALSE(decode_description(encoder.encode(many)).has_value());
  // What is too long is cut by the encoder.
  const auto cut = decode_description(encoder.encode(described({std::string(1000, 'n'), "", {}, {}})));
  ASSERT_TRUE(cut.has_value());
  EXPECT_EQ(cut->operators.at(0).name.size(), kMaxNameBytes);
}

TEST(Failure, CarriesAKnownCodeAndALimitedSentence) {
  Encoder encoder;
  const auto back = decode_failure(encoder.encode(Failure{VACCEL_UNAVAILABLE, std::string(10'000, 'x'), 5}));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->code, VACCEL_UNAVAILABLE);
  EXPECT_EQ(back->message.size(), kMaxTextBytes);
  EXPECT_EQ(back->retry_after_us, 5u);
  EXPECT_FALSE(decode_failure(encoder.encode(Failure{VACCEL_OK, "", 0})).has_value());
  EXPECT_FALSE(decode_failure(encoder.encode(Failure{static_cast<vaccel_status>(15), "", 0})).has_value());
}

TEST(Versions, TheNewestCommonOneIsChosen) {
  EXPECT_EQ(negotiate_version({1, 1, ""}).value(), 1);
  EXPECT_EQ(negotiate_version({0, 9, ""}).value(), kNewestVersion);
  EXPECT_FALSE(negotiate_version({kNewestVersion + 1, 99, ""}).has_value());
  EXPECT_FALSE(negotiate_version({0, 0, ""}).has_value());
  EXPECT_FALSE(negotiate_version({2, 1, ""}).has_value());
}

}  // namespace
}  // namespace vaccel::wire
