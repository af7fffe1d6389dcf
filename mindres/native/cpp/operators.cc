// Convolution, batch normalisation and ReLU for MindSpore on CPU: ahead-of-time custom operators
// over the oneDNN that MindSpore ships.
//
// MindSpore passes plain (NCHW) layouts to oneDNN, which has few fast kernels for them. Here a tensor
// is either plain, and reordered on its way in or out, or "blocked": in oneDNN's own order, in blocks
// of 16 or 8 channels. MindSpore does not see the difference, since shape and size are the same. What
// oneDNN prepares is kept by shape.

#include "batch_norm.h"
#include "call.h"
#include "convolutions.h"

namespace {

void norm_gradient(const Call &c, const float *rstd, bool frozen) {
  StatisticsGradient statistics{c.tensor(3), c.tensor(4), rstd, c.tensor(8), c.tensor(9)};
  with_lanes(c.type(0), layouts[c.type(0)].block, [&](auto lanes) {
    using L = decltype(lanes);
    using T = typename L::Element;
    T *didentity = c.n == 11 ? c.activations<T>(10) : nullptr;
    batch_norm_gradient<L>(Shape(c.shapes[0], c.type(0)), statistics, c.settings(6).relu, frozen,
                           c.activations<T>(0), c.activations<T>(1), c.activations<T>(2),
                           c.activations<T>(7), didentity);
  });
}

// The layout that oneDNN prefers for an ordinary convolution of activations of a type; none if it
// does not know the type on this processor.
Layout preferred_layout(DataType type) try {
  Settings plain{{1, 1}, {1, 1}, {1, 1}, 0, 0, 0, 0, 0, double(type), 0};
  Geometry usual({1, 64, 9, 9}, {64, 64, 3, 3}, {1, 64, 9, 9}, plain, {type, type, type});
  Handle pd = usual.forward(FORWARD_TRAINING, nullptr, attributes);
  Handle preferred = dnnl.primitive_desc_query_md(pd, QUERY_ARGUMENT, SRC);
  return layout_of(preferred, usual.x, type);
} catch (const std::runtime_error &) {
  return {};
}

// Calls f(first, count) for parts of `count` elements, spread over the threads.
template <typename F>
void for_elements(int64_t count, const F &f) {
  pool->parallel_for(pool->get_num_threads(), [&](int thread, int threads) {
    int64_t begin = count * thread / threads, end = count * (thread + 1) / threads;
    f(begin, end - begin);
  });
}

int64_t elements(const int64_t *shape) { return shape[0] * shape[1] * shape[2] * shape[3]; }

}  // namespace

