// Byte-pair encoding of UTF-8 as GPT-2, phi and petit's own tokenizers do it, id for id what `tokenizers` gives.
//
// text -> parts between added tokens -> words, by GPT-2's regular expression (Radford et al. 2019), each digit a word
// of its own where the tokenizer says so -> one id for each byte -> neighbours joined, the pair of lowest rank first
// (Sennrich et al. 2016). Words are many times the same, so the last ids of a word are kept: that is what makes it
// fast.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "characters.h"
#include "text.h"
#include "vocabulary.h"

namespace nb = nanobind;

namespace petit::text {
namespace {

template <class T> using Array = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Ids = std::vector<uint32_t>;

void check(bool ok, const char* what) {
  if (!ok) throw std::invalid_argument(what);
}

using Named = std::vector<std::pair<nb::bytes, int64_t>>;  // texts and ids, as Python gives them

std::vector<std::pair<std::string, int64_t>> texts_of(const Named& tokens) {
  std::vector<std::pair<std::string, int64_t>> texts;
  for (const auto& [text, id] : tokens) texts.emplace_back(std::string(text.c_str(), text.size()), id);
  return texts;
}

class Bpe {
 public:
  // byte_ids (256,), joins (M, 3) of left, right and joined id by rank; added tokens of the first and second pass,
  // where the id -2 says that the text is found and left as it is; whether each digit is a word.
  Bpe(Array<uint32_t> byte_ids, nb::ndarray<const uint32_t, nb::shape<-1, 3>, nb::c_contig, nb::device::cpu> joins,
      const Named& first, const Named& second, bool digits)
      : joins_(static_cast<int64_t>(joins.shape(0))),
        first_(texts_of(first)),
        second_(texts_of(second)),
        words_(WORDS) {
    check(byte_ids.shape(0) == 256, "byte_ids: one for each of the 256 bytes");
    std::copy(byte_ids.data(), byte_ids.data() + 256, byte_ids_.begin());
    for (size_t rank = 0; rank < joins.shape(0); ++rank) {
      const uint32_t* row = joins.data() + 3 * rank;
      joins_.add(row[0], row[1], {static_cast<uint32_t>(rank), row[2]});
    }
    for (int c = 0; c < 16; ++c) class_of_[c] = digits && (c & DIGIT_BIT) ? EDGE : static_cast<Class>(c & 3);
    for (uint32_t c = 0; c < 128; ++c) ascii_[c] = class_of_[classes()[c]];
  }

  // Encodes N texts; text i is data[bounds[i] .. bounds[i + 1]). Returns the ids, and N + 1 places in them.
  nb::tuple encode(Array<uint8_t> data, Array<int64_t> bounds) {
    check(bounds.shape(0) >= 1, "bounds: one more than there are texts");
    const size_t n = bounds.shape(0) - 1;
    for (size_t i = 0; i < n; ++i) check(bounds(i) <= bounds(i + 1), "bounds must not decrease");
    check(bounds(0) >= 0 && bounds(n) <= static_cast<int64_t>(data.shape(0)), "bounds point outside of data");
    auto ids = std::make_unique<Ids>();
    auto places = std::make_unique<std::vector<int64_t>>(n + 1);
    size_t at = 0;
    {
      nb::gil_scoped_release release;
      std::lock_guard<std::mutex> lock(guard_);  // the words kept are shared
      ids->reserve(static_cast<size_t>(bounds(n) - bounds(0)) / 3 + 16);
      try {
        for (; at < n; ++at) {
          split<true>(data.data() + bounds(at), data.data() + bounds(at + 1), *ids);
          (*places)[at + 1] = static_cast<int64_t>(ids->size());
        }
      } catch (const NotUtf8&) { throw std::invalid_argument("text " + std::to_string(at) + " is not valid UTF-8"); }
    }
    return nb::make_tuple(given(std::move(ids)), given(std::move(places)));
  }

 private:
  static constexpr size_t WORDS = 1 << 16;  // 4 MB: most of what a language says often, within a level-3 cache
  static constexpr size_t LONGEST = 16, MOST = 11;

  struct alignas(64) Word {  // a word of up to 16 bytes and its ids, in one cache line
    uint64_t text[2];
    uint8_t bytes, count;
    uint32_t ids[MOST];
  };

