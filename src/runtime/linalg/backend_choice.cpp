// SPDX-License-Identifier: Apache-2.0
#include "runtime/linalg/backend_choice.h"

#include <algorithm>
#include <cstring>

#include "core/tensor.h"

namespace vaccel::runtime::linalg {
namespace {

bool is_complete(const vaccel_backend_linalg* table) {
  return table != nullptr && table->size >= sizeof *table && table->score != nullptr &&
         table->gemm != nullptr && table->gemv != nullptr && table->vectors != nullptr;
}

int32_t score_of(const Chosen& one, vaccel_linalg_operation operation, vaccel_dtype dtype) {
  return one.table->score(one.backend->instance(), operation, dtype);
}

}  // namespace

BackendChoice::BackendChoice(const Backends& backends) : all_(backends) {
  for (const auto& backend : backends.running()) {
    if (is_complete(backend->table().linalg)) able_.push_back({backend.get(), backend->table().linalg});
  }
}

Result<Chosen> BackendChoice::choose(const char* wanted, vaccel_linalg_operation operation,
                                     const char* operator_name, vaccel_dtype dtype) const {
  const Chosen* best = nullptr;
  int32_t best_score = 0;
  for (const Chosen& one : able_) {
    if (wanted != nullptr && std::strcmp(wanted, one.backend->name()) != 0) continue;
    const int32_t score = score_of(one, operation, dtype);
    if (score <= best_score) continue;
    best = &one;
    best_score = score;
  }
  if (best != nullptr) return *best;
  return Unexpected{cannot(wanted, operation, operator_name, dtype)};
}

std::vector<OfferFacts> BackendChoice::offers(vaccel_linalg_operation operation) const {
  std::vector<OfferFacts> all;
  for (const vaccel_dtype dtype : {VACCEL_FLOAT32, VACCEL_FLOAT64, VACCEL_FLOAT16, VACCEL_BFLOAT16}) {
    const auto first = static_cast<std::ptrdiff_t>(all.size());
    for (const Chosen& one : able_) {
      const int32_t score = std::min(score_of(one, operation, dtype), 100);
      if (score <= 0) continue;
      // Of equals the first is chosen, and stays first.
      const auto behind = std::find_if(all.begin() + first, all.end(),
                                       [score](const OfferFacts& other) { return other.score < score; });
      all.insert(behind, {one.backend->name(), dtype, score});
    }
  }
  return all;
}

Status BackendChoice::cannot(const char* wanted, vaccel_linalg_operation operation, const char* operator_name,
                             vaccel_dtype dtype) const {
  if (wanted != nullptr) {
    if (const auto there = all_.find(wanted); !there) return there.error();
  }
  std::string names;
  for (const Chosen& one : able_) {
    if (score_of(one, operation, dtype) > 0)
      names += (names.empty() ? "" : ", ") + std::string(one.backend->name());
  }
  if (names.empty()) names = "none";
  if (wanted == nullptr) {
    return failure(VACCEL_UNIMPLEMENTED, "no backend here does operator '%s' on %s", operator_name,
                   dtype_name(dtype));
  }
  return failure(VACCEL_UNIMPLEMENTED, "backend '%s' does not do operator '%s' on %s; backends that do: %s",
                 printable(wanted).c_str(), operator_name, dtype_name(dtype), names.c_str());
}

}  // namespace vaccel::runtime::linalg