extern "C" {

int mindres_open(const char *path, int threads, int isa) {
  return guarded([&] {
    open_onednn(path, threads, isa);
    for (const ElementType &type : ELEMENT_TYPES)
      layouts[type.onednn] = preferred_layout(type.onednn);
  });
}

// Channels in a block of activations of a DataType; 0 if the operators do not block them here.
int mindres_block(int type) { return layouts[type].block; }
int mindres_channels_last(int type) { return layouts[type].channels_last; }
// For tests, before anything is planned.
void mindres_set_layout(int type, int block, int channels_last) {
  layouts[type] = {block, bool(channels_last)};
}
void mindres_keep_weights(int64_t id) { KeptWeights::begin(id); }
void mindres_forget_weights(int64_t id) { KeptWeights::end(id); }

// x, w, settings, [bias] to y
OPERATOR(convolution) {
  bool bias = c.n == 5;
  const Settings &settings = c.settings(2);
  Types types{c.type(0), c.type(c.n - 1), DataType(settings.compute)};
  const Plan &plan = convolution_plan(FORWARD, types, c.shapes[0], c.shapes[1],
                                      c.shapes[c.n - 1], settings, bias);
  if (bias)
    plan.run({c.data[0], c.data[1], c.data[3], c.data[4]}, settings.id);
  else
    plan.run({c.data[0], c.data[1], c.data[3]}, settings.id);
}

// dy, w, settings, x to dx
OPERATOR(convolution_backward_data) {
  const Settings &settings = c.settings(2);
  Types types{c.type(4), c.type(0), DataType(settings.compute)};
  convolution_plan(BACKWARD_DATA, types, c.shapes[3], c.shapes[1], c.shapes[0], settings, false)
      .run({c.data[0], c.data[1], c.data[4]});
}

// dy, x, settings, w, [bias] to dw, [db]
OPERATOR(convolution_backward_weights) {
  bool bias = c.n == 7;
  const Settings &settings = c.settings(2);
  Types types{c.type(1), c.type(0), weights_gradient_type(settings, c.shapes[0])};
  const Plan &plan = convolution_plan(BACKWARD_WEIGHTS, types, c.shapes[1], c.shapes[3],
                                      c.shapes[0], settings, bias);
  if (bias)
    plan.run({c.data[0], c.data[1], c.data[5], c.data[6]});
  else
    plan.run({c.data[0], c.data[1], c.data[4]});
}

// x, w, gamma, beta, mean, variance, settings, [identity]
// to y = relu(norm(convolution(x, w)) + identity)
OPERATOR(convolution_norm) {
  bool identity = c.n == 9;
  const Settings &settings = c.settings(6);
  std::vector<float> scale(c.shapes[1][0]), shift(c.shapes[1][0]);
  for (size_t i = 0; i < scale.size(); ++i) {
    scale[i] = c.tensor(2)[i] / std::sqrt(c.tensor(5)[i] + settings.eps);
    shift[i] = c.tensor(3)[i] - c.tensor(4)[i] * scale[i];
  }
  Types types{c.type(0), c.type(c.n - 1), DataType(settings.compute)};
  const Plan &plan = convolution_plan(NORMALISED, types, c.shapes[0], c.shapes[1],
                                      c.shapes[c.n - 1], settings, identity);
  if (identity)
    plan.run({c.data[0], c.data[1], scale.data(), shift.data(), c.data[7], c.data[8]},
             settings.id);
  else
    plan.run({c.data[0], c.data[1], scale.data(), shift.data(), c.data[7]}, settings.id);
}

// z, gamma, beta, moving mean, moving variance, settings, [identity]
// to y, mean, rstd; the moving statistics change
OPERATOR(norm) {
  bool identity = c.n == 10;
  const Settings &s = c.settings(5);
  Statistics statistics{c.tensor(1), c.tensor(2),       c.tensor(3),
                        c.tensor(4), c.tensor(c.n - 2), c.tensor(c.n - 1)};
  with_lanes(c.type(0), layouts[c.type(0)].block, [&](auto lanes) {
    using L = decltype(lanes);
    using T = typename L::Element;
    batch_norm<L>(Shape(c.shapes[0], c.type(0)), statistics, s.eps, s.momentum, s.relu,
                  c.activations<T>(0),
                  identity ? c.activations<T>(6) : nullptr, c.activations<T>(c.n - 3));
  });
}

// dy, y, z, gamma, mean, rstd, settings to dz, dgamma, dbeta, [didentity]
OPERATOR(norm_backward) { norm_gradient(c, c.tensor(5), false); }

// The same for statistics that were given, with the variance in place of rstd.
OPERATOR(frozen_norm_backward) {
  std::vector<float> rstd(c.tensor(5), c.tensor(5) + c.shapes[5][0]);
  for (float &value : rstd) value = 1 / std::sqrt(value + c.settings(6).eps);
  norm_gradient(c, rstd.data(), true);
}

OPERATOR(to_blocked) {
  reorder_plan(c.type(0), c.type(1), c.shapes[0], true).run({c.data[0], c.data[1]});
}
OPERATOR(to_plain) {
  reorder_plan(c.type(0), c.type(1), c.shapes[0], false).run({c.data[0], c.data[1]});
}

// x to x and x. MindSpore cannot add gradients of every element type; those of the two outputs meet
// in `add`.
OPERATOR(fork) {
  int64_t size = c.type(0) == F32 ? sizeof(float) : sizeof(BFloat16);
  for_elements(elements(c.shapes[0]) * size, [&](int64_t first, int64_t count) {
    for (int i : {1, 2})
      memcpy(c.activations<char>(i) + first, c.activations<char>(0) + first, count);
  });
}

// a, b to a + b
OPERATOR(add) {
  with_lanes(c.type(0), layouts[c.type(0)].block, [&](auto lanes) {
    using L = decltype(lanes);
    auto at = [&](int i, int64_t j) { return c.activations<typename L::Element>(i) + j * L::SIZE; };
    for_elements(elements(c.shapes[0]) / L::SIZE, [&](int64_t first, int64_t count) {
      for (int64_t j = first; j < first + count; ++j)
        L::store(at(2, j), L::load(at(0, j)) + L::load(at(1, j)));
    });
  });
}

}  // extern "C"
