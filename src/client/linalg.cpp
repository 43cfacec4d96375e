// SPDX-License-Identifier: Apache-2.0
//
// Linear algebra of the C API: CBLAS's arguments, checked and said as tensors and attributes of the operators "gemm"
// and its kin. These are row-major, and their results dense; what is column-major is the transposed problem, and
// results with gaps are scattered here.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "client/call.h"
#include "client/error.h"
#include "client/outputs.h"
#include "client/session.h"
#include "core/tensor.h"

namespace vaccel::client {
namespace {

constexpr int64_t kMostElements = int64_t{1} << 59;  // of 8 bytes each: what an address holds

// Matrices in the caller's memory, row-major, `batch` of them; a single one that all share has stride 0.
struct Matrices {
  std::byte* data = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t pitch = 1;
  int64_t stride = 0;
  int64_t batch = 1;

  [[nodiscard]] int64_t count() const { return stride == 0 ? std::min<int64_t>(batch, 1) : batch; }
  [[nodiscard]] bool is_empty() const { return rows == 0 || columns == 0 || batch == 0; }
  [[nodiscard]] bool is_dense() const {
    return is_empty() || ((pitch == columns || rows == 1) && (count() <= 1 || stride == rows * columns));
  }
  // From the first element to behind the last; -1: beyond the address space.
  [[nodiscard]] int64_t extent() const {
    int64_t between = 0;
    int64_t down = 0;
    int64_t total = 0;
    if (is_empty()) return 0;
    if (__builtin_mul_overflow(count() - 1, stride, &between) ||
        __builtin_mul_overflow(rows - 1, pitch, &down) || __builtin_add_overflow(between, down, &total) ||
        __builtin_add_overflow(total, columns, &total)) {
      return -1;
    }
    return total > kMostElements ? -1 : total;
  }
};

// A vector in the caller's memory, as BLAS says it: with a negative increment, its first element is the last in memory.
struct Vector {
  void* data;
  int64_t increment;
};

struct Free {
  void operator()(std::byte* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<std::byte, Free>;

// Names of a matrix's arguments, or of a vector's, where `ld` is its increment.
struct Names {
  const char* data;
  const char* ld;
  const char* stride;
};

// What one function of the C API was called with, and the call of an operator that it becomes: it lives on the stack.
// The first failure stays, and makes whatever comes after it do nothing: so the functions below are read like the
// arguments that they look at.
class Call {
 public:
  Call(const char* function, const char* operator_name, vaccel_session* session, int dtype,
       const vaccel_call_options* options)
      : function_(function),
        operator_name_(operator_name),
        session_(session),
        dtype_(dtype),
        element_(element_size(dtype)),
        options_(options) {
    if (session == nullptr) {
      set(failure(VACCEL_INVALID_ARGUMENT, "the session is NULL"));
    } else if (dtype < VACCEL_FLOAT32 || dtype > VACCEL_BFLOAT16) {
      wrong("dtype", dtype, "VACCEL_FLOAT32, FLOAT64, FLOAT16 or BFLOAT16");
    }
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  [[nodiscard]] bool ok() const { return status_.ok(); }
  [[nodiscard]] vaccel_status end() const { return report(status_); }
  [[nodiscard]] size_t element() const { return element_; }

  /// What is copied here, element by element, cannot lie on a device.
  [[gnu::noinline]] bool can_touch(const char* argument, const void* data) {
    const bool can = !session_->transport->buffers().on_device(data);
    if (!can) {
      set(failure(VACCEL_INVALID_ARGUMENT,
                  "%s: %s lies in a device buffer, where it must be dense, and given by its first element",
                  function_, argument));
    }
    return can;
  }

  // ---- Checks

  [[gnu::noinline]] void wrong(const char* argument, int64_t value, const char* right) {
    set(failure(VACCEL_INVALID_ARGUMENT, "%s: %s is %lld; it must be %s", function_, argument,
                static_cast<long long>(value), right));
  }
  void at_least(const char* argument, int64_t value, int64_t least, const char* why = "") {
    if (value >= least) return;
    set(failure(VACCEL_INVALID_ARGUMENT, "%s: %s is %lld; it must be at least %lld%s", function_, argument,
                static_cast<long long>(value), static_cast<long long>(least), why));
  }
  [[gnu::noinline]] void present(const char* argument, const void* data) {
    if (data == nullptr) set(failure(VACCEL_INVALID_ARGUMENT, "%s: %s is NULL", function_, argument));
  }
  [[gnu::noinline]] void order(int order) {
    if (order != VACCEL_ROW_MAJOR && order != VACCEL_COLUMN_MAJOR)
      wrong("order", order, "VACCEL_ROW_MAJOR (101) or VACCEL_COLUMN_MAJOR (102)");
  }
  [[gnu::noinline]] void transpose(const char* argument, int transpose) {
    if (transpose < VACCEL_NO_TRANSPOSE || transpose > VACCEL_CONJUGATE_TRANSPOSE)
      wrong(argument, transpose, "VACCEL_NO_TRANSPOSE (111) or VACCEL_TRANSPOSE (112)");
  }
  [[gnu::noinline]] void beyond_memory(const char* argument) {
    set(failure(VACCEL_INVALID_ARGUMENT, "%s: %s reaches beyond the address space", function_, argument));
  }
  [[gnu::noinline]] void written_vector(const Names& names, const Vector& vector, int64_t n) {
    if (vector.increment == 0) wrong(names.ld, 0, "another number: it is written to");
    read_vector(names, vector, n);
  }
  [[gnu::noinline]] void read_vector(const Names& names, const Vector& vector, int64_t n) {
    int64_t reach = 0;
    if (n <= 0) return;
    if (__builtin_mul_overflow(n - 1, vector.increment, &reach) || reach >= kMostElements ||
        reach <= -kMostElements) {
      beyond_memory(names.data);
    }
    present(names.data, vector.data);
  }
  // rows x columns in the caller's order. @return row-major; nothing where it counts for nothing.
  Matrices matrix(const Names& names, int order, Matrices given, bool counts);

  // ---- What the operator gets

  [[gnu::noinline]] void integer(const char* name, int64_t value) {
    add(name, VACCEL_ATTRIBUTE_INT).value.integer = value;
  }
  [[gnu::noinline]] void real(const char* name, double value) {
    add(name, VACCEL_ATTRIBUTE_FLOAT).value.real = value;
  }
  // Used where they lie if that is possible, else packed on their way. @param names  Of the input and of the attributes
  // that say how a flat one lies; nullptr: there are none, and it is packed if it has gaps.
  void input(const Names& names, const Matrices& matrices);
  void input(const char* name, const Vector& vector, int64_t n);

  // ---- The result, which goes to the caller's memory

  void run_to(const Matrices& result);
  void run_to(const Vector& result, int64_t n);
  void run_to_element(void* result);

  // ---- Batches of matrices that lie anywhere

  enum class Copying { kNothing, kGather, kScatter };
  // Memory where such matrices lie one behind the other, dense; `shape` becomes that.
  Memory make_room(const char* name, Matrices& shape);
  // Copies each between `pointers` and `dense`; a pointer that is NULL is a failure.
  void each(const char* name, const Matrices& shape, const Matrices& dense, const void* const* pointers,
            Copying copying);

 private:
  [[gnu::noinline, gnu::cold]] void set(Status status) {
    if (status_.ok()) status_ = std::move(status);
  }
  vaccel_attribute& add(const char* name, int32_t type) {
    vaccel_attribute& attribute = attributes_[attribute_count_++];
    attribute.name = name;
    attribute.type = type;
    return attribute;
  }
  vaccel_tensor& add_input(const char* name, void* data, int64_t elements);
  bool is_in_place(const void* data, size_t bytes);
  [[gnu::noinline]] const std::byte* run(void* place, int64_t elements);
  // The first element of a vector.
  [[nodiscard]] std::byte* first_of(const Vector& vector, int64_t n) const {
    const int64_t behind = vector.increment < 0 ? (1 - n) * vector.increment : 0;
    return static_cast<std::byte*>(vector.data) + static_cast<size_t>(behind) * element_;
  }
  [[nodiscard]] ptrdiff_t step(const Vector& vector) const {
    return vector.increment * static_cast<ptrdiff_t>(element_);
  }

  static constexpr size_t kMostAttributes = 12;
  static constexpr size_t kMostInputs = 3;

  const char* function_;
  const char* operator_name_;
  vaccel_session* session_;
  int dtype_;
  size_t element_;
  const vaccel_call_options* options_;
  Status status_;
  size_t attribute_count_ = 0;
  size_t input_count_ = 0;
  vaccel_attribute attributes_[kMostAttributes]{};
  vaccel_tensor inputs_[kMostInputs]{};
  int64_t shapes_[kMostInputs][3];
  int64_t strides_[kMostInputs][3];
  Memory packed_[kMostInputs];
  OutputsPtr outputs_;
};

Matrices Call::matrix(const Names& names, int order, Matrices given, bool counts) {
  if (order == VACCEL_COLUMN_MAJOR) std::swap(given.rows, given.columns);
  at_least(names.ld, given.pitch, std::max<int64_t>(given.columns, 1),
           order == VACCEL_COLUMN_MAJOR ? ", the length of a column" : ", the length of a row");
  at_least(names.stride, given.stride, 0);
  if (!ok() || !counts || given.is_empty()) return {};
  present(names.data, given.data);
  if (given.extent() < 0) beyond_memory(names.data);
  return given;
}

vaccel_tensor& Call::add_input(const char* name, void* data, int64_t elements) {
  const size_t index = input_count_++;
  vaccel_tensor& tensor = inputs_[index];
  shapes_[index][0] = elements;
  tensor.name = name;
  tensor.data = data;
  tensor.bytes = static_cast<size_t>(elements) * element_;
  tensor.shape = shapes_[index];
  tensor.rank = 1;
  tensor.dtype = dtype_;
  return tensor;
}

bool Call::is_in_place(const void* data, size_t bytes) {
  const auto in_place = session_->transport->is_in_place(data, bytes);
  if (!in_place) set(in_place.error());
  return in_place.value_or(false);
}

void Call::input(const Names& names, const Matrices& matrices) {
  if (!ok()) return;
  vaccel_tensor& tensor = add_input(names.data, matrices.data, matrices.extent());
  if (matrices.is_dense() || (names.ld != nullptr && is_in_place(matrices.data, tensor.bytes))) {
    if (names.ld != nullptr && matrices.rows > 1) integer(names.ld, matrices.pitch);
    if (names.stride != nullptr && matrices.batch > 1) integer(names.stride, matrices.stride);
    return;
  }
  const size_t index = input_count_ - 1;
  const int64_t shape[] = {matrices.count(), matrices.rows, matrices.columns};
  const int64_t strides[] = {matrices.stride, matrices.pitch, 1};
  const size_t first = matrices.stride == 0 ? 1 : 0;  // one for all has no dimension for the batch
  std::copy(shape + first, shape + 3, shapes_[index]);
  std::copy(strides + first, strides + 3, strides_[index]);
  tensor.rank = static_cast<int32_t>(3 - first);
  tensor.strides = strides_[index];
}

void Call::input(const char* name, const Vector& vector, int64_t n) {
  if (!ok()) return;
  vaccel_tensor& tensor = add_input(name, vector.data, n);
  if (vector.increment == 1 || n == 0) return;
  const size_t index = input_count_ - 1;
  if (vector.increment >= 0) {
    strides_[index][0] = vector.increment;
    tensor.strides = strides_[index];
    tensor.bytes = (static_cast<size_t>((n - 1) * vector.increment) + 1) * element_;
    return;
  }
  if (!can_touch(name, vector.data)) return;
  auto* packed = static_cast<std::byte*>(std::malloc(tensor.bytes));
  packed_[index].reset(packed);
  if (packed == nullptr) {
    set(failure(VACCEL_RESOURCE_EXHAUSTED, "there is no memory to pack a vector of %zu bytes", tensor.bytes));
    return;
  }
  tensor.data = packed;
  const std::byte* from = first_of(vector, n);
  for (int64_t at = 0; at < n; ++at, packed += element_, from += step(vector))
    std::memcpy(packed, from, element_);
}

// @param place  Where the result goes; nullptr: to memory of the library's. @return where it lies; nullptr: it failed.
const std::byte* Call::run(void* place, int64_t elements) {
  vaccel_call_options options;
  if (Status status = read_sized(options_, "vaccel_call_options", options); !status.ok())
    set(std::move(status));
  if (options.output_count != 0) {
    set(failure(VACCEL_INVALID_ARGUMENT,
                "%s: options.outputs is set; the result goes where the arguments say", function_));
  }
  if (!ok()) return nullptr;
  vaccel_tensor there{};
  there.data = place;
  there.bytes = static_cast<size_t>(elements) * element_;
  options.size = sizeof options;
  options.outputs = &there;
  options.output_count = place != nullptr ? 1 : 0;
  vaccel_outputs* given = nullptr;
  const vaccel_status code = vaccel_call(session_, operator_name_, nullptr, attributes_, attribute_count_,
                                         inputs_, input_count_, &options, &given);
  outputs_.reset(given);
  if (code != VACCEL_OK) {
    set({code, last_sentence()});
  } else if (given->count != 1 || given->tensors[0].bytes != there.bytes) {
    set(failure(VACCEL_PROTOCOL_ERROR, "the operator '%s' did not return one result of %zu bytes",
                operator_name_, there.bytes));
  }
  return ok() ? static_cast<const std::byte*>(given->tensors[0].data) : nullptr;
}

void Call::run_to(const Matrices& result) {
  if (!ok()) return;
  const int64_t elements = result.batch * result.rows * result.columns;
  const bool in_place =
      result.is_dense() && is_in_place(result.data, static_cast<size_t>(elements) * element_);
  if (!in_place && !can_touch("the result", result.data)) return;
  const std::byte* from = run(in_place ? result.data : nullptr, elements);
  if (from == nullptr || in_place) return;
  const size_t row_bytes = static_cast<size_t>(result.columns) * element_;
  for (int64_t index = 0; index < result.batch; ++index) {
    for (int64_t row = 0; row < result.rows; ++row, from += row_bytes) {
      const auto at = static_cast<size_t>(index * result.stride + row * result.pitch);
      std::memcpy(result.data + at * element_, from, row_bytes);
    }
  }
}

void Call::run_to(const Vector& result, int64_t n) {
  // In the order in which it lies in memory, a vector is a column.
  if (result.increment > 0)
    return run_to(Matrices{static_cast<std::byte*>(result.data), n, 1, result.increment, 0, 1});
  if (!ok() || !can_touch("the result", result.data)) return;
  const std::byte* from = run(nullptr, n);
  std::byte* to = first_of(result, n);
  for (int64_t at = 0; ok() && at < n; ++at, from += element_, to += step(result))
    std::memcpy(to, from, element_);
}

void Call::run_to_element(void* result) {
  run_to(Matrices{static_cast<std::byte*>(result), 1, 1, 1, 0, 1});
}

Memory Call::make_room(const char* name, Matrices& shape) {
  const int64_t dense = shape.rows * shape.columns;
  int64_t total = 0;
  if (!ok() || shape.is_empty()) return {};
  if (__builtin_mul_overflow(dense, shape.batch, &total) || total > kMostElements) {
    beyond_memory(name);
    return {};
  }
  Memory memory{static_cast<std::byte*>(std::malloc(static_cast<size_t>(total) * element_))};
  if (!memory)
    set(failure(VACCEL_RESOURCE_EXHAUSTED, "%s: there is no memory to gather %s", function_, name));
  shape.data = memory.get();
  shape.pitch = shape.columns;
  shape.stride = dense;
  return memory;
}

void Call::each(const char* name, const Matrices& shape, const Matrices& dense, const void* const* pointers,
                Copying copying) {
  const size_t row_bytes = static_cast<size_t>(shape.columns) * element_;
  std::byte* in_dense = dense.data;
  for (int64_t index = 0; ok() && !shape.is_empty() && index < shape.batch; ++index) {
    auto* matrix = static_cast<std::byte*>(const_cast<void*>(pointers[index]));
    if (matrix == nullptr) {
      set(failure(VACCEL_INVALID_ARGUMENT, "%s: %s[%lld] is NULL", function_, name,
                  static_cast<long long>(index)));
      return;
    }
    if (!can_touch(name, matrix)) return;
    for (int64_t row = 0; row < shape.rows; ++row, in_dense += row_bytes) {
      std::byte* in_matrix = matrix + static_cast<size_t>(row * shape.pitch) * element_;
      if (copying == Copying::kGather) std::memcpy(in_dense, in_matrix, row_bytes);
      if (copying == Copying::kScatter) std::memcpy(in_matrix, in_dense, row_bytes);
    }
  }
}

// ---- Products

bool is_transposed(int transpose) {
  return transpose != VACCEL_NO_TRANSPOSE;
}

// The arguments of a product.
struct Product {
  int order;
  int transpose_a;
  int transpose_b;
  int64_t m, n, k;
  double alpha;
  double beta;
  bool is_batch;
  // As the caller has them in memory; then checked and row-major.
  Matrices a, b, c;
};

// A matrix as the caller's arguments say it; rows and columns come from m, n and k.
Matrices argument(const void* data, int64_t ld, int64_t stride = 0, int64_t batch = 1) {
  return {static_cast<std::byte*>(const_cast<void*>(data)), 0, 0, ld, stride, batch};
}

void check(Call& call, Product& product, bool has_strides) {
  call.order(product.order);
  call.transpose("transpose_a", product.transpose_a);
  call.transpose("transpose_b", product.transpose_b);
  call.at_least("m", product.m, 0);
  call.at_least("n", product.n, 0);
  call.at_least("k", product.k, 0);
  call.at_least("batch", product.c.batch, 0);
  product.a.rows = product.m;
  product.a.columns = product.k;
  product.b.rows = product.k;
  product.b.columns = product.n;
  product.c.rows = product.m;
  product.c.columns = product.n;
  if (is_transposed(product.transpose_a)) std::swap(product.a.rows, product.a.columns);
  if (is_transposed(product.transpose_b)) std::swap(product.b.rows, product.b.columns);
  // What alpha = 0 makes of no account does not travel.
  if (product.alpha == 0) product.k = 0;
  const bool has_product = product.m > 0 && product.n > 0 && product.k > 0;
  product.a = call.matrix({"a", "lda", "stride_a"}, product.order, product.a, has_product);
  product.b = call.matrix({"b", "ldb", "stride_b"}, product.order, product.b, has_product);
  product.c = call.matrix({"c", "ldc", "stride_c"}, product.order, product.c, true);
  const Matrices& c = product.c;
  if (call.ok() && has_strides && c.batch > 1 && !c.is_empty())
    call.at_least("stride_c", c.stride, (c.rows - 1) * c.pitch + c.columns, ", or results overlap");
}

// Of a product that was checked, with a result that is not empty.
void multiply(Call& call, Product& product) {
  // A column-major matrix is the transposed row-major one, and (op(a) op(b))^T = op(b)^T op(a)^T.
  if (product.order == VACCEL_COLUMN_MAJOR) {
    std::swap(product.a, product.b);
    std::swap(product.transpose_a, product.transpose_b);
  }
  call.integer("m", product.c.rows);
  call.integer("n", product.c.columns);
  call.integer("k", product.k);
  if (product.is_batch) call.integer("batch", product.c.batch);
  call.integer("transpose_a", is_transposed(product.transpose_a) ? 1 : 0);
  call.integer("transpose_b", is_transposed(product.transpose_b) ? 1 : 0);
  call.real("alpha", product.alpha);
  call.real("beta", product.beta);
  call.input({"a", "lda", "stride_a"}, product.a);
  call.input({"b", "ldb", "stride_b"}, product.b);
  if (product.beta != 0) call.input({"c", nullptr, nullptr}, product.c);
  call.run_to(product.c);
}

vaccel_status gemm(Call& call, Product&& product) {
  check(call, product, true);
  if (call.ok() && !product.c.is_empty()) multiply(call, product);
  return call.end();
}

vaccel_status gemm_batch(Call& call, Product&& product, const void* const* a, const void* const* b,
                         void* const* c) {
  check(call, product, false);
  if (!call.ok() || product.c.is_empty()) return call.end();
  Product dense = product;
  const Memory a_memory = call.make_room("a", dense.a);
  const Memory b_memory = call.make_room("b", dense.b);
  const Memory c_memory = call.make_room("c", dense.c);
  const Matrices result = dense.c;
  call.each("a", product.a, dense.a, a, Call::Copying::kGather);
  call.each("b", product.b, dense.b, b, Call::Copying::kGather);
  call.each("c", product.c, result, c, product.beta != 0 ? Call::Copying::kGather : Call::Copying::kNothing);
  if (call.ok()) multiply(call, dense);
  call.each("c", product.c, result, c, Call::Copying::kScatter);
  return call.end();
}

// ---- Vectors

Vector vector_of(const void* data, int64_t increment) {
  return {const_cast<void*>(data), increment};
}

constexpr Names kX{"x", "incx", ""};
constexpr Names kY{"y", "incy", ""};
constexpr Names kZ{"z", "incz", ""};

// Writes to a vector. @param y  Read too; nullptr: there is none.
vaccel_status to_vector(Call& call, int64_t n, const double* alpha, Vector x, const Vector* y,
                        const Names& result_names, Vector result) {
  call.at_least("n", n, 0);
  call.read_vector(kX, x, n);
  if (y != nullptr) call.read_vector(kY, *y, n);
  call.written_vector(result_names, result, n);
  if (!call.ok() || n == 0) return call.end();
  if (alpha != nullptr) call.real("alpha", *alpha);
  call.input("x", x, n);
  if (y != nullptr) call.input("y", *y, n);
  call.run_to(result, n);
  return call.end();
}

// Gives one element.
vaccel_status to_element(Call& call, int64_t n, int64_t least_n, Vector x, const Vector* y, void* result) {
  call.at_least("n", n, least_n);
  call.read_vector(kX, x, n);
  if (y != nullptr) call.read_vector(kY, *y, n);
  call.present("result", result);
  call.input("x", x, n);
  if (y != nullptr) call.input("y", *y, n);
  call.run_to_element(result);
  return call.end();
}

}  // namespace
}  // namespace vaccel::client

using vaccel::client::argument;
using vaccel::client::Call;
using vaccel::client::vector_of;

vaccel_status vaccel_gemm(vaccel_session* session, vaccel_dtype dtype, vaccel_order order,
                          vaccel_transpose transpose_a, vaccel_transpose transpose_b, int64_t m, int64_t n,
                          int64_t k, double alpha, const void* a, int64_t lda, const void* b, int64_t ldb,
                          double beta, void* c, int64_t ldc, const vaccel_call_options* options) {
  Call call("vaccel_gemm", "gemm", session, dtype, options);
  return vaccel::client::gemm(call, {order, transpose_a, transpose_b, m, n, k, alpha, beta, false,
                                     argument(a, lda), argument(b, ldb), argument(c, ldc)});
}

vaccel_status vaccel_gemm_strided_batch(vaccel_session* session, vaccel_dtype dtype, vaccel_order order,
                                        vaccel_transpose transpose_a, vaccel_transpose transpose_b, int64_t m,
                                        int64_t n, int64_t k, double alpha, const void* a, int64_t lda,
                                        int64_t stride_a, const void* b, int64_t ldb, int64_t stride_b,
                                        double beta, void* c, int64_t ldc, int64_t stride_c, int64_t batch,
                                        const vaccel_call_options* options) {
  Call call("vaccel_gemm_strided_batch", "gemm", session, dtype, options);
  return vaccel::client::gemm(
      call, {order, transpose_a, transpose_b, m, n, k, alpha, beta, true, argument(a, lda, stride_a, batch),
             argument(b, ldb, stride_b, batch), argument(c, ldc, stride_c, batch)});
}

vaccel_status vaccel_gemm_batch(vaccel_session* session, vaccel_dtype dtype, vaccel_order order,
                                vaccel_transpose transpose_a, vaccel_transpose transpose_b, int64_t m,
                                int64_t n, int64_t k, double alpha, const void* const* a, int64_t lda,
                                const void* const* b, int64_t ldb, double beta, void* const* c, int64_t ldc,
                                int64_t batch, const vaccel_call_options* options) {
  Call call("vaccel_gemm_batch", "gemm", session, dtype, options);
  // The arrays of pointers stand for the matrices while the arguments are checked.
  return vaccel::client::gemm_batch(
      call,
      {order, transpose_a, transpose_b, m, n, k, alpha, beta, true, argument(a, lda, 0, batch),
       argument(b, ldb, 0, batch), argument(c, ldc, 0, batch)},
      a, b, c);
}

vaccel_status vaccel_gemv(vaccel_session* session, vaccel_dtype dtype, vaccel_order order,
                          vaccel_transpose transpose, int64_t m, int64_t n, double alpha, const void* a,
                          int64_t lda, const void* x, int64_t incx, double beta, void* y, int64_t incy,
                          const vaccel_call_options* options) {
  Call call("vaccel_gemv", "gemv", session, dtype, options);
  call.order(order);
  call.transpose("transpose", transpose);
  call.at_least("m", m, 0);
  call.at_least("n", n, 0);
  bool transposed = vaccel::client::is_transposed(transpose);
  const int64_t rows = transposed ? n : m;
  int64_t columns = transposed ? m : n;
  auto given = argument(a, lda);
  given.rows = m;
  given.columns = n;
  const auto matrix = call.matrix({"a", "lda", ""}, order, given, alpha != 0);
  // What counts for nothing does not travel: a is rows x 0 then.
  if (matrix.is_empty()) columns = 0;
  call.read_vector(vaccel::client::kX, vector_of(x, incx), columns);
  call.written_vector(vaccel::client::kY, vector_of(y, incy), rows);
  if (!call.ok() || rows == 0) return call.end();
  // A column-major matrix is the transposed row-major one.
  if (order == VACCEL_COLUMN_MAJOR) transposed = !transposed;
  if (matrix.is_empty()) transposed = false;
  call.integer("m", transposed ? columns : rows);
  call.integer("n", transposed ? rows : columns);
  call.integer("transpose", transposed ? 1 : 0);
  call.real("alpha", alpha);
  call.real("beta", beta);
  call.input({"a", "lda", nullptr}, matrix);
  call.input("x", vector_of(x, incx), columns);
  if (beta != 0) call.input("y", vector_of(y, incy), rows);
  call.run_to(vector_of(y, incy), rows);
  return call.end();
}

vaccel_status vaccel_axpy(vaccel_session* session, vaccel_dtype dtype, int64_t n, double alpha, const void* x,
                          int64_t incx, void* y, int64_t incy, const vaccel_call_options* options) {
  Call call("vaccel_axpy", "axpy", session, dtype, options);
  const auto vector = vector_of(y, incy);
  return to_vector(call, n, &alpha, vector_of(x, incx), &vector, vaccel::client::kY, vector);
}

vaccel_status vaccel_scal(vaccel_session* session, vaccel_dtype dtype, int64_t n, double alpha, void* x,
                          int64_t incx, const vaccel_call_options* options) {
  Call call("vaccel_scal", "scal", session, dtype, options);
  const auto vector = vector_of(x, incx);
  return to_vector(call, n, &alpha, vector, nullptr, vaccel::client::kX, vector);
}

vaccel_status vaccel_dot(vaccel_session* session, vaccel_dtype dtype, int64_t n, const void* x, int64_t incx,
                         const void* y, int64_t incy, void* result, const vaccel_call_options* options) {
  Call call("vaccel_dot", "dot", session, dtype, options);
  const auto second = vector_of(y, incy);
  return to_element(call, n, 0, vector_of(x, incx), &second, result);
}

vaccel_status vaccel_nrm2(vaccel_session* session, vaccel_dtype dtype, int64_t n, const void* x, int64_t incx,
                          void* result, const vaccel_call_options* options) {
  Call call("vaccel_nrm2", "nrm2", session, dtype, options);
  return to_element(call, n, 0, vector_of(x, incx), nullptr, result);
}

vaccel_status vaccel_min(vaccel_session* session, vaccel_dtype dtype, int64_t n, const void* x, int64_t incx,
                         void* result, const vaccel_call_options* options) {
  Call call("vaccel_min", "min", session, dtype, options);
  return to_element(call, n, 1, vector_of(x, incx), nullptr, result);
}

vaccel_status vaccel_max(vaccel_session* session, vaccel_dtype dtype, int64_t n, const void* x, int64_t incx,
                         void* result, const vaccel_call_options* options) {
  Call call("vaccel_max", "max", session, dtype, options);
  return to_element(call, n, 1, vector_of(x, incx), nullptr, result);
}

vaccel_status vaccel_add(vaccel_session* session, vaccel_dtype dtype, int64_t n, const void* x, int64_t incx,
                         const void* y, int64_t incy, void* z, int64_t incz,
                         const vaccel_call_options* options) {
  Call call("vaccel_add", "add", session, dtype, options);
  const auto second = vector_of(y, incy);
  return to_vector(call, n, nullptr, vector_of(x, incx), &second, vaccel::client::kZ, vector_of(z, incz));
}

vaccel_status vaccel_copy(vaccel_session* session, vaccel_dtype dtype, int64_t n, const void* x, int64_t incx,
                          void* y, int64_t incy, const vaccel_call_options* options) {
  Call call("vaccel_copy", "copy", session, dtype, options);
  return to_vector(call, n, nullptr, vector_of(x, incx), nullptr, vaccel::client::kY, vector_of(y, incy));
}
