// A few threads that share out a loop.
//
// Which thread computes an element never changes how it is computed, so chunks are handed out as
// threads come free. Workers spin briefly between loops, since the next one usually follows within
// microseconds, and then sleep. A loop ends when its chunks are done, not when every worker has looked
// at it: on a machine that is busy elsewhere nobody waits for a thread that the system has not let run.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace petit {

class Pool {
 public:
  // With `pin`, each worker stays on a core of its own, where the system can be told so.
  explicit Pool(int threads, bool pin = false);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Call f(begin, end, thread) until 0..n is covered, in chunks of `grain`.
  template <class F>
  void run(int64_t n, int64_t grain, const F& f) {
    if (n <= 0) return;
    if (workers_.empty() || n <= grain) return f(int64_t{0}, n, 0);
    start(n, grain, [](const void* g, int64_t b, int64_t e, int t) { (*static_cast<const F*>(g))(b, e, t); }, &f);
  }

  // Memory that is kept from call to call: one region shared by all threads, and one for each.
  float* scratch(int64_t floats);
  float* scratch_of(int thread);
  void reserve_each(int64_t floats);

  std::mutex& guard() { return guard_; }  // one kernel at a time on one pool

 private:
  using Body = void (*)(const void*, int64_t, int64_t, int);
  void start(int64_t n, int64_t grain, Body body, const void* f);
  void work(int thread);
  void drain(int thread);

  // Round, chunks of the round, and the next chunk to hand out, in one word: whoever takes a chunk knows
  // that it belongs to the loop described below, which stays as it is until that chunk is done.
  static constexpr int BITS = 20;
  static constexpr uint64_t MASK = (uint64_t{1} << BITS) - 1;
  static bool has_work(uint64_t state) { return (state & MASK) < (state >> BITS & MASK); }

  std::mutex guard_;
  std::vector<std::thread> workers_;
  std::mutex sleep_;
  std::condition_variable wake_;
  std::atomic<uint64_t> state_{0};
  std::atomic<int64_t> done_{0};
  std::atomic<int> sleeping_{0};
  std::atomic<bool> stop_{false};
  int64_t n_ = 0, grain_ = 1;
  Body body_ = nullptr;
  const void* f_ = nullptr;
  std::vector<float> shared_;
  std::vector<std::vector<float>> each_;
};

}  // namespace petit
