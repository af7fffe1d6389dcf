// Batch normalisation with addition and ReLU in one pass, on blocked activations (layouts.h).

#pragma once

#include "layouts.h"

#include <algorithm>
#include <cmath>

struct Shape {
  Shape(const int64_t *nchw, DataType type)
      : batch(nchw[0]), channels(nchw[1]), pixels(nchw[2] * nchw[3]), layout(layouts[type]) {}
  double count() const { return double(batch) * pixels; }  // of values in a channel
  // Where a channel's first value lies.
  int64_t first(int64_t channel) const {
    return layout.channels_last ? channel : channel / layout.block * layout.block * pixels;
  }
  int64_t batch, channels, pixels;
  Layout layout;
};

// Elements of all channels together that `for_blocks` passes over at a time: they fit in a cache.
constexpr int64_t CHUNK = 1 << 15;

// Calls f(thread, first channel, first element, end, step) for parts of B channels each, spread
// over the threads. The part has B elements from `first element`, from `step` behind it, ...
template <int B, typename F>
void for_blocks(const Shape &shape, const F &f) {
  int64_t channels = shape.channels, blocks = channels / B, size = shape.pixels * B;
  int64_t rows = shape.batch * shape.pixels, chunk = std::max<int64_t>(1, CHUNK / channels);
  int64_t chunks = (rows + chunk - 1) / chunk, total = shape.batch * blocks;
  pool->parallel_for(pool->get_num_threads(), [&](int thread, int threads) {
    if (shape.layout.channels_last) {
      for (int64_t i = chunks * thread / threads; i < chunks * (thread + 1) / threads; ++i) {
        int64_t begin = i * chunk, end = std::min(begin + chunk, rows);
        for (int64_t channel = 0; channel < channels; channel += B)
          f(thread, channel, begin * channels + channel, end * channels, channels);
      }
    } else {
      for (int64_t i = total * thread / threads; i < total * (thread + 1) / threads; ++i)
        f(thread, i % blocks * B, i * size, (i + 1) * size, int64_t(B));
    }
  });
}

// Two sums of every channel; f(channel, begin, end, step, a, b) adds a part's values to a and b.
template <typename L, typename F>
void sum_channels(const Shape &shape, double *a, double *b, const F &f) {
  constexpr int B = L::SIZE;
  int threads = pool->get_num_threads();
  std::vector<double> sums(2 * threads * shape.channels);
  for_blocks<B>(shape, [&](int thread, int64_t channel, int64_t begin, int64_t end, int64_t step) {
    typename L::Vector va{}, vb{};
    f(channel, begin, end, step, va, vb);
    double *mine = &sums[2 * (thread * shape.channels + channel)];
    for (int i = 0; i < B; ++i) {
      mine[2 * i] += va[i];
      mine[2 * i + 1] += vb[i];
    }
  });
  std::fill(a, a + shape.channels, 0);
  std::fill(b, b + shape.channels, 0);
  for (int64_t i = 0; i < threads * shape.channels; ++i) {
    a[i % shape.channels] += sums[2 * i];
    b[i % shape.channels] += sums[2 * i + 1];
  }
}

// The float32 tensors of a normalisation, one value a channel.
struct Statistics {
  const float *gamma, *beta;
  float *moving_mean, *moving_variance;
  float *mean, *rstd;  // of the batch; rstd is 1 / sqrt(variance + eps)
};

