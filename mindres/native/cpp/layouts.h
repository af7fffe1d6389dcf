// The memory layouts that oneDNN prefers for activations on this processor, by element type.

#pragma once

#include "element_types.h"

// Either blocks of `block` channels per pixel, (N, C / block, H, W, block), or all channels per
// pixel, (N, H, W, C), where C is a multiple of `block`.
struct Layout {
  int block = 0;  // 0 if oneDNN prefers another layout
  bool channels_last = false;
};

// Set once, by `mindres_open`.
static Layout layouts[4];  // by DataType

inline Handle any(const Dims &dims, DataType type = F32) { return formatted(dims, ANY, type); }

// Activations in the layout for their type. Operators call them "blocked", whichever it is.
inline Handle blocked(const Dims &dims, DataType type) {
  const Layout &layout = layouts[type];
  if (layout.channels_last) return channels_last(dims, type);
  return formatted(dims, layout.block == 16 ? NCHW16C : NCHW8C, type);
}

// The layout that oneDNN prefers for the convolution `preferred` of (N, C, H, W).
inline Layout layout_of(Handle preferred, const Dims &dims, DataType type) {
  if (dnnl.memory_desc_equal(preferred, formatted(dims, NCHW16C, type))) return {16, false};
  if (dnnl.memory_desc_equal(preferred, formatted(dims, NCHW8C, type))) return {8, false};
  if (dnnl.memory_desc_equal(preferred, channels_last(dims, type))) return {16, true};
  return {};
}
