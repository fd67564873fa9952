// Weight formats: how a matrix W (M rows out, C columns in) lies in memory.
//
// Rows go in panels of 16, so that one vector lane is one output row and every output element is
// summed by one lane, column after column: the order of addition does not depend on the vector
// width, the batch or the number of threads. Missing rows and columns are stored as zeros.
//
//   q4   weight = d[superblock of 256 columns] * s[group of 16 columns] * value, value in -8..7,
//        s one of 16 whole numbers (SUBSCALES). A panel is
//          - d: [superblock][16 rows] fp16, padded to whole lines of 64 bytes;
//          - for each run of 128 columns (the last may be shorter) one line of sub-scale codes,
//            dword r = row r, bits 4j..4j+3 = group j of the run; then two lines for each group:
//            byte 4r+j of line q: low nibble = row r, column 8q+j; high = column 8q+4+j; value + 8.
//        4 + 4/16 + 16/256 = 4.3125 bits a weight. value * s fits in a byte, so that a whole
//        superblock is summed exactly in integers and scaled once.
//   q4_0 blocks of 16 rows x 64 columns, 576 bytes: 8 lines as above, then 32 fp16 scales,
//        [group of 32 columns][row]: the values of GGUF's Q4_0. 4.5 bits a weight.
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

enum Format : int { Q4 = 0, Q8 = 1, F16 = 2, F32 = 3, Q4_0 = 4 };
enum Activation : int { NONE = -1, GELU_TANH = 0, GELU = 1, SILU = 2, RELU = 3 };

constexpr int64_t PANEL = 16;  // rows: one 512-bit vector of floats
constexpr int64_t LINE = 64;   // bytes: a cache line, and one 512-bit vector of bytes

constexpr int64_t SUPER = 256;     // q4: columns that share d, and one scale of the activations
constexpr int64_t SUB = 16;        // q4: columns that share a sub-scale
constexpr int64_t RUN = 128;       // q4: columns whose sub-scales fill a line
constexpr int8_t SUBSCALES[16] = {4, 6, 7, 8, 9, 10, 12, 14, -4, -6, -7, -8, -9, -10, -12, -14};

constexpr int64_t GROUP = 32;         // q4_0, q8: columns that share a scale, in weights and in activations
constexpr int64_t BLOCK = 64;         // q4_0, q8: two groups, so that blocks stay 64-byte aligned
constexpr int64_t Q4_0_BLOCK = 576;   // bytes
constexpr int64_t Q8_BLOCK = 1088;    // bytes

// static, not inline: a copy compiled for AVX-512 must never be linked into code for other processors.
static inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
static inline int64_t pieces(int64_t n, int64_t of) { return (n + of - 1) / of; }

static inline int64_t q4_header(int64_t columns) { return round_up(pieces(columns, SUPER) * PANEL * 2, LINE); }

static inline int64_t panel_bytes(int format, int64_t columns) {
  switch (format) {
    case Q4: return q4_header(columns) + LINE * (pieces(columns, RUN) + 2 * pieces(columns, SUB));
    case Q4_0: return pieces(columns, BLOCK) * Q4_0_BLOCK;
    case Q8: return pieces(columns, BLOCK) * Q8_BLOCK;
    case F16: return columns * PANEL * 2;
    default: return columns * PANEL * 4;
  }
}

static inline int64_t packed_bytes(int format, int64_t rows, int64_t columns) {
  return pieces(rows, PANEL) * panel_bytes(format, columns);
}

struct Matrix {
  int format;
  int64_t rows, columns;
  const uint8_t* data;
};

// One product of a group that reads the same x:  y = residual + activation(W x + bias), each part if given.
struct Job {
  Matrix w;
  const float* bias;
  const float* residual;  // [n][rows]
  int activation;
  float* y;  // [n][rows]
};

}  // namespace petit
