// Products with weights in groups of 32 columns, q4_0 and q8 (formats.h).   einsum: nc,rc->nr
//
// Activations are quantized in the same groups; the dot product of each is exact in int32, and groups
// are added in column order:
//   y[r] = fma(float(dot_g) * sx[g], sw[g, r], y[r])  for g = 0, 1, ...
#pragma once
#include "q4.h"

namespace petit::PETIT_ISA {

template <int FORMAT> struct Integer;

template <> struct Integer<Q4_0> {
  static constexpr int64_t BYTES = Q4_0_BLOCK, SCALES = 512, GROUP_BYTES = 256;
  static inline I begin(int32_t start, int32_t) { return iset(start); }
  template <int W, int M> PETIT_INLINE static inline void group(const uint8_t* w, const int8_t* x, I* acc) {
    dot_group<W, M>(w, x, acc);
    dot_group<W, M>(w + 2 * LINE, x + 16 * W, acc);
  }
};

template <> struct Integer<Q8> {
  static constexpr int64_t BYTES = Q8_BLOCK, SCALES = 1024, GROUP_BYTES = 512;
  static inline I begin(int32_t, int32_t sum) { return start8(sum); }
  template <int W, int M> PETIT_INLINE static inline void group(const uint8_t* w, const int8_t* x, I* acc) {
    each<8>(PETIT_EACH(q) {
      const Line line = load_line(w + LINE * q);
      each<M>(PETIT_EACH(m) { acc[m] = dot8(acc[m], line, quad(x + (q * W + m) * 4)); });
    });
  }
};

// M tokens of a tile of W times one panel.
template <int FORMAT, int W, int M>
inline void group_tile(const Job& job, int64_t panel, const Quantized& q, int64_t token) {
  using Fmt = Integer<FORMAT>;
  const uint8_t* w = job.w.data + panel * panel_bytes(FORMAT, job.w.columns);
  const int8_t* x = q.x + token * q.columns;
  const int32_t *start = q.start + token * q.pieces, *sum = q.sum + token * q.blocks;
  const float* sx = q.scale + token * q.blocks;
  F y[M];
  each<M>(PETIT_EACH(m) { y[m] = zero(); });
  for (int64_t b = 0; b < q.blocks; b += 2, w += Fmt::BYTES) {
    prefetch<ahead(M)>(w, Fmt::BYTES);
    for (int64_t half = 0; half < 2 && b + half < q.blocks; half++, x += GROUP * W, start += W) {
      const int64_t g = b + half;
      I acc[M];
      each<M>(PETIT_EACH(m) { acc[m] = Fmt::begin(start[m], sum[m * q.blocks + g]); });
      Fmt::template group<W, M>(w + half * Fmt::GROUP_BYTES, x, acc);
      const F sw = load_half(reinterpret_cast<const uint16_t*>(w + Fmt::SCALES) + PANEL * half);
      each<M>(PETIT_EACH(m) { y[m] = fma(mul(to_float(acc[m]), set(sx[m * q.blocks + g])), sw, y[m]); });
    }
  }
  each<M>(PETIT_EACH(m) { write_panel(job, panel, token + m, y[m]); });
}

template <int FORMAT, int W, int M>
inline void group_tiles(int64_t size, const Job& job, int64_t panel, const Quantized& q, int64_t token) {
  if (size == M) return group_tile<FORMAT, W, M>(job, panel, q, token);
  if constexpr (M > 1) group_tiles<FORMAT, W, M - 1>(size, job, panel, q, token);
}

template <int FORMAT, int W> void group_matmul_by(Pool& pool, const Job* jobs, int count, const float* x, int64_t n) {
  const Quantized q = quantize<GROUP, GROUP>(pool, x, n, jobs[0].w.columns, W);
  each_unit<1>(pool, jobs, count, n, [&](const Job& job, int64_t panel, int64_t, int) {
    for (int64_t token = 0; token < n; token += W)
      group_tiles<FORMAT, W, W>(n - token < W ? n - token : W, job, panel, q, token);
  });
}

template <int FORMAT> void group_matmul(Pool& pool, const Job* jobs, int count, const float* x, int64_t n) {
  if (n == 1) group_matmul_by<FORMAT, 1>(pool, jobs, count, x, n);
  else group_matmul_by<FORMAT, TILE>(pool, jobs, count, x, n);
}

}  // namespace petit::PETIT_ISA
