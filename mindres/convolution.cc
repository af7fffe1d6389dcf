// Convolution for MindSpore on CPU: three ahead-of-time custom operators over the oneDNN that MindSpore ships.
//
// MindSpore hands oneDNN plain (NCHW) layouts, for which oneDNN has few fast kernels. Here oneDNN chooses the layouts
// (format "any"), and the data are reordered on the way in and out. What oneDNN prepares is kept by shape.
//
// Nothing is included from oneDNN, whose headers hardly anybody has installed: its C functions are looked up by name,
// and the constants are those of the public headers of oneDNN 3 (https://github.com/uxlfoundation/oneDNN), dnnl_types.h
// and dnnl_common_types.h, which its binary interface fixes.

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using Handle = void *;  // any oneDNN object
using Dims = std::vector<int64_t>;

enum { CPU = 1, F32 = 3, ANY = 1, USER = 1, DIRECT = 1, FORWARD_TRAINING = 64, QUERY_ARGUMENT = 255 };
enum { SRC = 1, DST = 17, WEIGHTS = 33, BIAS = 41, SCRATCHPAD = 80, DIFF_SRC = 129, DIFF_DST = 145, DIFF_WEIGHTS = 161,
       DIFF_BIAS = 169 };
struct Argument {
  int name;
  Handle memory;
};

#define ONEDNN_FUNCTIONS(F)                                                                                          \
  F(set_max_cpu_isa, int, (int))                                                                                     \
  F(engine_create, int, (Handle *, int, size_t))                                                                     \
  F(threadpool_interop_stream_create, int, (Handle *, Handle, void *))                                               \
  F(stream_destroy, int, (Handle))                                                                                   \
  F(memory_desc_create_with_strides, int, (Handle *, int, const int64_t *, int, const int64_t *))                    \
  F(memory_desc_create_with_tag, int, (Handle *, int, const int64_t *, int, int))                                    \
  F(memory_desc_equal, int, (Handle, Handle))                                                                        \
  F(memory_desc_get_size, size_t, (Handle))                                                                          \
  F(memory_create, int, (Handle *, Handle, Handle, void *))                                                          \
  F(memory_destroy, int, (Handle))                                                                                   \
  F(primitive_attr_create, int, (Handle *))                                                                          \
  F(primitive_attr_set_scratchpad_mode, int, (Handle, int))                                                          \
  F(primitive_desc_query_md, Handle, (Handle, int, int))                                                             \
  F(primitive_create, int, (Handle *, Handle))                                                                       \
  F(primitive_execute, int, (Handle, Handle, int, const Argument *))                                                 \
  F(reorder_primitive_desc_create, int, (Handle *, Handle, Handle, Handle, Handle, Handle))                          \
  F(convolution_forward_primitive_desc_create, int,                                                                  \
    (Handle *, Handle, int, int, Handle, Handle, Handle, Handle, const int64_t *, const int64_t *, const int64_t *,  \
     const int64_t *, Handle))                                                                                       \
  F(convolution_backward_data_primitive_desc_create, int,                                                            \
    (Handle *, Handle, int, Handle, Handle, Handle, const int64_t *, const int64_t *, const int64_t *,               \
     const int64_t *, Handle, Handle))                                                                               \
  F(convolution_backward_weights_primitive_desc_create, int,                                                         \
    (Handle *, Handle, int, Handle, Handle, Handle, Handle, const int64_t *, const int64_t *, const int64_t *,       \
     const int64_t *, Handle, Handle))

struct {
#define DECLARE(name, result, arguments) result(*name) arguments;
  ONEDNN_FUNCTIONS(DECLARE)
} dnnl;

void check(int status, const char *what) {
  if (status) throw std::runtime_error(std::string(what) + " returned status " + std::to_string(status));
}
#define CALL(name, ...) check(dnnl.name(__VA_ARGS__), #name)

// As declared in oneDNN's dnnl_threadpool_iface.hpp: the order of the virtual functions is the interface.
struct ThreadPoolInterface {
  virtual int get_num_threads() const = 0;
  virtual bool get_in_parallel() const = 0;
  virtual void parallel_for(int n, const std::function<void(int, int)> &f) = 0;
  virtual uint64_t get_flags() const = 0;
  virtual ~ThreadPoolInterface() = default;
};

class ThreadPool : public ThreadPoolInterface {
 public:
  explicit ThreadPool(int threads) : threads_(threads) {
    for (int i = 1; i < threads; ++i) std::thread([this] { work(); }).detach();
  }
  int get_num_threads() const override { return threads_; }
  bool get_in_parallel() const override { return inside_; }
  uint64_t get_flags() const override { return 0; }

