// Activations as the integer kernels read them: int8 with one scale, max |x| / 127, for each block of
// columns, and the sums that take the weights' offset out of the products.
//
// Tokens that a kernel multiplies together lie side by side in tiles of W, four columns at a time.
#pragma once
#include <cstring>

#include "each.h"
#include "formats.h"
#include "pool.h"

namespace petit::PETIT_ISA {

struct Quantized {
  int8_t* x;       // [tile][columns / 4][W][4], columns rounded up to whole pieces
  int32_t* start;  // [tile][pieces][W], -8 times the sum of each piece: where a sum over (value + 8) begins
  int32_t* sum;    // [n][blocks], of the int8 values
  float* scale;    // [n][blocks]
  int64_t columns, blocks, pieces;
};

inline F load_some(const float* x, int64_t left) { return left >= 16 ? load(x) : left > 0 ? load_n(x, left) : zero(); }

// BY columns share a scale, PIECE a start. `x` and `start` point at the token's place in its tile.
template <int64_t BY, int64_t PIECE>
inline void quantize_row(const float* from, int64_t columns, const Quantized& q, int64_t token, int64_t w, int8_t* x,
                         int32_t* start) {
  alignas(64) int8_t bytes[BY];
  for (int64_t c = 0, b = 0; c < q.columns; c += BY, b++) {
    const int64_t width = q.columns - c < BY ? q.columns - c : BY;
    F most = zero();
    for (int64_t i = 0; i < width; i += 16) {
      const F v = load_some(from + c + i, columns - c - i);
      most = max(most, max(v, sub(zero(), v)));
    }
    const float top = maximum(most);
    const F inverse = set(top > 0.0f ? 127.0f / top : 0.0f);
    q.scale[token * q.blocks + b] = top * (1.0f / 127.0f);
    int32_t all = 0;
    for (int64_t i = 0; i < width; i += PIECE, start += w) {
      int32_t s = 0;
      for (int64_t j = i; j < i + PIECE; j += 16)  // what is no number becomes -127, everywhere alike
        s += store_bytes(bytes + j, max(mul(load_some(from + c + j, columns - c - j), inverse), set(-127.0f)));
      *start = -8 * s;
      all += s;
    }
    q.sum[token * q.blocks + b] = all;
    if (w == 1) std::memcpy(x, bytes, static_cast<size_t>(width));
    else
      for (int64_t i = 0; i < width; i += 4) std::memcpy(x + i * w, bytes + i, 4);
    x += width * w;
  }
}

template <int64_t BY, int64_t PIECE>
inline Quantized quantize(Pool& pool, const float* x, int64_t n, int64_t columns, int64_t w) {
  Quantized q;
  q.columns = round_up(columns, PIECE);
  q.blocks = pieces(q.columns, BY), q.pieces = q.columns / PIECE;
  const int64_t padded = round_up(n, w);
  float* memory = pool.scratch(padded * (q.columns / 4 + q.pieces) + n * 2 * q.blocks);
  q.x = reinterpret_cast<int8_t*>(memory);
  q.start = reinterpret_cast<int32_t*>(memory + padded * q.columns / 4);
  q.sum = q.start + padded * q.pieces;
  q.scale = reinterpret_cast<float*>(q.sum + n * q.blocks);
  pool.run(n, 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t tile = i / w * w, in = i % w;
      quantize_row<BY, PIECE>(x + i * columns, columns, q, i, w, q.x + tile * q.columns + 4 * in,
                              q.start + tile * q.pieces + in);
    }
  });
  return q;
}

}  // namespace petit::PETIT_ISA
