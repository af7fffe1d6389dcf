// The threads that oneDNN's primitives and the batch normalisation share.

#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

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

  // Calls f(i, n) for each i below n, and returns when all calls are done.
  // If another thread is using the pool, the calls run serially in this thread.
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
    // Takes calls of this job until none is left.
    void take() {
      bool before = inside_;
      inside_ = true;
      for (int i; (i = next.fetch_add(1)) < n; done.fetch_add(1, std::memory_order_release))
        f(i, n);
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

// Set once, by `open_onednn`, and never freed: threads outlive static objects.
static ThreadPool *pool = nullptr;
