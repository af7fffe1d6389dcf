// The convolutions and normalisations of a network, each in the memory layout that oneDNN prefers
// for it, and nothing between them. limit.py compiles and calls it.

#include "batch_norm.h"
#include "call.h"
#include "convolutions.h"

namespace {

std::vector<std::function<void()>> parts;

// Tensors that all layers share, each as large as its largest use.
enum { X, W, Y, Z, STATISTICS, TENSORS };
std::vector<float> tensors[TENSORS];
float *tensor(int i) { return tensors[i].data(); }

void reserve(int i, Handle md) {
  size_t size = dnnl.memory_desc_get_size(md) / sizeof(float) + 1;
  tensors[i].resize(std::max(tensors[i].size(), size), 1.f);
}

// Hands x and y over in the layouts that a primitive prefers, in which its tensors `x` and `y` are.
void choose_layouts(Geometry &g, Handle primitive_desc, int x, int y) {
  g.x_outer = g.x_wanted = dnnl.primitive_desc_query_md(primitive_desc, QUERY_ARGUMENT, x);
  g.y_outer = g.y_wanted = dnnl.primitive_desc_query_md(primitive_desc, QUERY_ARGUMENT, y);
  reserve(X, g.x_outer), reserve(Y, g.y_outer), reserve(Z, g.y_outer);
}

// Both ways, as far as the operators have a layout for it.
void norm(const Dims &y, DataType type) {
  float *s = tensor(STATISTICS);
  int64_t c = y[1];
  with_lanes(type, layouts[type].block, [&](auto lanes) {
    using L = decltype(lanes);
    using T = typename L::Element;
    T *from = reinterpret_cast<T *>(tensor(Y)), *to = reinterpret_cast<T *>(tensor(Z));
    T *none = nullptr;
    Statistics statistics{s, s + c, s + 2 * c, s + 3 * c, s + 4 * c, s + 5 * c};
    batch_norm<L>(Shape(y.data(), type), statistics, 1e-5, .1, true, from, none, to);
    StatisticsGradient gradient{s, s + 4 * c, s + 5 * c, s + 6 * c, s + 7 * c};
    batch_norm_gradient<L>(Shape(y.data(), type), gradient, true, false, from, to, from, to,
                           none);
  });
}

}  // namespace

extern "C" {

int limit_open(const char *path, int threads) {
  return guarded([&] { open_onednn(path, threads, 0); });
}

// Adds the convolution of x (N, C, H, W) by w to y, and in training perhaps its normalisation.
int limit_add(const int64_t *x, const int64_t *w, const int64_t *y, const Settings *settings,
              int training, int normalised) {
  return guarded([&] {
    DataType type = DataType(settings->compute);
    const Geometry any({x, x + 4}, {w, w + 4}, {y, y + 4}, *settings, {type, type, type});
    reserve(W, plain(any.w)), reserve(STATISTICS, plain({8, any.y[1]}));
    Geometry g = any;
    choose_layouts(g, g.forward(FORWARD_TRAINING, nullptr, attributes), SRC, DST);
    int64_t id = settings->id;
    if (!training) {
      KeptWeights::begin(id);
      parts.push_back([id, plan = std::shared_ptr<Plan>(make_normalised(g, true, false))] {
        float *channels = tensor(STATISTICS);
        plan->run({tensor(X), tensor(W), channels, channels, tensor(Y)}, id);
      });
      return;
    }
    auto add = [&](Operation operation, const Geometry &g, int a, int b, int c) {
      parts.push_back([=, plan = std::shared_ptr<Plan>(make_convolution(operation, g, false))] {
        plan->run({tensor(a), tensor(b), tensor(c)});
      });
    };
    add(FORWARD, g, X, W, Y);
    if (x[1] > 3) {  // of images nobody wants the gradient
      Geometry data = any;
      choose_layouts(data, data.backward_data(), DIFF_SRC, DIFF_DST);
      add(BACKWARD_DATA, data, Y, W, X);
    }
    Geometry weights = any;
    choose_layouts(weights, weights.backward_weights(nullptr), SRC, DIFF_DST);
    add(BACKWARD_WEIGHTS, weights, Y, X, W);
    if (Layout layout = layout_of(g.y_outer, g.y, type); normalised && layout.block)
      parts.push_back([=, y = g.y] {
        layouts[type] = layout;
        norm(y, type);
      });
  });
}

int limit_run() {
  return guarded([] {
    for (auto &part : parts) part();
  });
}

}  // extern "C"
