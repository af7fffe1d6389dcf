// What is used of oneDNN: its C functions looked up by name, a thread pool for it, and primitives that are kept ready.
//
// Nothing is included from oneDNN, whose headers hardly anybody has installed. The constants are those of the public
// headers of oneDNN 3 (https://github.com/uxlfoundation/oneDNN, dnnl_types.h and dnnl_common_types.h), which its binary
// interface fixes.

#include "held.h"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using Handle = void *;  // any oneDNN object
using Dims = std::vector<int64_t>;

enum { CPU = 1, F32 = 3, USER = 1, DIRECT = 1, FORWARD_TRAINING = 64, FORWARD_INFERENCE = 96, RELU = 0x20,
       BINARY_ADD = 0x1fff0, BINARY_MUL = 0x1fff1, QUERY_ARGUMENT = 255 };
enum { ANY = 1, NCHW8C = 102, NCHW16C = 78 };  // memory formats
enum { SRC = 1, SRC_1 = 2, DST = 17, WEIGHTS = 33, BIAS = 41, SCRATCHPAD = 80, DIFF_SRC = 129, DIFF_DST = 145,
       DIFF_WEIGHTS = 161, DIFF_BIAS = 169, POST_OP = 1 << 15 };
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
  F(post_ops_create, int, (Handle *))                                                                                \
  F(post_ops_append_binary, int, (Handle, int, Handle))                                                              \
  F(post_ops_append_eltwise, int, (Handle, int, float, float))                                                       \
  F(primitive_attr_create, int, (Handle *))                                                                          \
  F(primitive_attr_set_post_ops, int, (Handle, Handle))                                                              \
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

static struct {
#define DECLARE(name, result, arguments) result(*name) arguments;
  ONEDNN_FUNCTIONS(DECLARE)
} dnnl;

#define CALL(name, ...)                                                                                              \
  do {                                                                                                               \
    if (int status = dnnl.name(__VA_ARGS__))                                                                         \
      throw std::runtime_error("dnnl_" #name " returned status " + std::to_string(status));                          \
  } while (false)

// As in oneDNN's dnnl_threadpool_iface.hpp: the order of the virtual functions is the interface.
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

  static inline thread_local bool inside_ = false;
  const int threads_;
  std::mutex busy_, mutex_;
  std::condition_variable wake_;
  std::shared_ptr<Job> job_;
};

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
      block_.size = (size + 4095) / 4096 * 4096;
      block_.data = static_cast<char *>(aligned_alloc(4096, block_.size));
      if (!block_.data) throw std::bad_alloc();
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
  static inline std::mutex &mutex_ = *new std::mutex;
  static inline std::vector<Block> &spare_ = *new std::vector<Block>;
  Block block_;
};

// Set once by `open_onednn` and never freed: threads outlive static objects.
static ThreadPool *pool = nullptr;
static Handle engine = nullptr, attributes = nullptr;

// Memory descriptors of float32 tensors; they live as long as the process.
inline Handle formatted(const Dims &dims, int format) {
  Handle md;
  CALL(memory_desc_create_with_tag, &md, int(dims.size()), dims.data(), F32, format);
  return md;
}

inline Handle plain(const Dims &dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size() - 1; i-- > 0;) strides[i] = strides[i + 1] * dims[i + 1];
  Handle md;
  CALL(memory_desc_create_with_strides, &md, int(dims.size()), dims.data(), F32, strides.data());
  return md;
}

// A oneDNN primitive, with a reorder for each tensor whose layout the primitive wants otherwise than it is handed over.
// Not changed once it is made, so that threads can share it.
class Plan {
 public:
  // The tensor `name` of the primitive is handed over as `outer`.
  void add(Handle primitive_desc, int name, Handle outer, bool output = false) {
    Tensor tensor{name, output, outer, dnnl.primitive_desc_query_md(primitive_desc, QUERY_ARGUMENT, name), {}};
    if (!dnnl.memory_desc_equal(tensor.outer, tensor.inner)) {
      Handle from = output ? tensor.inner : tensor.outer, to = output ? tensor.outer : tensor.inner;
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

  // `data` are the tensors in the order in which they were added; of fixed weights the reordered ones are kept by `id`.
  void run(const std::vector<const void *> &data, int64_t id = 0) const {
    Buffer buffer(size_);
    Stream stream;
    std::vector<std::unique_ptr<Memory>> memories;
    auto memory = [&](Handle md, const void *address) {
      memories.push_back(std::make_unique<Memory>(md, const_cast<void *>(address)));
      return memories.back()->handle;
    };
    auto execute = [&](const Primitive &primitive, std::vector<Argument> arguments) {
      arguments.push_back({SCRATCHPAD, memory(primitive.scratchpad, buffer.at(scratch_offset_))});
      CALL(primitive_execute, primitive.handle, stream.handle, int(arguments.size()), arguments.data());
    };
    std::vector<Argument> arguments;
    std::shared_ptr<char> weights;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const Tensor &t = tensors_[i];
      auto reordered = [&](char *place) {
        Handle inner = memory(t.inner, place);
        if (!t.output) execute(t.reorder, {{SRC, memory(t.outer, data[i])}, {DST, inner}});
        return inner;
      };
      if (!t.reorder.handle)
        arguments.push_back({t.name, memory(t.inner, data[i])});
      else if (t.name == WEIGHTS &&
               (weights = Held::get(id, this, data[i], dnnl.memory_desc_get_size(t.inner), reordered)))
        arguments.push_back({t.name, memory(t.inner, weights.get())});
      else
        arguments.push_back({t.name, reordered(buffer.at(t.offset))});
    }
    execute(primitive_, arguments);
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const Tensor &t = tensors_[i];
      if (t.reorder.handle && t.output)
        execute(t.reorder, {{SRC, arguments[i].memory}, {DST, memory(t.outer, data[i])}});
    }
  }

 private:
  struct Primitive {
    Handle handle = nullptr, scratchpad = nullptr;
  };
  struct Tensor {
    int name;
    bool output;
    Handle outer, inner;
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

// Loads the oneDNN at `path`, once. A copy of MindSpore's file is an instance of its own, which need not obey the
// ONEDNN_MAX_CPU_ISA that binds MindSpore's: `isa` is a dnnl_cpu_isa_t, 0 for all that the processor has.
inline void open_onednn(const char *path, int threads, int isa) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  if (pool) return;
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  if (!library) throw std::runtime_error(dlerror());
#define LOOK_UP(name, result, arguments)                                                                             \
  if (!(dnnl.name = reinterpret_cast<result(*) arguments>(dlsym(library, "dnnl_" #name))))                           \
    throw std::runtime_error("this oneDNN has no dnnl_" #name);
  ONEDNN_FUNCTIONS(LOOK_UP)
  dnnl.set_max_cpu_isa(isa);  // refused where MindSpore's own instance is used and has begun
  CALL(engine_create, &engine, CPU, 0);
  CALL(primitive_attr_create, &attributes);
  CALL(primitive_attr_set_scratchpad_mode, attributes, USER);
  pool = new ThreadPool(threads);
}
