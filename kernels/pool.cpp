#include "pool.h"

#include <algorithm>

namespace petit {
namespace {

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// About 50 microseconds: longer than the Python code between two kernels, shorter than anyone notices.
constexpr int SPINS = 2000;

}  // namespace

Pool::Pool(int threads) : each_(static_cast<size_t>(std::max(threads, 1))) {
  for (int t = 1; t < threads; t++) workers_.emplace_back([this, t] { work(t); });
}

Pool::~Pool() {
  stop_ = true;
  { std::lock_guard<std::mutex> lock(sleep_); }
  wake_.notify_all();
  for (auto& w : workers_) w.join();
}

void Pool::start(int64_t n, int64_t grain, Body body, const void* f) {
  n_ = n, grain_ = grain, body_ = body, f_ = f;
  next_.store(0, std::memory_order_relaxed);
  busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  round_.fetch_add(1);
  if (sleeping_.load() > 0) {
    { std::lock_guard<std::mutex> lock(sleep_); }
    wake_.notify_all();
  }
  drain(0);
  for (int i = 0; busy_.load(std::memory_order_acquire) > 0; i++) {
    if (i < SPINS) pause();
    else std::this_thread::yield();
  }
}

void Pool::drain(int thread) {
  for (;;) {
    const int64_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
    if (begin >= n_) return;
    body_(f_, begin, std::min(begin + grain_, n_), thread);
  }
}

void Pool::work(int thread) {
  for (uint64_t seen = 0;;) {
    for (int i = 0; i < SPINS && round_.load(std::memory_order_acquire) == seen && !stop_; i++) pause();
    if (round_.load(std::memory_order_acquire) == seen && !stop_) {
      std::unique_lock<std::mutex> lock(sleep_);
      sleeping_.fetch_add(1);
      wake_.wait(lock, [&] { return round_.load() != seen || stop_; });
      sleeping_.fetch_sub(1);
    }
    if (stop_) return;
    seen = round_.load(std::memory_order_acquire);
    drain(thread);
    busy_.fetch_sub(1, std::memory_order_release);
  }
}

float* Pool::scratch(int64_t floats) {
  if (static_cast<int64_t>(shared_.size()) < floats) shared_.resize(static_cast<size_t>(floats));
  return shared_.data();
}

void Pool::reserve_each(int64_t floats) {
  for (auto& region : each_)
    if (static_cast<int64_t>(region.size()) < floats) region.resize(static_cast<size_t>(floats));
}

float* Pool::scratch_of(int thread) { return each_[static_cast<size_t>(thread)].data(); }

}  // namespace petit
