// Products with fp16 and fp32 weights: y[r] = fma(w[r, c], x[c], y[r]) for c = 0, 1, ...
#pragma once
#include "jobs.h"

namespace petit::PETIT_ISA {

inline F load_weights(const uint16_t* w) { return load_half(w); }
inline F load_weights(const float* w) { return load(w); }

// M tokens times B panels: several panels at once keep the adders busy when there is one token.
template <class W, int M, int B> inline void float_tile(const W* w, int64_t columns, const float* x, F* y) {
  for (int i = 0; i < M * B; i++) y[i] = zero();
  for (int64_t c = 0; c < columns; c++)
    for (int b = 0; b < B; b++) {
      const F wv = load_weights(w + (b * columns + c) * PANEL);
      for (int m = 0; m < M; m++) y[b * M + m] = fma(wv, set(x[m * columns + c]), y[b * M + m]);
    }
}

template <class W, int M, int B>
inline void float_panels(const Job& job, int64_t panel, const float* x, int64_t n, int64_t token) {
  const int64_t columns = job.w.columns;
  const W* from = reinterpret_cast<const W*>(job.w.data) + panel * PANEL * columns;
  for (; token + M <= n; token += M) {
    F y[M * B];
    float_tile<W, M, B>(from, columns, x + token * columns, y);
    for (int b = 0; b < B; b++)
      for (int m = 0; m < M; m++) write_panel(job, panel + b, token + m, y[b * M + m]);
  }
  if constexpr (M > 1)
    if (token < n) float_panels<W, (M > 4 ? M / 2 : M - 1), B>(job, panel, x, n, token);
}

template <class W> void float_matmul(Pool& pool, const Job* jobs, int count, const float* x, int64_t n) {
  constexpr int TOKENS = TILE > 8 ? 8 : TILE;
  each_unit<2>(pool, jobs, count, n, [&](const Job& job, int64_t panel, int64_t panels, int) {
    if (panels == 2) float_panels<W, TOKENS, 2>(job, panel, x, n, 0);
    else float_panels<W, TOKENS, 1>(job, panel, x, n, 0);
  });
}

}  // namespace petit::PETIT_ISA