  // Calls f(i, n) for each i below n. Whoever comes while another thread has the workers does its calls alone.
  void parallel_for(int n, const std::function<void(int, int)> &f) override {
    auto job = std::make_shared<Job>(f, n);
    std::unique_lock<std::mutex> workers(busy_, std::defer_lock);
    if (n > 1 && !inside_ && workers.try_lock()) {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = job;
      wake_.notify_all();
    }
    job->take();
    for (int spin = 0; job->done.load(std::memory_order_acquire) < n; ++spin)
      if (spin > 1000) std::this_thread::yield();
  }

 private:
  struct Job {
    Job(const std::function<void(int, int)> &f, int n) : f(f), n(n) {}
    void take() {
      bool before = inside_;
      inside_ = true;
      for (int i; (i = next.fetch_add(1)) < n; done.fetch_add(1, std::memory_order_release)) f(i, n);
      inside_ = before;
    }
    const std::function<void(int, int)> &f;
    const int n;
    std::atomic<int> next{0}, done{0};
  };

  void work() {
    for (std::shared_ptr<Job> job;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return job_ != job; });
        job = job_;
      }
      job->take();
    }
  }

  static thread_local bool inside_;
  const int threads_;
  std::mutex busy_, mutex_;
  std::condition_variable wake_;
  std::shared_ptr<Job> job_;
};
thread_local bool ThreadPool::inside_ = false;

// Memory for one call at a time, kept for the next: a fresh block would cost its page faults each time.
class Buffer {
 public:
  explicit Buffer(size_t size) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!spare_.empty()) {
      auto fits = std::find_if(spare_.begin(), spare_.end(), [&](const Block &block) { return block.size >= size; });
      auto chosen = fits != spare_.end() ? fits : std::prev(spare_.end());
      block_ = *chosen;
      spare_.erase(chosen);
    }
    if (block_.size < size) {
      free(block_.data);
      block_.data = static_cast<char *>(aligned_alloc(4096, (size + 4095) / 4096 * 4096));
      if (!block_.data) throw std::bad_alloc();
      block_.size = size;
    }
  }
  Buffer(const Buffer &) = delete;
  ~Buffer() {
    std::lock_guard<std::mutex> lock(mutex_);
    spare_.push_back(block_);
  }
  char *at(size_t offset) const { return block_.data + offset; }

 private:
  struct Block {
    char *data = nullptr;
    size_t size = 0;
  };
  static std::mutex mutex_;
  static std::vector<Block> spare_;
  Block block_;
};
std::mutex Buffer::mutex_;
std::vector<Buffer::Block> Buffer::spare_;

// Set once by mindres_open and never freed: detached threads and MindSpore's own outlive static objects.
ThreadPool *pool = nullptr;
Handle engine = nullptr, attributes = nullptr;

Handle plain(const Dims &dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size() - 1; i-- > 0;) strides[i] = strides[i + 1] * dims[i + 1];
  Handle md;
  CALL(memory_desc_create_with_strides, &md, int(dims.size()), dims.data(), F32, strides.data());
  return md;
}

Handle any(const Dims &dims) {
  Handle md;
  CALL(memory_desc_create_with_tag, &md, int(dims.size()), dims.data(), F32, ANY);
  return md;
}

// A oneDNN primitive, with a reorder for each tensor whose layout oneDNN wants otherwise than MindSpore has it.
// Immutable once made, so that threads can share it; descriptors live as long as the process.
class Plan {
 public:
  void add(Handle primitive_desc, int name, const Dims &dims, bool output = false) {
    Handle inner = dnnl.primitive_desc_query_md(primitive_desc, QUERY_ARGUMENT, name);
    Tensor tensor{name, output, plain(dims), inner, {}};
    if (!dnnl.memory_desc_equal(tensor.plain, tensor.inner)) {
      Handle from = output ? tensor.inner : tensor.plain, to = output ? tensor.plain : tensor.inner;
      Handle reorder;
      CALL(reorder_primitive_desc_create, &reorder, from, engine, to, engine, attributes);
      tensor.offset = reserve(dnnl.memory_desc_get_size(tensor.inner));
      tensor.reorder = create(reorder);
    }
    tensors_.push_back(tensor);
  }
  void finish(Handle primitive_desc) {
    primitive_ = create(primitive_desc);
    scratch_offset_ = reserve(scratch_size_);
  }

