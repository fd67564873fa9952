// Products with q4 weights (formats.h).   einsum: nc,rc->nr
//
// A superblock of 256 columns is summed exactly in int32, S = sum over groups of s * sum(value * x),
// and superblocks are added in column order:
//   y[r] = fma(float(S_b) * sx[b], d[b, r], y[r])  for b = 0, 1, ...
// Few tokens: nibbles are multiplied as they are, and each group's sum by its sub-scale. Many tokens:
// value * s is written out as bytes once and multiplied with all of them. Both give the same integers.
#pragma once
#include "activations.h"
#include "jobs.h"

namespace petit::PETIT_ISA {

// Bytes that a weight is asked for before it is used by M tokens. Where a line is worked on for long, the
// processor sees fewer lines at a time, and more of them have to be on their way.
constexpr int64_t ahead(int m) { return m == 1 ? 4096 : 8192; }
constexpr int64_t WIDE_AHEAD = 2048;  // a superblock is worked on much longer than it is read

// Decoding is bound by memory, and the processor's own prefetching stops at every 4 KB page: ask ahead.
// Always inline: the compiler takes a function that only prefetches for one without effect.
template <int64_t AHEAD> PETIT_INLINE inline void prefetch(const uint8_t* from, int64_t bytes) {
  for (int64_t line = 0; line < bytes; line += LINE) __builtin_prefetch(from + AHEAD + line);
}

// Two lines of nibbles, 16 columns, times M tokens of a tile of W.
template <int W, int M> PETIT_INLINE inline void dot_group(const uint8_t* w, const int8_t* x, I* acc) {
  each<2>(PETIT_EACH(q) {
    const Line line = load_line(w + LINE * q), lo = low(line), hi = high(line);
    each<M>(PETIT_EACH(m) { acc[m] = dot4(acc[m], lo, x + (2 * q * W + m) * 4); });
    each<M>(PETIT_EACH(m) { acc[m] = dot4(acc[m], hi, x + ((2 * q + 1) * W + m) * 4); });
  });
}

// `groups` groups of one run; total += s * sum(value * x)
template <int W, int M>
PETIT_INLINE inline void sum_run(const uint8_t* w, int groups, const int8_t* x, const int32_t* start, I* total) {
  const Codes codes = load_codes(w);
  w += LINE;
#pragma GCC unroll 2
  for (int j = 0; j < groups; j++, w += 2 * LINE, x += SUB * W, start += W) {
    prefetch<ahead(M)>(w, 2 * LINE);
    I acc[M];
    each<M>(PETIT_EACH(m) { acc[m] = iset(start[m]); });
    dot_group<W, M>(w, x, acc);
    const I s = subscale(codes, j);
    each<M>(PETIT_EACH(m) { total[m] = weigh(total[m], acc[m], s); });
  }
}

// M tokens of a tile of W times one panel.
template <int W, int M> inline void q4_tile(const Job& job, int64_t panel, const Quantized& q, int64_t token) {
  constexpr int EACH = RUN / SUB;
  const uint8_t *d = job.w.data + panel * panel_bytes(Q4, job.w.columns), *w = d + q4_header(job.w.columns);
  const int8_t* x = q.x + token * q.columns;
  const int32_t* start = q.start + token * q.pieces;
  const float* sx = q.scale + token * q.blocks;
  F y[M];
  each<M>(PETIT_EACH(m) { y[m] = zero(); });
  for (int64_t b = 0; b < q.blocks; b++, d += PANEL * 2) {
    I total[M];
    each<M>(PETIT_EACH(m) { total[m] = iset(0); });
    int64_t left = q.pieces - b * (SUPER / SUB);
    if (left > SUPER / SUB) left = SUPER / SUB;
    for (int64_t g; left; left -= g) {
      g = left < EACH ? left : EACH;
      if (g == EACH) sum_run<W, M>(w, EACH, x, start, total);
      else sum_run<W, M>(w, static_cast<int>(g), x, start, total);
      w += (1 + 2 * g) * LINE, x += g * SUB * W, start += g * W;
    }
    const F scale = load_half(reinterpret_cast<const uint16_t*>(d));
    each<M>(PETIT_EACH(m) { y[m] = fma(mul(to_float(total[m]), set(sx[m * q.blocks + b])), scale, y[m]); });
  }
  each<M>(PETIT_EACH(m) { write_panel(job, panel, token + m, y[m]); });
}

template <int W, int M>
inline void q4_tiles(int64_t size, const Job& job, int64_t panel, const Quantized& q, int64_t token) {
  if (size == M) return q4_tile<W, M>(job, panel, q, token);
  if constexpr (M > 1) q4_tiles<W, M - 1>(size, job, panel, q, token);
}

// The bytes value * s + 128 of one panel's superblock: [4 columns][panel][16 rows x 4].
inline void widen_block(const uint8_t* w, int64_t groups, int64_t stride, uint8_t* out) {
  for (int64_t g = 0; g < groups; w += LINE) {
    const Codes codes = load_codes(w);
    for (int j = 0; j < RUN / SUB && g < groups; j++, g++) {
      prefetch<WIDE_AHEAD>(w, 2 * LINE);
      widen(w + LINE, codes, j, out, stride);
      w += 2 * LINE, out += 4 * stride;
    }
  }
}

// M tokens of a tile times P panels of one superblock; sums [token][panel][16] go on in y.
template <int P, int M>
inline void wide_tile(const uint8_t* w, int64_t quads, const Quantized& q, int64_t token, int64_t b, const F* scale,
                      float* y) {
  const int8_t* x = q.x + token * q.columns + b * SUPER * WIDE_TOKENS;
  const int32_t* sum = q.sum + token * q.blocks + b;
  const float* sx = q.scale + token * q.blocks + b;
  I acc[M * P];
  each<M>(PETIT_EACH(m) { each<P>(PETIT_EACH(p) { acc[m * P + p] = start8(sum[m * q.blocks]); }); });
  for (int64_t c = 0; c < quads; c++, w += P * LINE, x += WIDE_TOKENS * 4) {
    Line line[P];
    each<P>(PETIT_EACH(p) { line[p] = load_line(w + p * LINE); });
    each<M>(PETIT_EACH(m) {
      const Quad four = quad(x + 4 * m);
      each<P>(PETIT_EACH(p) { acc[m * P + p] = dot8(acc[m * P + p], line[p], four); });
    });
  }
  y += token * P * PANEL;
  each<M>(PETIT_EACH(m) {
    each<P>(PETIT_EACH(p) {
      float* to = y + (m * P + p) * PANEL;
      store(to, fma(mul(to_float(acc[m * P + p]), set(sx[m * q.blocks])), scale[p], b ? load(to) : zero()));
    });
  });
}

template <int P, int M>
inline void wide_tiles(int64_t size, const uint8_t* w, int64_t quads, const Quantized& q, int64_t token, int64_t b,
                       const F* scale, float* y) {
  if (size == M) return wide_tile<P, M>(w, quads, q, token, b, scale, y);
  if constexpr (M > 1) wide_tiles<P, M - 1>(size, w, quads, q, token, b, scale, y);
}

// P panels times all tokens: a superblock is widened once, into the first-level cache.
template <int P> inline void wide_panels(const Job& job, int64_t panel, const Quantized& q, int64_t n, float* work) {
  const int64_t bytes = panel_bytes(Q4, job.w.columns);
  const uint8_t *from = job.w.data + panel * bytes, *w = from + q4_header(job.w.columns);
  uint8_t* wide = reinterpret_cast<uint8_t*>(work);
  float* y = work + P * SUPER * PANEL / 4;
  for (int64_t b = 0; b < q.blocks; b++) {
    int64_t groups = q.pieces - b * (SUPER / SUB);
    if (groups > SUPER / SUB) groups = SUPER / SUB;
    F scale[P];
    for (int p = 0; p < P; p++) {
      scale[p] = load_half(reinterpret_cast<const uint16_t*>(from + p * bytes) + b * PANEL);
      widen_block(w + p * bytes, groups, P * LINE, wide + p * LINE);
    }
    w += LINE * (pieces(groups, RUN / SUB) + 2 * groups);
    for (int64_t token = 0; token < n; token += WIDE_TOKENS)
      wide_tiles<P, WIDE_TOKENS>(n - token < WIDE_TOKENS ? n - token : WIDE_TOKENS, wide, 4 * groups, q, token, b,
                                 scale, y);
  }
  for (int64_t i = 0; i < n; i++)
    for (int p = 0; p < P; p++) write_panel(job, panel + p, i, load(y + (i * P + p) * PANEL));
}

template <int W> inline void q4_few(Pool& pool, const Job* jobs, int count, const float* x, int64_t n) {
  const Quantized q = quantize<SUPER, SUB>(pool, x, n, jobs[0].w.columns, W);
  each_unit<1>(pool, jobs, count, n, [&](const Job& job, int64_t panel, int64_t, int) {
    for (int64_t token = 0; token < n; token += W) q4_tiles<W, W>(n - token < W ? n - token : W, job, panel, q, token);
  });
}

inline void q4_matmul(Pool& pool, const Job* jobs, int count, const float* x, int64_t n) {
  if (n == 1) return q4_few<1>(pool, jobs, count, x, n);
  if (n < MANY) return q4_few<TILE>(pool, jobs, count, x, n);
  const Quantized q = quantize<SUPER, SUB>(pool, x, n, jobs[0].w.columns, WIDE_TOKENS);
  pool.reserve_each(WIDE_PANELS * (SUPER * PANEL / 4 + n * PANEL));
  each_unit<WIDE_PANELS>(pool, jobs, count, n, [&](const Job& job, int64_t panel, int64_t panels, int thread) {
    if (panels == WIDE_PANELS) return wide_panels<WIDE_PANELS>(job, panel, q, n, pool.scratch_of(thread));
    for (int64_t p = 0; p < panels; p++) wide_panels<1>(job, panel + p, q, n, pool.scratch_of(thread));
  });
}

}  // namespace petit::PETIT_ISA
