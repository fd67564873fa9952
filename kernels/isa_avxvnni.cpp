#define PETIT_ISA avxvnni
#include "vec_avx2.h"
#include "table.h"

namespace petit {
const Kernels kernels_avxvnni = PETIT_TABLE("avxvnni");
}
