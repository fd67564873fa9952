// The table of kernels that one instruction set provides. Letters: N tokens, D width, H query heads,
// G kv heads, K head features, S cached positions, P rotary pairs, V rows of a matrix, C its columns.
#pragma once
#include "formats.h"
#include "pool.h"

namespace petit {

// Where keys and values of one layer lie: [slot][kv head] of
//   keys    [S/16][K][16 positions]   so that a vector is one feature of 16 positions
//   values  [S][K rounded up to 16]   so that a vector is 16 features of one position
// in fp32, fp16, or int8 times a scale of each position, [slot][kv head][S]. S is a multiple of 16.
struct Cache {
  enum Kind { FLOAT, HALF, INT8 };
  Kind kind = FLOAT;
  int64_t slots = 0, kv_heads = 0, length = 0, d_head = 0;
  uint8_t *keys = nullptr, *values = nullptr;
  float *key_scales = nullptr, *value_scales = nullptr;
};

// A flattened batch: token i sits in `slots[i]` at `positions[i]` and sees positions 0..positions[i].
struct Tokens {
  int64_t n;
  const int32_t *positions, *slots;
};

struct Kernels {
  const char* name;
  // For each job: y[n, r] = residual[n, r] + activation(sum_c W[r, c] x[n, c] + bias[r])
  void (*matmul)(Pool&, const Job* jobs, int count, const float* x, int64_t n);
  // y[i] = W[ids[i]]
  void (*embed)(Pool&, const Matrix&, const int32_t* ids, int64_t n, float* y);
  void (*layer_norm)(Pool&, const float* x, int64_t n, int64_t d, const float* w, const float* b, float eps, float* y);
  void (*rms_norm)(Pool&, const float* x, int64_t n, int64_t d, const float* w, float eps, float* y);
  void (*activate)(Pool&, int kind, const float* x, int64_t n, float* y);
  // y[i] = a[i] + b[i], or a[i] * b[i]
  void (*combine)(Pool&, bool product, const float* a, const float* b, int64_t n, float* y);
  void (*rotate)(Pool&, const float* x, int64_t n, int64_t heads, int64_t k, const float* cos, const float* sin,
                 const int32_t* positions, int64_t p, float* y);
  void (*store)(Pool&, const Cache&, const Tokens&, const float* k, const float* v);
  // z = softmax(q keys^T * scale) values; the three others are its parts, for those who look inside
  void (*attend)(Pool&, const Cache&, const Tokens&, const float* q, int64_t heads, float scale, float* z);
  void (*scores)(Pool&, const Cache&, const Tokens&, const float* q, int64_t heads, float scale, int64_t s, float* out);
  void (*softmax)(Pool&, const Tokens&, int64_t heads, int64_t s, const float* scores, float* out);
  void (*mix)(Pool&, const Cache&, const Tokens&, const float* pattern, int64_t heads, int64_t s, float* z);
  // What the machine can do at best: see probe.h
  uint64_t (*read_all)(Pool&, const uint8_t* data, int64_t bytes);
  int64_t (*multiply_all)(Pool&, int64_t rounds);
  // Packing: quantize rows of float weights into a format; sums of squared weights and errors per call
  void (*pack)(Pool&, const float* w, int64_t rows, int64_t columns, int format, const float* importance, uint8_t* out,
               double* squares);
};

extern const Kernels kernels_plain;
extern const Kernels kernels_avx2, kernels_avxvnni, kernels_avx512;  // on x86
extern const Kernels kernels_neon, kernels_neondot;                  // on ARM

// What a processor may have beyond the least of its kind.
enum Feature : uint32_t {
  AVX2 = 1,
  FMA = 2,
  F16C = 4,
  AVXVNNI = 8,
  AVX512F = 16,
  AVX512BW = 32,
  AVX512DQ = 64,
  AVX512VL = 128,
  AVX512VNNI = 256,
  DOTPROD = 512,
};

// Those that this processor has and its system supports.
uint32_t features();

// The best table that needs no more than `features`, or the named one; nullptr if it does or was not built.
const Kernels* choose(const char* name, uint32_t features);

}  // namespace petit
