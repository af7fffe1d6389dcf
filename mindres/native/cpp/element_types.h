// The element types that activations may have, and vectors of them. Weights, statistics and
// settings are the same for all: parameters are float32.
//
// Another type is a row of ELEMENT_TYPES, a specialisation of `Stored`, and a case in `with_lanes`.

#pragma once

#include "onednn.h"

#include <cstring>

struct ElementType {
  const char *mindspore;  // its name there
  DataType onednn;
};
constexpr ElementType ELEMENT_TYPES[] = {{"float32", F32}};

inline DataType element_type(const char *mindspore) {
  for (const ElementType &type : ELEMENT_TYPES)
    if (!strcmp(type.mindspore, mindspore)) return type.onednn;
  throw std::runtime_error(std::string("the operators do not compute ") + mindspore);
}

// B floats.
template <int B>
struct Floats {
  typedef float Vector __attribute__((vector_size(4 * B)));
  typedef float Unaligned __attribute__((vector_size(4 * B), aligned(4), may_alias));
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
  }
}
