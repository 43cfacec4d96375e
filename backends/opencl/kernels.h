// SPDX-License-Identifier: Apache-2.0
//
// This backend's own kernels, in OpenCL C 1.2: what is done to each element or reduces a vector, for one element type a
// program. CLBlast has some of these, but compiles one program for each routine and type, overflows in its norm where the
// result would not, reduces in half precision where the elements are halves, and has none that minds a NaN.
//
// Defined when it is compiled: GROUP, the size of work-groups, a power of two; and FLOAT64, FLOAT16 or BFLOAT16 for a type
// that is not float. `stored` is the type in memory, `real` what is computed with.
#pragma once

namespace vaccel::opencl {

inline constexpr const char* kKernels = R"cl(
#ifdef FLOAT64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
typedef double real;
#else
typedef float real;
#endif

#if defined(FLOAT16)
typedef half stored;
real load(global const stored* from, ulong at) { return vload_half(at, from); }
void store(real value, global stored* to, ulong at) { vstore_half_rte(value, at, to); }
#elif defined(BFLOAT16)
typedef ushort stored;
real load(global const stored* from, ulong at) { return as_float((uint)from[at] << 16); }
/* Rounded to nearest, ties to even; a NaN stays one, whose set bits may all be in the lower half. */
void store(real value, global stored* to, ulong at) {
  const uint bits = as_uint(value);
  const uint rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  to[at] = (ushort)(isnan(value) ? (bits >> 16) | 0x40u : rounded);
}
#else
typedef real stored;
real load(global const stored* from, ulong at) { return from[at]; }
void store(real value, global stored* to, ulong at) { to[at] = value; }
#endif

/* Matrices of `stored`, column-major with gaps, to dense ones of `real`: rows, columns and matrices are the dimensions. */
kernel void widen(global const stored* from, ulong rows, ulong leading, ulong stride, global real* to) {
  const ulong row = get_global_id(0);
  const ulong column = get_global_id(1);
  const ulong matrix = get_global_id(2);
  if (row >= rows) return;
  to[row + rows * (column + get_global_size(1) * matrix)] =
      load(from, row + column * leading + matrix * stride);
}

kernel void narrow(global const real* from, global stored* to, ulong n) {
  const ulong i = get_global_id(0);
  if (i < n) store(from[i], to, i);
}

kernel void axpy(global const stored* x, global stored* y, real alpha, ulong n) {
  const ulong i = get_global_id(0);
  if (i < n) store(alpha * load(x, i) + load(y, i), y, i);
}

kernel void scal(global stored* y, real alpha, ulong n) {
  const ulong i = get_global_id(0);
  if (i < n) store(alpha * load(y, i), y, i);
}

kernel void add(global const stored* x, global const stored* y, global stored* result, ulong n) {
  const ulong i = get_global_id(0);
  if (i < n) store(load(x, i) + load(y, i), result, i);
}

/* Each item takes every get_global_size(0)-th element, each group makes one of its items' results. */
#define REDUCTION(name, first, term, join)                                                                    \
  kernel void name(global const stored* x, global const stored* y, real scale, ulong n, global real* parts) { \
    local real tree[GROUP];                                                                                   \
    const uint item = (uint)get_local_id(0);                                                                  \
    real a = first;                                                                                           \
    for (ulong i = get_global_id(0); i < n; i += get_global_size(0)) {                                        \
      const real b = term;                                                                                    \
      a = join;                                                                                               \
    }                                                                                                         \
    tree[item] = a;                                                                                           \
    for (uint width = GROUP / 2; width > 0; width /= 2) {                                                     \
      barrier(CLK_LOCAL_MEM_FENCE);                                                                           \
      if (item < width) {                                                                                     \
        const real b = tree[item + width];                                                                    \
        a = tree[item];                                                                                       \
        tree[item] = join;                                                                                    \
      }                                                                                                       \
    }                                                                                                         \
    barrier(CLK_LOCAL_MEM_FENCE);                                                                             \
    if (item == 0) parts[get_group_id(0)] = tree[0];                                                          \
  }

/* A NaN once taken stays: it is neither less nor greater than what follows. */
REDUCTION(product, (real)0, load(x, i) * load(y, i), (a + b))
REDUCTION(least, (real)INFINITY, load(x, i), (b < a || isnan(b) ? b : a))
REDUCTION(greatest, (real)-INFINITY, load(x, i), (b > a || isnan(b) ? b : a))
REDUCTION(greatest_size, (real)0, fabs(load(x, i)), (b > a || isnan(b) ? b : a))
REDUCTION(squares, (real)0, (scale * load(x, i)) * (scale * load(x, i)), (a + b))
)cl";

}  // namespace vaccel::opencl
