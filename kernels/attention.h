// Attention of a flattened batch over the cache, in fp32.
//   scores[h, n, s] = scale * sum_k q[n, h, k] keys[s, k]      einsum: nhk,sk->hns (s <= position of n)
//   pattern = softmax over s;   z[n, h, k] = sum_s pattern[h, n, s] values[s, k]
//
// Order of addition: features one after the other for a score; 16 lanes over positions (s % 16),
// then lanes in halves, for the sum of a softmax; positions one after the other for z. None of it
// depends on which other tokens are in the batch, so cached and recomputed runs agree to the bit.
#pragma once
#include <cmath>
#include <cstring>

#include "kernels.h"

namespace petit::PETIT_ISA {

constexpr int QUERIES = 4;  // neighbouring tokens of one sequence that share each load of the cache

inline F load_cached(const uint16_t* p) { return load_half(p); }
inline F load_cached(const float* p) { return load(p); }

template <class T> struct Head {  // one slot's cache of one kv head
  const T *keys, *values;
  Head(const Cache& c, int64_t slot, int64_t g)
      : keys(reinterpret_cast<const T*>(c.keys + (slot * c.kv_heads + g) * c.key_bytes())),
        values(reinterpret_cast<const T*>(c.values + (slot * c.kv_heads + g) * c.value_bytes())) {}
};

// M queries times B panels of 16 positions: sums that do not wait for each other keep the adders busy.
template <class T, int M, int B>
inline void score_panels(const T* keys, int64_t d_head, const float* q, int64_t stride, float scale, float* out,
                         int64_t out_stride) {
  F acc[M * B];
  for (int i = 0; i < M * B; i++) acc[i] = zero();
  for (int64_t k = 0; k < d_head; k++)
    for (int b = 0; b < B; b++) {
      const F key = load_cached(keys + (b * d_head + k) * 16);
      for (int m = 0; m < M; m++) acc[b * M + m] = fma(key, set(q[m * stride + k]), acc[b * M + m]);
    }
  for (int b = 0; b < B; b++)
    for (int m = 0; m < M; m++) store(out + m * out_stride + 16 * b, mul(acc[b * M + m], set(scale)));
}

// out[m][s] for s below `length` rounded up to 16; q rows are `stride` apart.
template <class T, int M>
inline void score_rows(const T* keys, int64_t d_head, int64_t length, const float* q, int64_t stride, float scale,
                       float* out, int64_t out_stride) {
  constexpr int B = M == 1 ? 4 : 2;
  int64_t s = 0;
  for (; s + 16 * (B - 1) < length; s += 16 * B)
    score_panels<T, M, B>(keys + s * d_head, d_head, q, stride, scale, out + s, out_stride);
  for (; s < length; s += 16) score_panels<T, M, 1>(keys + s * d_head, d_head, q, stride, scale, out + s, out_stride);
}

// In place is allowed. Positions from `length` to the next multiple of 16 become exact zeros.
inline void softmax_row(const float* in, int64_t length, float* out) {
  F top = set(-INFINITY);
  for (int64_t s = 0; s < length; s += 16) {
    if (length - s >= 16) {
      top = max(top, load(in + s));
      continue;
    }
    alignas(64) float t[16];
    for (int i = 0; i < 16; i++) t[i] = s + i < length ? in[s + i] : -INFINITY;
    top = max(top, load(t));
  }
  const F peak = set(maximum(top));
  F total = zero();
  for (int64_t s = 0; s < length; s += 16) {
    F e = exp(sub(length - s >= 16 ? load(in + s) : load_n(in + s, length - s), peak));
    if (length - s < 16) {
      alignas(64) float t[16] = {};
      store_n(t, e, length - s);
      e = load(t);
    }
    total = add(total, e);
    store(out + s, e);
  }
  const F inverse = set(1.0f / sum(total));
  for (int64_t s = 0; s < length; s += 16) store(out + s, mul(load(out + s), inverse));
}

// M rows of z times B vectors of features, from feature k on.
template <class T, int M, int B>
inline void mix_features(const T* values, int64_t d_head, int64_t k, int64_t length, const float* pattern,
                         int64_t pattern_stride, float* z, int64_t stride) {
  const int64_t width = round_up(d_head, 16);
  F acc[M * B];
  for (int i = 0; i < M * B; i++) acc[i] = zero();
  for (int64_t s = 0; s < length; s++)
    for (int b = 0; b < B; b++) {
      const F v = load_cached(values + s * width + k + 16 * b);
      for (int m = 0; m < M; m++) acc[b * M + m] = fma(v, set(pattern[m * pattern_stride + s]), acc[b * M + m]);
    }
  for (int b = 0; b < B; b++)
    for (int m = 0; m < M; m++) {
      const int64_t left = d_head - k - 16 * b;
      float* to = z + m * stride + k + 16 * b;
      if (left >= 16) store(to, acc[b * M + m]);
      else store_n(to, acc[b * M + m], left);
    }
}

// z rows `stride` apart; pattern[m][s] must be zero from a token's own position on.
template <class T, int M>
inline void mix_rows(const T* values, int64_t d_head, int64_t length, const float* pattern, int64_t pattern_stride,
                     float* z, int64_t stride) {
  const int64_t vectors = round_up(d_head, 16) / 16;
  for (int64_t i = 0; i < vectors;) {
    const int64_t left = vectors - i, k = 16 * i;
    if (M == 1 && left >= 5)  // a whole head of 80 features
      mix_features<T, M, 5>(values, d_head, k, length, pattern, pattern_stride, z, stride), i += 5;
    else if (M == 1 && left >= 4)
      mix_features<T, M, 4>(values, d_head, k, length, pattern, pattern_stride, z, stride), i += 4;
    else if (left >= 2) mix_features<T, M, 2>(values, d_head, k, length, pattern, pattern_stride, z, stride), i += 2;
    else mix_features<T, M, 1>(values, d_head, k, length, pattern, pattern_stride, z, stride), i += 1;
  }
}

// How many of the tokens from i on, at most QUERIES, follow each other in one slot.
inline int64_t neighbours(const Tokens& t, int64_t i) {
  int64_t m = 1;
  while (m < QUERIES && i + m < t.n && t.slots[i + m] == t.slots[i] && t.positions[i + m] == t.positions[i] + m) m++;
  return m;
}

// Call f(first token, how many, head, thread) for every head of every run of neighbours.
template <class Fn> void each_run(Pool& pool, const Tokens& t, int64_t heads, const Fn& f) {
  const int64_t blocks = (t.n + QUERIES - 1) / QUERIES;
  pool.run(heads * blocks, t.n == 1 ? heads / pool.threads() + 1 : 4, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t j = begin; j < end; j++) {
      const int64_t h = j / blocks, first = j % blocks * QUERIES, last = first + QUERIES < t.n ? first + QUERIES : t.n;
      for (int64_t i = first; i < last;) {
        int64_t m = neighbours(t, i);
        if (i + m > last) m = last - i;
        if (m < QUERIES) m = 1;
        f(i, m, h, thread);
        i += m;
      }
    }
  });
}

