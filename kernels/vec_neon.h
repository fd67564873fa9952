// Sixteen lanes as four NEON registers; the same results as vec_plain.h, bit for bit. With the dot
// product (Raspberry Pi 5, phones) where the compiler is given it, without (Pi 4) where not.
#pragma once
#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace petit::PETIT_ISA {

constexpr int TILE = 2;         // tokens of one pass: 2 x 4 registers of sums, twice, the weights and their scales
constexpr int WIDE_TOKENS = 6;  // 6 x 4 registers of sums and 4 of weights: the 32 registers are full
constexpr int WIDE_PANELS = 1;
constexpr int QUERIES = 3;    // neighbouring tokens of one sequence that share each load of the cache
constexpr int64_t MANY = 5;  // tokens from which widening pays

struct F {
  float32x4_t a, b, c, d;
};
struct I {
  int32x4_t a, b, c, d;
};
struct Line {
  int8x16_t a, b, c, d;
};

inline F set(float x) { return {vdupq_n_f32(x), vdupq_n_f32(x), vdupq_n_f32(x), vdupq_n_f32(x)}; }
inline F zero() { return set(0.0f); }
inline F load(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}; }
inline F load_n(const float* p, int64_t n) {
  alignas(16) float t[16] = {};
  std::memcpy(t, p, static_cast<size_t>(n) * 4);
  return load(t);
}
inline void store(float* p, F x) {
  vst1q_f32(p, x.a), vst1q_f32(p + 4, x.b);
  vst1q_f32(p + 8, x.c), vst1q_f32(p + 12, x.d);
}
inline void store_n(float* p, F x, int64_t n) {
  alignas(16) float t[16];
  store(t, x);
  std::memcpy(p, t, static_cast<size_t>(n) * 4);
}
inline float32x4_t from_half(const uint16_t* p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
inline F load_half(const uint16_t* p) { return {from_half(p), from_half(p + 4), from_half(p + 8), from_half(p + 12)}; }
inline void to_half(uint16_t* p, float32x4_t x) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(x))); }
inline void store_half(uint16_t* p, F x) {
  to_half(p, x.a), to_half(p + 4, x.b);
  to_half(p + 8, x.c), to_half(p + 12, x.d);
}
inline F to_float(I x) { return {vcvtq_f32_s32(x.a), vcvtq_f32_s32(x.b), vcvtq_f32_s32(x.c), vcvtq_f32_s32(x.d)}; }
inline F load_int8(const int8_t* p) {
  const int8x16_t bytes = vld1q_s8(p);
  const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
  return to_float(
      {vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low), vmovl_s16(vget_low_s16(high)), vmovl_high_s16(high)});
}

