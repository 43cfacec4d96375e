// SPDX-License-Identifier: Apache-2.0
#include "runtime/linalg/gemv.h"

#include "core/tensor.h"
#include "runtime/linalg/arguments.h"

namespace vaccel::runtime::linalg {
namespace {

enum Input : size_t { kA, kX, kY };
constexpr const char* kInputs[] = {"a", "x", "y"};
constexpr const char* kAttributes[] = {"alpha", "beta", "lda", "m", "n", "transpose"};
constexpr Signature kSignature{"gemv", kInputs, 2, kAttributes};

// A call's arguments, once they have been found to fit together.
struct Product {
  bool transpose = false;
  double alpha = 1;
  double beta = 0;
  Matrices a;
  size_t x_bytes = 0;
  int64_t rows = 0;  // of op(a)
  size_t bytes = 0;  // of the result
};

Result<Matrices> find_matrix(const Arguments& arguments) {
  const vaccel_tensor& a = *arguments.input(kA);
  if (a.rank != 1 && a.rank != 2) {
    return fail(VACCEL_INVALID_ARGUMENT,
                "input 'a' of operator 'gemv' has rank %d; it must be 2, or 1 for a flat one", a.rank);
  }
  Size m("m"), n("n");
  Status status = m.set_from(arguments);
  if (status.ok()) status = n.set_from(arguments);
  if (status.ok() && a.rank == 2) status = m.set(a.shape[0], "input 'a'");
  if (status.ok() && a.rank == 2) status = n.set(a.shape[1], "input 'a'");
  if (!status.ok()) return Unexpected{std::move(status)};
  const auto rows = m.value(arguments);
  if (!rows) return Unexpected{rows.error()};
  const auto columns = n.value(arguments);
  if (!columns) return Unexpected{columns.error()};
  return matrices_in(arguments, kA, "a", {"lda", nullptr}, *rows, *columns, 1);
}

Status check_vector(const Arguments& arguments, Input input, const char* name, int64_t elements) {
  const vaccel_tensor& vector = *arguments.input(input);
  const auto count = element_count(shape_of(vector));
  if (!count) return count.error();
  if (*count == static_cast<uint64_t>(elements)) return {};
  return failure(VACCEL_INVALID_ARGUMENT,
                 "input '%s' of operator 'gemv' has %llu elements; it must have %lld", name,
                 static_cast<unsigned long long>(*count), static_cast<long long>(elements));
}

Result<Product> read_product(const Arguments& arguments) {
  const auto transpose = arguments.flag("transpose");
  if (!transpose) return Unexpected{transpose.error()};
  const auto alpha = arguments.real("alpha", 1);
  if (!alpha) return Unexpected{alpha.error()};
  const auto beta = arguments.real("beta", 0);
  if (!beta) return Unexpected{beta.error()};
  const auto a = find_matrix(arguments);
  if (!a) return Unexpected{a.error()};
  Product product{.transpose = *transpose, .alpha = *alpha, .beta = *beta, .a = *a};
  product.rows = product.transpose ? a->columns : a->rows;
  const int64_t columns = product.transpose ? a->rows : a->columns;
  const auto bytes = dense_bytes(arguments.dtype(), {&product.rows, 1});
  if (!bytes) return Unexpected{bytes.error()};
  product.bytes = static_cast<size_t>(*bytes);
  Status status = check_vector(arguments, kX, "x", columns);
  if (status.ok() && arguments.input(kY) != nullptr) status = check_vector(arguments, kY, "y", product.rows);
  if (!status.ok()) return Unexpected{std::move(status)};
  if (arguments.input(kY) == nullptr && product.beta != 0) {
    return fail(VACCEL_INVALID_ARGUMENT,
                "input 'y' of operator 'gemv' is missing, and beta is %g: it is needed", product.beta);
  }
  product.x_bytes = static_cast<size_t>(columns) * element_size(arguments.dtype());
  return product;
}

}  // namespace

OperatorFacts GemvOperator::facts() const {
  return {
      .name = name(),
      .description = "y = alpha op(a) x + beta y, row-major",
      .parts = {{VACCEL_OPERATOR_INPUT, "a", kElementsOfOneType, "[m, n], or flat"},
                {VACCEL_OPERATOR_INPUT, "x", "the same", "as many elements as op(a) has columns"},
                {VACCEL_OPERATOR_INPUT, "y", "the same", "as many as it has rows; needed when beta is not 0"},
                {VACCEL_OPERATOR_OUTPUT, "y", "the same", "[rows of op(a)]"},
                {VACCEL_OPERATOR_ATTRIBUTE, "alpha", "number", "default: 1"},
                {VACCEL_OPERATOR_ATTRIBUTE, "beta", "number", "default: 0"},
                {VACCEL_OPERATOR_ATTRIBUTE, "transpose", "0 or 1", "1: y = a^T x; default: 0"},
                {VACCEL_OPERATOR_ATTRIBUTE, "m", "integer", "rows of a; needed where it is flat"},
                {VACCEL_OPERATOR_ATTRIBUTE, "n", "integer", "columns of a; likewise"},
                {VACCEL_OPERATOR_ATTRIBUTE, "lda", "integer", "of a flat a: elements from row to row"}},
      .offers = backends_.offers(VACCEL_LINALG_GEMV)};
}

Status GemvOperator::run(RuntimeCall& call) const {
  const auto arguments = Arguments::read(call, kSignature);
  if (!arguments) return arguments.error();
  const auto product = read_product(*arguments);
  if (!product) return product.error();
  const vaccel_dtype dtype = arguments->dtype();
  const auto chosen = backends_.choose(call.backend, VACCEL_LINALG_GEMV, "gemv", dtype);
  if (!chosen) return chosen.error();
  const auto memory = request_output(call, 0, "y", dtype, {&product->rows, 1}, product->bytes);
  if (!memory) return memory.error();
  if (product->bytes == 0) return {};

  const vaccel_tensor& x = *arguments->input(kX);
  const ResultMemory result{*memory, product->bytes};
  Status status = check_apart(result, "y", product->a.data, product->a.bytes, "a");
  if (status.ok()) status = check_apart(result, "y", x.data, product->x_bytes, "x");
  if (status.ok() && product->beta != 0)
    status = start_from(call, result, "y", arguments->input(kY)->data, "y");
  if (!status.ok()) return status;
  // A row-major matrix is the transposed column-major one.
  vaccel_backend_gemv problem{};
  problem.size = sizeof problem;
  problem.dtype = dtype;
  problem.transpose = product->transpose ? 0 : 1;
  problem.m = product->a.columns;
  problem.n = product->a.rows;
  problem.alpha = product->alpha;
  problem.beta = product->beta;
  problem.a = product->a.data;
  problem.lda = product->a.pitch;
  problem.x = x.data;
  problem.y = result.data;
  return compute_on(*chosen, call, watcher_,
                    [&](const vaccel_backend_linalg& table, vaccel_backend_instance* instance,
                        vaccel_backend_run* run) { return table.gemv(instance, &problem, run); });
}

}  // namespace vaccel::runtime::linalg
