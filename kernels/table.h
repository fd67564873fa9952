// Fills the table of kernels of one instruction set; included once by each isa_*.cpp.
#include "exp.h"
#include "matmul.h"
#include "rows.h"
#include "attention.h"
#include "pack.h"
#include "probe.h"

#define PETIT_TABLE(name)          \
  {name,                           \
   petit::PETIT_ISA::matmul,       \
   petit::PETIT_ISA::embed,        \
   petit::PETIT_ISA::layer_norm,   \
   petit::PETIT_ISA::rms_norm,     \
   petit::PETIT_ISA::activate,     \
   petit::PETIT_ISA::combine,      \
   petit::PETIT_ISA::rotate,       \
   petit::PETIT_ISA::store_kv,     \
   petit::PETIT_ISA::attend,       \
   petit::PETIT_ISA::scores,       \
   petit::PETIT_ISA::softmax,      \
   petit::PETIT_ISA::mix,          \
   petit::PETIT_ISA::read_all,     \
   petit::PETIT_ISA::multiply_all, \
   petit::PETIT_ISA::pack}
