// A call of an operator by MindSpore: its tensors, its status, and its time.

#pragma once

#include "convolutions.h"
#include "element_types.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>

// The arguments that MindSpore passes to an operator: its inputs, then its outputs.
struct Call {
  int n;
  void **data;
  int64_t **shapes;
  const char **types;  // null in tests, whose tensors are float32
  DataType type(int i) const { return types ? element_type(types[i]) : F32; }
  float *tensor(int i) const { return static_cast<float *>(data[i]); }
  template <typename T>
  T *activations(int i) const {
    return static_cast<T *>(data[i]);
  }
  const Settings &settings(int i) const { return *static_cast<const Settings *>(data[i]); }
};

// Returns a status to MindSpore, which must not get exceptions.
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

// Prints the time of an operator if ONEDNN_VERBOSE is set, as oneDNN does for its primitives.
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

// Defines an operator's function with the signature that MindSpore calls.
#define OPERATOR(name)                                                                      \
  static void run_##name(const Call &c);                                                    \
  int name(int n, void **data, int *, int64_t **shapes, const char **types, void *, void *) { \
    return guarded([&] {                                                                    \
      Timer timer(#name);                                                                   \
      run_##name({n, data, shapes, types});                                                 \
    });                                                                                     \
  }                                                                                         \
  static void run_##name(const Call &c)