  // `data` are the tensors in the order in which they were added.
  void run(const std::vector<void *> &data) const {
    Buffer buffer(size_);
    Stream stream;
    std::vector<std::unique_ptr<Memory>> memories;
    auto memory = [&](Handle md, void *address) {
      memories.push_back(std::make_unique<Memory>(md, address));
      return memories.back()->handle;
    };
    auto execute = [&](const Primitive &primitive, std::vector<Argument> arguments) {
      arguments.push_back({SCRATCHPAD, memory(primitive.scratchpad, buffer.at(scratch_offset_))});
      CALL(primitive_execute, primitive.handle, stream.handle, int(arguments.size()), arguments.data());
    };
    std::vector<Argument> arguments;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const Tensor &t = tensors_[i];
      Handle inner = memory(t.inner, t.reorder.handle ? buffer.at(t.offset) : data[i]);
      arguments.push_back({t.name, inner});
      if (t.reorder.handle && !t.output) execute(t.reorder, {{SRC, memory(t.plain, data[i])}, {DST, inner}});
    }
    execute(primitive_, arguments);
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const Tensor &t = tensors_[i];
      if (t.reorder.handle && t.output)
        execute(t.reorder, {{SRC, arguments[i].memory}, {DST, memory(t.plain, data[i])}});
    }
  }

 private:
  struct Primitive {
    Handle handle = nullptr, scratchpad = nullptr;
  };
  struct Tensor {
    int name;
    bool output;
    Handle plain, inner;
    Primitive reorder;
    size_t offset = 0;
  };
  struct Memory {
    Memory(Handle md, void *address) { CALL(memory_create, &handle, md, engine, address); }
    ~Memory() { dnnl.memory_destroy(handle); }
    Handle handle;
  };
  struct Stream {
    Stream() { CALL(threadpool_interop_stream_create, &handle, engine, pool); }
    ~Stream() { dnnl.stream_destroy(handle); }
    Handle handle;
  };

  Primitive create(Handle primitive_desc) {
    Primitive primitive;
    CALL(primitive_create, &primitive.handle, primitive_desc);
    primitive.scratchpad = dnnl.primitive_desc_query_md(primitive_desc, QUERY_ARGUMENT, SCRATCHPAD);
    scratch_size_ = std::max(scratch_size_, dnnl.memory_desc_get_size(primitive.scratchpad));
    return primitive;
  }
  size_t reserve(size_t size) {
    size_t offset = size_;
    size_ += (size + 4095) / 4096 * 4096;
    return offset;
  }

  Primitive primitive_;
  std::vector<Tensor> tensors_;
  size_t size_ = 0, scratch_size_ = 0, scratch_offset_ = 0;
};

enum Operation { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS };

// x (N, C, H, W), w (K, C / groups, R, S), y (N, K, P, Q). `settings`: stride, padding before (-1: "same"), dilation,
// each of height and width.
std::unique_ptr<Plan> make(Operation operation, const Dims &x, Dims w, const Dims &y, const Dims &settings, bool bias) {
  Dims stride, dilation, before, after;
  for (int i = 0; i < 2; ++i) {
    int64_t reach = (y[2 + i] - 1) * settings[i] + (w[2 + i] - 1) * settings[4 + i] + 1;
    int64_t total = std::max<int64_t>(0, reach - x[2 + i]);
    stride.push_back(settings[i]);
    dilation.push_back(settings[4 + i] - 1);
    before.push_back(settings[2 + i] < 0 ? total / 2 : settings[2 + i]);
    after.push_back(std::max<int64_t>(0, reach - x[2 + i] - before[i]));
  }
  if (int64_t groups = x[1] / w[1]; groups > 1) {
    w[0] /= groups;
    w.insert(w.begin(), groups);
  }
  Handle b = bias ? plain({y[1]}) : nullptr;
  Handle forward, backward;
  CALL(convolution_forward_primitive_desc_create, &forward, engine, FORWARD_TRAINING, DIRECT, any(x), any(w), b, any(y),
       stride.data(), dilation.data(), before.data(), after.data(), attributes);
  auto plan = std::make_unique<Plan>();
  if (operation == FORWARD) {
    plan->add(forward, SRC, x);
    plan->add(forward, WEIGHTS, w);
    if (bias) plan->add(forward, BIAS, {y[1]});
    plan->add(forward, DST, y, true);
    plan->finish(forward);
  } else if (operation == BACKWARD_DATA) {
    CALL(convolution_backward_data_primitive_desc_create, &backward, engine, DIRECT, any(x), any(w), any(y),
         stride.data(), dilation.data(), before.data(), after.data(), forward, attributes);
    plan->add(backward, DIFF_DST, y);
    plan->add(backward, WEIGHTS, w);
    plan->add(backward, DIFF_SRC, x, true);
    plan->finish(backward);
  } else {
    CALL(convolution_backward_weights_primitive_desc_create, &backward, engine, DIRECT, any(x), any(w), b, any(y),
         stride.data(), dilation.data(), before.data(), after.data(), forward, attributes);
    plan->add(backward, DIFF_DST, y);
    plan->add(backward, SRC, x);
    plan->add(backward, DIFF_WEIGHTS, w, true);
    if (bias) plan->add(backward, DIFF_BIAS, {y[1]}, true);
    plan->finish(backward);
  }
  return plan;
}

