#define PETIT_ISA avx512
#include "vec_avx512.h"
#include "table.h"

namespace petit {
const Kernels kernels_avx512 = PETIT_TABLE("avx512");
}
