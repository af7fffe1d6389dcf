// Batch normalisation with addition and ReLU in one go, on data in blocks of B channels: (N, C / B, H * W, B).

#include <cmath>

// B floats; `load` and `store` take any address.
template <int B>
struct Lanes {
  typedef float Vector __attribute__((vector_size(4 * B)));
  typedef float Unaligned __attribute__((vector_size(4 * B), aligned(4), may_alias));
  static Vector load(const float *p) { return *reinterpret_cast<const Unaligned *>(p); }
  static void store(float *p, Vector v) { *reinterpret_cast<Unaligned *>(p) = v; }
  static Vector where_positive(Vector condition, Vector v) { return condition > 0 ? v : Vector{}; }
};

struct Shape {
  explicit Shape(const int64_t *nchw) : batch(nchw[0]), channels(nchw[1]), pixels(nchw[2] * nchw[3]) {}
  double count() const { return double(batch) * pixels; }  // of values in a channel
  int64_t batch, channels, pixels;
};

// Calls f(thread, first channel, first float, end) for the block of channels in each image, spread over the threads.
template <int B, typename F>
void for_blocks(const Shape &shape, const F &f) {
  int64_t blocks = shape.channels / B, total = shape.batch * blocks, size = shape.pixels * B;
  pool->parallel_for(pool->get_num_threads(), [&](int thread, int threads) {
    for (int64_t i = total * thread / threads; i < total * (thread + 1) / threads; ++i)
      f(thread, i % blocks * B, i * size, (i + 1) * size);
  });
}

// Two sums of every channel; f(channel, begin, end, a, b) adds a block's to a and b.
template <int B, typename F>
void sum_channels(const Shape &shape, double *a, double *b, const F &f) {
  int threads = pool->get_num_threads();
  std::vector<double> sums(2 * threads * shape.channels);
  for_blocks<B>(shape, [&](int thread, int64_t channel, int64_t begin, int64_t end) {
    typename Lanes<B>::Vector va{}, vb{};
    f(channel, begin, end, va, vb);
    double *mine = &sums[2 * (thread * shape.channels + channel)];
    for (int i = 0; i < B; ++i) mine[2 * i] += va[i], mine[2 * i + 1] += vb[i];
  });
  std::fill(a, a + shape.channels, 0);
  std::fill(b, b + shape.channels, 0);
  for (int64_t i = 0; i < threads * shape.channels; ++i) {
    a[i % shape.channels] += sums[2 * i];
    b[i % shape.channels] += sums[2 * i + 1];
  }
}

// y = relu((z - mean) * rstd * gamma + beta + identity) with the batch's mean and standard deviation, which are noted,
// and which move the moving statistics by `momentum` towards them. No `identity` where it is null.
template <int B>
void batch_norm(const Shape &shape, const float *z, const float *gamma, const float *beta, float *moving_mean,
                float *moving_variance, double eps, double momentum, bool relu, const float *identity, float *y,
                float *mean, float *rstd) {
  using L = Lanes<B>;
  int64_t channels = shape.channels;
  // Sums of differences to one of the values: large means would cost the variance its digits.
  std::vector<float> origin(channels), scale(channels), shift(channels);
  for (int64_t c = 0; c < channels; ++c) origin[c] = z[c / B * B * shape.pixels + c % B];
  std::vector<double> sum(channels), squares(channels);
  sum_channels<B>(shape, sum.data(), squares.data(), [&](int64_t channel, int64_t i, int64_t end, auto &a, auto &b) {
    auto from = L::load(&origin[channel]);
    for (; i < end; i += B) {
      auto v = L::load(z + i) - from;
      a += v;
      b += v * v;
    }
  });
  double count = shape.count(), unbiased = count > 1 ? count / (count - 1) : 1;
  for (int64_t c = 0; c < channels; ++c) {
    double m = sum[c] / count, variance = std::max(0., squares[c] / count - m * m);
    mean[c] = m + origin[c];
    rstd[c] = 1 / std::sqrt(variance + eps);
    scale[c] = gamma[c] * rstd[c];
    shift[c] = beta[c] - mean[c] * scale[c];
    moving_mean[c] += momentum * (mean[c] - moving_mean[c]);
    moving_variance[c] += momentum * (variance * unbiased - moving_variance[c]);
  }
  for_blocks<B>(shape, [&](int, int64_t channel, int64_t i, int64_t end) {
    auto k = L::load(&scale[channel]), b = L::load(&shift[channel]);
    for (; i < end; i += B) {
      auto v = L::load(z + i) * k + b;
      if (identity) v += L::load(identity + i);
      if (relu) v = L::where_positive(v, v);
      L::store(y + i, v);
    }
  });
}

// Gradients of `batch_norm`, or with `frozen` of the same with statistics that do not depend on z. `didentity` is
// null where there was no identity.
template <int B>
void batch_norm_gradient(const Shape &shape, const float *dy, const float *y, const float *z, const float *gamma,
                         const float *mean, const float *rstd, bool relu, bool frozen, float *dz, float *dgamma,
                         float *dbeta, float *didentity) {
  using L = Lanes<B>;
  int64_t channels = shape.channels;
  auto gradient = [&](int64_t i) {
    auto g = L::load(dy + i);
    return relu ? L::where_positive(L::load(y + i), g) : g;
  };
  std::vector<double> sum(channels), products(channels);
  sum_channels<B>(shape, sum.data(), products.data(), [&](int64_t channel, int64_t i, int64_t end, auto &a, auto &b) {
    auto m = L::load(mean + channel);
    for (; i < end; i += B) {
      auto g = gradient(i);
      if (didentity) L::store(didentity + i, g);
      a += g;
      b += g * (L::load(z + i) - m);
    }
  });
  // dz = scale * g + slope * z + shift
  std::vector<float> scale(channels), slope(channels), shift(channels);
  for (int64_t c = 0; c < channels; ++c) {
    dbeta[c] = sum[c];
    dgamma[c] = products[c] * rstd[c];
    scale[c] = gamma[c] * rstd[c];
    slope[c] = frozen ? 0 : -scale[c] * products[c] * rstd[c] * rstd[c] / shape.count();
    shift[c] = frozen ? 0 : -scale[c] * sum[c] / shape.count() - slope[c] * mean[c];
  }
  for_blocks<B>(shape, [&](int, int64_t channel, int64_t i, int64_t end) {
    auto k = L::load(&scale[channel]), l = L::load(&slope[channel]), b = L::load(&shift[channel]);
    for (; i < end; i += B) L::store(dz + i, gradient(i) * k + L::load(z + i) * l + b);
  });
}
