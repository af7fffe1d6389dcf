// Weights in the layouts that primitives want, kept from call to call for operators whose weights are said to be fixed.

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

class Held {
 public:
  // From here to `release` the weights of the operators with this `id` do not change.
  static void hold(int64_t id) {
    std::lock_guard<std::mutex> lock(mutex_);
    held_[id];
  }
  static void release(int64_t id) {
    std::lock_guard<std::mutex> lock(mutex_);
    held_.erase(id);
  }
  // What `fill` makes of `weights` for `plan`, in `size` bytes; null where nothing is held under `id`.
  static std::shared_ptr<char> get(int64_t id, const void *plan, const void *weights, size_t size,
                                   const std::function<void(char *)> &fill) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto found = held_.find(id);
    if (found == held_.end()) return nullptr;
    auto &kept = found->second[{plan, weights}];
    if (!kept) {
      std::shared_ptr<char> memory(static_cast<char *>(aligned_alloc(4096, (size + 4095) / 4096 * 4096)), free);
      if (!memory) throw std::bad_alloc();
      fill(memory.get());
      kept = memory;
    }
    return kept;
  }

 private:
  static inline std::mutex &mutex_ = *new std::mutex;
  static inline auto &held_ =
      *new std::map<int64_t, std::map<std::pair<const void *, const void *>, std::shared_ptr<char>>>;
};
