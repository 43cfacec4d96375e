// SPDX-License-Identifier: Apache-2.0
//
// What it takes to bring models of one's own: an agent that takes them, of two tenants, and what belongs to a file.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <string>

#include "support/agent_process.h"

namespace vaccel::integration {

inline std::string sha256(const std::string& bytes) {
  unsigned char digest[32];
  unsigned size = 0;
  EXPECT_EQ(EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr), 1);
  std::string text;
  for (const unsigned char byte : digest) {
    constexpr const char* kDigits = "0123456789abcdef";
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

inline std::string description_of(const std::string& model) {
  return "name = \"any\"\ntask = \"infer\"\n[model]\nfile = \"model.onnx\"\nformat = \"onnx\"\nsha256 = \"" +
         sha256(model) + "\"\n";
}

inline AgentSetup with_uploads(const std::string& more = "") {
  return {.more = "[uploads]\ndirectory = \"FOLDER/uploads\"\n" + more +
                  "\n[[tenant]]\nname = \"acme\"\nlisten = [\"unix:FOLDER/acme.sock\"]\n"
                  "[[tenant]]\nname = \"other\"\nlisten = [\"unix:FOLDER/other.sock\"]\n",
          .all_backends = false};
}

inline std::string endpoint_of(const AgentProcess& agent, const std::string& tenant) {
  return "unix:" + (agent.folder() / (tenant + ".sock")).string();
}

}  // namespace vaccel::integration
