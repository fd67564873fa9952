#define PETIT_ISA neon
#include "vec_neon.h"
#include "table.h"

namespace petit {
const Kernels kernels_neon = PETIT_TABLE("neon");
}