// y = relu((z - mean) * rstd * gamma + beta + identity) with the mean and standard deviation of
// the batch, which are written to `s`. The moving statistics move by `momentum` towards them.
// `identity` may be null.
template <typename L, typename T = typename L::Element>
void batch_norm(const Shape &shape, const Statistics &s, double eps, double momentum, bool relu,
                const T *z, const T *identity, T *y) {
  int64_t channels = shape.channels;
  // Sums of differences to one of the values. Sums of the values themselves would lose the digits
  // of the variance where means are large.
  std::vector<float> origin(channels), scale(channels), shift(channels);
  for (int64_t c = 0; c < channels; c += L::SIZE) {
    auto first = L::load(z + shape.first(c));
    for (int i = 0; i < L::SIZE; ++i) origin[c + i] = first[i];
  }
  std::vector<double> sum(channels), squares(channels);
  sum_channels<L>(shape, sum.data(), squares.data(),
                  [&](int64_t channel, int64_t i, int64_t end, int64_t step, auto &a, auto &b) {
                    auto from = L::parameters(&origin[channel]);
                    for (; i < end; i += step) {
                      auto v = L::load(z + i) - from;
                      a += v;
                      b += v * v;
                    }
                  });
  double count = shape.count(), unbiased = count > 1 ? count / (count - 1) : 1;
  for (int64_t c = 0; c < channels; ++c) {
    double m = sum[c] / count, variance = std::max(0., squares[c] / count - m * m);
    s.mean[c] = m + origin[c];
    s.rstd[c] = 1 / std::sqrt(variance + eps);
    scale[c] = s.gamma[c] * s.rstd[c];
    shift[c] = s.beta[c] - s.mean[c] * scale[c];
    s.moving_mean[c] += momentum * (s.mean[c] - s.moving_mean[c]);
    s.moving_variance[c] += momentum * (variance * unbiased - s.moving_variance[c]);
  }
  for_blocks<L::SIZE>(shape, [&](int, int64_t channel, int64_t i, int64_t end, int64_t step) {
    auto k = L::parameters(&scale[channel]), b = L::parameters(&shift[channel]);
    for (; i < end; i += step) {
      auto v = L::load(z + i) * k + b;
      if (identity) v += L::load(identity + i);
      if (relu) v = L::where_positive(v, v);
      L::store(y + i, v);
    }
  });
}

// The float32 tensors of the gradient of a normalisation, one value a channel.
struct StatisticsGradient {
  const float *gamma, *mean, *rstd;
  float *dgamma, *dbeta;
};

// The gradient of `batch_norm`. With `frozen` the statistics were given, and do not depend on z.
// `didentity` is null if there was no identity.
template <typename L, typename T = typename L::Element>
void batch_norm_gradient(const Shape &shape, const StatisticsGradient &s, bool relu, bool frozen,
                         const T *dy, const T *y, const T *z, T *dz, T *didentity) {
  int64_t channels = shape.channels;
  auto gradient = [&](int64_t i) {
    auto g = L::load(dy + i);
    return relu ? L::where_positive(L::load(y + i), g) : g;
  };
  std::vector<double> sum(channels), products(channels);
  sum_channels<L>(shape, sum.data(), products.data(),
                  [&](int64_t channel, int64_t i, int64_t end, int64_t step, auto &a, auto &b) {
                    auto m = L::parameters(s.mean + channel);
                    for (; i < end; i += step) {
                      auto g = gradient(i);
                      if (didentity) L::store(didentity + i, g);
                      a += g;
                      b += g * (L::load(z + i) - m);
                    }
                  });
  // dz = scale * g + slope * z + shift
  std::vector<float> scale(channels), slope(channels), shift(channels);
  for (int64_t c = 0; c < channels; ++c) {
    s.dbeta[c] = sum[c];
    s.dgamma[c] = products[c] * s.rstd[c];
    scale[c] = s.gamma[c] * s.rstd[c];
    if (frozen) continue;
    slope[c] = -scale[c] * products[c] * s.rstd[c] * s.rstd[c] / shape.count();
    shift[c] = -scale[c] * sum[c] / shape.count() - slope[c] * s.mean[c];
  }
  for_blocks<L::SIZE>(shape, [&](int, int64_t channel, int64_t i, int64_t end, int64_t step) {
    auto k = L::parameters(&scale[channel]), l = L::parameters(&slope[channel]);
    auto b = L::parameters(&shift[channel]);
    for (; i < end; i += step) L::store(dz + i, gradient(i) * k + L::load(z + i) * l + b);
  });
}
