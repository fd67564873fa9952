// Weight formats: how a matrix W (M rows out, C columns in) lies in memory.
//
// Rows go in panels of 16, so that one vector lane is one output row and every output element is
// summed by one lane, column after column: the order of addition does not depend on the vector
// width, the batch or the number of threads. Missing rows and columns are stored as zeros.
//
//   q4   blocks of 16 rows x 64 columns, 576 bytes: 8 lines of 64 bytes, then 32 fp16 scales.
//        Byte 4r+j of line q: low nibble = row r, column 8q+j; high = column 8q+4+j; value+8.
//        Scales: [group of 32 columns][row]. 4.5 bits a weight; a block is nine cache lines.
//   q8   blocks of 16 rows x 64 columns, 1088 bytes: 16 lines of 64 bytes, then 32 fp16 scales.
//        Byte 4r+j of line q = row r, column 4q+j; value+128, values in -127..127. 8.5 bits.
//   f16  [panel][column][16 rows], IEEE half.
//   f32  [panel][column][16 rows].
//
// Values are stored unsigned because the integer dot product multiplies unsigned by signed bytes
// (vpdpbusd); the offset is taken out exactly, in integers, with the sum of the activations.
#pragma once
#include <cstddef>
#include <cstdint>

namespace petit {

enum Format : int { Q4 = 0, Q8 = 1, F16 = 2, F32 = 3 };
enum Activation : int { GELU_TANH = 0, GELU = 1, SILU = 2, RELU = 3 };

constexpr int64_t PANEL = 16;       // rows: one 512-bit vector of floats
constexpr int64_t GROUP = 32;       // columns that share a scale, in weights and in activations
constexpr int64_t BLOCK = 64;       // columns of a block: two groups, so that blocks stay 64-byte aligned
constexpr int64_t Q4_BLOCK = 576;   // bytes
constexpr int64_t Q8_BLOCK = 1088;  // bytes

// static, not inline: a copy compiled for AVX-512 must never be linked into code for other processors.
static inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

static inline int64_t panel_bytes(int format, int64_t columns) {
  switch (format) {
    case Q4: return round_up(columns, BLOCK) / BLOCK * Q4_BLOCK;
    case Q8: return round_up(columns, BLOCK) / BLOCK * Q8_BLOCK;
    case F16: return columns * PANEL * 2;
    default: return columns * PANEL * 4;
  }
}

static inline int64_t packed_bytes(int format, int64_t rows, int64_t columns) {
  return round_up(rows, PANEL) / PANEL * panel_bytes(format, columns);
}

struct Matrix {
  int format;
  int64_t rows, columns;
  const uint8_t* data;
};

}  // namespace petit
