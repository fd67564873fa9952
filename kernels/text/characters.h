// Characters of UTF-8, and the classes by which byte-level tokenizers cut text.
#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "unicode.h"

namespace petit::text {

enum Class : uint8_t { LETTER, NUMBER, SPACE, OTHER, EDGE };  // EDGE: a digit that is a word by itself
constexpr uint8_t DIGIT_BIT = 8;                              // beside one of the first four

inline const std::vector<uint8_t>& classes() {  // of all code points
  static const std::vector<uint8_t> table = [] {
    std::vector<uint8_t> made(0x110000, OTHER);
    for (auto r : LETTERS) std::fill(&made[r.first], &made[r.last] + 1, LETTER);
    for (auto r : NUMBERS) std::fill(&made[r.first], &made[r.last] + 1, NUMBER);
    for (auto r : SPACES) std::fill(&made[r.first], &made[r.last] + 1, SPACE);
    for (auto r : DIGITS)
      for (uint32_t c = r.first; c <= r.last; ++c) made[c] |= DIGIT_BIT;
    return made;
  }();
  return table;
}

struct Character {
  uint32_t bytes;  // 0: not UTF-8
  uint32_t code;
};

// The character at p, before end. Follows table 3-7 of the Unicode standard: nothing overlong, no surrogates.
inline Character character(const uint8_t* p, const uint8_t* end) {
  if (*p < 0x80) return {1, *p};
  const uint32_t n = *p >= 0xF0 ? 4 : *p >= 0xE0 ? 3 : 2;
  if (*p < 0xC2 || *p > 0xF4 || end - p < n) return {0, 0};
  uint32_t code = *p & (0x7F >> n);
  for (uint32_t i = 1; i < n; ++i) {
    if ((p[i] & 0xC0) != 0x80) return {0, 0};
    code = code << 6 | (p[i] & 0x3F);
  }
  const bool overlong = (n == 3 && code < 0x800) || (n == 4 && code < 0x10000);
  if (overlong || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return {0, 0};
  return {n, code};
}

class NotUtf8 : public std::runtime_error {
 public:
  NotUtf8() : std::runtime_error("") {}
};

}  // namespace petit::text
