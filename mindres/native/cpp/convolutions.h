// The plans of convolutions: forward, with a normalisation and addition after it, and gradients.

#pragma once

#include "layouts.h"
#include "plans.h"

#include <cstddef>

// The `settings` of an operator, a float64 tensor. Stride, padding before (-1: "same") and
// dilation are of height and width.
struct Settings {
  double stride[2], before[2], dilation[2];
  double x_blocked, y_blocked;  // else plain
  double eps, momentum, relu;   // of the normalisation, whose tensors are all blocked
  double compute;               // the DataType in which the convolution computes
  double id;                    // of the operator, under which its weights may be kept
};

// The element types in which x and y are passed, and in which the convolution computes.
struct Types {
  DataType x, y, compute;
};

// The shapes of x (N, C, H, W), w (K, C / groups, R, S) and y (N, K, P, Q), stride, dilation and
// padding, the layouts in which x and y are passed, and those that the primitive is asked for.
struct Geometry {
  Geometry(const Dims &x, const Dims &weights, const Dims &y, const Settings &s, Types types)
      : x(x), w(weights), y(y), type(types.compute) {
    for (int i = 0; i < 2; ++i) {
      int64_t reach = (y[2 + i] - 1) * s.stride[i] + (w[2 + i] - 1) * s.dilation[i] + 1;
      int64_t same = std::max<int64_t>(0, reach - x[2 + i]) / 2;
      stride.push_back(s.stride[i]);
      dilation.push_back(s.dilation[i] - 1);
      before.push_back(s.before[i] < 0 ? same : s.before[i]);
      after.push_back(std::max<int64_t>(0, reach - x[2 + i] - before[i]));
    }
    if (int64_t groups = x[1] / w[1]; groups > 1) set_groups(groups);
    x_outer = s.x_blocked ? blocked(x, types.x) : plain(x, types.x);
    y_outer = s.y_blocked ? blocked(y, types.y) : plain(y, types.y);
    x_wanted = s.x_blocked || merged.count > 1 ? blocked(x, type) : any(x, type);
    y_wanted = s.y_blocked || merged.count > 1 ? blocked(y, type) : any(y, type);
  }

  Handle forward(int kind, Handle bias, Handle how) const {
    Handle pd;
    CALL(convolution_forward_primitive_desc_create, &pd, engine, kind, DIRECT, x_wanted,
         any(w, type), bias, y_wanted, stride.data(), dilation.data(), before.data(), after.data(),
         how);
    return pd;
  }
  Handle backward_data() const {
    Handle pd;
    CALL(convolution_backward_data_primitive_desc_create, &pd, engine, DIRECT, x_wanted,
         any(w, type), y_wanted, stride.data(), dilation.data(), before.data(), after.data(),
         forward(FORWARD_TRAINING, nullptr, attributes), attributes);
    return pd;
  }
  Handle backward_weights(Handle bias) const {
    Handle pd;
    CALL(convolution_backward_weights_primitive_desc_create, &pd, engine, DIRECT, x_wanted, any(w),
         bias, y_wanted, stride.data(), dilation.data(), before.data(), after.data(),
         forward(FORWARD_TRAINING, bias, attributes), attributes);
    return pd;
  }

  Dims x, w, y, stride, dilation, before, after;
  DataType type;  // in which it computes
  MergedGroups merged;
  Handle x_outer, y_outer, x_wanted, y_wanted;

 private:
  // oneDNN has the groups as the first dimension of the weights.
  void set_groups(int64_t groups) {
    int64_t inputs = w[1], outputs = w[0] / groups, block = layouts[type].block;
    int64_t count = inputs > 1 && inputs == outputs && block % inputs == 0 ? block / inputs : 1;
    if (count > 1 && groups % count == 0)
      merged = {count, outputs, w[0], inputs * w[2] * w[3]};
    int64_t left = groups / merged.count;
    w = {left, w[0] / left, inputs * merged.count, w[2], w[3]};
  }
};

enum Operation { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS, NORMALISED };

