// What a byte-pair tokenizer knows: which pairs of tokens are joined, and which texts are tokens as they are.
#pragma once

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace petit::text {

struct Join {
  uint32_t rank, id;
};
constexpr uint32_t NEVER = UINT32_MAX;

class Joins {  // (left id, right id) -> rank and id of the two together; open addressing, at most half full
 public:
  explicit Joins(int64_t n) {
    size_t size = 16;
    while (size < 2 * static_cast<size_t>(n)) size *= 2;
    slots_.assign(size, {UINT64_MAX, {NEVER, NEVER}});
  }
  void add(uint32_t left, uint32_t right, Join join) {
    size_t at = place(key(left, right));
    slots_[at] = {key(left, right), join};  // given twice, the later counts, as in the library
  }
  Join find(uint32_t left, uint32_t right) const { return slots_[place(key(left, right))].join; }

 private:
  struct Slot {
    uint64_t key;
    Join join;
  };
  static uint64_t key(uint32_t left, uint32_t right) { return static_cast<uint64_t>(left) << 32 | right; }
  size_t place(uint64_t key) const {
    size_t at = (key * 0x9E3779B97F4A7C15u >> 20) & (slots_.size() - 1);
    while (slots_[at].key != key && slots_[at].key != UINT64_MAX) at = (at + 1) & (slots_.size() - 1);
    return at;
  }
  std::vector<Slot> slots_;
};

constexpr int64_t NONE = -1, AS_TEXT = -2;

class Added {  // the longest of them that begins at a place; a trie over bytes
 public:
  explicit Added(const std::vector<std::pair<std::string, int64_t>>& tokens) : nodes_(1) {
    for (const auto& [text, id] : tokens) {
      const bool fine = !text.empty() && id >= AS_TEXT && id < UINT32_MAX && id != NONE;
      if (!fine) throw std::invalid_argument("an added token needs a text and an id");
      size_t at = 0;
      for (const char letter : text) {
        const auto byte = static_cast<uint8_t>(letter);
        if (!nodes_[at].next[byte]) {
          nodes_[at].next[byte] = static_cast<uint32_t>(nodes_.size());
          nodes_.emplace_back();
        }
        at = nodes_[at].next[byte];
      }
      nodes_[at].id = id;
    }
  }
  bool empty() const { return nodes_.size() == 1; }
  bool may_begin(uint8_t byte) const { return nodes_[0].next[byte] != 0; }
  std::pair<int64_t, const uint8_t*> longest(const uint8_t* p, const uint8_t* end) const {
    std::pair<int64_t, const uint8_t*> best{NONE, p};
    for (uint32_t at = 0; p < end && (at = nodes_[at].next[*p]) != 0;) {
      ++p;
      if (nodes_[at].id != NONE) best = {nodes_[at].id, p};
    }
    return best;
  }

 private:
  struct Node {
    int64_t id = NONE;
    std::array<uint32_t, 256> next{};
  };
  std::vector<Node> nodes_;
};

}  // namespace petit::text
