// Kernels that treat each row or each number by itself: norms, activations, rotary positions.
#pragma once
#include <cmath>

#include "formats.h"
#include "pool.h"

namespace petit::PETIT_ISA {

// Sums of a row run over 16 lanes, column c in lane c % 16, then over the lanes in halves.
template <class Term> inline float row_sum(int64_t d, const Term& term) {
  F s = zero();
  for (int64_t c = 0; c < d; c += 16) s = add(s, term(c, d - c < 16 ? d - c : 16));
  return sum(s);
}

inline F load_up_to(const float* p, int64_t n) { return n == 16 ? load(p) : load_n(p, n); }

inline void store_up_to(float* p, F x, int64_t n) {
  if (n == 16) store(p, x);
  else store_n(p, x, n);
}

// y = (x - mean) / sqrt(var + eps) * w + b      (Ba et al. 2016, Layer Normalization)
inline void layer_norm(Pool& pool, const float* x, int64_t n, int64_t d, const float* w, const float* b, float eps,
                       float* y) {
  pool.run(n, 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      const float *row = x + i * d, inv_d = 1.0f / static_cast<float>(d);
      const F mean = set(row_sum(d, [&](int64_t c, int64_t m) { return load_up_to(row + c, m); }) * inv_d);
      const float var = row_sum(d,
                                [&](int64_t c, int64_t m) {
                                  F e = sub(load_up_to(row + c, m), mean);
                                  if (m < 16) {
                                    alignas(64) float t[16] = {};
                                    store_n(t, e, m);
                                    e = load(t);
                                  }  // lanes past the end are not -mean
                                  return mul(e, e);
                                }) *
                        inv_d;
      const F scale = set(1.0f / std::sqrt(var + eps));
      for (int64_t c = 0; c < d; c += 16) {
        const int64_t m = d - c < 16 ? d - c : 16;
        const F e = mul(sub(load_up_to(row + c, m), mean), scale);
        store_up_to(y + i * d + c, fma(e, load_up_to(w + c, m), load_up_to(b + c, m)), m);
      }
    }
  });
}

// y = x / sqrt(mean(x^2) + eps) * w      (Zhang and Sennrich 2019, RMSNorm)
inline void rms_norm(Pool& pool, const float* x, int64_t n, int64_t d, const float* w, float eps, float* y) {
  pool.run(n, 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      const float* row = x + i * d;
      const float mean_square = row_sum(d,
                                        [&](int64_t c, int64_t m) {
                                          const F v = load_up_to(row + c, m);
                                          return mul(v, v);
                                        }) /
                                static_cast<float>(d);
      const F scale = set(1.0f / std::sqrt(mean_square + eps));
      for (int64_t c = 0; c < d; c += 16) {
        const int64_t m = d - c < 16 ? d - c : 16;
        store_up_to(y + i * d + c, mul(mul(load_up_to(row + c, m), scale), load_up_to(w + c, m)), m);
      }
    }
  });
}

// x / (1 + exp(-t)): with t = x it is SiLU; with t = 2 sqrt(2/pi) (x + 0.044715 x^3) it is the tanh
// form of GELU (Hendrycks and Gimpel 2016), since 0.5 (1 + tanh(u)) = 1 / (1 + exp(-2u)).
inline F gate_by(F x, F t) { return div(x, add(set(1.0f), exp(sub(zero(), t)))); }

// x times the share of a normal distribution below x: x - x tail for x >= 0, else x tail, where
// tail = erfc(|x| / sqrt(2)) / 2. erfc is a Chebyshev fit, off by at most 1.2e-7 of its value (Press et al.,
// Numerical Recipes, section 6.2): the C library's own differs from system to system.
inline F gelu(F x) {
  constexpr float FIT[] = {-0.82215223f, 1.48851587f, -1.13520398f, 0.27886807f, -0.18628806f,
                           0.09678418f,  0.37409196f, 1.00002368f,  -1.26551223f};
  const F z = mul(max(x, sub(zero(), x)), set(0.70710678118654752f));
  const F t = div(set(1.0f), fma(z, set(0.5f), set(1.0f)));
  F p = set(0.17087277f);
  for (const float f : FIT) p = fma(p, t, set(f));
  const F tail = mul(x, mul(mul(set(0.5f), t), exp(sub(p, mul(z, z)))));
  return select(x, zero(), tail, sub(x, tail));
}

inline F activation(int kind, F x) {
  switch (kind) {
    case GELU_TANH: {
      const F x3 = mul(mul(x, x), x);
      return gate_by(x, mul(set(1.5957691216057308f), fma(set(0.044715f), x3, x)));
    }
    case SILU: return gate_by(x, x);
    case RELU: return max(x, zero());
    default: return gelu(x);
  }
}

inline void activate(Pool& pool, int kind, const float* x, int64_t n, float* y) {
  pool.run((n + 15) / 16, 512, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin * 16; i < end * 16 && i < n; i += 16) {
      const int64_t m = n - i < 16 ? n - i : 16;
      store_up_to(y + i, activation(kind, load_up_to(x + i, m)), m);
    }
  });
}

inline void combine(Pool& pool, bool product, const float* a, const float* b, int64_t n, float* y) {
  pool.run((n + 15) / 16, 2048, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin * 16; i < end * 16 && i < n; i += 16) {
      const int64_t m = n - i < 16 ? n - i : 16;
      const F u = load_up_to(a + i, m), v = load_up_to(b + i, m);
      store_up_to(y + i, product ? mul(u, v) : add(u, v), m);
    }
  });
}

// Feature i of a head turns with feature i + P by the angle of its position; features from 2P on pass.
// x, y: [n][heads][k]; cos, sin: [position][p]      (Su et al. 2021, RoFormer, section 3.4)
inline void rotate(Pool& pool, const float* x, int64_t n, int64_t heads, int64_t k, const float* cos, const float* sin,
                   const int32_t* positions, int64_t p, float* y) {
  pool.run(n, 8, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      const float *c = cos + positions[i] * p, *s = sin + positions[i] * p;
      for (int64_t h = 0; h < heads; h++) {
        const float* from = x + (i * heads + h) * k;
        float* to = y + (i * heads + h) * k;
        for (int64_t j = 0; j < p; j++) to[j] = from[j] * c[j] - from[j + p] * s[j];
        for (int64_t j = 0; j < p; j++) to[j + p] = from[j + p] * c[j] + from[j] * s[j];
        for (int64_t j = 2 * p; j < k; j++) to[j] = from[j];
      }
    }
  });
}

}  // namespace petit::PETIT_ISA
