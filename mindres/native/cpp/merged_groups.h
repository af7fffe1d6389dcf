// Grouped convolutions with fewer channels in a group than in a block of the layout.
//
// oneDNN has no fast kernels for these: it would reorder the activations, and compute the gradient
// of the weights from plain layouts. Several groups are merged into one of a block's width, whose
// additional weights are zero: more arithmetic, but by fast kernels, and no reorders.

#pragma once

#include <algorithm>
#include <cstdint>

// Copies of weights (K, C / groups, R, S) as (K, count * C / groups, R, S), and back.
struct MergedGroups {
  int64_t count = 1;       // groups that become one
  int64_t outputs = 0;     // outputs of a group, K / groups
  int64_t all_outputs = 0; // K
  int64_t length = 0;      // weights of an output, C / groups * R * S

  size_t merged_size() const { return all_outputs * count * length * sizeof(float); }

  void merge(const float *weights, float *merged) const {
    std::fill(merged, merged + all_outputs * count * length, 0.f);
    for (int64_t k = 0; k < all_outputs; ++k)
      std::copy_n(weights + k * length, length, merged + place(k));
  }
  void split(const float *merged, float *weights) const {
    for (int64_t k = 0; k < all_outputs; ++k)
      std::copy_n(merged + place(k), length, weights + k * length);
  }

 private:
  int64_t place(int64_t k) const { return (k * count + k / outputs % count) * length; }
};
