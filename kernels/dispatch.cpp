// Which of the kernels that were built this processor can run, the fastest of them first.
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) || defined(_M_X64)
#define PETIT_ON_X86
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#elif defined(__aarch64__) || defined(_M_ARM64)
#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#endif
#endif

#include "kernels.h"

namespace petit {
namespace {

struct Choice {
  const Kernels* kernels;
  uint32_t needs;  // what the compiler was allowed to use in them (CMakeLists.txt)
};

constexpr uint32_t WITH_AVX2 = AVX2 | FMA | F16C;

const Choice CHOICES[] = {
#if defined(PETIT_X86)
    {&kernels_avx512, WITH_AVX2 | AVX512F | AVX512BW | AVX512DQ | AVX512VL | AVX512VNNI},
#if defined(PETIT_AVXVNNI)
    {&kernels_avxvnni, WITH_AVX2 | AVXVNNI},
#endif
    {&kernels_avx2, WITH_AVX2},
#elif defined(PETIT_ARM)
    {&kernels_neondot, DOTPROD},
    {&kernels_neon, 0},  // every 64-bit ARM has it
#endif
    {&kernels_plain, 0},
};

#if defined(PETIT_ON_X86)

struct Registers {
  uint32_t a, b, c, d;
};

Registers cpuid(uint32_t leaf, uint32_t sub) {
  Registers r{};
#if defined(_MSC_VER)
  int all[4];
  __cpuid(all, 0);
  if (static_cast<uint32_t>(all[0]) < leaf) return r;
  __cpuidex(all, static_cast<int>(leaf), static_cast<int>(sub));
  r = {static_cast<uint32_t>(all[0]), static_cast<uint32_t>(all[1]), static_cast<uint32_t>(all[2]),
       static_cast<uint32_t>(all[3])};
#else
  if (!__get_cpuid_count(leaf, sub, &r.a, &r.b, &r.c, &r.d)) return {};
#endif
  return r;
}

uint64_t saved_by_system() {  // which registers survive a switch to another program (XCR0)
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
#endif
}

#endif

}  // namespace

uint32_t features() {
  uint32_t found = 0;
#if defined(PETIT_ON_X86)
  const auto add = [&](uint32_t word, int bit, Feature feature) {
    if (word >> bit & 1) found |= feature;
  };
  const Registers one = cpuid(1, 0), seven = cpuid(7, 0);
  if (!(one.c >> 27 & 1)) return 0;  // no XGETBV: the system saves no vector registers
  const uint64_t saved = saved_by_system();
  if ((saved & 0x6) != 0x6) return 0;
  add(one.c, 12, FMA), add(one.c, 29, F16C), add(seven.b, 5, AVX2);
  if (seven.a >= 1) add(cpuid(7, 1).a, 4, AVXVNNI);
  if ((saved & 0xe6) != 0xe6) return found;
  add(seven.b, 16, AVX512F), add(seven.b, 17, AVX512DQ), add(seven.b, 30, AVX512BW), add(seven.b, 31, AVX512VL);
  add(seven.c, 11, AVX512VNNI);
#elif defined(__aarch64__) && defined(__linux__)
  constexpr unsigned long ASIMDDP = 1ul << 20;  // HWCAP_ASIMDDP, which old headers lack
  if (getauxval(AT_HWCAP) & ASIMDDP) found = DOTPROD;
#elif defined(__aarch64__) && defined(__APPLE__)
  int has = 0;
  size_t size = sizeof has;
  if (!sysctlbyname("hw.optional.arm.FEAT_DotProd", &has, &size, nullptr, 0) && has) found = DOTPROD;
#elif defined(_M_ARM64)
  constexpr DWORD DOT = 43;  // PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE, which old headers lack
  if (IsProcessorFeaturePresent(DOT)) found = DOTPROD;
#endif
  return found;
}

const Kernels* choose(const char* name, uint32_t features) {
  for (const Choice& c : CHOICES)
    if ((c.needs & ~features) == 0 && (!std::strcmp(name, "auto") || !std::strcmp(name, c.kernels->name)))
      return c.kernels;
  return nullptr;
}

}  // namespace petit
