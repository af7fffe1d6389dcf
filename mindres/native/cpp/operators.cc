// Convolution, batch normalisation and ReLU for MindSpore on CPU: ahead-of-time custom operators over the oneDNN that
// MindSpore ships.
//
// MindSpore hands oneDNN plain (NCHW) layouts, for which oneDNN has few fast kernels. Here a tensor is either plain and
// reordered on its way in or out, or "blocked": in oneDNN's own order, by blocks of 16 or 8 channels. MindSpore knows
// nothing of it, since neither shape nor size differ. What oneDNN prepares is kept by shape.

#include "onednn.h"

#include "norm.h"

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

namespace {

// Channels in a block of the layout that oneDNN prefers here; 0 where it prefers another one.
int block = 0;

Handle any(const Dims &dims) { return formatted(dims, ANY); }
Handle blocked(const Dims &dims) { return formatted(dims, block == 16 ? NCHW16C : NCHW8C); }

// The operators' `settings`, float64. Stride, padding before (-1: "same") and dilation are of height and width.
struct Settings {
  double stride[2], before[2], dilation[2];
  double x_blocked, y_blocked;  // else plain
  double eps, momentum, relu;   // of the normalisation, whose tensors are all blocked
  double id;                    // of the operator, under which its weights may be held
};

// The shapes of x (N, C, H, W), w (K, C / groups, R, S) and y (N, K, P, Q), and how w leads from x to y.
struct Geometry {
  Geometry(const Dims &x, const Dims &w, const Dims &y, const Settings &s)
      : x(x), w(w), y(y), x_outer(s.x_blocked ? blocked(x) : plain(x)), y_outer(s.y_blocked ? blocked(y) : plain(y)),
        x_wanted(s.x_blocked ? x_outer : any(x)), y_wanted(s.y_blocked ? y_outer : any(y)) {
    for (int i = 0; i < 2; ++i) {
      int64_t reach = (y[2 + i] - 1) * s.stride[i] + (w[2 + i] - 1) * s.dilation[i] + 1;
      stride.push_back(s.stride[i]);
      dilation.push_back(s.dilation[i] - 1);
      before.push_back(s.before[i] < 0 ? std::max<int64_t>(0, reach - x[2 + i]) / 2 : s.before[i]);
      after.push_back(std::max<int64_t>(0, reach - x[2 + i] - before[i]));
    }
    if (int64_t groups = x[1] / w[1]; groups > 1) {
      this->w[0] /= groups;
      this->w.insert(this->w.begin(), groups);
    }
  }
  Handle forward(int kind, Handle bias, Handle how) const {
    Handle pd;
    CALL(convolution_forward_primitive_desc_create, &pd, engine, kind, DIRECT, x_wanted, any(w), bias, y_wanted,
         stride.data(), dilation.data(), before.data(), after.data(), how);
    return pd;
  }
  Dims x, w, y, stride, dilation, before, after;
  Handle x_outer, y_outer, x_wanted, y_wanted;
};

enum Operation { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS, NORMALISED };

// `more`: a bias, or with NORMALISED an identity to add.
std::unique_ptr<Plan> make(Operation operation, const Geometry &g, const Settings &settings, bool more) {
  auto plan = std::make_unique<Plan>();
  Handle pd, channels = plain({1, g.y[1], 1, 1}), bias = more ? plain({g.y[1]}) : nullptr;
  if (operation == NORMALISED) {
    Handle after, how;
    CALL(post_ops_create, &after);
    CALL(post_ops_append_binary, after, BINARY_MUL, channels);
    CALL(post_ops_append_binary, after, BINARY_ADD, channels);
    if (more) CALL(post_ops_append_binary, after, BINARY_ADD, g.y_outer);
    if (settings.relu) CALL(post_ops_append_eltwise, after, RELU, 0.f, 0.f);
    CALL(primitive_attr_create, &how);
    CALL(primitive_attr_set_scratchpad_mode, how, USER);
    CALL(primitive_attr_set_post_ops, how, after);
    pd = g.forward(FORWARD_INFERENCE, nullptr, how);
    plan->add(pd, SRC, g.x_outer);
    plan->add(pd, WEIGHTS, plain(g.w));
    plan->add(pd, POST_OP | SRC_1, channels);
    plan->add(pd, 2 * POST_OP | SRC_1, channels);
    if (more) plan->add(pd, 3 * POST_OP | SRC_1, g.y_outer);
    plan->add(pd, DST, g.y_outer, true);
  } else if (operation == FORWARD) {
    pd = g.forward(FORWARD_TRAINING, bias, attributes);
    plan->add(pd, SRC, g.x_outer);
    plan->add(pd, WEIGHTS, plain(g.w));
    if (more) plan->add(pd, BIAS, bias);
    plan->add(pd, DST, g.y_outer, true);
  } else if (operation == BACKWARD_DATA) {
    CALL(convolution_backward_data_primitive_desc_create, &pd, engine, DIRECT, g.x_wanted, any(g.w), g.y_wanted,
         g.stride.data(), g.dilation.data(), g.before.data(), g.after.data(),
         g.forward(FORWARD_TRAINING, nullptr, attributes), attributes);
    plan->add(pd, DIFF_DST, g.y_outer);
    plan->add(pd, WEIGHTS, plain(g.w));
    plan->add(pd, DIFF_SRC, g.x_outer, true);
  } else {
    CALL(convolution_backward_weights_primitive_desc_create, &pd, engine, DIRECT, g.x_wanted, any(g.w), bias,
         g.y_wanted, g.stride.data(), g.dilation.data(), g.before.data(), g.after.data(),
         g.forward(FORWARD_TRAINING, bias, attributes), attributes);
    plan->add(pd, DIFF_DST, g.y_outer);
    plan->add(pd, SRC, g.x_outer);
    plan->add(pd, DIFF_WEIGHTS, plain(g.w), true);
    if (more) plan->add(pd, DIFF_BIAS, bias, true);
  }
  plan->finish(pd);
  return plan;
}

// The plan kept under `key`, made when it is first asked for. Never freed: MindSpore's threads outlive static objects.
const Plan &kept(const std::vector<Dims> &key, const std::function<std::unique_ptr<Plan>()> &make) {
  static auto &mutex = *new std::mutex;
  static auto &plans = *new std::map<std::vector<Dims>, std::unique_ptr<Plan>>;
  std::lock_guard<std::mutex> lock(mutex);
  auto &entry = plans[key];
  if (!entry) entry = make();
  return *entry;
}

const Plan &convolution_plan(Operation operation, const int64_t *x, const int64_t *w, const int64_t *y,
                             const Settings &settings, bool more) {
  Dims bits(offsetof(Settings, id) / sizeof(int64_t));
  memcpy(bits.data(), &settings, offsetof(Settings, id));
  std::vector<Dims> key{{operation, more}, {x, x + 4}, {w, w + 4}, {y, y + 4}, bits};
  return kept(key, [&] { return make(operation, {key[1], key[2], key[3], settings}, settings, more); });
}

const Plan &reorder_plan(const int64_t *shape, bool to_blocked) {
  Dims dims(shape, shape + 4);
  return kept({{to_blocked}, dims}, [&] {
    Handle pd, from = to_blocked ? plain(dims) : blocked(dims), to = to_blocked ? blocked(dims) : plain(dims);
    CALL(reorder_primitive_desc_create, &pd, from, engine, to, engine, attributes);
    auto plan = std::make_unique<Plan>();
    plan->add(pd, SRC, from);
    plan->add(pd, DST, to, true);
    plan->finish(pd);
    return plan;
  });
}

// What MindSpore hands to an operator: its inputs, then its outputs.
struct Call {
  int n;
  void **data;
  int64_t **shapes;
  float *tensor(int i) const { return static_cast<float *>(data[i]); }
  const Settings &settings(int i) const { return *static_cast<const Settings *>(data[i]); }
};

// MindSpore takes a status; an exception must not reach it.
int guarded(const std::function<void()> &function) {
  try {
    function();
    return 0;
  } catch (const std::exception &error) {
    fprintf(stderr, "mindres: convolution: %s\n", error.what());
    return 1;
  }
}

// Prints what an operator took, as oneDNN does its primitives, if ONEDNN_VERBOSE is set.
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

void backward_of_norm(const Call &c, const float *rstd, bool frozen) {
  auto backward = block == 16 ? batch_norm_gradient<16> : batch_norm_gradient<8>;
  backward(Shape(c.shapes[0]), c.tensor(0), c.tensor(1), c.tensor(2), c.tensor(3), c.tensor(4), rstd,
           c.settings(6).relu, frozen, c.tensor(7), c.tensor(8), c.tensor(9), c.n == 11 ? c.tensor(10) : nullptr);
}

}  // namespace

