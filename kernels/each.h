// Loops that the compiler must unroll: the sums of a tile are arrays, which only lie in registers when
// every index is a constant before the compiler decides where arrays lie.
#pragma once
#include <utility>

#define PETIT_INLINE __attribute__((always_inline))
#define PETIT_EACH(index) [&](int index) PETIT_INLINE

namespace petit::PETIT_ISA {

template <class F, int... I> PETIT_INLINE inline void each(const F& f, std::integer_sequence<int, I...>) {
  (f(I), ...);
}
template <int N, class F> PETIT_INLINE inline void each(const F& f) { each(f, std::make_integer_sequence<int, N>()); }

}  // namespace petit::PETIT_ISA
