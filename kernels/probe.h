// What the machine can do at best: reading memory, and multiplying integers in registers.
#pragma once
#include <atomic>

#include "each.h"
#include "formats.h"
#include "pool.h"

namespace petit::PETIT_ISA {

// Read `bytes` once with all threads, in four streams each; returns something that depends on all of it.
inline uint64_t read_all(Pool& pool, const uint8_t* data, int64_t bytes) {
  constexpr int64_t STREAM = 1 << 18, STREAMS = 4, AHEAD_OF = 2048;
  std::atomic<uint64_t> all{0};
  pool.run(bytes / (STREAM * STREAMS), 1, [&](int64_t begin, int64_t end, int) {
    uint64_t seen[8] = {};
    for (int64_t chunk = begin; chunk < end; chunk++) {
      const uint8_t* from = data + chunk * STREAM * STREAMS;
      for (int64_t i = 0; i < STREAM; i += LINE)
        each<STREAMS>(PETIT_EACH(s) {
          const uint8_t* at = from + s * STREAM + i;
          __builtin_prefetch(at + AHEAD_OF);
          const uint64_t* words = reinterpret_cast<const uint64_t*>(at);
          each<8>(PETIT_EACH(j) { seen[j] ^= words[j]; });
        });
    }
    for (const uint64_t word : seen) all.fetch_xor(word, std::memory_order_relaxed);
  });
  return all.load();
}

// `rounds` times 256 x 16 x 4 multiplications, and as many additions, in each thread, out of registers;
// returns something that depends on them.
inline int64_t multiply_all(Pool& pool, int64_t rounds) {
  std::atomic<int64_t> all{0};
  pool.run(pool.threads(), 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) {
      alignas(64) uint8_t bytes[LINE];
      for (int64_t i = 0; i < LINE; i++) bytes[i] = static_cast<uint8_t>(i * 7 + t);
      const Line w = load_line(bytes);
      const Quad x = quad(reinterpret_cast<const int8_t*>(bytes));
      constexpr int SUMS = 2 * TILE;  // so many do not wait for each other
      I acc[SUMS];
      each<SUMS>(PETIT_EACH(i) { acc[i] = iset(i); });
      for (int64_t r = 0; r < rounds; r++)
        for (int again = 0; again < 256 / SUMS; again++) each<SUMS>(PETIT_EACH(i) { acc[i] = dot8(acc[i], w, x); });
      alignas(64) float lanes[16];
      each<SUMS>(PETIT_EACH(i) {
        store(lanes, to_float(acc[i]));
        all.fetch_add(static_cast<int64_t>(lanes[i % 16]) & 1);
      });
    }
  });
  return all.load();
}

}  // namespace petit::PETIT_ISA
