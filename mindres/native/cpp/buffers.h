// Scratch memory that is reused by the next call, which saves the page faults of a new allocation.

#pragma once

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <mutex>
#include <new>
#include <vector>

inline size_t round_up_to_pages(size_t size) { return (size + 4095) / 4096 * 4096; }

// Memory for one call. The destructor returns it to the spare blocks, which later calls reuse.
class Buffer {
 public:
  explicit Buffer(size_t size) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!spare_.empty()) {
      auto fits = std::find_if(spare_.begin(), spare_.end(),
                               [&](const Block &block) { return block.size >= size; });
      auto chosen = fits != spare_.end() ? fits : std::prev(spare_.end());
      block_ = *chosen;
      spare_.erase(chosen);
    }
    if (block_.size < size) {
      free(block_.data);
      block_.size = round_up_to_pages(size);
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
