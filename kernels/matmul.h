// y = W x + b for packed W.   einsum: nc,rc->nr
//
// Integer formats: activations are quantized to int8 in groups of 32 (scale = max |x| / 127), the
// dot product of each group is exact in int32, and groups are added in column order:
//   y[r] = fma(float(dot_g) * sx[g], sw[g, r], y[r])  for g = 0, 1, ...
// Float formats: y[r] = fma(w[r, c], x[c], y[r]) for c = 0, 1, ...
// One lane is one row, so this order holds for every tile size, batch and thread count.
#pragma once
#include "formats.h"
#include "pool.h"

namespace petit::PETIT_ISA {

// One token's activations as the integer kernels read them, C rounded up to whole blocks.
struct Quantized {
  int8_t* x;     // [n][columns]
  float* scale;  // [n][columns / 32]
  int32_t* sum;  // [n][columns / 32], of the int8 values
  int64_t columns, groups;
};

inline void quantize_row(const float* x, int64_t columns, int64_t padded, int8_t* q, float* scale, int32_t* sum) {
  for (int64_t c = 0; c < padded; c += GROUP) {
    const int64_t left = columns - c;
    const F a = left >= 16 ? load(x + c) : left > 0 ? load_n(x + c, left) : zero();
    const F b = left >= 32 ? load(x + c + 16) : left > 16 ? load_n(x + c + 16, left - 16) : zero();
    const float top = maximum(max(max(a, sub(zero(), a)), max(b, sub(zero(), b))));
    const F inverse = set(top > 0.0f ? 127.0f / top : 0.0f);
    store_bytes(q + c, mul(a, inverse));
    store_bytes(q + c + 16, mul(b, inverse));
    scale[c / GROUP] = top * (1.0f / 127.0f);
    int32_t s = 0;
    for (int64_t i = 0; i < GROUP; i++) s += q[c + i];
    sum[c / GROUP] = s;
  }
}

inline Quantized quantize(Pool& pool, const float* x, int64_t n, int64_t columns) {
  Quantized q;
  q.columns = round_up(columns, BLOCK);
  q.groups = q.columns / GROUP;
  float* memory = pool.scratch(n * (q.columns / 4 + 2 * q.groups));
  q.x = reinterpret_cast<int8_t*>(memory);
  q.scale = memory + n * q.columns / 4;
  q.sum = reinterpret_cast<int32_t*>(q.scale + n * q.groups);
  pool.run(n, 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++)
      quantize_row(x + i * columns, columns, q.columns, q.x + i * q.columns, q.scale + i * q.groups,
                   q.sum + i * q.groups);
  });
  return q;
}

template <int FORMAT> struct Integer;

template <> struct Integer<Q4> {
  static constexpr int64_t BYTES = Q4_BLOCK, SCALES = 512;
  static inline I start(int32_t sum) { return iset(-8 * sum); }
  template <int M> static inline void group(const uint8_t* w, const int8_t* const* x, I* acc) {
    for (int q = 0; q < 4; q++) {
      const Line line = load_line(w + 64 * q), lo = low(line), hi = high(line);
      for (int m = 0; m < M; m++) acc[m] = dot4(acc[m], lo, x[m] + 8 * q);
      for (int m = 0; m < M; m++) acc[m] = dot4(acc[m], hi, x[m] + 8 * q + 4);
    }
  }
  static constexpr int64_t GROUP_BYTES = 256;
};

template <> struct Integer<Q8> {
  static constexpr int64_t BYTES = Q8_BLOCK, SCALES = 1024;
  static inline I start(int32_t sum) { return start8(sum); }
  template <int M> static inline void group(const uint8_t* w, const int8_t* const* x, I* acc) {
    for (int q = 0; q < 8; q++) {
      const Line line = load_line(w + 64 * q);
      for (int m = 0; m < M; m++) acc[m] = dot8(acc[m], line, x[m] + 4 * q);
    }
  }
  static constexpr int64_t GROUP_BYTES = 512;
};

constexpr int64_t AHEAD = 2048;  // bytes that a weight is asked for before it is used

// M tokens times one panel of 16 rows.
template <int FORMAT, int M> inline void integer_tile(const uint8_t* w, const Quantized& q, int64_t token, F* y) {
  using Fmt = Integer<FORMAT>;
  const int8_t* x[M];
  for (int m = 0; m < M; m++) y[m] = zero(), x[m] = q.x + (token + m) * q.columns;
  const float* scale = q.scale + token * q.groups;
  const int32_t* sum = q.sum + token * q.groups;
  for (int64_t g = 0; g < q.groups; g += 2, w += Fmt::BYTES) {
    // Decoding is bound by memory, and the processor's own prefetching stops at every 4 KB page: ask ahead.
    if (M == 1)
      for (int64_t line = 0; line < Fmt::BYTES; line += 64) __builtin_prefetch(w + AHEAD + line);
    for (int half = 0; half < 2; half++) {
      I acc[M];
      for (int m = 0; m < M; m++) acc[m] = Fmt::start(sum[m * q.groups + g + half]);
      Fmt::template group<M>(w + half * Fmt::GROUP_BYTES, x, acc);
      const F sw = load_half(reinterpret_cast<const uint16_t*>(w + Fmt::SCALES) + 16 * half);
      for (int m = 0; m < M; m++) {
        y[m] = fma(mul(to_float(acc[m]), set(scale[m * q.groups + g + half])), sw, y[m]);
        x[m] += GROUP;
      }
    }
  }
}

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

