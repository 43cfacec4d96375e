// SPDX-License-Identifier: Apache-2.0
//
// Models of one's own as programs in C++ bring them.
#include <gtest/gtest.h>

#include <algorithm>

#include "backends/onnxruntime/onnx_testing.h"
#include "support/own_models.h"
#include "support/real_parts.h"
#include "vaccel/vaccel.hpp"

namespace {

using vaccel::integration::AgentProcess;
using vaccel::integration::AgentSetup;
using vaccel::integration::description_of;
using vaccel::integration::endpoint_of;
using vaccel::integration::sha256;
using vaccel::integration::with_uploads;
using vaccel::onnxruntime::testing::identity;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

AgentSetup with_onnxruntime(const std::string& uploads = "") {
  AgentSetup setup = with_uploads(uploads);
  setup.all_backends = true;
  return setup;
}

TEST(CppUpload, AModelIsBroughtUsedAndDeleted) {
  const AgentProcess agent(with_onnxruntime());
  const vaccel::Session session(endpoint_of(agent, "acme"));
  const std::string model = identity(vaccel::onnxruntime::testing::kFloat, {4}).file();
  const std::string description = description_of(model);
  EXPECT_EQ(session.upload(sha256(model), bytes_of(model)), model.size());
  EXPECT_EQ(session.upload(sha256(model), bytes_of(model)), 0u) << "it is there";
  EXPECT_EQ(session.upload(sha256(description), bytes_of(description)), description.size());
  session.put_model("id", {{"model.onnx", sha256(model)}, {"model.toml", sha256(description)}});
  const std::array<float, 4> values{1, 2, 3, 4};
  const vaccel::Outputs outputs = session.infer("own/id", {vaccel::tensor("", values)});
  EXPECT_TRUE(std::ranges::equal(outputs[0].as<float>(), values));
  session.delete_model("id");
  try {
    session.delete_model("id");
    ADD_FAILURE() << "it was deleted before";
  } catch (const vaccel::Error& error) {
    EXPECT_EQ(error.code(), VACCEL_NOT_FOUND);
  }
}

TEST(CppUpload, WaitsWhereTheHostTakesOnlySoMuchASecond) {
  const AgentProcess agent(with_onnxruntime("bytes_per_second = 2000000"));
  const vaccel::Session session(endpoint_of(agent, "acme"));
  const std::string file(3'500'000, 'f');
  EXPECT_EQ(session.upload(sha256(file), bytes_of(file)), file.size());
}

TEST(CppUpload, SaysWhyItCannotBe) {
  const AgentProcess agent(with_onnxruntime("max_bytes = 4096"));
  const vaccel::Session session(endpoint_of(agent, "acme"));
  const std::string file(4097, 'f');
  try {
    (void)session.upload(sha256(file), bytes_of(file));
    ADD_FAILURE() << "it is over the quota";
  } catch (const vaccel::Error& error) {
    EXPECT_EQ(error.code(), VACCEL_RESOURCE_EXHAUSTED);
    EXPECT_NE(std::string(error.what()).find("quota"), std::string::npos) << error.what();
  }
}

}  // namespace