  template <class T> static nb::object given(std::unique_ptr<std::vector<T>> values) {  // a NumPy array that owns it
    std::vector<T>* held = values.release();
    nb::capsule owner(held, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    return nb::cast(nb::ndarray<nb::numpy, T, nb::ndim<1>>(held->data(), {held->size()}, owner));
  }

  // Cuts at added tokens: first those that are found in the raw text, between them the others.
  template <bool FIRST> void split(const uint8_t* p, const uint8_t* end, Ids& ids) {
    const Added& added = FIRST ? first_ : second_;
    const uint8_t* begin = p;
    while (!added.empty() && p < end) {
      if (!added.may_begin(*p)) {
        ++p;
        continue;
      }
      const auto [id, after] = added.longest(p, end);
      if (id >= 0) {
        part<FIRST>(begin, p, ids);
        ids.push_back(static_cast<uint32_t>(id));
        begin = after;
      }
      p = id == NONE ? p + 1 : after;
    }
    part<FIRST>(begin, end, ids);
  }
  template <bool FIRST> void part(const uint8_t* begin, const uint8_t* end, Ids& ids) {
    if constexpr (FIRST) split<false>(begin, end, ids);
    else words(begin, end, ids);
  }

  Class class_at(const uint8_t* p, const uint8_t* end, uint32_t& bytes) const {
    if (*p < 0x80) {
      bytes = 1;
      return ascii_[*p];
    }
    const Character c = character(p, end);
    if (!c.bytes) throw NotUtf8();
    bytes = c.bytes;
    return class_of_[classes()[c.code]];
  }

  // 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+   between digits that stand alone
  void words(const uint8_t* p, const uint8_t* end, Ids& ids) {
    while (p < end) {
      const uint8_t* begin = p;
      uint32_t bytes = 0;
      if (const size_t n = contraction(p, end)) {
        p += n;
      } else {
        Class c = class_at(p, end, bytes);
        p += bytes;
        if (*begin == ' ' && p < end) {  // one space goes with the letters, numbers or signs that follow
          const Class next = class_at(p, end, bytes);
          if (next != SPACE && next != EDGE) c = next, p += bytes;
        }
        if (c == SPACE) p = spaces(begin, end);
        else if (c != EDGE) p = run(p, end, c);
      }
      word(begin, p, ids);
    }
  }

  static size_t contraction(const uint8_t* p, const uint8_t* end) {
    if (*p != '\'' || end - p < 2) return 0;
    if (p[1] == 's' || p[1] == 't' || p[1] == 'm' || p[1] == 'd') return 2;
    if (end - p < 3) return 0;
    const bool two = (p[1] == 'r' && p[2] == 'e') || (p[1] == 'v' && p[2] == 'e') || (p[1] == 'l' && p[2] == 'l');
    return two ? 3 : 0;
  }

  const uint8_t* run(const uint8_t* p, const uint8_t* end, Class c) const {
    uint32_t bytes = 0;
    while (p < end && class_at(p, end, bytes) == c) p += bytes;
    return p;
  }

  // All spaces up to the end; before something else all but the last, which may go with it; a single one as it is.
  const uint8_t* spaces(const uint8_t* begin, const uint8_t* end) const {
    const uint8_t *p = begin, *last = begin;
    Class c = SPACE;
    for (uint32_t bytes = 0; p < end && (c = class_at(p, end, bytes)) == SPACE; p += bytes) last = p;
    return p == end || c == EDGE || last == begin ? p : last;
  }

  void word(const uint8_t* begin, const uint8_t* end, Ids& ids) {
    const auto n = static_cast<size_t>(end - begin);
    if (n == 1) return ids.push_back(byte_ids_[*begin]);
    if (n > LONGEST) return join(begin, end, ids);
    uint64_t text[2] = {0, 0};
    std::memcpy(text, begin, n);
    uint64_t hash = (text[0] ^ n) * 0x9E3779B97F4A7C15u;
    hash = (hash ^ hash >> 29 ^ text[1]) * 0xBF58476D1CE4E5B9u;
    Word& kept = words_[hash >> 48 & (WORDS - 1)];
    if (kept.bytes != n || kept.text[0] != text[0] || kept.text[1] != text[1]) {
      const size_t before = ids.size();
      join(begin, end, ids);
      const size_t count = ids.size() - before;
      if (count > MOST) return;
      kept.text[0] = text[0], kept.text[1] = text[1];
      kept.bytes = static_cast<uint8_t>(n), kept.count = static_cast<uint8_t>(count);
      std::copy(ids.end() - static_cast<std::ptrdiff_t>(count), ids.end(), kept.ids);
      return;
    }
    ids.insert(ids.end(), kept.ids, kept.ids + kept.count);
  }

  // Joins the pair of lowest rank, of equal ones the leftmost, until none is left.
  void join(const uint8_t* begin, const uint8_t* end, Ids& ids) {
    if (end - begin > 48) return join_long(begin, end, ids);
    const size_t first = ids.size();
    for (const uint8_t* p = begin; p < end; ++p) ids.push_back(byte_ids_[*p]);
    uint32_t* parts = ids.data() + first;
    size_t n = ids.size() - first;
    Join pairs[48];
    for (size_t i = 0; i + 1 < n; ++i) pairs[i] = joins_.find(parts[i], parts[i + 1]);
    while (n > 1) {
      size_t best = 0;
      for (size_t i = 1; i + 1 < n; ++i)
        if (pairs[i].rank < pairs[best].rank) best = i;
      if (pairs[best].rank == NEVER) break;
      parts[best] = pairs[best].id;
      for (size_t i = best + 1; i + 1 < n; ++i) parts[i] = parts[i + 1], pairs[i] = pairs[i + 1];
      --n;
      if (best + 1 < n) pairs[best] = joins_.find(parts[best], parts[best + 1]);
      if (best > 0) pairs[best - 1] = joins_.find(parts[best - 1], parts[best]);
    }
    ids.resize(first + n);
  }

  // The same in n log n steps, for words such as 10 MB of one letter: a heap of pairs over a list of parts.
  void join_long(const uint8_t* begin, const uint8_t* end, Ids& ids) {
    struct Part {
      uint32_t id;
      int64_t left, right;  // neighbours; -1: none
      bool gone;
    };
    struct Pair {
      uint32_t rank;
      int64_t at;
      uint32_t left, right, id;
      bool operator<(const Pair& o) const { return rank != o.rank ? rank > o.rank : at > o.at; }  // lowest on top
    };
    const int64_t n = end - begin;
    std::vector<Part> parts(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) parts[i] = {byte_ids_[begin[i]], i - 1, i + 1 < n ? i + 1 : -1, false};
    std::vector<Pair> heap;
    const auto push = [&](int64_t at) {
      if (at < 0 || parts[at].right < 0) return;
      const uint32_t left = parts[at].id, right = parts[parts[at].right].id;
      const Join found = joins_.find(left, right);
      if (found.rank == NEVER) return;
      heap.push_back({found.rank, at, left, right, found.id});
      std::push_heap(heap.begin(), heap.end());
    };
    for (int64_t i = 0; i < n; ++i) push(i);
    while (!heap.empty()) {
      std::pop_heap(heap.begin(), heap.end());
      const Pair pair = heap.back();
      heap.pop_back();
      Part& part = parts[pair.at];
      if (part.gone || part.id != pair.left || part.right < 0 || parts[part.right].id != pair.right) continue;
      Part& eaten = parts[part.right];
      part.id = pair.id, part.right = eaten.right, eaten.gone = true;
      if (part.right >= 0) parts[part.right].left = pair.at;
      push(part.left);
      push(pair.at);
    }
    for (int64_t at = 0; at >= 0; at = parts[at].right) ids.push_back(parts[at].id);
  }

  std::array<uint32_t, 256> byte_ids_;
  std::array<Class, 128> ascii_;
  std::array<Class, 16> class_of_;
  Joins joins_;
  Added first_, second_;
  std::vector<Word> words_;
  std::mutex guard_;
};

}  // namespace

void bind_bpe(nb::module_& m) {
  nb::class_<Bpe>(m, "Bpe")
      .def(nb::init<Array<uint32_t>, nb::ndarray<const uint32_t, nb::shape<-1, 3>, nb::c_contig, nb::device::cpu>,
                    const Named&, const Named&, bool>())
      .def("encode", &Bpe::encode);
}

}  // namespace petit::text
