// Packing into q4 (formats.h): 16 rows and a superblock of 256 columns at a time.
//
// The error that counts is sum over columns of h (w - d s q)^2, with h the importance of a column: how
// large its activations are, squared, on average; or 1. For a few scales d around the one that brings
// the largest weight to -8 with the largest sub-scale, each group of 16 takes the best of three
// sub-scales around the one that brings its own largest weight to -8. With v = s q, the superblock's
// least-squares scale is then sum(h w v) / sum(h v v); the d that leaves the smallest error is kept and
// fitted once more. docs/log.md has the errors and the speed of other searches.
#pragma once
#include <cmath>
#include <cstring>

#include "formats.h"

namespace petit::PETIT_ISA {

constexpr float FACTORS[] = {0.7f, 0.8f, 0.9f, 1.0f, 1.1f, 1.2f};
constexpr int GROUPS = SUPER / SUB;
constexpr float ROUND = 12582912.0f;  // 1.5 * 2^23: adding it rounds to whole numbers, ties to even

struct Super {
  alignas(64) float w[SUPER][16], hw[SUPER][16];  // [column][row], and times h
  float h[SUPER];
  F reach[GROUPS];  // largest magnitude of each group, over 8
  F sign[GROUPS];   // -1 where that weight is positive, so that it is stored as -8
  int groups;       // those that exist
};

struct Sums {
  F wv, vv;  // of h w v and h v v
};

inline F inverse_of(F x) { return select(zero(), x, div(set(1.0f), x), zero()); }  // 0 for 0

// Row by row of w; what is missing is zero.
inline void read_super(const float* w, int64_t rows, int64_t columns, const float* importance, int64_t row,
                       int64_t column, Super& b) {
  const int64_t width = columns - column < SUPER ? columns - column : SUPER;
  b.groups = static_cast<int>(pieces(width, SUB));
  if (rows - row < 16 || width < SUPER) std::memset(b.w, 0, sizeof b.w);
  for (int64_t c = 0; c < SUPER; c++) b.h[c] = c < width ? importance ? importance[column + c] : 1.0f : 0.0f;
  for (int64_t r = 0; r < 16 && row + r < rows; r++)
    for (int64_t c = 0; c < width; c++) b.w[c][r] = w[(row + r) * columns + column + c];
  for (int g = 0; g < b.groups; g++) {
    F high = zero(), low = zero();
    for (int64_t c = g * SUB; c < (g + 1) * SUB; c++) {
      const F x = load(b.w[c]);
      high = max(high, x), low = min(low, x);
      store(b.hw[c], mul(set(b.h[c]), x));
    }
    low = sub(zero(), low);
    b.reach[g] = mul(max(high, low), set(0.125f));
    b.sign[g] = select(low, high, set(-1.0f), set(1.0f));
  }
}

// The smallest sub-scale that is at least `want`, between its neighbours; and their inverses.
inline void around(F want, F* s, F* inverse) {
  for (int i = 0; i < 3; i++) s[i] = set(SUBSCALES[7]), inverse[i] = set(1.0f / SUBSCALES[7]);
  s[0] = set(SUBSCALES[6]), inverse[0] = set(1.0f / SUBSCALES[6]);
  for (int k = 6; k >= 0; k--)
    for (int i = 0; i < 3; i++) {
      const float t = SUBSCALES[i == 0 && k == 0 ? 0 : k + i - 1];
      s[i] = select(set(SUBSCALES[k]), want, s[i], set(t));
      inverse[i] = select(set(SUBSCALES[k]), want, inverse[i], set(1.0f / t));
    }
}

inline F code_of(F w, F inverse) {  // q + 8
  const F q = sub(fma(w, inverse, set(ROUND + 8.0f)), set(ROUND));
  return min(max(q, zero()), set(15.0f));
}

// The best sub-scale of each group under scales d, with its sign, in `chosen`.
inline Sums choose(const Super& b, F d, F* chosen) {
  Sums total{zero(), zero()};
  const F over_d = inverse_of(d);
  for (int g = 0; g < b.groups; g++) {
    F s[3], over[3], wq[3], qq[3];
    around(mul(b.reach[g], over_d), s, over);
    for (int i = 0; i < 3; i++) over[i] = mul(mul(over[i], over_d), b.sign[g]), wq[i] = qq[i] = zero();
    for (int c = g * SUB; c < (g + 1) * SUB; c++) {
      const F w = load(b.w[c]), hw = load(b.hw[c]), h = set(b.h[c]);
      for (int i = 0; i < 3; i++) {
        F q = sub(fma(w, over[i], set(ROUND)), set(ROUND));
        q = min(max(q, set(-8.0f)), set(7.0f));
        wq[i] = fma(hw, q, wq[i]), qq[i] = fma(mul(h, q), q, qq[i]);
      }
    }
    F least = zero(), wv = zero(), vv = zero();
    for (int i = 0; i < 3; i++) {
      const F signed_s = mul(s[i], b.sign[g]), a = mul(signed_s, wq[i]), v = mul(mul(s[i], s[i]), qq[i]);
      const F error = mul(d, sub(mul(d, v), add(a, a)));  // less the constant sum(h w w)
      if (i == 0) {
        least = error, wv = a, vv = v, chosen[g] = signed_s;
        continue;
      }
      wv = select(error, least, a, wv), vv = select(error, least, v, vv);
      chosen[g] = select(error, least, signed_s, chosen[g]);
      least = select(error, least, error, least);
    }
    total.wv = add(total.wv, wv), total.vv = add(total.vv, vv);
  }
  return total;
}

inline F fitted(Sums s) { return select(zero(), s.vv, div(s.wv, s.vv), zero()); }

// Returns the scales as they are stored, and the sub-scales.
inline F search(const Super& b, uint16_t* d, F* chosen) {
  F top = zero(), best = zero(), gain = zero();
  for (int g = 0; g < b.groups; g++) top = max(top, b.reach[g]);
  for (const float factor : FACTORS) {
    const Sums s = choose(b, mul(top, set(factor / SUBSCALES[7])), chosen);
    const F fit = fitted(s), less = mul(s.wv, fit);  // the error is sum(h w w) less this
    best = select(gain, less, fit, best), gain = select(gain, less, less, gain);
  }
  store_half(d, best);
  store_half(d, fitted(choose(b, load_half(d), chosen)));
  return load_half(d);
}

inline void write_subscales(const F* s, int groups, uint8_t* line) {
  uint32_t words[16] = {};
  for (int g = 0; g < groups; g++) {
    alignas(64) float lane[16];
    store(lane, s[g]);
    for (int r = 0; r < 16; r++) {
      const float size = std::fabs(lane[r]);
      uint32_t code = lane[r] < 0.0f ? 8 : 0;
      for (int k = 0; k < 7; k++) code += size > static_cast<float>(SUBSCALES[k]);
      words[r] |= code << 4 * g;
    }
  }
  std::memcpy(line, words, LINE);
}

// Eight columns of codes 0..15 as one line; sums of 16 bits each are exact in floats.
inline void write_line(const F* code, uint8_t* line) {
  alignas(64) float half[2][16];
  for (int i = 0; i < 2; i++) {
    const F low = fma(code[2 * i + 4], set(16.0f), code[2 * i]);
    const F high = fma(code[2 * i + 5], set(16.0f), code[2 * i + 1]);
    store(half[i], fma(high, set(256.0f), low));
  }
  uint32_t words[16];
  for (int r = 0; r < 16; r++)
    words[r] = static_cast<uint32_t>(static_cast<int32_t>(half[0][r])) |
               static_cast<uint32_t>(static_cast<int32_t>(half[1][r])) << 16;
  std::memcpy(line, words, LINE);
}

// squares: the sums of w^2 and of (w - what is stored)^2 grow
inline void pack_q4_panel(const float* w, int64_t rows, int64_t columns, const float* importance, int64_t row,
                          uint8_t* out, double* squares) {
  uint8_t* to = out + q4_header(columns);
  std::memset(out, 0, static_cast<size_t>(q4_header(columns)));
  Super b;
  for (int64_t column = 0; column < columns; column += SUPER) {
    read_super(w, rows, columns, importance, row, column, b);
    F s[GROUPS], all = zero(), lost = zero();
    const F d = search(b, reinterpret_cast<uint16_t*>(out) + column / SUPER * 16, s), over_d = inverse_of(d);
    for (int g = 0; g < b.groups; g++) {
      if (g % 8 == 0) write_subscales(s + g, b.groups - g < 8 ? b.groups - g : 8, to), to += LINE;
      const F over = mul(div(set(1.0f), s[g]), over_d), step = mul(s[g], d);
      for (int64_t c = g * SUB; c < (g + 1) * SUB; c += 8, to += LINE) {
        F code[8];
        for (int j = 0; j < 8; j++) {
          const F x = load(b.w[c + j]);
          code[j] = code_of(x, over);
          const F error = sub(x, mul(sub(code[j], set(8.0f)), step));
          all = fma(x, x, all), lost = fma(error, error, lost);
        }
        write_line(code, to);
      }
    }
    alignas(64) float w2[16], e2[16];
    store(w2, all), store(e2, lost);
    for (int r = 0; r < 16; r++) squares[0] += w2[r], squares[1] += e2[r];
  }
}

}  // namespace petit::PETIT_ISA
