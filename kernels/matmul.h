// y = W x + b for packed W, and rows of W by number.
#pragma once
#include "floats.h"
#include "groups.h"
#include "q4.h"

namespace petit::PETIT_ISA {

// All jobs have the format and the columns of the first.
inline void matmul(Pool& pool, const Job* jobs, int count, const float* x, int64_t n) {
  if (n == 0) return;  // the first chunks of a long prompt: nobody asks for their logits
  switch (jobs[0].w.format) {
    case Q4: return q4_matmul(pool, jobs, count, x, n);
    case Q4_0: return group_matmul<Q4_0>(pool, jobs, count, x, n);
    case Q8: return group_matmul<Q8>(pool, jobs, count, x, n);
    case F16: return float_matmul<uint16_t>(pool, jobs, count, x, n);
    default: return float_matmul<float>(pool, jobs, count, x, n);
  }
}

inline int nibble(uint8_t pair, int64_t column) { return (column % 8 < 4 ? pair & 15 : pair >> 4) - 8; }

inline float half_lane(const uint8_t* halves, int64_t lane) {
  alignas(64) float lanes[16];
  store(lanes, load_half(reinterpret_cast<const uint16_t*>(halves)));
  return lanes[lane];
}

// Weight of row r (0..15) of a panel, column c.
inline float weight_q4(const uint8_t* panel, int64_t columns, int64_t r, int64_t c) {
  const uint8_t* run = panel + q4_header(columns) + c / RUN * (1 + 2 * RUN / SUB) * LINE;
  const int64_t in = c % RUN, group = in / SUB;
  const int code = run[4 * r + group / 2] >> (group % 2 * 4) & 15;
  const int value = nibble(run[LINE + in / 8 * LINE + 4 * r + in % 4], in);
  return static_cast<float>(value * SUBSCALES[code]) * half_lane(panel + c / SUPER * PANEL * 2, r);
}

inline float weight_grouped(const uint8_t* panel, int format, int64_t r, int64_t c) {
  const bool four = format == Q4_0;
  const uint8_t* block = panel + c / BLOCK * (four ? Q4_0_BLOCK : Q8_BLOCK);
  const int64_t in = c % BLOCK;
  const int value =
      four ? nibble(block[in / 8 * LINE + 4 * r + in % 4], in) : block[in / 4 * LINE + 4 * r + in % 4] - 128;
  return static_cast<float>(value) * half_lane(block + (four ? 512 : 1024) + 32 * (in / GROUP), r);
}

// Row r of W is lane r % 16 of panel r / 16.   y[i] = W[ids[i]]
inline void embed_row(const Matrix& w, int64_t row, float* y) {
  const uint8_t* panel = w.data + row / PANEL * panel_bytes(w.format, w.columns);
  const int64_t r = row % PANEL;
  for (int64_t c = 0; c < w.columns; c++) switch (w.format) {
      case F32: y[c] = reinterpret_cast<const float*>(panel)[c * PANEL + r]; break;
      case F16: y[c] = half_lane(panel + c * PANEL * 2, r); break;
      case Q4: y[c] = weight_q4(panel, w.columns, r, c); break;
      default: y[c] = weight_grouped(panel, w.format, r, c);
    }
}

inline void embed(Pool& pool, const Matrix& w, const int32_t* ids, int64_t n, float* y) {
  pool.run(n, 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) embed_row(w, ids[i], y + i * w.columns);
  });
}

}  // namespace petit::PETIT_ISA