inline F add(F x, F y) { return {vaddq_f32(x.a, y.a), vaddq_f32(x.b, y.b), vaddq_f32(x.c, y.c), vaddq_f32(x.d, y.d)}; }
inline F sub(F x, F y) { return {vsubq_f32(x.a, y.a), vsubq_f32(x.b, y.b), vsubq_f32(x.c, y.c), vsubq_f32(x.d, y.d)}; }
inline F mul(F x, F y) { return {vmulq_f32(x.a, y.a), vmulq_f32(x.b, y.b), vmulq_f32(x.c, y.c), vmulq_f32(x.d, y.d)}; }
inline F div(F x, F y) { return {vdivq_f32(x.a, y.a), vdivq_f32(x.b, y.b), vdivq_f32(x.c, y.c), vdivq_f32(x.d, y.d)}; }
inline F fma(F x, F y, F z) {
  return {vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b), vfmaq_f32(z.c, x.c, y.c), vfmaq_f32(z.d, x.d, y.d)};
}
// Not vmaxq and vminq: where one is no number, the second is taken, as on x86; and of two zeros too.
inline float32x4_t max4(float32x4_t x, float32x4_t y) { return vbslq_f32(vcgtq_f32(x, y), x, y); }
inline float32x4_t min4(float32x4_t x, float32x4_t y) { return vbslq_f32(vcltq_f32(x, y), x, y); }
inline F max(F x, F y) { return {max4(x.a, y.a), max4(x.b, y.b), max4(x.c, y.c), max4(x.d, y.d)}; }
inline F min(F x, F y) { return {min4(x.a, y.a), min4(x.b, y.b), min4(x.c, y.c), min4(x.d, y.d)}; }
inline F select(F a, F b, F less, F otherwise) {  // a < b ? less : otherwise
  return {vbslq_f32(vcltq_f32(a.a, b.a), less.a, otherwise.a), vbslq_f32(vcltq_f32(a.b, b.b), less.b, otherwise.b),
          vbslq_f32(vcltq_f32(a.c, b.c), less.c, otherwise.c), vbslq_f32(vcltq_f32(a.d, b.d), less.d, otherwise.d)};
}
inline F round(F x) { return {vrndnq_f32(x.a), vrndnq_f32(x.b), vrndnq_f32(x.c), vrndnq_f32(x.d)}; }
inline float32x4_t pow2(float32x4_t n) {
  return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127)), 23));
}
inline F pow2(F n) { return {pow2(n.a), pow2(n.b), pow2(n.c), pow2(n.d)}; }
inline float sum(F x) {
  const float32x4_t q = vaddq_f32(vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d));
  const float32x2_t d = vadd_f32(vget_low_f32(q), vget_high_f32(q));
  return vget_lane_f32(d, 0) + vget_lane_f32(d, 1);
}
inline float maximum(F x) {
  const float32x4_t q = max4(max4(x.a, x.c), max4(x.b, x.d)), d = max4(q, vextq_f32(q, q, 2));
  return vgetq_lane_f32(max4(d, vextq_f32(d, d, 1)), 0);
}

inline int32_t store_bytes(int8_t* p, F x) {  // rounded; returns their sum
  const int16x8_t low = vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(x.a)), vcvtnq_s32_f32(x.b));
  const int16x8_t high = vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(x.c)), vcvtnq_s32_f32(x.d));
  const int8x16_t bytes = vqmovn_high_s16(vqmovn_s16(low), high);
  vst1q_s8(p, bytes);
  return vaddlvq_s8(bytes);
}
inline I iset(int32_t x) { return {vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x)}; }

inline int8x16_t load_bytes(const uint8_t* p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }
inline Line load_line(const uint8_t* p) {
  return {load_bytes(p), load_bytes(p + 16), load_bytes(p + 32), load_bytes(p + 48)};
}
inline int8x16_t low(int8x16_t x) { return vandq_s8(x, vdupq_n_s8(15)); }
inline int8x16_t high(int8x16_t x) { return vreinterpretq_s8_u8(vshrq_n_u8(vreinterpretq_u8_s8(x), 4)); }
inline Line low(Line x) { return {low(x.a), low(x.b), low(x.c), low(x.d)}; }
inline Line high(Line x) { return {high(x.a), high(x.b), high(x.c), high(x.d)}; }

// 16 x 4 weights times four activations, for all lanes the same.
using Quad = int8x16_t;
inline Quad quad(const int8_t* x) {
  int32_t k;
  std::memcpy(&k, x, 4);
  return vreinterpretq_s8_s32(vdupq_n_s32(k));
}
inline int32x4_t dot(int32x4_t acc, int8x16_t w, int8x16_t x) {
#ifdef __ARM_FEATURE_DOTPROD
  return vdotq_s32(acc, w, x);
#else
  // 2 * 128 * 127 stays below 2^15: a pair's sum fits 16 bits
  const int16x8_t p = vmull_s8(vget_low_s8(w), vget_low_s8(x)), q = vmull_high_s8(w, x);
  return vpadalq_s16(acc, vpaddq_s16(p, q));
#endif
}
inline I dot(I acc, Line w, Quad k) {
  return {dot(acc.a, w.a, k), dot(acc.b, w.b, k), dot(acc.c, w.c, k), dot(acc.d, w.d, k)};
}
inline I dot4(I acc, Line w, const int8_t* x) { return dot(acc, w, quad(x)); }
inline I start8(int32_t) { return iset(0); }
inline int8x16_t minus128(int8x16_t w) { return veorq_s8(w, vdupq_n_s8(-128)); }
inline I dot8(I acc, Line w, Quad k) {
  return dot(acc, {minus128(w.a), minus128(w.b), minus128(w.c), minus128(w.d)}, k);
}

