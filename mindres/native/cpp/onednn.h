// The functions of oneDNN that are used, looked up by name in the library that MindSpore ships.
//
// Nothing is included from oneDNN, whose headers hardly anybody has installed. The constants are
// those of the public headers of oneDNN 3 (https://github.com/uxlfoundation/oneDNN, dnnl_types.h
// and dnnl_common_types.h), which its binary interface fixes.

#pragma once

#include "thread_pool.h"

#include <dlfcn.h>

#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

using Handle = void *;  // any oneDNN object
using Dims = std::vector<int64_t>;

enum { CPU = 1, USER = 1, DIRECT = 1, QUERY_ARGUMENT = 255 };
enum { FORWARD_TRAINING = 64, FORWARD_INFERENCE = 96 };
enum { RELU = 0x20, BINARY_ADD = 0x1fff0, BINARY_MUL = 0x1fff1 };
enum DataType { BF16 = 2, F32 = 3 };
enum Format { ANY = 1, NCHW8C = 102, NCHW16C = 78 };
// Names of a primitive's tensors.
enum { SRC = 1, SRC_1 = 2, DST = 17, WEIGHTS = 33, BIAS = 41, SCRATCHPAD = 80, DIFF_SRC = 129,
       DIFF_DST = 145, DIFF_WEIGHTS = 161, DIFF_BIAS = 169, POST_OP = 1 << 15 };
struct Argument {
  int name;
  Handle memory;
};

#define ONEDNN_FUNCTIONS(F)                                                                        \
  F(set_max_cpu_isa, int, (int))                                                                   \
  F(engine_create, int, (Handle *, int, size_t))                                                   \
  F(threadpool_interop_stream_create, int, (Handle *, Handle, void *))                             \
  F(stream_destroy, int, (Handle))                                                                 \
  F(memory_desc_create_with_strides, int, (Handle *, int, const int64_t *, int, const int64_t *))  \
  F(memory_desc_create_with_tag, int, (Handle *, int, const int64_t *, int, int))                  \
  F(memory_desc_equal, int, (Handle, Handle))                                                      \
  F(memory_desc_get_size, size_t, (Handle))                                                        \
  F(memory_create, int, (Handle *, Handle, Handle, void *))                                        \
  F(memory_destroy, int, (Handle))                                                                 \
  F(post_ops_create, int, (Handle *))                                                              \
  F(post_ops_append_binary, int, (Handle, int, Handle))                                            \
  F(post_ops_append_eltwise, int, (Handle, int, float, float))                                     \
  F(primitive_attr_create, int, (Handle *))                                                        \
  F(primitive_attr_set_post_ops, int, (Handle, Handle))                                            \
  F(primitive_attr_set_scratchpad_mode, int, (Handle, int))                                        \
  F(primitive_desc_query_md, Handle, (Handle, int, int))                                           \
  F(primitive_create, int, (Handle *, Handle))                                                     \
  F(primitive_execute, int, (Handle, Handle, int, const Argument *))                               \
  F(reorder_primitive_desc_create, int, (Handle *, Handle, Handle, Handle, Handle, Handle))        \
  F(convolution_forward_primitive_desc_create, int,                                                \
    (Handle *, Handle, int, int, Handle, Handle, Handle, Handle, const int64_t *, const int64_t *, \
     const int64_t *, const int64_t *, Handle))                                                    \
  F(convolution_backward_data_primitive_desc_create, int,                                          \
    (Handle *, Handle, int, Handle, Handle, Handle, const int64_t *, const int64_t *,              \
     const int64_t *, const int64_t *, Handle, Handle))                                            \
  F(convolution_backward_weights_primitive_desc_create, int,                                       \
    (Handle *, Handle, int, Handle, Handle, Handle, Handle, const int64_t *, const int64_t *,      \
     const int64_t *, const int64_t *, Handle, Handle))

static struct {
#define DECLARE(name, result, arguments) result(*name) arguments;
  ONEDNN_FUNCTIONS(DECLARE)
} dnnl;

#define CALL(name, ...)                                                                        \
  do {                                                                                         \
    if (int status = dnnl.name(__VA_ARGS__))                                                   \
      throw std::runtime_error("dnnl_" #name " returned status " + std::to_string(status));    \
  } while (false)

// Set once, by `open_onednn`, and never freed: threads outlive static objects.
static Handle engine = nullptr, attributes = nullptr;

// Memory descriptors; they live as long as the process.
inline Handle formatted(const Dims &dims, Format format, DataType type = F32) {
  Handle md;
  CALL(memory_desc_create_with_tag, &md, int(dims.size()), dims.data(), type, format);
  return md;
}

inline Handle strided(const Dims &dims, const Dims &strides, DataType type) {
  Handle md;
  CALL(memory_desc_create_with_strides, &md, int(dims.size()), dims.data(), type, strides.data());
  return md;
}

inline Handle plain(const Dims &dims, DataType type = F32) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size() - 1; i-- > 0;) strides[i] = strides[i + 1] * dims[i + 1];
  return strided(dims, strides, type);
}

// (N, C, H, W) in the order of (N, H, W, C).
inline Handle channels_last(const Dims &dims, DataType type) {
  int64_t c = dims[1], h = dims[2], w = dims[3];
  return strided(dims, {h * w * c, 1, w * c, c}, type);
}

// Attributes of a primitive whose scratchpad is ours; `post_ops` may be null.
inline Handle attributes_with(Handle post_ops) {
  Handle attributes;
  CALL(primitive_attr_create, &attributes);
  CALL(primitive_attr_set_scratchpad_mode, attributes, USER);
  if (post_ops) CALL(primitive_attr_set_post_ops, attributes, post_ops);
  return attributes;
}

// Loads the oneDNN at `path`, once. A copy of MindSpore's file is an instance of its own, which
// need not obey the ONEDNN_MAX_CPU_ISA that binds MindSpore's: `isa` is a dnnl_cpu_isa_t, 0 for
// all that the processor has.
inline void open_onednn(const char *path, int threads, int isa) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  if (pool) return;
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  if (!library) throw std::runtime_error(dlerror());
#define LOOK_UP(name, result, arguments)                                                  \
  if (!(dnnl.name = reinterpret_cast<result(*) arguments>(dlsym(library, "dnnl_" #name)))) \
    throw std::runtime_error("this oneDNN has no dnnl_" #name);
  ONEDNN_FUNCTIONS(LOOK_UP)
  dnnl.set_max_cpu_isa(isa);  // refused where MindSpore's own instance is used and has begun
  CALL(engine_create, &engine, CPU, 0);
  attributes = attributes_with(nullptr);
  pool = new ThreadPool(threads);
}
