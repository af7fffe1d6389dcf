// The element types that activations may have, and vectors of them. Weights, statistics and
// settings are the same for all: parameters are float32.
//
// Another type is a row of ELEMENT_TYPES, a specialisation of `Stored`, and a case in `with_lanes`.

#pragma once

#include "onednn.h"

#include <cstring>

struct ElementType {
  const char *mindspore;  // MindSpore's name
  DataType onednn;
};
constexpr ElementType ELEMENT_TYPES[] = {{"float32", F32}, {"bfloat16", BF16}};

// The type that MindSpore calls `name`; float32 for tensors that are no activations.
inline DataType element_type(const char *name) {
  for (const ElementType &type : ELEMENT_TYPES)
    if (!strcmp(type.mindspore, name)) return type.onednn;
  return F32;
}

struct BFloat16 {
  uint16_t bits;  // the upper half of a float's
};

// B floats, or as many integers.
template <int B>
struct Floats {
  typedef float Vector __attribute__((vector_size(4 * B)));
  typedef float Unaligned __attribute__((vector_size(4 * B), aligned(4), may_alias));
  typedef uint32_t Bits __attribute__((vector_size(4 * B)));
  typedef uint16_t Halves __attribute__((vector_size(2 * B), aligned(2), may_alias));
};

// How B elements of type T in memory become floats, and floats elements. Any address will do.
template <typename T, int B>
struct Stored;

template <int B>
struct Stored<float, B> {
  using Vector = typename Floats<B>::Vector;
  using Unaligned = typename Floats<B>::Unaligned;
  static Vector load(const float *p) { return *reinterpret_cast<const Unaligned *>(p); }
  static void store(float *p, Vector v) { *reinterpret_cast<Unaligned *>(p) = v; }
};

template <int B>
struct Stored<BFloat16, B> {
  using Vector = typename Floats<B>::Vector;
  using Bits = typename Floats<B>::Bits;
  using Halves = typename Floats<B>::Halves;
  static Vector load(const BFloat16 *p) {
    auto halves = *reinterpret_cast<const Halves *>(p);
    return reinterpret_cast<Vector>(__builtin_convertvector(halves, Bits) << 16);
  }
  // Rounds to the nearest value, ties to even. NaN stays NaN.
  static void store(BFloat16 *p, Vector v) {
    auto bits = reinterpret_cast<Bits>(v);
    Bits rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    Bits result = v == v ? rounded : (bits >> 16) | 0x40;
    *reinterpret_cast<Halves *>(p) = __builtin_convertvector(result, Halves);
  }
};

// Vectors of B activations of type T, computed with as floats.
template <typename T, int B>
struct Lanes {
  using Element = T;
  using Vector = typename Floats<B>::Vector;
  static constexpr int SIZE = B;
  static Vector load(const T *p) { return Stored<T, B>::load(p); }
  static void store(T *p, Vector v) { Stored<T, B>::store(p, v); }
  static Vector parameters(const float *p) { return Stored<float, B>::load(p); }
  static Vector where_positive(Vector condition, Vector v) { return condition > 0 ? v : Vector{}; }
};

// Calls f(Lanes<T, B>()) for the C++ type T of elements of `type` and for blocks of B channels.
template <typename F>
void with_lanes(DataType type, int block, const F &f) {
  switch (type) {
    case F32:
      return block == 16 ? f(Lanes<float, 16>()) : f(Lanes<float, 8>());
    case BF16:
      return block == 16 ? f(Lanes<BFloat16, 16>()) : f(Lanes<BFloat16, 8>());
  }
}
