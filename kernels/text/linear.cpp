// Hashed n-grams of characters and words, and linear models over them, in one pass over UTF-8.
//
// A range of bytes becomes a run of symbols: each code point is looked up in `table`, which folds case, digits and
// spaces (class in the top byte: 0 space, 1 sign, 2 letter, 3 digit); runs of spaces become one, and one stands at
// either end. The features are the n-grams of symbols of each order from..to, then single words (runs of letters and
// digits) and runs of up to `words` of them. A feature is a row of the model: the hash of its symbols, cut to `bits`.
// The sums are of whole numbers, so that no order of adding matters. The Python twin is quality/reference.py.
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "text.h"

namespace nb = nanobind;

namespace petit::text {
namespace {

template <class T, int D> using In = nb::ndarray<const T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;
template <class T, int D> using Made = nb::ndarray<nb::numpy, T, nb::ndim<D>>;

constexpr uint64_t MIX = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio, odd
constexpr uint64_t CHARACTERS = 0xCBF29CE484222325, WORD = 0x84222325CBF29CE4;
constexpr uint32_t SPACE = 32, LETTER = 2u << 24, SIGN = 1u << 24, CLASS = 0xFFu << 24;

void check(bool ok, const char* what) {
  if (!ok) throw std::invalid_argument(what);
}

struct Spec {
  int from, to, words, bits;
};

struct Ranges {  // n ranges of bytes of one buffer
  const uint8_t* data;
  const int64_t *starts, *ends;
  int64_t n;
};

Ranges ranges_of(const In<uint8_t, 1>& data, const In<int64_t, 1>& starts, const In<int64_t, 1>& ends) {
  check(starts.shape(0) == ends.shape(0), "one end for each start");
  const Ranges r{data.data(), starts.data(), ends.data(), static_cast<int64_t>(starts.shape(0))};
  for (int64_t i = 0; i < r.n; i++)
    check(0 <= r.starts[i] && r.starts[i] <= r.ends[i] && r.ends[i] <= static_cast<int64_t>(data.shape(0)),
          "a range lies outside the buffer");
  return r;
}

Spec spec_of(int from, int to, int words, int bits) {
  check(0 <= from && from <= to && to <= 8, "orders of characters run from 1 to 8 (0 to 0: none)");
  check(0 <= words && words <= 3, "words: 0 to 3");
  check(8 <= bits && bits <= 24, "bits: 8 to 24");
  return {from, to, words, bits};
}

// The code point at p, which moves behind it; every byte that is not UTF-8 gives U+FFFD.
inline uint32_t next(const uint8_t*& p, const uint8_t* end) {
  const uint8_t a = *p++;
  if (a < 0x80) return a;
  const auto follows = [&](int i, uint8_t low, uint8_t high) { return p + i < end && p[i] >= low && p[i] <= high; };
  if (a >= 0xC2 && a <= 0xDF && follows(0, 0x80, 0xBF)) return (a & 31u) << 6 | (*p++ & 63u);
  if (a >= 0xE0 && a <= 0xEF && follows(0, a == 0xE0 ? 0xA0 : 0x80, a == 0xED ? 0x9F : 0xBF) &&
      follows(1, 0x80, 0xBF)) {
    const uint32_t c = (a & 15u) << 12 | (p[0] & 63u) << 6 | (p[1] & 63u);
    return p += 2, c;
  }
  if (a >= 0xF0 && a <= 0xF4 && follows(0, a == 0xF0 ? 0x90 : 0x80, a == 0xF4 ? 0x8F : 0xBF) &&
      follows(1, 0x80, 0xBF) && follows(2, 0x80, 0xBF)) {
    const uint32_t c = (a & 7u) << 18 | (p[0] & 63u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);
    return p += 3, c;
  }
  return 0xFFFD;
}

inline uint32_t symbol(uint32_t c, const uint32_t* table) {
  if (c < 0x10000) return table[c];
  return c | (c >= 0x1F000 && c < 0x20000 ? SIGN : LETTER);  // pictures
}

void read_symbols(const uint8_t* p, const uint8_t* end, const uint32_t* table, std::vector<uint32_t>& s) {
  s.resize(static_cast<size_t>(end - p) + 2);
  uint32_t* out = s.data();
  *out++ = SPACE;
  while (p < end) {
    const uint32_t a = symbol(next(p, end), table);
    *out = a;
    out += a != SPACE || out[-1] != SPACE;
  }
  if (out[-1] != SPACE) *out++ = SPACE;
  s.resize(static_cast<size_t>(out - s.data()));
}

inline uint64_t step(uint64_t h, uint64_t a) { return (h ^ a) * MIX; }
inline uint32_t row(uint64_t h, int bits) { return static_cast<uint32_t>(((h ^ h >> 29) * MIX) >> (64 - bits)); }

// Calls use(row) for each feature of the symbols; returns how many there are.
template <class Use> int64_t each_feature(const std::vector<uint32_t>& s, const Spec& spec, Use&& use) {
  const int64_t n = static_cast<int64_t>(s.size());
  int64_t count = 0;
  for (int64_t i = 0; spec.to > 0 && i < n; i++) {
    uint64_t h = CHARACTERS;
    const int longest = static_cast<int>(std::min<int64_t>(spec.to, n - i));
    for (int k = 1; k <= longest; k++) {
      h = step(h, s[i + k - 1]);
      if (k >= spec.from) use(row(h, spec.bits)), count++;
    }
  }
  uint64_t earlier[2] = {0, 0};
  for (int64_t i = 0, seen = 0; spec.words > 0 && i < n;) {
    uint64_t h = WORD;
    const int64_t begin = i;
    for (; i < n && s[i] >= LETTER; i++) h = step(h, s[i]);
    if (i == begin) {
      i++;
      continue;
    }
    use(row(h, spec.bits)), count++;
    if (spec.words >= 2 && seen >= 1) use(row(step(earlier[0], h), spec.bits)), count++;
    if (spec.words >= 3 && seen >= 2) use(row(step(step(earlier[1], earlier[0]), h), spec.bits)), count++;
    earlier[1] = earlier[0], earlier[0] = h, seen++;
  }
  return count;
}

template <class T> Made<T, 1> give(std::vector<T>&& values) {
  auto* held = new std::vector<T>(std::move(values));
  nb::capsule owner(held, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return Made<T, 1>(held->data(), {held->size()}, owner);
}

template <class T> Made<T, 2> give(std::vector<T>&& values, size_t rows, size_t columns) {
  auto* held = new std::vector<T>(std::move(values));
  nb::capsule owner(held, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return Made<T, 2>(held->data(), {rows, columns}, owner);
}

// sums[r, l] = sum over features f of range r: weights[f, l]; 8 labels at a time.
void sum_rows(const Ranges& r, const uint32_t* table, const Spec& spec, const int8_t* weights, int64_t labels,
              int64_t* sums, int64_t* counts) {
  std::vector<uint32_t> s;
  for (int64_t i = 0; i < r.n; i++) {
    read_symbols(r.data + r.starts[i], r.data + r.ends[i], table, s);
    for (int64_t l = 0; l < labels; l += 8) {
      const int8_t* w = weights + l;
      int32_t acc[8] = {};
      int64_t far[8] = {};
      int left = 1 << 23;  // 2^23 times 128 fit in 31 bits
      counts[i] = each_feature(s, spec, [&](uint32_t at) {
        const int8_t* v = w + at * labels;
        for (int k = 0; k < 8; k++) acc[k] += v[k];
        if (--left) return;
        for (int k = 0; k < 8; k++) far[k] += acc[k], acc[k] = 0;
        left = 1 << 23;
      });
      for (int k = 0; k < 8; k++) sums[i * labels + l + k] = far[k] + acc[k];
    }
  }
}

using Sums = std::pair<Made<int64_t, 2>, Made<int64_t, 1>>;

Sums linear_sums(In<uint8_t, 1> data, In<int64_t, 1> starts, In<int64_t, 1> ends, In<uint32_t, 1> table, int from,
                 int to, int words, int bits, In<int8_t, 2> weights) {
  const Ranges r = ranges_of(data, starts, ends);
  const Spec spec = spec_of(from, to, words, bits);
  const int64_t labels = static_cast<int64_t>(weights.shape(1));
  check(table.shape(0) == 0x10000, "the table has a symbol for each of 65,536 code points");
  check(weights.shape(0) == size_t{1} << bits && labels > 0 && labels % 8 == 0,
        "weights: 2^bits rows, a multiple of 8 columns");
  std::vector<int64_t> sums(static_cast<size_t>(r.n * labels)), counts(static_cast<size_t>(r.n));
  {
    nb::gil_scoped_release release;
    sum_rows(r, table.data(), spec, weights.data(), labels, sums.data(), counts.data());
  }
  return {give(std::move(sums), static_cast<size_t>(r.n), static_cast<size_t>(labels)), give(std::move(counts))};
}

// For each range its features, each once, in the order of rows, with how often it occurs.
std::tuple<Made<int64_t, 1>, Made<int32_t, 1>, Made<int32_t, 1>> linear_counts(In<uint8_t, 1> data,
                                                                               In<int64_t, 1> starts,
                                                                               In<int64_t, 1> ends,
                                                                               In<uint32_t, 1> table, int from, int to,
                                                                               int words, int bits) {
  const Ranges r = ranges_of(data, starts, ends);
  const Spec spec = spec_of(from, to, words, bits);
  check(table.shape(0) == 0x10000, "the table has a symbol for each of 65,536 code points");
  std::vector<int64_t> begins{0};
  std::vector<int32_t> rows, counts;
  {
    nb::gil_scoped_release release;
    std::vector<int32_t> times(size_t{1} << bits), seen;
    std::vector<uint32_t> s;
    for (int64_t i = 0; i < r.n; i++) {
      read_symbols(r.data + r.starts[i], r.data + r.ends[i], table.data(), s);
      seen.clear();
      each_feature(s, spec, [&](uint32_t at) {
        if (times[at]++ == 0) seen.push_back(static_cast<int32_t>(at));
      });
      std::sort(seen.begin(), seen.end());
      for (const int32_t at : seen) rows.push_back(at), counts.push_back(times[at]), times[at] = 0;
      begins.push_back(static_cast<int64_t>(rows.size()));
    }
  }
  return {give(std::move(begins)), give(std::move(rows)), give(std::move(counts))};
}

struct Sparse {  // n rows; of row i, columns[begins[i]..begins[i+1]) hold values
  const int64_t* begins;
  const int32_t* columns;
  const float* values;
  int64_t n;
};

Sparse sparse_of(const In<int64_t, 1>& begins, const In<int32_t, 1>& columns, const In<float, 1>& values,
                 int64_t width) {
  const int64_t n = static_cast<int64_t>(begins.shape(0)) - 1, size = static_cast<int64_t>(columns.shape(0));
  check(n >= 0 && begins.data()[0] == 0 && begins.data()[n] == size, "begins: from 0 to the number of values");
  check(static_cast<int64_t>(values.shape(0)) == size, "one value for each column");
  for (int64_t i = 0; i < n; i++) check(begins.data()[i] <= begins.data()[i + 1], "begins must not fall");
  for (int64_t i = 0; i < size; i++)
    check(columns.data()[i] >= 0 && columns.data()[i] < width, "a column is outside the matrix");
  return {begins.data(), columns.data(), values.data(), n};
}

// n l = n f, f l; added in the order of the columns.
Made<double, 2> sparse_product(In<int64_t, 1> begins, In<int32_t, 1> columns, In<float, 1> values,
                               In<double, 2> weights) {
  const Sparse x = sparse_of(begins, columns, values, static_cast<int64_t>(weights.shape(0)));
  const size_t labels = weights.shape(1);
  std::vector<double> out(static_cast<size_t>(x.n) * labels);
  {
    nb::gil_scoped_release release;
    for (int64_t i = 0; i < x.n; i++)
      for (int64_t j = x.begins[i]; j < x.begins[i + 1]; j++) {
        const double* w = weights.data() + static_cast<size_t>(x.columns[j]) * labels;
        for (size_t l = 0; l < labels; l++) out[static_cast<size_t>(i) * labels + l] += x.values[j] * w[l];
      }
  }
  return give(std::move(out), static_cast<size_t>(x.n), labels);
}

// f l = n f, n l; added in the order of the rows.
Made<double, 2> sparse_gradient(In<int64_t, 1> begins, In<int32_t, 1> columns, In<float, 1> values,
                                In<double, 2> errors, int64_t width) {
  check(width > 0, "a width of at least 1");
  const Sparse x = sparse_of(begins, columns, values, width);
  check(static_cast<int64_t>(errors.shape(0)) == x.n, "one row of errors for each row");
  const size_t labels = errors.shape(1);
  std::vector<double> out(static_cast<size_t>(width) * labels);
  {
    nb::gil_scoped_release release;
    for (int64_t i = 0; i < x.n; i++)
      for (int64_t j = x.begins[i]; j < x.begins[i + 1]; j++) {
        double* o = out.data() + static_cast<size_t>(x.columns[j]) * labels;
        for (size_t l = 0; l < labels; l++) o[l] += x.values[j] * errors.data()[static_cast<size_t>(i) * labels + l];
      }
  }
  return give(std::move(out), static_cast<size_t>(width), labels);
}

// Cuts each text (offsets[i]..offsets[i+1]) into pieces of at most `size` bytes, behind the last white space of the
// second half if there is one, otherwise between two code points. An empty text has one empty piece.
std::tuple<Made<int64_t, 1>, Made<int64_t, 1>, Made<int64_t, 1>> cut_texts(In<uint8_t, 1> data, In<int64_t, 1> offsets,
                                                                           int64_t size) {
  check(size >= 16, "pieces have at least 16 bytes");
  check(offsets.shape(0) >= 1, "offsets: one more than texts");
  const int64_t n = static_cast<int64_t>(offsets.shape(0)) - 1;
  std::vector<int64_t> starts, ends, owners;
  for (int64_t i = 0; i < n; i++) {
    int64_t at = offsets.data()[i];
    const int64_t end = offsets.data()[i + 1];
    check(0 <= at && at <= end && end <= static_cast<int64_t>(data.shape(0)), "an offset lies outside the buffer");
    do {
      int64_t stop = std::min(end, at + size);
      if (stop < end) {
        int64_t space = stop;
        while (space > at + size / 2 && data.data()[space - 1] > 32) space--;
        if (space > at + size / 2) stop = space;
        else
          while (stop > at + size - 4 && (data.data()[stop] & 0xC0) == 0x80) stop--;
      }
      starts.push_back(at), ends.push_back(stop), owners.push_back(i), at = stop;
    } while (at < end);
  }
  return {give(std::move(starts)), give(std::move(ends)), give(std::move(owners))};
}

// Of each range: letters, words (runs of letters), words of more than six letters, sentences (a word, then one of
// . ! ? or U+2026 before a space, a sign or the end; or an empty line; or the end), code points but for spaces.
Made<int64_t, 2> reading_counts(In<uint8_t, 1> data, In<int64_t, 1> starts, In<int64_t, 1> ends,
                                In<uint32_t, 1> table) {
  const Ranges r = ranges_of(data, starts, ends);
  check(table.shape(0) == 0x10000, "the table has a symbol for each of 65,536 code points");
  std::vector<int64_t> out(static_cast<size_t>(r.n) * 5);
  {
    nb::gil_scoped_release release;
    for (int64_t i = 0; i < r.n; i++) {
      int64_t letters = 0, words = 0, longs = 0, sentences = 0, visible = 0, length = 0, open = 0, lines = 0;
      bool stop = false;  // the last sign was one that ends sentences
      const uint8_t *p = r.data + r.starts[i], *end = r.data + r.ends[i];
      const auto close = [&] { sentences += open > 0, open = 0; };
      while (p < end) {
        const uint32_t c = next(p, end), kind = symbol(c, table.data()) & CLASS;
        if (kind != LETTER && length) words++, open++, longs += length > 6, length = 0;
        if (stop && kind < LETTER) close();
        stop = c == '.' || c == '!' || c == '?' || c == 0x2026;
        lines = c == '\n' ? lines + 1 : (kind ? 0 : lines);
        if (lines == 2) close();
        length += kind == LETTER, letters += kind == LETTER, visible += kind != 0;
      }
      if (length) words++, open++, longs += length > 6;
      close();
      const int64_t made[5] = {letters, words, longs, sentences, visible};
      std::copy(made, made + 5, out.begin() + i * 5);
    }
  }
  return give(std::move(out), static_cast<size_t>(r.n), 5);
}

// Of each range: how many letters lie between firsts[k] and firsts[k + 1], for each k.
Made<int64_t, 2> script_counts(In<uint8_t, 1> data, In<int64_t, 1> starts, In<int64_t, 1> ends, In<uint32_t, 1> table,
                               In<uint32_t, 1> firsts) {
  const Ranges r = ranges_of(data, starts, ends);
  const size_t n = firsts.shape(0);
  check(table.shape(0) == 0x10000, "the table has a symbol for each of 65,536 code points");
  check(n > 0 && firsts.data()[0] == 0 && std::is_sorted(firsts.data(), firsts.data() + n), "firsts rise from 0");
  std::vector<int64_t> out(static_cast<size_t>(r.n) * n);
  {
    nb::gil_scoped_release release;
    for (int64_t i = 0; i < r.n; i++) {
      const uint8_t *p = r.data + r.starts[i], *end = r.data + r.ends[i];
      int64_t* of = out.data() + static_cast<size_t>(i) * n;
      while (p < end) {
        const uint32_t c = next(p, end);
        if ((symbol(c, table.data()) & CLASS) != LETTER) continue;
        if (c < 0x80) of[0]++;
        else of[std::upper_bound(firsts.data(), firsts.data() + n, c) - firsts.data() - 1]++;
      }
    }
  }
  return give(std::move(out), static_cast<size_t>(r.n), n);
}

}  // namespace

void bind_linear(nb::module_& m) {
  m.def("linear_sums", &linear_sums);
  m.def("linear_counts", &linear_counts);
  m.def("sparse_product", &sparse_product);
  m.def("sparse_gradient", &sparse_gradient);
  m.def("cut_texts", &cut_texts);
  m.def("reading_counts", &reading_counts);
  m.def("script_counts", &script_counts);
}

}  // namespace petit::text
