#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <cstring>

#include "kernels.h"

namespace petit {
namespace {

#if defined(__x86_64__)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}
bool has_avxvnni() {  // GCC 12's __builtin_cpu_supports does not know it
  unsigned a = 0, b = 0, c = 0, d = 0;
  return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4);
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni");
}
#endif

}  // namespace

const Kernels* choose(const char* name) {
  const bool any = std::strcmp(name, "auto") == 0;
#if defined(__x86_64__)
  if ((any || !std::strcmp(name, "avx512")) && has_avx512()) return &kernels_avx512;
  if ((any || !std::strcmp(name, "avxvnni")) && has_avxvnni()) return &kernels_avxvnni;
  if ((any || !std::strcmp(name, "avx2")) && has_avx2()) return &kernels_avx2;
#endif
  return any || !std::strcmp(name, "plain") ? &kernels_plain : nullptr;
}

}  // namespace petit
