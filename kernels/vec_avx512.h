// Sixteen lanes in one AVX-512 register, with VNNI; the same results as vec_plain.h, bit for bit.
#pragma once
#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace petit::PETIT_ISA {

constexpr int TILE = 10;  // 10 integer and 10 float sums leave 12 of the 32 registers for the rest

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
inline float maximum(F x) { return _mm512_reduce_max_ps(x); }

inline void store_bytes(int8_t* p, F x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(x)));
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
inline I start8(int32_t sum) { return iset(-128 * sum); }  // the sum of the group's 32 activations
inline I dot8(I acc, Line w, const int8_t* x) { return dot4(acc, w, x); }

}  // namespace petit::PETIT_ISA
