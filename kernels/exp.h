// exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2, with a polynomial for exp(r).
#pragma once

namespace petit::PETIT_ISA {

// Relative error below 2e-7 over the whole range; below -87 the result is the smallest normal
// number times what is left, which every caller adds to something of order one.
inline F exp(F x) {
  x = min(max(x, set(-87.0f)), set(88.0f));
  const F n = round(mul(x, set(1.44269504088896341f)));
  F r = fma(n, set(-0.693359375f), x);  // ln 2 in two parts: the first has few bits, so n * it is exact
  r = fma(n, set(2.12194440e-4f), r);
  F p = set(1.9875691500e-4f);  // Cephes' expf, S. L. Moshier
  p = fma(p, r, set(1.3981999507e-3f));
  p = fma(p, r, set(8.3334519073e-3f));
  p = fma(p, r, set(4.1665795894e-2f));
  p = fma(p, r, set(1.6666665459e-1f));
  p = fma(p, r, set(5.0000001201e-1f));
  p = fma(p, mul(r, r), add(r, set(1.0f)));
  return mul(p, pow2(n));
}

}  // namespace petit::PETIT_ISA
