// Packing: float rows into panels of a format (formats.h), quantized where the format asks for it.
//
// A 4-bit group stores round(w / d), clamped to -8..7, with one fp16 scale d. The plain choice,
// d = the value of largest magnitude / -8, wastes range on one outlier; instead 17 scales around it
// are tried, each with its least-squares optimum d = sum(w q) / sum(q q), and the one that leaves the
// smallest squared error is kept. docs/log.md has the errors measured for each choice.
#pragma once
#include <cmath>
#include <cstring>

#include "formats.h"
#include "pack_q4.h"
#include "pool.h"

namespace petit::PETIT_ISA {

inline F clamp_round(F x, float low, float high) { return min(max(round(x), set(low)), set(high)); }

struct Group {
  alignas(64) float w[GROUP][16];  // [column][row]: a vector is one column of 16 rows
};

inline void gather(const float* w, int64_t rows, int64_t columns, int64_t row, int64_t column, Group& g) {
  if (row + 16 <= rows && column + GROUP <= columns) {
    for (int64_t r = 0; r < 16; r++)
      for (int64_t c = 0; c < GROUP; c++) g.w[c][r] = w[(row + r) * columns + column + c];
    return;
  }
  for (int64_t c = 0; c < GROUP; c++)
    for (int64_t r = 0; r < 16; r++)
      g.w[c][r] = row + r < rows && column + c < columns ? w[(row + r) * columns + column + c] : 0.0f;
}

// The value of largest magnitude in each row, with its sign.
inline void extremes(const Group& g, float* out) {
  for (int r = 0; r < 16; r++) {
    out[r] = 0.0f;
    for (const auto& column : g.w)
      if (std::fabs(column[r]) > std::fabs(out[r])) out[r] = column[r];
  }
}

inline F best_scale4(const Group& g) {
  alignas(64) float ext[16], best[16], gain[16], inverse[16], wq[16], qq[16];
  extremes(g, ext);
  for (int r = 0; r < 16; r++) best[r] = ext[r] / -8.0f, gain[r] = 0.0f;
  for (int step = -8; step <= 8; step++) {
    for (int r = 0; r < 16; r++)
      inverse[r] = ext[r] != 0.0f ? -(8.0f + 0.125f * static_cast<float>(step)) / ext[r] : 0.0f;
    F a = zero(), b = zero();
    const F inv = load(inverse);
    for (const auto& column : g.w) {
      const F w = load(column), q = clamp_round(mul(w, inv), -8.0f, 7.0f);
      a = fma(w, q, a), b = fma(q, q, b);
    }
    store(wq, a), store(qq, b);
    for (int r = 0; r < 16; r++)  // the squared error is sum(w w) - wq^2 / qq
      if (qq[r] > 0.0f && wq[r] * wq[r] / qq[r] > gain[r]) gain[r] = wq[r] * wq[r] / qq[r], best[r] = wq[r] / qq[r];
  }
  return load(best);
}

inline F scale8(const Group& g) {
  F top = zero();
  for (const auto& column : g.w) top = max(top, max(load(column), sub(zero(), load(column))));
  alignas(64) float scale[16];
  store(scale, top);
  for (float& s : scale) s /= 127.0f;
  return load(scale);
}

// Values of 32 columns as bytes: value + 128 of columns 4q to 4q+3 in line q for q8; for q4_0 value + 8 of columns
// 8q+j and 8q+4+j in the nibbles of byte j. Row r has bytes 4r to 4r+3, written as one word.
inline void lay_out(const float (*q)[16], int format, uint8_t* lines) {
  const int64_t step = format == Q8 ? 4 : 8;
  for (int64_t c = 0; c < GROUP; c += step) {
    alignas(64) uint32_t words[16] = {};
    for (int64_t j = 0; j < step; j++)
      for (int64_t r = 0; r < 16; r++) {
        const uint32_t value = static_cast<uint32_t>(static_cast<int>(q[c + j][r]) + (format == Q8 ? 128 : 8));
        words[r] |= value << (8 * (j % 4) + 4 * (j / 4));
      }
    std::memcpy(lines + c / step * 64, words, 64);
  }
}

inline void pack_group(const Group& g, int format, int64_t half, uint8_t* block, double* squares) {
  uint16_t* scales = reinterpret_cast<uint16_t*>(block + (format == Q4_0 ? 512 : 1024)) + 16 * half;
  store_half(scales, format == Q4_0 ? best_scale4(g) : scale8(g));
  const F d = load_half(scales);  // quantize with the scale as it is stored
  alignas(64) float inverse[16], q[GROUP][16], w2[16], e2[16];
  store(inverse, d);
  for (float& v : inverse) v = v != 0.0f ? 1.0f / v : 0.0f;
  F all = zero(), lost = zero();
  for (int64_t c = 0; c < GROUP; c++) {
    const F w = load(g.w[c]);
    const F rounded =
        clamp_round(mul(w, load(inverse)), format == Q4_0 ? -8.0f : -127.0f, format == Q4_0 ? 7.0f : 127.0f);
    const F error = sub(w, mul(rounded, d));
    all = fma(w, w, all), lost = fma(error, error, lost);
    store(q[c], rounded);
  }
  lay_out(q, format, block + (format == Q8 ? 512 : 256) * half);
  store(w2, all), store(e2, lost);
  for (int r = 0; r < 16; r++) squares[0] += w2[r], squares[1] += e2[r];
}

inline void pack_float_panel(const float* w, int64_t rows, int64_t columns, int64_t row, int format, uint8_t* out,
                             double* squares) {
  for (int64_t c = 0; c < columns; c++) {
    alignas(64) float lane[16], back[16];
    for (int64_t r = 0; r < 16; r++) lane[r] = row + r < rows ? w[(row + r) * columns + c] : 0.0f;
    if (format == F32) {
      std::memcpy(out + c * 64, lane, 64);
      std::memcpy(back, lane, 64);
    } else {
      store_half(reinterpret_cast<uint16_t*>(out) + c * 16, load(lane));
      store(back, load_half(reinterpret_cast<uint16_t*>(out) + c * 16));
    }
    for (int r = 0; r < 16; r++) {
      const double error = static_cast<double>(lane[r]) - back[r];
      squares[0] += static_cast<double>(lane[r]) * lane[r], squares[1] += error * error;
    }
  }
}

// importance: [columns] or null, heeded by q4 alone; squares: [panels][2], the sums of w^2 and of (w - what is
// stored)^2
inline void pack(Pool& pool, const float* w, int64_t rows, int64_t columns, int format, const float* importance,
                 uint8_t* out, double* squares) {
  const int64_t bytes = panel_bytes(format, columns);
  pool.run(round_up(rows, PANEL) / PANEL, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t p = begin; p < end; p++) {
      uint8_t* panel = out + p * bytes;
      double* sums = squares + 2 * p;
      sums[0] = sums[1] = 0.0;
      if (format == F16 || format == F32) {
        pack_float_panel(w, rows, columns, p * PANEL, format, panel, sums);
        continue;
      }
      if (format == Q4) {
        pack_q4_panel(w, rows, columns, importance, p * PANEL, panel, sums);
        continue;
      }
      Group g;
      for (int64_t c = 0; c < round_up(columns, BLOCK); c += GROUP) {
        gather(w, rows, columns, p * PANEL, c, g);
        pack_group(g, format, c / GROUP % 2, panel + c / BLOCK * (format == Q4_0 ? Q4_0_BLOCK : Q8_BLOCK), sums);
      }
    }
  });
}

}  // namespace petit::PETIT_ISA
