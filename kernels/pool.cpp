#include "pool.h"

#include <algorithm>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

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

// Keep a thread on the n-th of the cores that this process may use; the calling thread is left the first.
void keep_on_core(std::thread& thread, int n) {
#if defined(__linux__)
  cpu_set_t allowed, one;
  if (sched_getaffinity(0, sizeof allowed, &allowed) || CPU_COUNT(&allowed) == 0) return;
  n %= CPU_COUNT(&allowed);
  for (int core = 0; core < CPU_SETSIZE; core++) {
    if (!CPU_ISSET(core, &allowed) || n-- > 0) continue;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    pthread_setaffinity_np(thread.native_handle(), sizeof one, &one);
    return;
  }
#else
  (void)thread, (void)n;
#endif
}

}  // namespace

Pool::Pool(int threads, bool pin) : each_(static_cast<size_t>(std::max(threads, 1))) {
  for (int t = 1; t < threads; t++) {
    workers_.emplace_back([this, t] { work(t); });
    if (pin) keep_on_core(workers_.back(), t);
  }
}

Pool::~Pool() {
  stop_ = true;
  { std::lock_guard<std::mutex> lock(sleep_); }
  wake_.notify_all();
  for (auto& w : workers_) w.join();
}

void Pool::start(int64_t n, int64_t grain, Body body, const void* f) {
  grain = std::max(grain, n / static_cast<int64_t>(MASK / 2) + 1);  // few enough chunks to count in BITS
  const int64_t chunks = (n + grain - 1) / grain;
  n_ = n, grain_ = grain, body_ = body, f_ = f;
  done_.store(0, std::memory_order_relaxed);
  const uint64_t round = (state_.load(std::memory_order_relaxed) >> 2 * BITS) + 1;
  state_.store(round << 2 * BITS | static_cast<uint64_t>(chunks) << BITS);
  if (sleeping_.load() > 0) {
    { std::lock_guard<std::mutex> lock(sleep_); }
    wake_.notify_all();
  }
  drain(0);
  for (int i = 0; done_.load(std::memory_order_acquire) < chunks; i++) {
    if (i < SPINS) pause();
    else std::this_thread::yield();
  }
}

void Pool::drain(int thread) {
  while (has_work(state_.load(std::memory_order_relaxed))) {
    const uint64_t ticket = state_.fetch_add(1, std::memory_order_acquire);
    if (!has_work(ticket)) return;
    const int64_t begin = static_cast<int64_t>(ticket & MASK) * grain_;
    body_(f_, begin, std::min(begin + grain_, n_), thread);
    done_.fetch_add(1, std::memory_order_release);
  }
}

void Pool::work(int thread) {
  while (!stop_) {
    for (int i = 0; i < SPINS && !has_work(state_.load(std::memory_order_relaxed)) && !stop_; i++) pause();
    if (!has_work(state_.load()) && !stop_) {
      std::unique_lock<std::mutex> lock(sleep_);
      sleeping_.fetch_add(1);
      wake_.wait(lock, [&] { return has_work(state_.load()) || stop_; });
      sleeping_.fetch_sub(1);
    }
    drain(thread);
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
