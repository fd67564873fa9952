// Attention of a flattened batch over the cache, summed in fp32.
//   scores[h, n, s] = scale * sum_k q[n, h, k] keys[s, k]      einsum: nhk,sk->hns (s <= position of n)
//   pattern = softmax over s;   z[n, h, k] = sum_s pattern[h, n, s] values[s, k]
//
// Order of addition: features one after the other for a score; 16 lanes over positions (s % 16),
// then lanes in halves, for the sum of a softmax; positions one after the other for z. None of it
// depends on which other tokens are in the batch, so cached and recomputed runs agree to the bit.
#pragma once
#include <cmath>
#include <cstring>

#include "each.h"
#include "kernels.h"

namespace petit::PETIT_ISA {

inline F load_cached(const uint16_t* p) { return load_half(p); }
inline F load_cached(const float* p) { return load(p); }
inline F load_cached(const int8_t* p) { return load_int8(p); }

template <class T> struct Head {  // one slot's cache of one kv head; scales for int8
  const T *keys, *values;
  const float *key_scales, *value_scales;
  Head(const Cache& c, int64_t slot, int64_t g) {
    const int64_t at = (slot * c.kv_heads + g) * c.length;
    keys = reinterpret_cast<const T*>(c.keys) + at * c.d_head;
    values = reinterpret_cast<const T*>(c.values) + at * round_up(c.d_head, 16);
    key_scales = c.kind == Cache::INT8 ? c.key_scales + at : nullptr;
    value_scales = c.kind == Cache::INT8 ? c.value_scales + at : nullptr;
  }
};

// M queries times B panels of 16 positions: sums that do not wait for each other keep the adders busy.
template <class T, int M, int B>
inline void score_panels(const T* keys, int64_t d_head, const float* scales, const float* q, int64_t stride,
                         float scale, float* out, int64_t out_stride) {
  F acc[M * B];
  each<M * B>(PETIT_EACH(i) { acc[i] = zero(); });
  for (int64_t k = 0; k < d_head; k++, keys += 16, q++)
    each<B>(PETIT_EACH(b) {
      const T* at = keys + b * d_head * 16;
      if (M == 1) __builtin_prefetch(at + B * d_head * 16);  // the next panels
      const F key = load_cached(at);
      each<M>(PETIT_EACH(m) { acc[b * M + m] = fma(key, set(q[m * stride]), acc[b * M + m]); });
    });
  each<B>(PETIT_EACH(b) {
    each<M>(PETIT_EACH(m) {
      const F y = mul(acc[b * M + m], set(scale));
      store(out + m * out_stride + 16 * b, scales ? mul(y, load(scales + 16 * b)) : y);
    });
  });
}

// out[m][s] for s below `length` rounded up to 16; q rows are `stride` apart.
template <class T, int M>
inline void score_rows(const Head<T>& head, int64_t d_head, int64_t length, const float* q, int64_t stride, float scale,
                       float* out, int64_t out_stride) {
  constexpr int B = M == 1 ? 4 : 2;
  const float* scales = head.key_scales;
  int64_t s = 0;
  for (; s + 16 * (B - 1) < length; s += 16 * B)
    score_panels<T, M, B>(head.keys + s * d_head, d_head, scales ? scales + s : scales, q, stride, scale, out + s,
                          out_stride);
  for (; s < length; s += 16)
    score_panels<T, M, 1>(head.keys + s * d_head, d_head, scales ? scales + s : scales, q, stride, scale, out + s,
                          out_stride);
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
  each<M * B>(PETIT_EACH(i) { acc[i] = zero(); });
  values += k;
  for (int64_t s = 0; s < length; s++, values += width, pattern++)
    each<B>(PETIT_EACH(b) {
      if (M == 1) __builtin_prefetch(reinterpret_cast<const char*>(values + 16 * b) + 2048);
      const F v = load_cached(values + 16 * b);
      each<M>(PETIT_EACH(m) { acc[b * M + m] = fma(v, set(pattern[m * pattern_stride]), acc[b * M + m]); });
    });
  each<B>(PETIT_EACH(b) {
    const int64_t left = d_head - k - 16 * b;
    each<M>(PETIT_EACH(m) { store_up_to(z + m * stride + k + 16 * b, acc[b * M + m], left < 16 ? left : 16); });
  });
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
  const int64_t blocks = (t.n + QUERIES - 1) / QUERIES, shares = heads * blocks / (4 * pool.threads());
  pool.run(heads * blocks, t.n == 1 ? (shares > 1 ? shares : 1) : 4, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t j = begin; j < end; j++) {
      const int64_t h = j / blocks, first = j % blocks * QUERIES, last = first + QUERIES < t.n ? first + QUERIES : t.n;
      for (int64_t i = first; i < last;) {
        int64_t m = neighbours(t, i);
        if (i + m > last) m = last - i;
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

// Values in int8 are multiplied by their scales through the pattern: one product for each position.
inline void scale_row(float* row, const float* scales, int64_t length) {
  for (int64_t s = 0; s < length; s += 16) store(row + s, mul(load(row + s), load(scales + s)));
}

template <class T, int M>
inline void attend_run(const Head<T>& head, const Tokens& t, int64_t i, int64_t m, int64_t d_head, const float* q,
                       int64_t stride, float scale, float* work, int64_t row, float* z) {
  if constexpr (M > 1)
    if (m < M) return attend_run<T, M - 1>(head, t, i, m, d_head, q, stride, scale, work, row, z);
  const int64_t length = t.positions[i + M - 1] + 1;
  score_rows<T, M>(head, d_head, length, q, stride, scale, work, row);
  for (int64_t j = 0; j < M; j++) {
    float* own_row = work + j * row;
    const int64_t own = t.positions[i + j] + 1;
    softmax_row(own_row, own, own_row);
    for (int64_t s = round_up(own, 16); s < length; s++) own_row[s] = 0.0f;
    if (head.value_scales) scale_row(own_row, head.value_scales, own);
  }
  mix_rows<T, M>(head.values, d_head, length, work, row, z, stride);
}

template <class T>
void attend_as(Pool& pool, const Cache& c, const Tokens& t, const float* q, int64_t heads, float scale, float* z) {
  const int64_t row = round_up(longest(t), 16), k = c.d_head, group = heads / c.kv_heads, stride = heads * k;
  pool.reserve_each(QUERIES * row);
  each_run(pool, t, heads, [&](int64_t i, int64_t m, int64_t h, int thread) {
    const Head<T> head(c, t.slots[i], h / group);
    attend_run<T, QUERIES>(head, t, i, m, k, q + i * stride + h * k, stride, scale, pool.scratch_of(thread), row,
                           z + i * stride + h * k);
  });
}

inline void attend(Pool& pool, const Cache& c, const Tokens& t, const float* q, int64_t heads, float scale, float* z) {
  switch (c.kind) {
    case Cache::HALF: return attend_as<uint16_t>(pool, c, t, q, heads, scale, z);
    case Cache::INT8: return attend_as<int8_t>(pool, c, t, q, heads, scale, z);
    default: return attend_as<float>(pool, c, t, q, heads, scale, z);
  }
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
      score_rows<T, 1>(head, k, own, q + (j * heads + h) * k, 0, scale, work, 0);
      std::memcpy(to, work, static_cast<size_t>(own) * 4);
      for (int64_t x = own; x < s; x++) to[x] = -INFINITY;
    }
  });
}

inline void scores(Pool& pool, const Cache& c, const Tokens& t, const float* q, int64_t heads, float scale, int64_t s,
                   float* out) {
  switch (c.kind) {
    case Cache::HALF: return scores_as<uint16_t>(pool, c, t, q, heads, scale, s, out);
    case Cache::INT8: return scores_as<int8_t>(pool, c, t, q, heads, scale, s, out);
    default: return scores_as<float>(pool, c, t, q, heads, scale, s, out);
  }
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
  const int64_t k = c.d_head, group = heads / c.kv_heads, row = round_up(longest(t), 16);
  pool.reserve_each(row);
  each_run(pool, t, heads, [&](int64_t i, int64_t m, int64_t h, int thread) {
    for (int64_t j = i; j < i + m; j++) {
      const Head<T> head(c, t.slots[j], h / group);
      const int64_t own = t.positions[j] + 1;
      const float* weights = pattern + (h * t.n + j) * s;
      if (head.value_scales) {
        float* work = pool.scratch_of(thread);
        std::memcpy(work, weights, static_cast<size_t>(own) * 4);
        scale_row(work, head.value_scales, own);
        weights = work;
      }
      mix_rows<T, 1>(head.values, k, own, weights, 0, z + (j * heads + h) * k, 0);
    }
  });
}

inline void mix(Pool& pool, const Cache& c, const Tokens& t, const float* pattern, int64_t heads, int64_t s, float* z) {
  switch (c.kind) {
    case Cache::HALF: return mix_as<uint16_t>(pool, c, t, pattern, heads, s, z);
    case Cache::INT8: return mix_as<int8_t>(pool, c, t, pattern, heads, s, z);
    default: return mix_as<float>(pool, c, t, pattern, heads, s, z);
  }
}

inline void to_cache(float* p, F x, F) { store(p, x); }
inline void to_cache(uint16_t* p, F x, F) {
  // A key beyond fp16 would become infinite and poison every later score: keep the largest instead.
  store_half(p, min(max(x, set(-65504.0f)), set(65504.0f)));
}
inline void to_cache(int8_t* p, F x, F inverse) { store_bytes(p, max(mul(x, inverse), set(-127.0f))); }

inline float largest(const float* x, int64_t d) {
  F most = zero();
  for (int64_t j = 0; j < d; j += 16) {
    const F v = load_up_to(x + j, d - j < 16 ? d - j : 16);
    most = max(most, max(v, sub(zero(), v)));
  }
  return maximum(most);
}

// One position's key, spread over its panel, or value, side by side with zeros up to whole vectors.
template <class T, bool KEY> inline void store_row(const float* from, int64_t d, T* to, float* scale) {
  F inverse = zero();
  if (scale) {
    const float top = largest(from, d);
    inverse = set(top > 0.0f ? 127.0f / top : 0.0f);
    *scale = top * (1.0f / 127.0f);
  }
  for (int64_t j = 0; j < d; j += 16) {
    const int64_t m = d - j < 16 ? d - j : 16;
    const F x = load_up_to(from + j, m);
    if (!KEY) {
      to_cache(to + j, x, inverse);
      continue;
    }
    T lanes[16];
    to_cache(lanes, x, inverse);
    for (int64_t l = 0; l < m; l++) to[16 * (j + l)] = lanes[l];
  }
}

template <class T>
void store_as(Pool& pool, const Cache& c, const Tokens& t, const float* k, const float* v) {
  const int64_t d = c.d_head, width = round_up(d, 16);
  pool.run(t.n, 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t g = 0; g < c.kv_heads; g++)  // head by head: neighbouring positions share the lines of a panel
      for (int64_t i = begin; i < end; i++) {
        const int64_t s = t.positions[i], at = (t.slots[i] * c.kv_heads + g) * c.length,
                      from = (i * c.kv_heads + g) * d;
        T* key = reinterpret_cast<T*>(c.keys) + at * d + s / 16 * 16 * d + s % 16;
        T* value = reinterpret_cast<T*>(c.values) + (at + s) * width;
        store_row<T, true>(k + from, d, key, c.key_scales ? c.key_scales + at + s : nullptr);
        store_row<T, false>(v + from, d, value, c.value_scales ? c.value_scales + at + s : nullptr);
      }
  });
}

inline void store_kv(Pool& pool, const Cache& c, const Tokens& t, const float* k, const float* v) {
  switch (c.kind) {
    case Cache::HALF: return store_as<uint16_t>(pool, c, t, k, v);
    case Cache::INT8: return store_as<int8_t>(pool, c, t, k, v);
    default: return store_as<float>(pool, c, t, k, v);
  }
}

}  // namespace petit::PETIT_ISA