const Plan &plan(Operation operation, const int64_t *x, const int64_t *w, const int64_t *y, const void *settings,
                 bool bias) {
  static auto &mutex = *new std::mutex;
  static auto &plans = *new std::map<std::vector<Dims>, std::unique_ptr<Plan>>;
  const int64_t *s = static_cast<const int64_t *>(settings);
  std::vector<Dims> key{{operation, bias}, {x, x + 4}, {w, w + 4}, {y, y + 4}, {s, s + 6}};
  std::lock_guard<std::mutex> lock(mutex);
  auto &entry = plans[key];
  if (!entry) entry = make(operation, key[1], key[2], key[3], key[4], bias);
  return *entry;
}

// MindSpore takes a status; an exception must not reach it. `types` are those of the operator's tensors.
int guarded(const char **types, const std::function<void()> &function) {
  try {
    if (types && (strcmp(types[0], "float32") || strcmp(types[1], "float32")))
      throw std::runtime_error("it is for float32 alone");
    function();
    return 0;
  } catch (const std::exception &error) {
    fprintf(stderr, "mindres: convolution: %s\n", error.what());
    return 1;
  }
}

}  // namespace

extern "C" {

// Loads the oneDNN at `path`, once. A copy of MindSpore's file is an instance of its own, which need not obey the
// ONEDNN_MAX_CPU_ISA that binds MindSpore's: `isa` is a dnnl_cpu_isa_t, 0 for all that the processor has.
int mindres_open(const char *path, int threads, int isa) {
  static std::mutex mutex;
  return guarded(nullptr, [&] {
    std::lock_guard<std::mutex> lock(mutex);
    if (pool) return;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (!library) throw std::runtime_error(dlerror());
#define LOOK_UP(name, result, arguments)                                           \
  if (!(dnnl.name = reinterpret_cast<result(*) arguments>(dlsym(library, "dnnl_" #name)))) \
    throw std::runtime_error("this oneDNN has no dnnl_" #name);
    ONEDNN_FUNCTIONS(LOOK_UP)
    dnnl.set_max_cpu_isa(isa);  // refused where MindSpore's own instance is used and has begun
    CALL(engine_create, &engine, CPU, 0);
    CALL(primitive_attr_create, &attributes);
    CALL(primitive_attr_set_scratchpad_mode, attributes, USER);
    pool = new ThreadPool(threads);
  });
}

// The operators, with the signature that ops.Custom asks for: inputs, then outputs.

// x, w, settings, [bias] to y
int convolution(int n, void **data, int *, int64_t **shapes, const char **types, void *, void *) {
  return guarded(types, [&] {
    bool bias = n == 5;
    const Plan &p = plan(FORWARD, shapes[0], shapes[1], shapes[n - 1], data[2], bias);
    if (bias)
      p.run({data[0], data[1], data[3], data[4]});
    else
      p.run({data[0], data[1], data[3]});
  });
}

// dy, w, settings, x to dx
int convolution_backward_data(int, void **data, int *, int64_t **shapes, const char **types, void *, void *) {
  return guarded(types, [&] {
    plan(BACKWARD_DATA, shapes[3], shapes[1], shapes[0], data[2], false).run({data[0], data[1], data[4]});
  });
}

// dy, x, settings, w to dw, [db]
int convolution_backward_weights(int n, void **data, int *, int64_t **shapes, const char **types, void *, void *) {
  return guarded(types, [&] {
    bool bias = n == 6;
    const Plan &p = plan(BACKWARD_WEIGHTS, shapes[1], shapes[3], shapes[0], data[2], bias);
    if (bias)
      p.run({data[0], data[1], data[4], data[5]});
    else
      p.run({data[0], data[1], data[4]});
  });
}

}  // extern "C"
