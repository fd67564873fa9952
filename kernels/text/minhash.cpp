// Words of a text, MinHash signatures of its shingles, known n-grams in it, and clusters of like signatures.
//
// The twin, to read first, is src/petitlm/data/repeats/reference.py; the rules for words are in words.py beside it.
#include "text.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace nb = nanobind;

namespace petit::text {

namespace {

template <class T, int D> using Array = nb::ndarray<T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;
template <class T> using In = Array<const T, 1>;

void check(bool ok, const char* what) {
  if (!ok) throw std::invalid_argument(what);
}

enum : uint32_t { SEPARATOR = 0, DROPPED = 1, SAME = 2, ALONE = 3 };
constexpr int64_t N_PAGES = 0x1100;
constexpr uint32_t PAGE = 256, INVALID = 0xFFFFFFFF;

struct Fold {  // code point -> a class above, or the code point that it stands for
  const uint16_t* pages;
  const uint32_t* codes;
  uint32_t operator[](uint32_t point) const { return codes[pages[point / PAGE] * PAGE + point % PAGE]; }
};

Fold fold_of(const In<uint16_t>& pages, const In<uint32_t>& codes) {
  check(static_cast<int64_t>(pages.shape(0)) == N_PAGES, "the table of letters has the wrong number of pages");
  for (int64_t i = 0; i < N_PAGES; i++)
    check((pages.data()[i] + 1u) * PAGE <= codes.shape(0), "the table of letters names a page that it lacks");
  return {pages.data(), codes.data()};
}

struct Texts {  // text i is bytes [starts[i], starts[i + 1]): an Arrow array of large strings
  const uint8_t* bytes;
  const int64_t* starts;
  int64_t n;
};

Texts texts_of(const In<uint8_t>& bytes, const In<int64_t>& starts) {
  const int64_t n = static_cast<int64_t>(starts.shape(0)) - 1, size = static_cast<int64_t>(bytes.shape(0));
  check(n >= 0, "starts: one more than texts");
  check(starts.data()[0] >= 0 && starts.data()[n] <= size, "starts: outside the bytes");
  for (int64_t i = 0; i < n; i++) check(starts.data()[i] <= starts.data()[i + 1], "starts: must not fall");
  return {bytes.data(), starts.data(), n};
}

// Next code point of UTF-8 at `at`, which moves on; INVALID, one byte on, where there is none.
inline uint32_t next_point(const uint8_t*& at, const uint8_t* end) {
  const uint32_t first = *at++;
  if (first < 0x80) return first;
  const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
  if (first < 0xC2 || first > 0xF4 || end - at < more) return INVALID;
  uint32_t point = first & (0x3F >> more);
  for (int i = 0; i < more; i++) {
    if ((at[i] & 0xC0) != 0x80) return INVALID;
    point = point << 6 | (at[i] & 0x3F);
  }
  if (point > 0x10FFFF) return INVALID;
  at += more;
  return point;
}

inline uint64_t mix(uint64_t x) {  // Steele, Lea and Flood 2014, SplitMix64
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

constexpr uint64_t FNV_BASIS = 0xCBF29CE484222325, FNV_PRIME = 0x100000001B3;  // FNV-1a, over code points
constexpr uint64_t NEXT_WORD = 0x9E3779B97F4A7C15;                             // 2^64 / golden ratio

// Key of n words in a row: the key of n - 1, and one word more.
inline uint64_t extend(uint64_t run, uint64_t word) { return run * NEXT_WORD + word; }
inline uint64_t key_of(uint64_t run, uint64_t n) { return mix(run + n); }

// Hashes of the words of [at, end), in `out`.
void words_of(const uint8_t* at, const uint8_t* end, const Fold& fold, bool fold_numbers, std::vector<uint64_t>& out) {
  out.clear();
  uint64_t hash = FNV_BASIS;
  bool inside = false, in_number = false;
  const auto finish = [&] {
    if (inside) out.push_back(mix(hash));
    hash = FNV_BASIS, inside = in_number = false;
  };
  while (at < end) {
    const uint32_t point = next_point(at, end), code = point == INVALID ? SEPARATOR : fold[point];
    if (code == DROPPED) continue;
    if (code == SEPARATOR || code == ALONE) finish();
    if (code == SEPARATOR) continue;
    uint32_t letter = code == SAME || code == ALONE ? point : code;
    const bool digit = letter >= '0' && letter <= '9';
    if (digit && fold_numbers) {
      if (in_number) continue;
      letter = '0';
    }
    in_number = digit;
    hash = (hash ^ letter) * FNV_PRIME, inside = true;
    if (code == ALONE) finish();
  }
  finish();
}

using Words = std::vector<uint64_t>;

// out[j] = min over shingles s of (factors[j] * s + terms[j]) mod 2^64: universal hashing, Dietzfelbinger 1996. Fewer
// words than a shingle has are one shingle; no word leaves the largest number everywhere.
void sign(const Words& words, int64_t size, const uint64_t* factors, const uint64_t* terms, int64_t n_hashes,
          uint64_t* out) {
  std::fill(out, out + n_hashes, std::numeric_limits<uint64_t>::max());
  const int64_t n = static_cast<int64_t>(words.size()), width = std::min(n, size);
  if (n == 0) return;
  for (int64_t i = 0; i + width <= n; i++) {
    uint64_t run = 0;
    for (int64_t k = 0; k < width; k++) run = extend(run, words[i + k]);
    const uint64_t shingle = key_of(run, width);
    for (int64_t j = 0; j < n_hashes; j++) out[j] = std::min(out[j], factors[j] * shingle + terms[j]);
  }
}

void signatures(const In<uint8_t>& bytes, const In<int64_t>& starts, const In<uint16_t>& pages,
                const In<uint32_t>& codes, bool fold_numbers, int64_t size, const In<uint64_t>& factors,
                const In<uint64_t>& terms, const Array<uint64_t, 2>& out) {
  const Texts texts = texts_of(bytes, starts);
  const Fold fold = fold_of(pages, codes);
  const int64_t n_hashes = static_cast<int64_t>(factors.shape(0));
  check(size >= 1, "a shingle has at least one word");
  check(terms.shape(0) == factors.shape(0), "one factor and one term for each hash");
  check(static_cast<int64_t>(out.shape(0)) == texts.n && static_cast<int64_t>(out.shape(1)) == n_hashes,
        "signatures: out has the wrong shape");
  nb::gil_scoped_release release;
  Words words;
  for (int64_t i = 0; i < texts.n; i++) {
    words_of(texts.bytes + texts.starts[i], texts.bytes + texts.starts[i + 1], fold, fold_numbers, words);
    sign(words, size, factors.data(), terms.data(), n_hashes, out.data() + i * n_hashes);
  }
}

// Where known runs of words begin: (text, word, index of the key) of each, in this order, in rows.
//
// `keys` are sorted; `has_length[n]` says whether any key is of n words. A bit for each of the keys' first bits sends
// nearly all that is unknown away before the search.
struct Known {
  const uint64_t* keys;
  int64_t n_keys;
  const uint8_t* has_length;
  int64_t longest;
  int shift;
  std::vector<uint64_t> bits;

  Known(const In<uint64_t>& sorted, const In<uint8_t>& lengths)
      : keys(sorted.data()),
        n_keys(static_cast<int64_t>(sorted.shape(0))),
        has_length(lengths.data()),
        longest(static_cast<int64_t>(lengths.shape(0)) - 1),
        shift(64 - 10) {
    check(longest >= 0, "lengths: at least one");
    for (int64_t i = 0; i + 1 < n_keys; i++) check(keys[i] < keys[i + 1], "keys: must rise");
    while (shift > 64 - 30 && (int64_t{1} << (64 - shift)) < 32 * n_keys) shift--;
    bits.resize((size_t{1} << (64 - shift)) / 64);
    for (int64_t i = 0; i < n_keys; i++) bits[keys[i] >> shift >> 6] |= uint64_t{1} << (keys[i] >> shift & 63);
  }

  int64_t find(uint64_t key) const {  // -1: not known
    if (!(bits[key >> shift >> 6] >> (key >> shift & 63) & 1)) return -1;
    const uint64_t* at = std::lower_bound(keys, keys + n_keys, key);
    return at != keys + n_keys && *at == key ? at - keys : -1;
  }
};

using Found = nb::ndarray<nb::numpy, int64_t, nb::ndim<2>>;

Found known_runs(const In<uint8_t>& bytes, const In<int64_t>& starts, const In<uint16_t>& pages,
                 const In<uint32_t>& codes, const In<uint64_t>& sorted, const In<uint8_t>& lengths) {
  const Texts texts = texts_of(bytes, starts);
  const Fold fold = fold_of(pages, codes);
  const Known known(sorted, lengths);
  auto found = std::make_unique<std::vector<int64_t>>();
  {
    nb::gil_scoped_release release;
    Words words;
    for (int64_t i = 0; i < texts.n; i++) {
      words_of(texts.bytes + texts.starts[i], texts.bytes + texts.starts[i + 1], fold, false, words);
      const int64_t n = static_cast<int64_t>(words.size());
      for (int64_t at = 0; at < n; at++) {
        uint64_t run = 0;
        for (int64_t k = 1; k <= known.longest && at + k <= n; k++) {
          run = extend(run, words[at + k - 1]);
          if (!known.has_length[k]) continue;
          const int64_t key = known.find(key_of(run, k));
          if (key >= 0) found->insert(found->end(), {i, at, key});
        }
      }
    }
  }
  int64_t* data = found->data();
  const size_t rows = found->size() / 3;
  const nb::capsule owner(found.release(), [](void* p) noexcept { delete static_cast<std::vector<int64_t>*>(p); });
  return Found(data, {rows, 3}, owner);
}

// Number of words of a text, and the keys of its runs of `length` words; of all words, where there are fewer.
std::pair<int64_t, std::vector<uint64_t>> run_keys(const In<uint8_t>& bytes, const In<uint16_t>& pages,
                                                   const In<uint32_t>& codes, int64_t length) {
  check(length >= 1, "a run has at least one word");
  const Fold fold = fold_of(pages, codes);
  nb::gil_scoped_release release;
  Words words;
  words_of(bytes.data(), bytes.data() + bytes.shape(0), fold, false, words);
  const int64_t n = static_cast<int64_t>(words.size()), width = std::min(n, length);
  std::vector<uint64_t> keys;
  for (int64_t at = 0; n > 0 && at + width <= n; at++) {
    uint64_t run = 0;
    for (int64_t k = 0; k < width; k++) run = extend(run, words[at + k]);
    keys.push_back(key_of(run, width));
  }
  return {n, keys};
}

// Leader clusters. Members come best first; each joins the kept one that is most like it among those it shares a
// bucket with (the earlier, of equals), or is kept itself.
//
// buckets: (n, bands), -1 for a bucket with nobody else. sketches: (n, hashes), a byte of each hash. likeness: the
// least number of equal bytes. A bucket remembers at most `most_kept` kept members, so that one boilerplate does not
// make the work quadratic. leaders: (n,), itself for a kept one. equal: (n,), bytes in common with the leader.
void lead(const Array<const int32_t, 2>& buckets, const Array<const uint8_t, 2>& sketches, int64_t n_buckets,
          int64_t likeness, int64_t most_kept, const Array<int64_t, 1>& leaders, const Array<int32_t, 1>& equal) {
  const int64_t n = static_cast<int64_t>(buckets.shape(0)), bands = static_cast<int64_t>(buckets.shape(1));
  const int64_t n_hashes = static_cast<int64_t>(sketches.shape(1));
  check(static_cast<int64_t>(sketches.shape(0)) == n && static_cast<int64_t>(leaders.shape(0)) == n &&
            static_cast<int64_t>(equal.shape(0)) == n,
        "lead: one row for each member");
  check(n_buckets >= 0, "lead: a number of buckets");
  for (int64_t i = 0; i < n * bands; i++)
    check(buckets.data()[i] >= -1 && buckets.data()[i] < n_buckets, "lead: a bucket that is not there");
  nb::gil_scoped_release release;
  std::vector<std::vector<int64_t>> kept(n_buckets);
  std::vector<int64_t> seen_by(n, -1);
  for (int64_t i = 0; i < n; i++) {
    int64_t best = -1;
    int32_t most = -1;
    for (int64_t b = 0; b < bands; b++) {
      const int32_t bucket = buckets.data()[i * bands + b];
      if (bucket < 0) continue;
      for (const int64_t other : kept[bucket]) {
        if (seen_by[other] == i) continue;
        seen_by[other] = i;
        const uint8_t *mine = sketches.data() + i * n_hashes, *its = sketches.data() + other * n_hashes;
        int32_t same = 0;
        for (int64_t j = 0; j < n_hashes; j++) same += mine[j] == its[j];
        if (same > most || (same == most && other < best)) best = other, most = same;
      }
    }
    const bool joins = most >= likeness && best >= 0;
    leaders.data()[i] = joins ? best : i;
    equal.data()[i] = joins ? most : static_cast<int32_t>(n_hashes);
    if (joins) continue;
    for (int64_t b = 0; b < bands; b++) {
      const int32_t bucket = buckets.data()[i * bands + b];
      if (bucket >= 0 && static_cast<int64_t>(kept[bucket].size()) < most_kept) kept[bucket].push_back(i);
    }
  }
}

}  // namespace

void bind_minhash(nb::module_& m) {
  m.def("minhash_signatures", &signatures, nb::arg("bytes"), nb::arg("starts"), nb::arg("pages"), nb::arg("codes"),
        nb::arg("fold_numbers"), nb::arg("size"), nb::arg("factors"), nb::arg("terms"), nb::arg("out"));
  m.def("known_runs", &known_runs, nb::arg("bytes"), nb::arg("starts"), nb::arg("pages"), nb::arg("codes"),
        nb::arg("keys"), nb::arg("lengths"));
  m.def("run_keys", &run_keys, nb::arg("bytes"), nb::arg("pages"), nb::arg("codes"), nb::arg("length"));
  m.def("lead", &lead, nb::arg("buckets"), nb::arg("sketches"), nb::arg("n_buckets"), nb::arg("likeness"),
        nb::arg("most_kept"), nb::arg("leaders"), nb::arg("equal"));
}

}  // namespace petit::text