extern "C" {

int mindres_open(const char *path, int threads, int isa) {
  return guarded([&] {
    open_onednn(path, threads, isa);
    Geometry usual({1, 64, 9, 9}, {64, 64, 3, 3}, {1, 64, 9, 9}, {{1, 1}, {1, 1}, {1, 1}, 0, 0, 0, 0, 0, 0});
    Handle pd = usual.forward(FORWARD_TRAINING, nullptr, attributes);
    Handle preferred = dnnl.primitive_desc_query_md(pd, QUERY_ARGUMENT, SRC);
    block = dnnl.memory_desc_equal(preferred, formatted(usual.x, NCHW16C))  ? 16
            : dnnl.memory_desc_equal(preferred, formatted(usual.x, NCHW8C)) ? 8
                                                                            : 0;
  });
}

int mindres_block() { return block; }
void mindres_hold(int64_t id) { Held::hold(id); }
void mindres_release(int64_t id) { Held::release(id); }

#define OPERATOR(name)                                                                                               \
  static void run_##name(const Call &c);                                                                             \
  int name(int n, void **data, int *, int64_t **shapes, const char **types, void *, void *) {                        \
    return guarded([&] {                                                                                             \
      if (types && (strcmp(types[0], "float32") || strcmp(types[1], "float32")))                                     \
        throw std::runtime_error(#name " is for float32 alone");                                                     \
      Timer timer(#name);                                                                                            \
      run_##name({n, data, shapes});                                                                                 \
    });                                                                                                              \
  }                                                                                                                  \
  static void run_##name(const Call &c)

// x, w, settings, [bias] to y
OPERATOR(convolution) {
  bool bias = c.n == 5;
  const Plan &plan = convolution_plan(FORWARD, c.shapes[0], c.shapes[1], c.shapes[c.n - 1], c.settings(2), bias);
  if (bias)
    plan.run({c.data[0], c.data[1], c.data[3], c.data[4]}, c.settings(2).id);
  else
    plan.run({c.data[0], c.data[1], c.data[3]}, c.settings(2).id);
}

// dy, w, settings, x to dx
OPERATOR(convolution_backward_data) {
  convolution_plan(BACKWARD_DATA, c.shapes[3], c.shapes[1], c.shapes[0], c.settings(2), false)
      .run({c.data[0], c.data[1], c.data[4]});
}

// dy, x, settings, w to dw, [db]
OPERATOR(convolution_backward_weights) {
  bool bias = c.n == 6;
  const Plan &plan = convolution_plan(BACKWARD_WEIGHTS, c.shapes[1], c.shapes[3], c.shapes[0], c.settings(2), bias);
  if (bias)
    plan.run({c.data[0], c.data[1], c.data[4], c.data[5]});
  else
    plan.run({c.data[0], c.data[1], c.data[4]});
}

// x, w, gamma, beta, mean, variance, settings, [identity] to y = relu(norm(convolution(x, w)) + identity)
OPERATOR(convolution_norm) {
  bool identity = c.n == 9;
  const Settings &settings = c.settings(6);
  std::vector<float> scale(c.shapes[1][0]), shift(c.shapes[1][0]);
  for (size_t i = 0; i < scale.size(); ++i) {
    scale[i] = c.tensor(2)[i] / std::sqrt(c.tensor(5)[i] + settings.eps);
    shift[i] = c.tensor(3)[i] - c.tensor(4)[i] * scale[i];
  }
  const Plan &plan = convolution_plan(NORMALISED, c.shapes[0], c.shapes[1], c.shapes[c.n - 1], settings, identity);
  if (identity)
    plan.run({c.data[0], c.data[1], scale.data(), shift.data(), c.data[7], c.data[8]}, settings.id);
  else
    plan.run({c.data[0], c.data[1], scale.data(), shift.data(), c.data[7]}, settings.id);
}

// z, gamma, beta, moving mean, moving variance, settings, [identity] to y, mean, rstd; the moving statistics change
OPERATOR(norm) {
  bool identity = c.n == 10;
  const Settings &s = c.settings(5);
  auto forward = block == 16 ? batch_norm<16> : batch_norm<8>;
  forward(Shape(c.shapes[0]), c.tensor(0), c.tensor(1), c.tensor(2), c.tensor(3), c.tensor(4), s.eps, s.momentum,
          s.relu, identity ? c.tensor(6) : nullptr, c.tensor(c.n - 3), c.tensor(c.n - 2), c.tensor(c.n - 1));
}

// dy, y, z, gamma, mean, rstd, settings to dz, dgamma, dbeta, [didentity]
OPERATOR(norm_backward) { backward_of_norm(c, c.tensor(5), false); }

// The same for statistics that were given, with the variance in place of rstd.
OPERATOR(frozen_norm_backward) {
  std::vector<float> rstd(c.tensor(5), c.tensor(5) + c.shapes[5][0]);
  for (float &value : rstd) value = 1 / std::sqrt(value + c.settings(6).eps);
  backward_of_norm(c, rstd.data(), true);
}

OPERATOR(to_blocked) { reorder_plan(c.shapes[0], true).run({c.data[0], c.data[1]}); }
OPERATOR(to_plain) { reorder_plan(c.shapes[0], false).run({c.data[0], c.data[1]}); }

}  // extern "C"
