#define PETIT_ISA avx2
#include "vec_avx2.h"
#include "table.h"

namespace petit {
const Kernels kernels_avx2 = PETIT_TABLE("avx2");
}