inline void write_panel(const Matrix& w, int64_t panel, int64_t token, F y, const float* bias, float* out) {
  const int64_t row = panel * PANEL, left = w.rows - row;
  float* to = out + token * w.rows + row;
  if (left >= PANEL) store(to, bias ? add(y, load(bias + row)) : y);
  else store_n(to, bias ? add(y, load_n(bias + row, left)) : y, left);
}

template <int FORMAT, int M>
inline void integer_panel(const Matrix& w, int64_t panel, const Quantized& q, int64_t n, int64_t& token,
                          const float* bias, float* out) {
  for (; token + M <= n; token += M) {
    F y[M];
    integer_tile<FORMAT, M>(w.data + panel * panel_bytes(FORMAT, w.columns), q, token, y);
    for (int m = 0; m < M; m++) write_panel(w, panel, token + m, y[m], bias, out);
  }
  if constexpr (M > 1) integer_panel<FORMAT, (M > 4 ? M / 2 : M - 1)>(w, panel, q, n, token, bias, out);
}

// How many panels a thread takes at a time: enough of these that threads end together, but each with
// work worth the handing out, about a microsecond of reading for each token.
inline int64_t panels_each(const Pool& pool, const Matrix& w, int64_t panels, int64_t n) {
  const int64_t worth = 32768 / (panel_bytes(w.format, w.columns) * n) + 1, even = panels / (8 * pool.threads()) + 1;
  return worth > even ? worth : even;
}

template <int FORMAT>
void integer_matmul(Pool& pool, const Matrix& w, const float* x, int64_t n, const float* bias, float* out) {
  const Quantized q = quantize(pool, x, n, w.columns);
  const int64_t panels = round_up(w.rows, PANEL) / PANEL;
  pool.run(panels, panels_each(pool, w, panels, n), [&](int64_t begin, int64_t end, int) {
    for (int64_t p = begin; p < end; p++) {
      int64_t token = 0;
      integer_panel<FORMAT, TILE>(w, p, q, n, token, bias, out);
    }
  });
}

template <class W, int M, int B>
inline void float_panels(const Matrix& w, int64_t panel, const float* x, int64_t n, int64_t& token, const float* bias,
                         float* out) {
  const W* from = reinterpret_cast<const W*>(w.data) + panel * PANEL * w.columns;
  for (; token + M <= n; token += M) {
    F y[M * B];
    float_tile<W, M, B>(from, w.columns, x + token * w.columns, y);
    for (int b = 0; b < B; b++)
      for (int m = 0; m < M; m++) write_panel(w, panel + b, token + m, y[b * M + m], bias, out);
  }
  if constexpr (M > 1) float_panels<W, (M > 4 ? M / 2 : M - 1), B>(w, panel, x, n, token, bias, out);
}

template <class W>
void float_matmul(Pool& pool, const Matrix& w, const float* x, int64_t n, const float* bias, float* out) {
  const int64_t panels = round_up(w.rows, PANEL) / PANEL, pairs = (panels + 1) / 2;
  pool.run(pairs, panels_each(pool, w, pairs, n), [&](int64_t begin, int64_t end, int) {
    for (int64_t p = 2 * begin; p < 2 * end && p < panels; p += 2) {
      int64_t token = 0;
      if (p + 1 < panels) float_panels<W, (TILE > 8 ? 8 : TILE), 2>(w, p, x, n, token, bias, out);
      else float_panels<W, (TILE > 8 ? 8 : TILE), 1>(w, p, x, n, token, bias, out);
    }
  });
}

inline void matmul(Pool& pool, const Matrix& w, const float* x, int64_t n, const float* bias, float* y) {
  if (n == 0) return;  // the first chunks of a long prompt: nobody asks for their logits
  switch (w.format) {
    case Q4: return integer_matmul<Q4>(pool, w, x, n, bias, y);
    case Q8: return integer_matmul<Q8>(pool, w, x, n, bias, y);
    case F16: return float_matmul<uint16_t>(pool, w, x, n, bias, y);
    default: return float_matmul<float>(pool, w, x, n, bias, y);
  }
}

// Row r of W is lane r % 16 of panel r / 16.   y[i] = W[ids[i]]
inline void embed_row(const Matrix& w, int64_t row, float* y) {
  const uint8_t* panel = w.data + row / PANEL * panel_bytes(w.format, w.columns);
  const int64_t r = row % PANEL;
  for (int64_t c = 0; c < w.columns; c++) {
    if (w.format == F32) {
      y[c] = reinterpret_cast<const float*>(panel)[c * PANEL + r];
      continue;
    }
    if (w.format == F16) {
      alignas(64) float lanes[16];
      store(lanes, load_half(reinterpret_cast<const uint16_t*>(panel) + c * PANEL));
      y[c] = lanes[r];
      continue;
    }
    const int64_t in = c % BLOCK, half = in / GROUP;
    const uint8_t* block = panel + c / BLOCK * (w.format == Q4 ? Q4_BLOCK : Q8_BLOCK);
    alignas(64) float scales[16];
    store(scales, load_half(reinterpret_cast<const uint16_t*>(block + (w.format == Q4 ? 512 : 1024)) + 16 * half));
    int value;
    if (w.format == Q4) {
      const uint8_t pair = block[in / 8 * 64 + 4 * r + in % 4];
      value = (in % 8 < 4 ? pair & 15 : pair >> 4) - 8;
    } else {
      value = block[in / 4 * 64 + 4 * r + in % 4] - 128;
    }
    y[c] = static_cast<float>(value) * scales[r];
  }
}

inline void embed(Pool& pool, const Matrix& w, const int32_t* ids, int64_t n, float* y) {
  pool.run(n, 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) embed_row(w, ids[i], y + i * w.columns);
  });
}

}  // namespace petit::PETIT_ISA
