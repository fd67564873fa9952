// Programs for Python: steps are checked when they are added, so that a run only checks its inputs.
#include <nanobind/stl/vector.h>

#include "bindings.h"
#include "program.h"

namespace petit {
namespace {

struct Caches {  // all layers of one session
  explicit Caches(const std::vector<const CacheLayer*>& from) {
    for (const CacheLayer* layer : from) layers.push_back(layer->cache());
  }
  std::vector<Cache> layers;
};

class Recorded {
 public:
  int buffer(int64_t width, bool selected) {
    check(width > 0, "a buffer needs a width");
    return program_.buffer(width, selected);
  }

  void embed(int out, int format, int64_t rows, int64_t columns, Bytes data) {
    Step s = step(Step::EMBED, out, columns);
    s.w = matrix(format, rows, columns, data);
    vocabulary_ = rows;
    keep(s, nb::cast(data));
  }
  void lookup(int out, In<2> table) {
    Step s = step(Step::LOOKUP, out, static_cast<int64_t>(table.shape(1)));
    s.a = table.data();
    limit_positions(table.shape(0));
    keep(s, nb::cast(table));
  }
  void norm(int out, int x, In<1> weight, nb::object bias, float eps) {
    Step s = step(bias.is_none() ? Step::RMS_NORM : Step::LAYER_NORM, out, width(x));
    check(static_cast<int64_t>(weight.shape(0)) == width(x), "weight must have x's width");
    s.x = x, s.a = weight.data(), s.b = bias_of(bias, width(x)), s.number = eps;
    keep(s, nb::cast(weight), bias);
  }
  void matmul(int x) {
    Step s;
    s.kind = Step::MATMUL, s.x = x;
    check(program_.has(x), "no such buffer");
    pending_ = s;
  }
  void product(int out, int format, int64_t rows, int64_t columns, Bytes data, nb::object bias, int activation,
               int residual) {
    check(width(pending_.x) == columns && width(out) == rows, "a product's widths do not fit");
    check(residual == NOWHERE || width(residual) == rows, "a residual's width does not fit");
    check(activation >= NONE && activation <= RELU, "unknown activation");
    pending_.products.push_back({matrix(format, rows, columns, data), bias_of(bias, rows), activation, residual, out});
    const Matrix& first = pending_.products[0].w;
    check(first.format == format && first.columns == columns, "products of one step must have one format");
    held_.push_back(nb::cast(data));
    held_.push_back(bias);
  }
  void end_matmul() { keep(pending_); }
  void rotate(int out, int x, int64_t heads, In<2> cos, In<2> sin) {
    Step s = step(Step::ROTATE, out, width(x));
    s.x = x, s.heads = heads, s.k = width(x) / heads, s.pairs = static_cast<int64_t>(cos.shape(1));
    check(sin.shape(0) == cos.shape(0) && sin.shape(1) == cos.shape(1), "cos and sin differ in shape");
    check(width(x) % heads == 0 && 2 * s.pairs <= s.k, "more rotary pairs than features");
    s.a = cos.data(), s.b = sin.data();
    limit_positions(cos.shape(0));
    keep(s, nb::cast(cos), nb::cast(sin));
  }
  void attend(int out, int q, int k, int v, int layer, int64_t heads, float scale) {
    Step s = step(Step::ATTEND, out, width(q));
    check(heads > 0 && width(q) % heads == 0 && width(k) == width(v) && layer >= 0, "attention's widths do not fit");
    s.x = q, s.y = k, s.z = v, s.index = layer, s.heads = heads, s.k = width(q) / heads, s.number = scale;
    keep(s);
  }
  void activate(int out, int x, int kind) {
    Step s = step(Step::ACTIVATE, out, width(x));
    check(kind >= GELU_TANH && kind <= RELU, "unknown activation");
    s.x = x, s.index = kind;
    keep(s);
  }
  void combine(int out, int x, int y, bool product) {
    Step s = step(product ? Step::MULTIPLY : Step::ADD, out, width(x));
    check(width(x) == width(y), "widths differ");
    s.x = x, s.y = y;
    keep(s);
  }
  void select(int out, int x) {
    Step s = step(Step::SELECT, out, width(x));
    s.x = x;
    keep(s);
  }
  void finish(int logits) {
    check(program_.has(logits), "no such buffer");
    program_.finish(logits);
    logits_ = logits;
  }

  size_t size() const { return program_.steps().size(); }

