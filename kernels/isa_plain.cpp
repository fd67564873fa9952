#define PETIT_ISA plain
#include "vec_plain.h"
#include "table.h"

namespace petit {
const Kernels kernels_plain = PETIT_TABLE("plain");
}
