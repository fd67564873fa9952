// Sixteen lanes in one AVX-512 register, with VNNI; the same results as vec_plain.h, bit for bit.
#pragma once
#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace petit::PETIT_ISA {

constexpr int TILE = 8;         // tokens of one pass over packed weights: 16 registers of sums
constexpr int WIDE_TOKENS = 12;  // tokens and panels of one pass over widened weights: 24 registers
constexpr int WIDE_PANELS = 2;
constexpr int QUERIES = 8;  // neighbouring tokens of one sequence that share each load of the cache
constexpr int64_t MANY = 13;  // tokens from which widening pays

using F = __m512;
using I = __m512i;
using Line = __m512i;

inline __mmask16 first(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }

inline F set(float x) { return _mm512_set1_ps(x); }
inline F zero() { return _mm512_setzero_ps(); }
inline F load(const float* p) { return _mm512_loadu_ps(p); }
inline F load_n(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
inline void store(float* p, F x) { _mm512_storeu_ps(p, x); }
inline void store_n(float* p, F x, int64_t n) { _mm512_mask_storeu_ps(p, first(n), x); }
inline F load_half(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline F load_int8(const int8_t* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline void store_half(uint16_t* p, F x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

inline F add(F x, F y) { return _mm512_add_ps(x, y); }
inline F sub(F x, F y) { return _mm512_sub_ps(x, y); }
inline F mul(F x, F y) { return _mm512_mul_ps(x, y); }
inline F div(F x, F y) { return _mm512_div_ps(x, y); }
inline F fma(F x, F y, F z) { return _mm512_fmadd_ps(x, y, z); }
inline F max(F x, F y) { return _mm512_max_ps(x, y); }
inline F min(F x, F y) { return _mm512_min_ps(x, y); }
inline F select(F a, F b, F less, F otherwise) {  // a < b ? less : otherwise
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), otherwise, less);
}
inline F round(F x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline F pow2(F n) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
}
inline float sum(F x) {
  const __m256 s = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_shuffle_ps(d, d, 1)));
}
inline float maximum(F x) {
  const __m256 s = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  const __m128 q = _mm_max_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(d, _mm_shuffle_ps(d, d, 1)));
}

inline int32_t store_bytes(int8_t* p, F x) {  // rounded; returns their sum
  const __m512i i = _mm512_cvtps_epi32(x);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(i));
  return _mm512_reduce_add_epi32(i);
}
inline F to_float(I x) { return _mm512_cvtepi32_ps(x); }
inline I iset(int32_t x) { return _mm512_set1_epi32(x); }

inline Line load_line(const uint8_t* p) { return _mm512_loadu_si512(p); }
inline Line low(Line x) { return _mm512_and_si512(x, _mm512_set1_epi8(15)); }
inline Line high(Line x) { return _mm512_and_si512(_mm512_srli_epi16(x, 4), _mm512_set1_epi8(15)); }
inline I dot4(I acc, Line w, const int8_t* x) {
  int32_t k;
  std::memcpy(&k, x, 4);
  return _mm512_dpbusd_epi32(acc, w, _mm512_set1_epi32(k));
}
// 16 x 4 weights stored as value + 128 times four activations, for all lanes the same.
using Quad = __m512i;
inline Quad quad(const int8_t* x) {
  int32_t k;
  std::memcpy(&k, x, 4);
  return _mm512_set1_epi32(k);
}
inline I start8(int32_t sum) { return iset(-128 * sum); }  // takes the offset out again
inline I dot8(I acc, Line w, Quad x) { return _mm512_dpbusd_epi32(acc, w, x); }

// A line of sub-scale codes: 16 rows x 8 groups.
using Codes = __m512i;
inline Codes load_codes(const uint8_t* p) { return _mm512_loadu_si512(p); }
inline I look_up(Codes codes, int group, I table) {  // vpermd reads the lowest four bits
  return _mm512_permutexvar_epi32(_mm512_srli_epi32(codes, static_cast<unsigned>(4 * group)), table);
}
// In the lower half of each lane, as `weigh` wants it.
inline I subscale(Codes codes, int group) {
  const I table =
      _mm512_setr_epi32(4, 6, 7, 8, 9, 10, 12, 14, 0xfffc, 0xfffa, 0xfff9, 0xfff8, 0xfff7, 0xfff6, 0xfff4, 0xfff2);
  return look_up(codes, group, table);
}
inline I weigh(I total, I sum, I scale) { return _mm512_dpwssd_epi32(total, sum, scale); }  // |sum| < 2^15

// One group's two lines of nibbles as four lines of value * s + 128, `stride` bytes apart.
inline void widen(const uint8_t* w, Codes codes, int group, uint8_t* out, int64_t stride) {
  // |s| in both halves; all ones where s is negative; 128 - 8 s, in all four bytes, less one where it is
  const I size = look_up(codes, group,
                         _mm512_setr_epi32(0x40004, 0x60006, 0x70007, 0x80008, 0x90009, 0xa000a, 0xc000c, 0xe000e,
                                           0x40004, 0x60006, 0x70007, 0x80008, 0x90009, 0xa000a, 0xc000c, 0xe000e));
  const I sign = look_up(codes, group, _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1));
  const I offset = look_up(
      codes, group,
      _mm512_setr_epi32(0x60606060, 0x50505050, 0x48484848, 0x40404040, 0x38383838, 0x30303030, 0x20202020, 0x10101010,
                        static_cast<int>(0xa1a1a1a1), static_cast<int>(0xb1b1b1b1), static_cast<int>(0xb9b9b9b9),
                        static_cast<int>(0xc1c1c1c1), static_cast<int>(0xc9c9c9c9), static_cast<int>(0xd1d1d1d1),
                        static_cast<int>(0xe1e1e1e1), static_cast<int>(0xf1f1f1f1)));
  for (int q = 0; q < 2; q++) {
    const Line line = load_line(w + 64 * q);
    for (int half = 0; half < 2; half++) {
      const Line n = half ? high(line) : low(line);
      // 15 * 14 < 256: two bytes are multiplied at once and stay apart
      const Line p = _mm512_mullo_epi16(n, size);
      _mm512_storeu_si512(out, _mm512_add_epi8(_mm512_xor_si512(p, sign), offset));
      out += stride;
    }
  }
}

}  // namespace petit::PETIT_ISA