inline int64_t longest(const Tokens& t) {
  int64_t s = 0;
  for (int64_t i = 0; i < t.n; i++) s = t.positions[i] >= s ? t.positions[i] + 1 : s;
  return s;
}

template <class T>
void attend_as(Pool& pool, const Cache& c, const Tokens& t, const float* q, int64_t heads, float scale, float* z) {
  const int64_t row = round_up(longest(t), 16), k = c.d_head, group = heads / c.kv_heads, stride = heads * k;
  pool.reserve_each(QUERIES * row);
  each_run(pool, t, heads, [&](int64_t i, int64_t m, int64_t h, int thread) {
    const Head<T> head(c, t.slots[i], h / group);
    const int64_t length = t.positions[i + m - 1] + 1;
    const float* query = q + i * stride + h * k;
    float *out = z + i * stride + h * k, *work = pool.scratch_of(thread);
    if (m == 1) score_rows<T, 1>(head.keys, k, length, query, stride, scale, work, row);
    else score_rows<T, QUERIES>(head.keys, k, length, query, stride, scale, work, row);
    for (int64_t j = 0; j < m; j++) {
      const int64_t own = t.positions[i + j] + 1;
      softmax_row(work + j * row, own, work + j * row);
      for (int64_t s = round_up(own, 16); s < length; s++) work[j * row + s] = 0.0f;
    }
    if (m == 1) mix_rows<T, 1>(head.values, k, length, work, row, out, stride);
    else mix_rows<T, QUERIES>(head.values, k, length, work, row, out, stride);
  });
}

inline void attend(Pool& pool, const Cache& c, const Tokens& t, const float* q, int64_t heads, float scale, float* z) {
  if (c.half) attend_as<uint16_t>(pool, c, t, q, heads, scale, z);
  else attend_as<float>(pool, c, t, q, heads, scale, z);
}

