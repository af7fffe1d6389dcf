// Gradient descent with momentum and weight decay, in one pass over all parameters.

#pragma once

#include "thread_pool.h"

#include <algorithm>
#include <cstdint>
#include <vector>

struct Momentum {
  float momentum;
  bool nesterov;
};

// One parameter of `size` values.
struct Parameter {
  const float *gradient;
  float *weight, *velocity;
  float rate, decay;
  int64_t size;
};

// With g = gradient + decay * weight:
// velocity = momentum * velocity + g; weight -= rate * velocity, or with Nesterov's momentum
// weight -= rate * (g + momentum * velocity).
// Without fused multiply-add, so that it rounds as MindSpore's own kernels do.
__attribute__((optimize("fp-contract=off")))
inline void update(const Momentum &how, const Parameter &p, int64_t begin, int64_t end) {
  const float *__restrict gradient = p.gradient;
  float *__restrict weight = p.weight, *__restrict velocity = p.velocity;
  const float momentum = how.momentum, decay = p.decay, rate = p.rate;
  const float ahead = how.nesterov ? momentum : 1, direct = how.nesterov ? 1 : 0;
  for (int64_t i = begin; i < end; ++i) {
    float g = gradient[i] + decay * weight[i];
    float v = momentum * velocity[i] + g;
    velocity[i] = v;
    weight[i] -= rate * (direct * g + ahead * v);
  }
}

// The threads share all values equally, wherever a parameter ends.
inline void update_all(const Momentum &how, const std::vector<Parameter> &parameters) {
  int64_t total = 0;
  for (const Parameter &p : parameters) total += p.size;
  pool->parallel_for(pool->get_num_threads(), [&](int thread, int threads) {
    int64_t begin = total * thread / threads, end = total * (thread + 1) / threads;
    for (const Parameter &p : parameters) {
      if (end <= 0) return;
      update(how, p, std::clamp<int64_t>(begin, 0, p.size), std::min(end, p.size));
      begin -= p.size;
      end -= p.size;
    }
  });
}
