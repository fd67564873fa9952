// Sixteen lanes in plain C++: the slow twin that says what the vector ones must compute.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "formats.h"

namespace petit::PETIT_ISA {

constexpr int TILE = 2;  // tokens that one pass over a panel serves
constexpr int WIDE_TOKENS = 2;
constexpr int WIDE_PANELS = 1;
constexpr int QUERIES = 2;  // neighbouring tokens of one sequence that share each load of the cache
constexpr int64_t MANY = 5;  // tokens from which widening pays

struct F {
  float v[16];
};
struct I {
  int32_t v[16];
};
struct Line {
  uint8_t v[64];
};

#define PETIT_LANES(i) for (int i = 0; i < 16; i++)

inline F set(float x) {
  F r;
  PETIT_LANES (i) r.v[i] = x;
  return r;
}
inline F zero() { return set(0.0f); }
inline F load(const float* p) {
  F r;
  std::memcpy(r.v, p, 64);
  return r;
}
inline F load_n(const float* p, int64_t n) {
  F r;
  PETIT_LANES (i) r.v[i] = i < n ? p[i] : 0.0f;
  return r;
}
inline void store(float* p, F a) { std::memcpy(p, a.v, 64); }
inline void store_n(float* p, F a, int64_t n) {
  for (int64_t i = 0; i < n; i++) p[i] = a.v[i];
}

inline float half_to_float(uint16_t h) {
  const uint32_t sign = (h & 0x8000u) << 16, mant = h & 0x3ffu;
  uint32_t exp = (h >> 10) & 31u, bits;
  if (exp == 31) bits = sign | 0x7f800000u | (mant << 13) | (mant ? 0x400000u : 0);  // no signalling ones
  else if (exp) bits = sign | ((exp + 112) << 23) | (mant << 13);
  else {
    const float f = std::ldexp(static_cast<float>(mant), -24);
    return sign ? -f : f;
  }
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
inline uint16_t float_to_half(float f) {  // round to nearest, ties to even
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  const uint32_t sign = (bits >> 16) & 0x8000u, abs = bits & 0x7fffffffu;
  if (abs > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | (abs >> 13 & 0x3ffu));
  if (abs >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
  if (abs < 0x38800000u) {
    float a;
    std::memcpy(&a, &abs, 4);
    return static_cast<uint16_t>(sign | static_cast<uint32_t>(std::nearbyint(std::ldexp(a, 24))));
  }
  const uint32_t odd = (abs >> 13) & 1u;
  return static_cast<uint16_t>(sign | ((abs - 0x38000000u + 0xfffu + odd) >> 13));
}
inline F load_half(const uint16_t* p) {
  F r;
  PETIT_LANES (i) r.v[i] = half_to_float(p[i]);
  return r;
}
inline F load_int8(const int8_t* p) {
  F r;
  PETIT_LANES (i) r.v[i] = static_cast<float>(p[i]);
  return r;
}
inline void store_half(uint16_t* p, F a) {
  PETIT_LANES (i) p[i] = float_to_half(a.v[i]);
}

inline F add(F a, F b) {
  PETIT_LANES (i) a.v[i] += b.v[i];
  return a;
}
inline F sub(F a, F b) {
  PETIT_LANES (i) a.v[i] -= b.v[i];
  return a;
}
inline F mul(F a, F b) {
  PETIT_LANES (i) a.v[i] *= b.v[i];
  return a;
}
inline F div(F a, F b) {
  PETIT_LANES (i) a.v[i] /= b.v[i];
  return a;
}
inline F fma(F a, F b, F c) {
  PETIT_LANES (i) c.v[i] = std::fma(a.v[i], b.v[i], c.v[i]);
  return c;
}
inline F max(F a, F b) {
  PETIT_LANES (i) a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
  return a;
}
inline F min(F a, F b) {
  PETIT_LANES (i) a.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i];
  return a;
}
inline F select(F a, F b, F less, F otherwise) {  // a < b ? less : otherwise
  PETIT_LANES (i) otherwise.v[i] = a.v[i] < b.v[i] ? less.v[i] : otherwise.v[i];
  return otherwise;
}
inline F round(F a) {
  PETIT_LANES (i) a.v[i] = std::nearbyint(a.v[i]);
  return a;
}
inline F pow2(F n) {  // 2^n for whole n in -126..127
  PETIT_LANES (i) {
    const uint32_t b = static_cast<uint32_t>(static_cast<int32_t>(n.v[i]) + 127) << 23;
    std::memcpy(&n.v[i], &b, 4);
  }
  return n;
}
// Lanes are added in halves, 8 + 8, 4 + 4, 2 + 2, 1 + 1: the order that vectors like, kept everywhere.
inline float sum(F a) {
  for (int w = 8; w; w /= 2)
    for (int i = 0; i < w; i++) a.v[i] += a.v[i + w];
  return a.v[0];
}
inline float maximum(F a) {
  for (int w = 8; w; w /= 2)
    for (int i = 0; i < w; i++) a.v[i] = a.v[i] > a.v[i + w] ? a.v[i] : a.v[i + w];
  return a.v[0];
}

inline int32_t store_bytes(int8_t* p, F a) {  // rounded; returns their sum
  int32_t s = 0;
  PETIT_LANES (i) s += p[i] = static_cast<int8_t>(std::nearbyint(a.v[i]));
  return s;
}
inline F to_float(I a) {
  F r;
  PETIT_LANES (i) r.v[i] = static_cast<float>(a.v[i]);
  return r;
}
inline I iset(int32_t x) {
  I r;
  PETIT_LANES (i) r.v[i] = x;
  return r;
}

inline Line load_line(const uint8_t* p) {
  Line r;
  std::memcpy(r.v, p, 64);
  return r;
}
inline Line low(Line a) {
  for (auto& b : a.v) b &= 15;
  return a;
}
inline Line high(Line a) {
  for (auto& b : a.v) b >>= 4;
  return a;
}

// acc[r] += sum over j of w[4r+j] * x[j], with w unsigned and at most 15.
inline I dot4(I acc, Line w, const int8_t* x) {
  PETIT_LANES (i)
    for (int j = 0; j < 4; j++) acc.v[i] += w.v[4 * i + j] * x[j];
  return acc;
}
// The same for w stored as value + 128; start8 gives the accumulator that takes the offset out.
struct Quad {
  int8_t v[4];
};
inline Quad quad(const int8_t* x) { return {{x[0], x[1], x[2], x[3]}}; }
inline I start8(int32_t) { return iset(0); }
inline I dot8(I acc, Line w, Quad x) {
  PETIT_LANES (i)
    for (int j = 0; j < 4; j++) acc.v[i] += (w.v[4 * i + j] - 128) * x.v[j];
  return acc;
}

// A line of sub-scale codes: 16 rows x 8 groups.
struct Codes {
  uint8_t v[64];
};
inline Codes load_codes(const uint8_t* p) {
  Codes r;
  std::memcpy(r.v, p, 64);
  return r;
}
inline I subscale(const Codes& c, int group) {
  I r;
  PETIT_LANES (i) r.v[i] = SUBSCALES[c.v[4 * i + group / 2] >> (group % 2 * 4) & 15];
  return r;
}
inline I weigh(I total, I sum, I scale) {
  PETIT_LANES (i) total.v[i] += sum.v[i] * scale.v[i];
  return total;
}
// One group's two lines of nibbles as four lines of value * s + 128, `stride` bytes apart.
inline void widen(const uint8_t* w, const Codes& c, int group, uint8_t* out, int64_t stride) {
  const I s = subscale(c, group);
  for (int q = 0; q < 2; q++)
    for (int high = 0; high < 2; high++, out += stride)
      PETIT_LANES (i)
        for (int j = 0; j < 4; j++) {
          const uint8_t pair = w[64 * q + 4 * i + j];
          out[4 * i + j] = static_cast<uint8_t>(((high ? pair >> 4 : pair & 15) - 8) * s.v[i] + 128);
        }
}

#undef PETIT_LANES

}  // namespace petit::PETIT_ISA
