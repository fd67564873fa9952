// Sixteen lanes as two AVX2 registers; the same results as vec_plain.h, bit for bit.
#pragma once
#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace petit::PETIT_ISA {

constexpr int TILE = 2;         // tokens of one pass: 2 x 2 registers of sums, twice, and the weights
constexpr int WIDE_TOKENS = 4;  // 4 x 2 registers of sums and the weights: the 16 registers are full
constexpr int WIDE_PANELS = 1;
constexpr int QUERIES = 3;  // neighbouring tokens of one sequence that share each load of the cache
constexpr int64_t MANY = 5;  // tokens from which widening pays

struct F {
  __m256 a, b;
};
struct I {
  __m256i a, b;
};
struct Line {
  __m256i a, b;
};

inline F set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline F load_n(const float* p, int64_t n) {
  alignas(32) float t[16] = {};
  std::memcpy(t, p, static_cast<size_t>(n) * 4);
  return load(t);
}
inline void store(float* p, F x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
inline void store_n(float* p, F x, int64_t n) {
  alignas(32) float t[16];
  store(t, x);
  std::memcpy(p, t, static_cast<size_t>(n) * 4);
}
inline F load_half(const uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
          _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}
inline F load_int8(const int8_t* p) {
  const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(b)), _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(b, 8)))};
}
inline void store_half(uint16_t* p, F x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT));
}

inline F add(F x, F y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
inline F sub(F x, F y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
inline F mul(F x, F y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
inline F div(F x, F y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
inline F fma(F x, F y, F z) { return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
inline F max(F x, F y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
inline F min(F x, F y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
inline F select(F a, F b, F less, F otherwise) {  // a < b ? less : otherwise
  return {_mm256_blendv_ps(otherwise.a, less.a, _mm256_cmp_ps(a.a, b.a, _CMP_LT_OQ)),
          _mm256_blendv_ps(otherwise.b, less.b, _mm256_cmp_ps(a.b, b.b, _CMP_LT_OQ))};
}
inline F round(F x) {
  return {_mm256_round_ps(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
          _mm256_round_ps(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline F pow2(F n) {
  const __m256i bias = _mm256_set1_epi32(127);
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n.a), bias), 23)),
          _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n.b), bias), 23))};
}
inline float sum(F x) {
  const __m256 s = _mm256_add_ps(x.a, x.b);
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_shuffle_ps(d, d, 1)));
}
inline float maximum(F x) {
  const __m256 s = _mm256_max_ps(x.a, x.b);
  const __m128 q = _mm_max_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(d, _mm_shuffle_ps(d, d, 1)));
}

inline int32_t store_bytes(int8_t* p, F x) {  // rounded; returns their sum
  const __m256i w = _mm256_packs_epi32(_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b));
  const __m256i o = _mm256_permute4x64_epi64(w, 0xd8);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm_packs_epi16(_mm256_castsi256_si128(o), _mm256_extracti128_si256(o, 1)));
  const __m256i one = _mm256_set1_epi16(1), pairs = _mm256_madd_epi16(w, one);
  const __m128i s = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
  const __m128i t = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(t, _mm_shuffle_epi32(t, 0xb1)));
}
inline F to_float(I x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
inline I iset(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }

inline Line load_line(const uint8_t* p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32))};
}
inline Line low(Line x) {
  const __m256i m = _mm256_set1_epi8(15);
  return {_mm256_and_si256(x.a, m), _mm256_and_si256(x.b, m)};
}
inline Line high(Line x) {
  const __m256i m = _mm256_set1_epi8(15);
  return {_mm256_and_si256(_mm256_srli_epi16(x.a, 4), m), _mm256_and_si256(_mm256_srli_epi16(x.b, 4), m)};
}
// 16 x 4 weights times four activations, for all lanes the same.
using Quad = __m256i;
inline Quad quad(const int8_t* x) {
  int32_t k;
  std::memcpy(&k, x, 4);
  return _mm256_set1_epi32(k);
}