// A line of sub-scale codes, looked up once: the signed sub-scales of 16 rows x 8 groups as bytes, byte
// 4r+j of row r being group 2j in `even` and 2j+1 in `odd`.
struct Codes {
  Line even, odd;
};
inline int8x16_t look_up(int8x16_t code) {
  const int8x16_t table = {4, 6, 7, 8, 9, 10, 12, 14, -4, -6, -7, -8, -9, -10, -12, -14};
  return vqtbl1q_s8(table, vreinterpretq_u8_s8(code));
}
inline Line look_up(Line code) { return {look_up(code.a), look_up(code.b), look_up(code.c), look_up(code.d)}; }
inline Codes load_codes(const uint8_t* p) {
  const Line line = load_line(p);
  return {look_up(low(line)), look_up(high(line))};
}
inline int32x4_t scale_of(int8x16_t s, int32x4_t shift) {  // the byte of a group, as a number
  return vshrq_n_s32(vshlq_s32(vreinterpretq_s32_s8(s), shift), 24);
}
inline I subscale(const Codes& codes, int group) {
  const Line& s = group % 2 ? codes.odd : codes.even;
  const int32x4_t shift = vdupq_n_s32(24 - 8 * (group / 2));
  return {scale_of(s.a, shift), scale_of(s.b, shift), scale_of(s.c, shift), scale_of(s.d, shift)};
}
inline I weigh(I total, I sum, I scale) {
  return {vmlaq_s32(total.a, sum.a, scale.a), vmlaq_s32(total.b, sum.b, scale.b), vmlaq_s32(total.c, sum.c, scale.c),
          vmlaq_s32(total.d, sum.d, scale.d)};
}

// One group's two lines of nibbles as four lines of value * s + 128, `stride` bytes apart.
inline void widen_quarter(int8x16_t pairs, int8x16_t s, uint8_t* out, int64_t stride) {
  const int8x16_t eight = vdupq_n_s8(8), offset = vdupq_n_s8(-128);
  vst1q_u8(out, vreinterpretq_u8_s8(vmlaq_s8(offset, vsubq_s8(low(pairs), eight), s)));
  vst1q_u8(out + stride, vreinterpretq_u8_s8(vmlaq_s8(offset, vsubq_s8(high(pairs), eight), s)));
}
inline void widen(const uint8_t* w, const Codes& codes, int group, uint8_t* out, int64_t stride) {
  const Line& s = group % 2 ? codes.odd : codes.even;
  const uint8x16_t first = {0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12};
  const uint8x16_t which = vaddq_u8(first, vdupq_n_u8(static_cast<uint8_t>(group / 2)));
  const int8x16_t sa = vqtbl1q_s8(s.a, which), sb = vqtbl1q_s8(s.b, which);
  const int8x16_t sc = vqtbl1q_s8(s.c, which), sd = vqtbl1q_s8(s.d, which);
  for (int q = 0; q < 2; q++, w += 64, out += 2 * stride) {
    const Line line = load_line(w);
    widen_quarter(line.a, sa, out, stride), widen_quarter(line.b, sb, out + 16, stride);
    widen_quarter(line.c, sc, out + 32, stride), widen_quarter(line.d, sd, out + 48, stride);
  }
}

}  // namespace petit::PETIT_ISA
