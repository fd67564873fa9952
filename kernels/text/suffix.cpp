// Suffix arrays over token ids: the places of a text in order of what follows, so that any run of tokens is found by
// halving. Made in linear time by induced sorting (Nong, Zhang, Chan 2009, Linear suffix array construction by almost
// pure induced-sorting), in place: besides the tokens and the result it takes a bit for each token and two counters for
// each id. The Python twin is petitlm/data/tokens/reference.py.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "text.h"

namespace nb = nanobind;

namespace petit::text {
namespace {

template <class T> using In = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T> using Out = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void check(bool ok, const char* what) {
  if (!ok) throw std::invalid_argument(what);
}

template <class T, class I> struct Tokens {  // ids from 1 on, and behind them an end that is smaller than all
  const T* ids;
  I n;
  I operator[](I i) const { return i == n ? 0 : static_cast<I>(ids[i]) + 1; }
};

template <class I> struct Names {  // a level below: names of pieces, the last one smaller than all
  const I* names;
  I operator[](I i) const { return names[i]; }
};

// The places of `text` (n of them, the last one its smallest and only there, ids below k) in order. A place is small
// (S) where its suffix is smaller than the next one, else large (L); the first small one after a large is leftmost
// (LMS).
template <class I, class Text> class Sorting {
 public:
  Sorting(Text text, I* places, I n, I k) : text_(text), places_(places), n_(n), small_(n), counts_(k), edge_(k) {
    if (n == 1) {
      places[0] = 0;
      return;
    }
    for (I i = 0; i < n; ++i) ++counts_[text[i]];
    small_[n - 1] = true;
    for (I i = n - 2; i >= 0; --i) small_[i] = text[i] < text[i + 1] || (text[i] == text[i + 1] && small_[i + 1]);
    sort_pieces();
    const I m = name_pieces();
    sort_from(m);
  }

 private:
  bool leftmost(I i) const { return i > 0 && small_[i] && !small_[i - 1]; }

  void to_ends() {  // edge: one behind the last place of each id
    I sum = 0;
    for (size_t id = 0; id < counts_.size(); ++id) edge_[id] = sum += counts_[id];
  }

  void to_starts() {
    I sum = 0;
    for (size_t id = 0; id < counts_.size(); ++id) edge_[id] = sum, sum += counts_[id];
  }

  // From the leftmost small places, in order, the large ones follow from the left, then all small ones from the right.
  void induce() {
    to_starts();
    for (I i = 0; i < n_; ++i) {
      const I before = places_[i] - 1;
      if (before >= 0 && !small_[before]) places_[edge_[text_[before]]++] = before;
    }
    to_ends();
    for (I i = n_ - 1; i >= 0; --i) {
      const I before = places_[i] - 1;
      if (before >= 0 && small_[before]) places_[--edge_[text_[before]]] = before;
    }
  }

  void sort_pieces() {  // from one leftmost place to the next
    std::fill(places_, places_ + n_, I{-1});
    to_ends();
    for (I i = 1; i < n_; ++i)
      if (leftmost(i)) places_[--edge_[text_[i]]] = i;
    induce();
  }

  bool same_piece(I a, I b) const {
    for (I d = 0;; ++d) {
      if (text_[a + d] != text_[b + d] || small_[a + d] != small_[b + d]) return false;
      if (d > 0 && (leftmost(a + d) || leftmost(b + d))) return true;
    }
  }

  // Puts the names of the m pieces, in the order of the text, at the end of `places`, and the order of their suffixes
  // at its beginning: by itself where no piece comes twice, else by sorting the names. Returns m.
  I name_pieces() {
    I m = 0;
    for (I i = 0; i < n_; ++i)
      if (leftmost(places_[i])) places_[m++] = places_[i];
    std::fill(places_ + m, places_ + n_, I{-1});
    I names = 0, previous = -1;
    for (I i = 0; i < m; ++i) {
      const I place = places_[i];
      if (previous < 0 || !same_piece(place, previous)) ++names, previous = place;
      places_[m + place / 2] = names - 1;  // no two leftmost places are neighbours
    }
    for (I i = n_ - 1, j = n_ - 1; i >= m; --i)
      if (places_[i] >= 0) places_[j--] = places_[i];
    const I* pieces = places_ + n_ - m;
    if (names < m) {
      Sorting<I, Names<I>>({pieces}, places_, m, names);
    } else {
      for (I i = 0; i < m; ++i) places_[pieces[i]] = i;
    }
    return m;
  }

  void sort_from(I m) {
    I* leftmosts = places_ + n_ - m;
    for (I i = 1, j = 0; i < n_; ++i)
      if (leftmost(i)) leftmosts[j++] = i;
    for (I i = 0; i < m; ++i) places_[i] = leftmosts[places_[i]];
    std::fill(places_ + m, places_ + n_, I{-1});
    to_ends();
    for (I i = m - 1; i >= 0; --i) {
      const I place = places_[i];
      places_[i] = -1;
      places_[--edge_[text_[place]]] = place;
    }
    induce();
  }

  Text text_;
  I* places_;
  I n_;
  std::vector<bool> small_;
  std::vector<I> counts_, edge_;
};

// places (n + 1,): the first one stands for the end of the text, the others are the suffix array.
template <class T, class I> void suffix_array(In<T> tokens, Out<I> places, int64_t n_ids) {
  const auto n = static_cast<int64_t>(tokens.shape(0));
  check(static_cast<int64_t>(places.shape(0)) == n + 1, "places: one more than there are tokens");
  check(n < INT64_MAX / 2 && (sizeof(I) == 8 || n < INT32_MAX), "too many tokens for 32-bit places");
  check(n_ids >= 0 && n_ids < INT32_MAX, "n_ids out of range");
  nb::gil_scoped_release release;
  const T* ids = tokens.data();
  for (int64_t i = 0; i < n; ++i)
    check(static_cast<int64_t>(ids[i]) < n_ids && ids[i] + 1 > 0, "an id is out of range");
  Sorting<I, Tokens<T, I>>({ids, static_cast<I>(n)}, places.data(), static_cast<I>(n + 1), static_cast<I>(n_ids + 1));
}

// How a query of m ids compares with the suffix at a place: the ids they share at the beginning, `from` of which are
// known, and whether the suffix is smaller (-1), begins with the whole query (0) or is larger (1).
struct Match {
  int64_t shared;
  int order;
};

template <class T>
Match compare(const T* ids, int64_t n, int64_t place, const int64_t* query, int64_t m, int64_t from) {
  int64_t i = from;
  const int64_t most = std::min(m, n - place);
  while (i < most && static_cast<int64_t>(ids[place + i]) == query[i]) ++i;
  if (i == m) return {i, 0};
  return {i, i == most || static_cast<int64_t>(ids[place + i]) < query[i] ? -1 : 1};
}

// First place whose suffix is not smaller than the query, or with `past`, that is larger and does not begin with it.
// Also the most ids that a suffix beside it shares with the query. What both sides of the range are known to share
// with the query is not compared again (Manber and Myers 1993, section 3).
template <class T, class I>
std::pair<int64_t, int64_t> bound(const T* ids, const I* places, int64_t n, const int64_t* query, int64_t m,
                                  bool past) {
  int64_t low = 0, high = n, shared_low = 0, shared_high = 0;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    const auto place = static_cast<int64_t>(places[middle]);
    check(place >= 0 && place < n, "the suffix array is damaged");
    const Match found = compare(ids, n, place, query, m, std::min(shared_low, shared_high));
    if (found.order < 0 || (past && found.order == 0)) low = middle + 1, shared_low = found.shared;
    else high = middle, shared_high = found.shared;
  }
  return {low, std::max(shared_low, shared_high)};
}

template <class T, class I> std::pair<int64_t, int64_t> suffix_range(In<T> tokens, In<I> places, In<int64_t> query) {
  const auto n = static_cast<int64_t>(tokens.shape(0)), m = static_cast<int64_t>(query.shape(0));
  check(static_cast<int64_t>(places.shape(0)) == n, "places: as many as there are tokens");
  nb::gil_scoped_release release;
  const auto first = bound(tokens.data(), places.data(), n, query.data(), m, false).first;
  return {first, bound(tokens.data(), places.data(), n, query.data(), m, true).first};
}

// longest[i]: the most ids of query[i..] that lie together anywhere in the tokens.
template <class T, class I>
void suffix_longest(In<T> tokens, In<I> places, In<int64_t> query, Out<int64_t> longest) {
  const auto n = static_cast<int64_t>(tokens.shape(0)), m = static_cast<int64_t>(query.shape(0));
  check(static_cast<int64_t>(places.shape(0)) == n, "places: as many as there are tokens");
  check(static_cast<int64_t>(longest.shape(0)) == m, "longest: one for each id of the query");
  nb::gil_scoped_release release;
  for (int64_t i = 0; i < m; ++i)
    longest(i) = bound(tokens.data(), places.data(), n, query.data() + i, m - i, false).second;
}

template <class T, class I> void bind_for(nb::module_& m) {
  m.def("suffix_array", &suffix_array<T, I>, nb::arg("tokens").noconvert(), nb::arg("places").noconvert(),
        nb::arg("n_ids"));
  m.def("suffix_range", &suffix_range<T, I>, nb::arg("tokens").noconvert(), nb::arg("places").noconvert(),
        nb::arg("query").noconvert());
  m.def("suffix_longest", &suffix_longest<T, I>, nb::arg("tokens").noconvert(), nb::arg("places").noconvert(),
        nb::arg("query").noconvert(), nb::arg("longest").noconvert());
}

}  // namespace

void bind_suffix(nb::module_& m) {
  bind_for<uint16_t, int32_t>(m);
  bind_for<uint16_t, int64_t>(m);
  bind_for<int32_t, int32_t>(m);
  bind_for<int32_t, int64_t>(m);
}

}  // namespace petit::text
