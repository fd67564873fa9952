#define PETIT_ISA neondot
#include "vec_neon.h"
#include "table.h"

namespace petit {
const Kernels kernels_neondot = PETIT_TABLE("neondot");
}
