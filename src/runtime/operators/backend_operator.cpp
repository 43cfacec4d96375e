// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/backend_operator.h"

#include <algorithm>
#include <cstring>

#include "core/tensor.h"
#include "runtime/backend_run.h"
#include "runtime/operators/attributes.h"

namespace vaccel::runtime {
namespace {

// A backend's author may write what he likes; what is longer is cut, and what is more left out, so that any description
// can be sent: see wire/limits.h.
constexpr size_t kMostParts = 64;
constexpr size_t kMostNameBytes = 120;
constexpr size_t kMostTextBytes = 250;

std::string words(const char* text, size_t limit) {
  return text != nullptr ? printable(text, limit) : std::string();
}

std::string type_of(const vaccel_tensor_info& info) {
  if (info.rank < 0 || info.rank > VACCEL_MAX_RANK || (info.rank > 0 && info.shape == nullptr))
    return std::string(dtype_name(info.dtype)) + ", any shape";
  return std::string(dtype_name(info.dtype)) + " " + shape_text({info.shape, static_cast<size_t>(info.rank)});
}

std::string type_of(const vaccel_backend_attribute& attribute) {
  const char* type = attribute.type == VACCEL_ATTRIBUTE_INT     ? "integer"
                     : attribute.type == VACCEL_ATTRIBUTE_FLOAT ? "number"
                                                                : "string";
  return std::string(type) + (attribute.required != 0 ? ", required" : "");
}

void add(std::vector<PartFacts>& parts, vaccel_operator_part_kind kind, const vaccel_tensor_info* infos,
         size_t count) {
  for (size_t index = 0; index < count && parts.size() < kMostParts; ++index)
    parts.push_back({kind, words(infos[index].name, kMostNameBytes), type_of(infos[index]), ""});
}

}  // namespace

OperatorFacts BackendOperator::facts() const {
  OperatorFacts facts{.name = name(),
                      .description = words(implementation_.description, kMostTextBytes),
                      .parts = {},
                      .offers = {{backend_.name(), 0, 0}}};
  add(facts.parts, VACCEL_OPERATOR_INPUT, implementation_.inputs, implementation_.input_count);
  add(facts.parts, VACCEL_OPERATOR_OUTPUT, implementation_.outputs, implementation_.output_count);
  for (size_t index = 0; index < implementation_.attribute_count && facts.parts.size() < kMostParts;
       ++index) {
    const vaccel_backend_attribute& one = implementation_.attributes[index];
    facts.parts.push_back({VACCEL_OPERATOR_ATTRIBUTE, words(one.name, kMostNameBytes), type_of(one),
                           words(one.description, kMostTextBytes)});
  }
  return facts;
}

Status BackendOperator::run(RuntimeCall& call) const {
  if (call.backend != nullptr && std::strcmp(call.backend, backend_.name()) != 0) {
    return failure(VACCEL_NOT_FOUND, "backend '%s' has no operator '%s'; backend '%s' has",
                   printable(call.backend).c_str(), name().c_str(), backend_.name());
  }
  if (call.attribute_count == 0) return run_with(call, {});
  const auto attributes = SortedAttributes::check(call.attributes, call.attribute_count);
  if (!attributes) return attributes.error();
  return run_with(call, attributes->all());
}

Status BackendOperator::run_with(RuntimeCall& call, std::span<const vaccel_attribute> attributes) const {
  BackendRun run(call, {call.inputs, call.input_count}, attributes, {call.output_context, call.output},
                 watcher_);
  if (call.timings == nullptr) {
    return run.outcome(implementation_.run(backend_.instance(), run.get()), backend_.name());
  }
  const Stopwatch watch;
  Status status = run.outcome(implementation_.run(backend_.instance(), run.get()), backend_.name());
  call.timings->infer_ns = watch.elapsed_ns();
  return status;
}

}  // namespace vaccel::runtime
