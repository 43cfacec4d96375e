// SPDX-License-Identifier: Apache-2.0
#include "runtime/linalg/gemm.h"

#include <algorithm>

#include "core/tensor.h"
#include "runtime/linalg/arguments.h"

namespace vaccel::runtime::linalg {
namespace {

enum Input : size_t { kA, kB, kC };
constexpr const char* kInputs[] = {"a", "b", "c"};
constexpr const char* kAttributes[] = {"alpha",    "batch",    "beta",        "k",
                                       "lda",      "ldb",      "m",           "n",
                                       "stride_a", "stride_b", "transpose_a", "transpose_b"};
constexpr Signature kSignature{"gemm", kInputs, 2, kAttributes};

// A call's arguments, once they have been found to fit together.
struct Product {
  bool transpose_a = false;
  bool transpose_b = false;
  int64_t m = 0, n = 0, k = 0;
  int64_t batch = 1;
  double alpha = 1;
  double beta = 0;
  Matrices a;
  Matrices b;
  std::vector<int64_t> shape;  // of the result
  size_t bytes = 0;            // likewise
};

Status check_rank(const vaccel_tensor& tensor, const char* name) {
  if (tensor.rank >= 1 && tensor.rank <= 3) return {};
  return failure(
      VACCEL_INVALID_ARGUMENT,
      "input '%s' of operator 'gemm' has rank %d; it must be 2, 3 for a batch, or 1 for a flat one", name,
      tensor.rank);
}

// What an input's shape says of the sizes of op(input), which has `rows` x `columns`.
Status set_sizes(const vaccel_tensor& tensor, const char* source, bool transpose, Size& rows, Size& columns,
                 Size& batch) {
  if (tensor.rank == 1) return {};
  const int64_t down = tensor.shape[tensor.rank - 2];
  const int64_t across = tensor.shape[tensor.rank - 1];
  if (Status status = rows.set(transpose ? across : down, source); !status.ok()) return status;
  if (Status status = columns.set(transpose ? down : across, source); !status.ok()) return status;
  return tensor.rank == 3 ? batch.set(tensor.shape[0], source) : Status{};
}

Status read_numbers(const Arguments& arguments, Product& product) {
  const auto transpose_a = arguments.flag("transpose_a");
  if (!transpose_a) return transpose_a.error();
  const auto transpose_b = arguments.flag("transpose_b");
  if (!transpose_b) return transpose_b.error();
  const auto alpha = arguments.real("alpha", 1);
  if (!alpha) return alpha.error();
  const auto beta = arguments.real("beta", 0);
  if (!beta) return beta.error();
  product.transpose_a = *transpose_a;
  product.transpose_b = *transpose_b;
  product.alpha = *alpha;
  product.beta = *beta;
  return {};
}

Status read_sizes(const Arguments& arguments, Product& product) {
  const vaccel_tensor& a = *arguments.input(kA);
  const vaccel_tensor& b = *arguments.input(kB);
  Size m("m"), n("n"), k("k"), batch("batch");
  for (const auto& [tensor, name] : {std::pair{&a, "a"}, std::pair{&b, "b"}}) {
    if (Status status = check_rank(*tensor, name); !status.ok()) return status;
  }
  for (Size* size : {&m, &n, &k, &batch}) {
    if (Status status = size->set_from(arguments); !status.ok()) return status;
  }
  Status status = set_sizes(a, "input 'a'", product.transpose_a, m, k, batch);
  if (status.ok()) status = set_sizes(b, "input 'b'", product.transpose_b, k, n, batch);
  if (!status.ok()) return status;
  struct {
    const Size& size;
    int64_t& value;
  } wanted[] = {{m, product.m}, {n, product.n}, {k, product.k}};
  for (const auto& [size, value] : wanted) {
    const auto known = size.value(arguments);
    if (!known) return known.error();
    value = *known;
  }
  if (batch.known()) {
    product.batch = batch.value(arguments).value_or(1);
    product.shape.push_back(product.batch);
  }
  product.shape.push_back(product.m);
  product.shape.push_back(product.n);
  const auto bytes = dense_bytes(arguments.dtype(), product.shape);
  if (!bytes) return bytes.error();
  product.bytes = static_cast<size_t>(*bytes);
  return {};
}

Status find_matrices(const Arguments& arguments, Product& product) {
  const auto rows_of = [](bool transpose, int64_t rows, int64_t columns) {
    return transpose ? std::pair{columns, rows} : std::pair{rows, columns};
  };
  const auto [a_rows, a_columns] = rows_of(product.transpose_a, product.m, product.k);
  const auto [b_rows, b_columns] = rows_of(product.transpose_b, product.k, product.n);
  auto a = matrices_in(arguments, kA, "a", {"lda", "stride_a"}, a_rows, a_columns, product.batch);
  if (!a) return a.error();
  auto b = matrices_in(arguments, kB, "b", {"ldb", "stride_b"}, b_rows, b_columns, product.batch);
  if (!b) return b.error();
  product.a = *a;
  product.b = *b;
  return {};
}

// c is looked at where it was given, and needed where it counts.
Status check_c(const Arguments& arguments, const Product& product) {
  const vaccel_tensor* c = arguments.input(kC);
  if (c == nullptr) {
    if (product.beta == 0) return {};
    return failure(VACCEL_INVALID_ARGUMENT,
                   "input 'c' of operator 'gemm' is missing, and beta is %g: it is needed", product.beta);
  }
  const auto shape = shape_of(*c);
  const bool fits = std::equal(shape.begin(), shape.end(), product.shape.begin(), product.shape.end());
  const auto count = element_count(shape);
  if (!count) return count.error();
  const bool fits_flat = c->rank == 1 && *count * element_size(c->dtype) == product.bytes;
  if (fits || fits_flat) return {};
  return failure(VACCEL_INVALID_ARGUMENT,
                 "input 'c' of operator 'gemm' has shape %s; it must be %s, or as many flat",
                 shape_text(shape).c_str(), shape_text(product.shape).c_str());
}

Result<Product> read_product(const Arguments& arguments) {
  Product product;
  Status status = read_numbers(arguments, product);
  if (status.ok()) status = read_sizes(arguments, product);
  if (status.ok()) status = find_matrices(arguments, product);
  if (status.ok()) status = check_c(arguments, product);
  if (!status.ok()) return Unexpected{std::move(status)};
  return product;
}

// A row-major matrix is the transposed column-major one, and (op(a) op(b))^T = op(b)^T op(a)^T.
vaccel_backend_gemm canonical(const Product& product, vaccel_dtype dtype, void* c) {
  vaccel_backend_gemm problem{};
  problem.size = sizeof problem;
  problem.dtype = dtype;
  problem.transpose_a = product.transpose_b ? 1 : 0;
  problem.transpose_b = product.transpose_a ? 1 : 0;
  problem.m = product.n;
  problem.n = product.m;
  problem.k = product.k;
  problem.alpha = product.alpha;
  problem.beta = product.beta;
  problem.a = product.b.data;
  problem.lda = product.b.pitch;
  problem.b = product.a.data;
  problem.ldb = product.a.pitch;
  problem.c = c;
  problem.ldc = std::max<int64_t>(product.n, 1);
  problem.batch = product.batch;
  problem.stride_a = product.b.stride;
  problem.stride_b = product.a.stride;
  problem.stride_c = product.m * product.n;  // no more than the result, which fits
  return problem;
}

}  // namespace

OperatorFacts GemmOperator::facts() const {
  return {
      .name = name(),
      .description = "c = alpha op(a) op(b) + beta c, row-major, one product or a batch",
      .parts = {{VACCEL_OPERATOR_INPUT, "a", kElementsOfOneType, "[m, k], [batch, m, k], or flat"},
                {VACCEL_OPERATOR_INPUT, "b", "the same", "[k, n], [batch, k, n], or flat"},
                {VACCEL_OPERATOR_INPUT, "c", "the same",
                 "[m, n] or [batch, m, n]; needed when beta is not 0"},
                {VACCEL_OPERATOR_OUTPUT, "c", "the same", "[m, n], or [batch, m, n] where there is a batch"},
                {VACCEL_OPERATOR_ATTRIBUTE, "alpha", "number", "default: 1"},
                {VACCEL_OPERATOR_ATTRIBUTE, "beta", "number", "default: 0"},
                {VACCEL_OPERATOR_ATTRIBUTE, "transpose_a", "0 or 1", "1: a is k x m; default: 0"},
                {VACCEL_OPERATOR_ATTRIBUTE, "transpose_b", "0 or 1", "1: b is n x k; default: 0"},
                {VACCEL_OPERATOR_ATTRIBUTE, "m", "integer", "rows of c; needed where no shape tells"},
                {VACCEL_OPERATOR_ATTRIBUTE, "n", "integer", "columns of c; likewise"},
                {VACCEL_OPERATOR_ATTRIBUTE, "k", "integer", "columns of op(a); likewise"},
                {VACCEL_OPERATOR_ATTRIBUTE, "batch", "integer", "how many products; likewise"},
                {VACCEL_OPERATOR_ATTRIBUTE, "lda", "integer", "of a flat a: elements from row to row"},
                {VACCEL_OPERATOR_ATTRIBUTE, "ldb", "integer", "of a flat b: likewise"},
                {VACCEL_OPERATOR_ATTRIBUTE, "stride_a", "integer",
                 "of a flat a: elements from matrix to matrix; 0: one for all"},
                {VACCEL_OPERATOR_ATTRIBUTE, "stride_b", "integer", "of a flat b: likewise"}},
      .offers = backends_.offers(VACCEL_LINALG_GEMM)};
}

Status GemmOperator::run(RuntimeCall& call) const {
  const auto arguments = Arguments::read(call, kSignature);
  if (!arguments) return arguments.error();
  const auto product = read_product(*arguments);
  if (!product) return product.error();
  const vaccel_dtype dtype = arguments->dtype();
  const auto chosen = backends_.choose(call.backend, VACCEL_LINALG_GEMM, "gemm", dtype);
  if (!chosen) return chosen.error();
  const auto memory = request_output(call, 0, "c", dtype, product->shape, product->bytes);
  if (!memory) return memory.error();
  if (product->bytes == 0) return {};

  const ResultMemory result{*memory, product->bytes};
  Status status = check_apart(result, "c", product->a.data, product->a.bytes, "a");
  if (status.ok()) status = check_apart(result, "c", product->b.data, product->b.bytes, "b");
  if (status.ok() && product->beta != 0)
    status = start_from(call, result, "c", arguments->input(kC)->data, "c");
  if (!status.ok()) return status;
  const vaccel_backend_gemm problem = canonical(*product, dtype, result.data);
  return compute_on(*chosen, call, watcher_,
                    [&](const vaccel_backend_linalg& table, vaccel_backend_instance* instance,
                        vaccel_backend_run* run) { return table.gemm(instance, &problem, run); });
}

}  // namespace vaccel::runtime::linalg