#ifdef __AVXVNNI__
inline __m256i dot_half(__m256i acc, __m256i w, __m256i k) { return _mm256_dpbusd_avx_epi32(acc, w, k); }
inline I dot4(I acc, Line w, const int8_t* x) {
  const Quad k = quad(x);
  return {dot_half(acc.a, w.a, k), dot_half(acc.b, w.b, k)};
}
inline I start8(int32_t sum) { return iset(-128 * sum); }  // takes the offset of value + 128 out again
inline I dot8(I acc, Line w, Quad k) { return {dot_half(acc.a, w.a, k), dot_half(acc.b, w.b, k)}; }
#else
inline I dot4(I acc, Line w, const int8_t* x) {  // 15 * 127 * 2 stays below 2^15: nothing saturates
  const __m256i k = quad(x), one = _mm256_set1_epi16(1);
  return {_mm256_add_epi32(acc.a, _mm256_madd_epi16(_mm256_maddubs_epi16(w.a, k), one)),
          _mm256_add_epi32(acc.b, _mm256_madd_epi16(_mm256_maddubs_epi16(w.b, k), one))};
}
inline I start8(int32_t) { return iset(0); }
inline __m256i dot8_half(__m256i acc, __m256i w, __m256i k) {
  // |w| * (x with w's sign): 128 * 127 * 2 stays below 2^15, where 255 * 127 * 2 would saturate.
  w = _mm256_xor_si256(w, _mm256_set1_epi8(-128));
  const __m256i p = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(k, w));
  return _mm256_add_epi32(acc, _mm256_madd_epi16(p, _mm256_set1_epi16(1)));
}
inline I dot8(I acc, Line w, Quad k) { return {dot8_half(acc.a, w.a, k), dot8_half(acc.b, w.b, k)}; }
#endif

// A line of sub-scale codes: 16 rows x 8 groups.
using Codes = Line;
inline Codes load_codes(const uint8_t* p) { return load_line(p); }
inline __m256i magnitude(__m256i code) {  // vpermd reads the lowest three bits
  return _mm256_permutevar8x32_epi32(_mm256_setr_epi32(4, 6, 7, 8, 9, 10, 12, 14), code);
}
inline __m256i negative(__m256i code) {  // all ones where bit 3 is set
  return _mm256_srai_epi32(_mm256_slli_epi32(code, 28), 31);
}
inline __m256i signed_scale(__m256i code) {
  const __m256i sign = negative(code);
  return _mm256_sub_epi32(_mm256_xor_si256(magnitude(code), sign), sign);
}
// In the lower half of each lane, as `weigh` wants it.
inline I subscale(Codes codes, int group) {
  const __m256i half = _mm256_set1_epi32(0xffff);
  return {_mm256_and_si256(signed_scale(_mm256_srli_epi32(codes.a, 4 * group)), half),
          _mm256_and_si256(signed_scale(_mm256_srli_epi32(codes.b, 4 * group)), half)};
}
inline I weigh(I total, I sum, I scale) {  // |sum| < 2^15
  return {_mm256_add_epi32(total.a, _mm256_madd_epi16(sum.a, scale.a)),
          _mm256_add_epi32(total.b, _mm256_madd_epi16(sum.b, scale.b))};
}

inline void widen_half(__m256i n, __m256i code, uint8_t* out) {
  const __m256i size = magnitude(code), sign = negative(code);
  // 15 * 14 < 256: two bytes are multiplied at once and stay apart
  const __m256i p = _mm256_mullo_epi16(n, _mm256_or_si256(size, _mm256_slli_epi32(size, 16)));
  const __m256i spread = _mm256_set1_epi32(0x01010101);
  const __m256i zero_point = _mm256_sub_epi32(_mm256_set1_epi32(128), _mm256_slli_epi32(signed_scale(code), 3));
  const __m256i offset = _mm256_mullo_epi32(_mm256_and_si256(zero_point, _mm256_set1_epi32(255)), spread);
  const __m256i turned = _mm256_sub_epi8(_mm256_xor_si256(p, sign), sign);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_add_epi8(turned, offset));
}
// One group's two lines of nibbles as four lines of value * s + 128, `stride` bytes apart.
inline void widen(const uint8_t* w, Codes codes, int group, uint8_t* out, int64_t stride) {
  const __m256i a = _mm256_srli_epi32(codes.a, 4 * group), b = _mm256_srli_epi32(codes.b, 4 * group);
  for (int q = 0; q < 2; q++) {
    const Line line = load_line(w + 64 * q);
    for (int half = 0; half < 2; half++) {
      const Line n = half ? high(line) : low(line);
      widen_half(n.a, a, out);
      widen_half(n.b, b, out + 32);
      out += stride;
    }
  }
}

}  // namespace petit::PETIT_ISA
