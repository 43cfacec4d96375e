// SPDX-License-Identifier: Apache-2.0
//
// The functions that OpenSSL 3 prefers bring all of its providers into a static program; these bring one object.
#define OPENSSL_API_COMPAT 10100
#include "tools/vaccel/sha256.h"

#include <openssl/sha.h>

namespace vaccel::tool {

std::string sha256_of(std::span<const std::byte> bytes) {
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, bytes.data(), bytes.size());
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256_Final(digest, &context);
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace vaccel::tool
