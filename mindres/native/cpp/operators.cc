// Convolution, batch normalisation and ReLU for MindSpore on CPU: ahead-of-time custom operators
// over the oneDNN that MindSpore ships.
//
// MindSpore hands oneDNN plain (NCHW) layouts, for which oneDNN has few fast kernels. Here a
// tensor is either plain, and reordered on its way in or out, or "blocked": in oneDNN's own order,
// by blocks of 16 or 8 channels. MindSpore knows nothing of it, since neither shape nor size
// differ. What oneDNN prepares is kept by shape.

#include "batch_norm.h"
#include "convolutions.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace {

// What MindSpore hands to an operator: its inputs, then its outputs.
struct Call {
  int n;
  void **data;
  int64_t **shapes;
  DataType type;  // of the activations
  float *tensor(int i) const { return static_cast<float *>(data[i]); }
  template <typename T>
  T *activations(int i) const {
    return static_cast<T *>(data[i]);
  }
  const Settings &settings(int i) const { return *static_cast<const Settings *>(data[i]); }
};

// MindSpore takes a status; an exception must not reach it.
template <typename F>
int guarded(const F &function) {
  try {
    function();
    return 0;
  } catch (const std::exception &error) {
    fprintf(stderr, "mindres: native operators: %s\n", error.what());
    return 1;
  }
}

// Prints what an operator took, as oneDNN does for its primitives, if ONEDNN_VERBOSE is set.
struct Timer {
  explicit Timer(const char *name) : name(name) {}
  ~Timer() {
    static const bool verbose = getenv("ONEDNN_VERBOSE");
    if (!verbose) return;
    std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - started;
    printf("mindres_verbose,%s,%g\n", name, spent.count());
  }
  const char *name;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
};

void norm_gradient(const Call &c, const float *rstd, bool frozen) {
  StatisticsGradient statistics{c.tensor(3), c.tensor(4), rstd, c.tensor(8), c.tensor(9)};
  with_lanes(c.type, block, [&](auto lanes) {
    using L = decltype(lanes);
    using T = typename L::Element;
    T *didentity = c.n == 11 ? c.activations<T>(10) : nullptr;
    batch_norm_gradient<L>(Shape(c.shapes[0]), statistics, c.settings(6).relu, frozen,
                           c.activations<T>(0), c.activations<T>(1), c.activations<T>(2),
                           c.activations<T>(7), didentity);
  });
}

// Channels in a block of the layout that oneDNN prefers for an ordinary convolution.
int preferred_block() {
  Settings plain{{1, 1}, {1, 1}, {1, 1}, 0, 0, 0, 0, 0, 0};
  Geometry usual({1, 64, 9, 9}, {64, 64, 3, 3}, {1, 64, 9, 9}, plain, F32);
  Handle pd = usual.forward(FORWARD_TRAINING, nullptr, attributes);
  Handle preferred = dnnl.primitive_desc_query_md(pd, QUERY_ARGUMENT, SRC);
  if (dnnl.memory_desc_equal(preferred, formatted(usual.x, NCHW16C))) return 16;
  if (dnnl.memory_desc_equal(preferred, formatted(usual.x, NCHW8C))) return 8;
  return 0;
}

}  // namespace

extern "C" {

int mindres_open(const char *path, int threads, int isa) {
  return guarded([&] {
    open_onednn(path, threads, isa);
    block = preferred_block();
  });
}

int mindres_block() { return block; }
void mindres_keep_weights(int64_t id) { KeptWeights::begin(id); }
void mindres_forget_weights(int64_t id) { KeptWeights::end(id); }

// An operator's function as MindSpore calls it: the first input are activations, whose element
// type is that of all activations.
#define OPERATOR(name)                                                                      \
  static void run_##name(const Call &c);                                                    \
  int name(int n, void **data, int *, int64_t **shapes, const char **types, void *, void *) { \
    return guarded([&] {                                                                    \
      Timer timer(#name);                                                                   \
      run_##name({n, data, shapes, types ? element_type(types[0]) : F32});                  \
    });                                                                                     \
  }                                                                                         \
  static void run_##name(const Call &c)

// x, w, settings, [bias] to y
OPERATOR(convolution) {
  bool bias = c.n == 5;
  const Settings &settings = c.settings(2);
  const Plan &plan = convolution_plan(FORWARD, c.type, c.shapes[0], c.shapes[1],
                                      c.shapes[c.n - 1], settings, bias);
  if (bias)
    plan.run({c.data[0], c.data[1], c.data[3], c.data[4]}, settings.id);
  else
    plan.run({c.data[0], c.data[1], c.data[3]}, settings.id);
}

// dy, w, settings, x to dx
OPERATOR(convolution_backward_data) {
  convolution_plan(BACKWARD_DATA, c.type, c.shapes[3], c.shapes[1], c.shapes[0], c.settings(2),
                   false)
      .run({c.data[0], c.data[1], c.data[4]});
}

// dy, x, settings, w, [bias] to dw, [db]
OPERATOR(convolution_backward_weights) {
  bool bias = c.n == 7;
  const Plan &plan = convolution_plan(BACKWARD_WEIGHTS, c.type, c.shapes[1], c.shapes[3],
                                      c.shapes[0], c.settings(2), bias);
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
  const Plan &plan = convolution_plan(NORMALISED, c.type, c.shapes[0], c.shapes[1],
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
  with_lanes(c.type, block, [&](auto lanes) {
    using L = decltype(lanes);
    using T = typename L::Element;
    batch_norm<L>(Shape(c.shapes[0]), statistics, s.eps, s.momentum, s.relu, c.activations<T>(0),
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

OPERATOR(to_blocked) { reorder_plan(c.type, c.shapes[0], true).run({c.data[0], c.data[1]}); }
OPERATOR(to_plain) { reorder_plan(c.type, c.shapes[0], false).run({c.data[0], c.data[1]}); }

}  // extern "C"