  void run(Engine& e, Ints ids, Ints positions, Ints slots, nb::object wanted, const Caches& caches, Out<2> logits,
           size_t begin, size_t end) {
    const int64_t n = static_cast<int64_t>(ids.shape(0));
    Inputs in{n, n, ids.data(), positions.data(), slots.data(), nullptr, &caches.layers, logits.data()};
    check(logits_ != NOWHERE && !caches.layers.empty(), "the program is not finished");
    int64_t length = caches.layers[0].length;
    if (positions_ && positions_ < length) length = positions_;
    tokens_of(positions, slots, n, length, caches.layers[0].slots);
    for (int64_t i = 0; i < n; i++) check(ids.data()[i] >= 0 && ids.data()[i] < vocabulary_, "a token id is too large");
    if (!wanted.is_none()) {
      const Ints rows = nb::cast<Ints>(wanted);
      in.wanted = rows.data(), in.wanted_n = static_cast<int64_t>(rows.shape(0));
      for (int64_t i = 0; i < in.wanted_n; i++)
        check(in.wanted[i] >= 0 && in.wanted[i] < n, "a wanted row is outside the batch");
    }
    check(static_cast<int64_t>(logits.shape(0)) == in.wanted_n &&
              static_cast<int64_t>(logits.shape(1)) == program_.width(logits_),
          "logits have the wrong shape");
    for (const Step& s : program_.steps())
      if (s.kind == Step::ATTEND) {
        check(s.index < static_cast<int>(caches.layers.size()), "the cache lacks a layer");
        const Cache& c = caches.layers[static_cast<size_t>(s.index)];
        check(s.k == c.d_head && c.kv_heads * c.d_head == program_.width(s.y) && s.heads % c.kv_heads == 0,
              "the cache is another model's");
      }
    rows_ = n, wanted_rows_ = in.wanted_n;
    e.call([&](Pool& pool, const Kernels& k) { program_.run(pool, k, in, begin, end); });
  }

  // A buffer's own memory, [rows][width] of the last run; the next run over other inputs writes something else there.
  nb::ndarray<nb::numpy, float, nb::ndim<2>> view(int buffer) {
    check(program_.has(buffer) && buffer != logits_ && rows_ > 0, "no such buffer");
    const size_t shape[2] = {static_cast<size_t>(program_.selected(buffer) ? wanted_rows_ : rows_),
                             static_cast<size_t>(program_.width(buffer))};
    return {program_.at(buffer), 2, shape, nb::find(this)};
  }

 private:
  int64_t width(int buffer) const {
    check(program_.has(buffer), "no such buffer");
    return program_.width(buffer);
  }
  Step step(Step::Kind kind, int out, int64_t columns) const {
    check(width(out) == columns, "a step's result does not fit its buffer");
    Step s;
    s.kind = kind, s.out = out;
    return s;
  }
  void keep(const Step& s, nb::object a = nb::none(), nb::object b = nb::none()) {
    program_.add(s);
    held_.push_back(std::move(a));
    held_.push_back(std::move(b));
  }
  void limit_positions(size_t length) {
    const int64_t n = static_cast<int64_t>(length);
    if (!positions_ || n < positions_) positions_ = n;
  }

  Program program_;
  Step pending_;
  std::vector<nb::object> held_;  // the arrays that the steps point into
  int64_t vocabulary_ = 0, positions_ = 0;
  int64_t rows_ = 0, wanted_rows_ = 0;  // of the last run
  int logits_ = NOWHERE;
};

}  // namespace

void bind_program(nb::module_& m) {
  nb::class_<Caches>(m, "Caches").def(nb::init<const std::vector<const CacheLayer*>&>());
  nb::class_<Recorded>(m, "Program")
      .def(nb::init<>())
      .def("buffer", &Recorded::buffer)
      .def("embed", &Recorded::embed)
      .def("lookup", &Recorded::lookup)
      .def("norm", &Recorded::norm, nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg())
      .def("matmul", &Recorded::matmul)
      .def("product", &Recorded::product, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(),
           nb::arg(), nb::arg())
      .def("end_matmul", &Recorded::end_matmul)
      .def("rotate", &Recorded::rotate)
      .def("attend", &Recorded::attend)
      .def("activate", &Recorded::activate)
      .def("combine", &Recorded::combine)
      .def("select", &Recorded::select)
      .def("finish", &Recorded::finish)
      .def("__len__", &Recorded::size)
      .def("run", &Recorded::run, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(),
           nb::arg() = 0, nb::arg() = SIZE_MAX)
      .def("view", &Recorded::view);
}

}  // namespace petit