// The primitive relu(convolution(x, w) * scale + shift + identity); `identity` and `relu` may be
// left out.
inline std::unique_ptr<Plan> make_normalised(const Geometry &g, bool relu, bool identity) {
  Handle channels = plain({1, g.y[1], 1, 1}), post_ops;
  CALL(post_ops_create, &post_ops);
  CALL(post_ops_append_binary, post_ops, BINARY_MUL, channels);
  CALL(post_ops_append_binary, post_ops, BINARY_ADD, channels);
  if (identity) CALL(post_ops_append_binary, post_ops, BINARY_ADD, g.y_outer);
  if (relu) CALL(post_ops_append_eltwise, post_ops, RELU, 0.f, 0.f);
  Handle pd = g.forward(FORWARD_INFERENCE, nullptr, attributes_with(post_ops));
  auto plan = std::make_unique<Plan>();
  plan->add(pd, SRC, g.x_outer);
  plan->add(pd, WEIGHTS, plain(g.w), false, g.merged);
  plan->add(pd, POST_OP | SRC_1, channels);
  plan->add(pd, 2 * POST_OP | SRC_1, channels);
  if (identity) plan->add(pd, 3 * POST_OP | SRC_1, g.y_outer);
  plan->add(pd, DST, g.y_outer, true);
  plan->finish(pd);
  return plan;
}

inline std::unique_ptr<Plan> make_convolution(Operation operation, const Geometry &g, bool bias) {
  Handle pd, channels = bias ? plain({g.y[1]}) : nullptr;
  auto plan = std::make_unique<Plan>();
  if (operation == FORWARD) {
    pd = g.forward(FORWARD_TRAINING, channels, attributes);
    plan->add(pd, SRC, g.x_outer);
    plan->add(pd, WEIGHTS, plain(g.w), false, g.merged);
    if (bias) plan->add(pd, BIAS, channels);
    plan->add(pd, DST, g.y_outer, true);
  } else if (operation == BACKWARD_DATA) {
    pd = g.backward_data();
    plan->add(pd, DIFF_DST, g.y_outer);
    plan->add(pd, WEIGHTS, plain(g.w), false, g.merged);
    plan->add(pd, DIFF_SRC, g.x_outer, true);
  } else {
    pd = g.backward_weights(channels);
    plan->add(pd, DIFF_DST, g.y_outer);
    plan->add(pd, SRC, g.x_outer);
    plan->add(pd, DIFF_WEIGHTS, plain(g.w), true, g.merged);
    if (bias) plan->add(pd, DIFF_BIAS, channels, true);
  }
  plan->finish(pd);
  return plan;
}

// The gradient of weights over few pixels is faster in float32, which pays for other types'
// conversion.
constexpr int64_t FEW_PIXELS = 1024;
inline DataType weights_gradient_type(const Settings &settings, const int64_t *y) {
  return y[0] * y[2] * y[3] < FEW_PIXELS ? F32 : DataType(settings.compute);
}

// The plan of a convolution between tensors of these shapes, made when it is first asked for.
// `more`: a bias, or with NORMALISED an identity to add.
inline const Plan &convolution_plan(Operation operation, Types types, const int64_t *x,
                                    const int64_t *w, const int64_t *y, const Settings &settings,
                                    bool more) {
  Dims bits(offsetof(Settings, id) / sizeof(int64_t));
  memcpy(bits.data(), &settings, offsetof(Settings, id));
  Dims what{operation, types.x, types.y, types.compute, more};
  std::vector<Dims> key{what, {x, x + 4}, {w, w + 4}, {y, y + 4}, bits};
  return kept_plan(key, [&] {
    Geometry geometry(key[1], key[2], key[3], settings, types);
    return operation == NORMALISED ? make_normalised(geometry, settings.relu, more)
                                   : make_convolution(operation, geometry, more);
  });
}

// The plan that reorders activations of a shape and of type `a` from plain to blocked, or back, as
// type `b`.
inline const Plan &reorder_plan(DataType a, DataType b, const int64_t *shape, bool to_blocked) {
  Dims dims(shape, shape + 4);
  return kept_plan({{to_blocked, a, b}, dims}, [&] {
    Handle from = to_blocked ? plain(dims, a) : blocked(dims, a);
    Handle pd, to = to_blocked ? blocked(dims, b) : plain(dims, b);
    CALL(reorder_primitive_desc_create, &pd, from, engine, to, engine, attributes);
    auto plan = std::make_unique<Plan>();
    plan->add(pd, SRC, from);
    plan->add(pd, DST, to, true);
    plan->finish(pd);
    return plan;
  });
}
