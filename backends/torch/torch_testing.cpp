// SPDX-License-Identifier: Apache-2.0
#include "torch_testing.h"

#include <ATen/ops/ones.h>
#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/api/module.h>

#include <cstring>
#include <sstream>
#include <stdexcept>

namespace vaccel::torch_backend::testing {
namespace {

std::string saved(const torch::jit::Module& module) {
  std::ostringstream stream;
  module.save(stream);
  return stream.str();
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  if (from.size() != to.size() || text.find(from) == std::string::npos)
    throw std::logic_error("'" + from + "' is not there or not as long as '" + to + "'");
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// The archive, each record of which `change` may change: by its name and content.
template <typename Change>
std::string rewritten(const std::string& archive, Change change) {
  std::istringstream stream(archive);
  caffe2::serialize::PyTorchStreamReader reader(&stream);
  std::ostringstream result;
  caffe2::serialize::PyTorchStreamWriter writer([&](const void* data, size_t size) {
    result.write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
    return size;
  });
  for (const std::string& name : reader.getAllRecords()) {
    if (name == "version" || name == ".data/serialization_id") continue;  // the writer's own
    const auto record = reader.getRecord(name);
    std::string content(static_cast<const char*>(std::get<0>(record).get()), std::get<1>(record));
    change(name, content);
    writer.writeRecord(name, content.data(), content.size());
  }
  writer.writeEndOfFile();
  return result.str();
}

// As the pickle has a number of more than 16 bits.
std::string pickled(int number) {
  std::string text(5, 'J');
  std::memcpy(text.data() + 1, &number, sizeof number);
  return text;
}

}  // namespace

std::string scripted(const std::string& source) {
  torch::jit::Module module("M");
  module.define(source);
  return saved(module);
}

std::string with_weight(const std::string& source, int count, int claimed) {
  torch::jit::Module module("M");
  module.register_buffer("weight", at::ones({count}));
  module.define(source);
  const std::string archive = saved(module);
  if (count == claimed) return archive;
  return rewritten(archive, [&](const std::string& name, std::string& content) {
    if (name == "data.pkl") replace_all(content, pickled(count), pickled(claimed));
  });
}

std::string with_code(const std::string& archive, const std::string& from, const std::string& to) {
  return rewritten(archive, [&](const std::string& name, std::string& content) {
    if (name == "code/__torch__.py") replace_all(content, from, to);
  });
}

}  // namespace vaccel::torch_backend::testing
