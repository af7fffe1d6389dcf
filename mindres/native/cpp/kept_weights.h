// Weights in the layouts of primitives, kept between calls for operators whose weights do not change
// (inference).

#pragma once

#include "buffers.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

class KeptWeights {
 public:
  // From here to `end`, the weights of the operators with this `id` do not change.
  static void begin(int64_t id) {
    std::lock_guard<std::mutex> lock(mutex_);
    kept_[id];
  }
  static void end(int64_t id) {
    std::lock_guard<std::mutex> lock(mutex_);
    kept_.erase(id);
  }
  // The `size` bytes that `fill` makes of `weights` for `plan`.
  // Null if the weights of the operators with this `id` may change.
  static std::shared_ptr<char> get(int64_t id, const void *plan, const void *weights, size_t size,
                                   const std::function<void(char *)> &fill) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto found = kept_.find(id);
    if (found == kept_.end()) return nullptr;
    auto &entry = found->second[{plan, weights}];
    if (!entry) {
      auto address = static_cast<char *>(aligned_alloc(4096, round_up_to_pages(size)));
      if (!address) throw std::bad_alloc();
      std::shared_ptr<char> memory(address, free);
      fill(memory.get());
      entry = memory;
    }
    return entry;
  }

 private:
  using Entries = std::map<std::pair<const void *, const void *>, std::shared_ptr<char>>;
  static inline std::mutex &mutex_ = *new std::mutex;
  static inline auto &kept_ = *new std::map<int64_t, Entries>;
};