template <class T>
void scores_as(Pool& pool, const Cache& c, const Tokens& t, const float* q, int64_t heads, float scale, int64_t s,
               float* out) {
  const int64_t row = round_up(longest(t), 16), k = c.d_head, group = heads / c.kv_heads;
  pool.reserve_each(row);
  each_run(pool, t, heads, [&](int64_t i, int64_t m, int64_t h, int thread) {
    for (int64_t j = i; j < i + m; j++) {
      const Head<T> head(c, t.slots[j], h / group);
      const int64_t own = t.positions[j] + 1;
      float *to = out + (h * t.n + j) * s, *work = pool.scratch_of(thread);
      score_rows<T, 1>(head.keys, k, own, q + (j * heads + h) * k, 0, scale, work, 0);
      std::memcpy(to, work, static_cast<size_t>(own) * 4);
      for (int64_t x = own; x < s; x++) to[x] = -INFINITY;
    }
  });
}

inline void scores(Pool& pool, const Cache& c, const Tokens& t, const float* q, int64_t heads, float scale, int64_t s,
                   float* out) {
  if (c.half) scores_as<uint16_t>(pool, c, t, q, heads, scale, s, out);
  else scores_as<float>(pool, c, t, q, heads, scale, s, out);
}

inline void softmax(Pool& pool, const Tokens& t, int64_t heads, int64_t s, const float* in, float* out) {
  const int64_t row = round_up(longest(t), 16);
  pool.reserve_each(row);
  each_run(pool, t, heads, [&](int64_t i, int64_t m, int64_t h, int thread) {
    for (int64_t j = i; j < i + m; j++) {
      const int64_t own = t.positions[j] + 1, at = (h * t.n + j) * s;
      float* work = pool.scratch_of(thread);
      std::memcpy(work, in + at, static_cast<size_t>(own) * 4);
      softmax_row(work, own, work);
      std::memcpy(out + at, work, static_cast<size_t>(own) * 4);
      for (int64_t x = own; x < s; x++) out[at + x] = 0.0f;
    }
  });
}

template <class T>
void mix_as(Pool& pool, const Cache& c, const Tokens& t, const float* pattern, int64_t heads, int64_t s, float* z) {
  const int64_t k = c.d_head, group = heads / c.kv_heads;
  each_run(pool, t, heads, [&](int64_t i, int64_t m, int64_t h, int) {
    for (int64_t j = i; j < i + m; j++) {
      const Head<T> head(c, t.slots[j], h / group);
      mix_rows<T, 1>(head.values, k, t.positions[j] + 1, pattern + (h * t.n + j) * s, 0, z + (j * heads + h) * k, 0);
    }
  });
}

inline void mix(Pool& pool, const Cache& c, const Tokens& t, const float* pattern, int64_t heads, int64_t s, float* z) {
  if (c.half) mix_as<uint16_t>(pool, c, t, pattern, heads, s, z);
  else mix_as<float>(pool, c, t, pattern, heads, s, z);
}

inline void to_cache(float* p, F x) { store(p, x); }
inline void to_cache(uint16_t* p, F x) {
  // A key beyond fp16 would become infinite and poison every later score: keep the largest instead.
  store_half(p, min(max(x, set(-65504.0f)), set(65504.0f)));
}

template <class T>
void store_as(Pool& pool, const Cache& c, const Tokens& t, const float* k, const float* v) {
  const int64_t d = c.d_head, width = round_up(d, 16);
  pool.run(t.n, 8, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++)
      for (int64_t g = 0; g < c.kv_heads; g++) {
        const int64_t s = t.positions[i], at = t.slots[i] * c.kv_heads + g;
        T* key = reinterpret_cast<T*>(c.keys + at * c.key_bytes()) + s / 16 * 16 * d + s % 16;
        T* value = reinterpret_cast<T*>(c.values + at * c.value_bytes()) + s * width;
        const float *from_k = k + (i * c.kv_heads + g) * d, *from_v = v + (i * c.kv_heads + g) * d;
        for (int64_t j = 0; j < d; j += 16) {
          const int64_t m = d - j < 16 ? d - j : 16;
          T lanes[16];
          to_cache(lanes, load_up_to(from_k + j, m));
          for (int64_t l = 0; l < m; l++) key[16 * (j + l)] = lanes[l];
          to_cache(value + j, load_up_to(from_v + j, m));  // zeros up to the row's whole width
        }
      }
  });
}

inline void store_kv(Pool& pool, const Cache& c, const Tokens& t, const float* k, const float* v) {
  if (c.half) store_as<uint16_t>(pool, c, t, k, v);
  else store_as<float>(pool, c, t, k, v);
}

}  // namespace petit::PETIT_ISA
