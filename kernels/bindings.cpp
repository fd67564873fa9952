// The kernels for Python: checks shapes and types, releases the GIL, calls a kernel.
#include "bindings.h"

#include <atomic>
#include <chrono>

namespace petit {

Matrix matrix(int format, int64_t rows, int64_t columns, const Bytes& data) {
  check(format >= Q4 && format <= Q4_0, "unknown weight format");
  check(rows > 0 && columns > 0, "a matrix needs rows and columns");
  check(static_cast<int64_t>(data.shape(0)) == packed_bytes(format, rows, columns), "packed data has the wrong size");
  return {format, rows, columns, data.data()};
}

const float* bias_of(const nb::object& bias, int64_t rows) {
  if (bias.is_none()) return nullptr;
  const auto array = nb::cast<In<1>>(bias);
  check(static_cast<int64_t>(array.shape(0)) == rows, "bias has the wrong length");
  return array.data();
}

namespace {

Cache::Kind kind_of(const AnyArray& array) {
  if (array.dtype() == nb::dtype<uint16_t>()) return Cache::HALF;
  if (array.dtype() == nb::dtype<int8_t>()) return Cache::INT8;
  check(array.dtype() == nb::dtype<float>(), "cache: float32, fp16 seen as uint16, or int8");
  return Cache::FLOAT;
}

float* scales_of(const nb::object& scales, const Cache& c) {
  const auto array = nb::cast<Array<float, 3>>(scales);
  check(static_cast<int64_t>(array.shape(0)) == c.slots && static_cast<int64_t>(array.shape(1)) == c.kv_heads &&
            static_cast<int64_t>(array.shape(2)) == c.length,
        "cache: scales of the wrong shape");
  return array.data();
}

}  // namespace

CacheLayer::CacheLayer(AnyArray keys, AnyArray values, nb::object key_scales, nb::object value_scales)
    : held_{nb::cast(keys), nb::cast(values), key_scales, value_scales} {
  check(keys.ndim() == 5 && values.ndim() == 4 && keys.shape(4) == 16, "cache: wrong number of dimensions");
  cache_.kind = kind_of(keys);
  check(kind_of(values) == cache_.kind, "cache: keys and values must be of one type");
  cache_.slots = static_cast<int64_t>(keys.shape(0)), cache_.kv_heads = static_cast<int64_t>(keys.shape(1));
  cache_.length = static_cast<int64_t>(values.shape(2)), cache_.d_head = static_cast<int64_t>(keys.shape(3));
  cache_.keys = static_cast<uint8_t*>(keys.data()), cache_.values = static_cast<uint8_t*>(values.data());
  check(values.shape(0) == keys.shape(0) && values.shape(1) == keys.shape(1) &&
            static_cast<int64_t>(keys.shape(2)) * 16 == cache_.length &&
            static_cast<int64_t>(values.shape(3)) == round_up(cache_.d_head, 16),
        "cache: keys and values do not belong together");
  check(key_scales.is_none() == (cache_.kind != Cache::INT8), "cache: scales go with int8, and only with it");
  if (cache_.kind != Cache::INT8) return;
  cache_.key_scales = scales_of(key_scales, cache_), cache_.value_scales = scales_of(value_scales, cache_);
}

Tokens tokens_of(const Ints& positions, const Ints& slots, int64_t n, int64_t length, int64_t n_slots) {
  check(static_cast<int64_t>(positions.shape(0)) == n && static_cast<int64_t>(slots.shape(0)) == n,
        "one position and one slot for each token");
  for (int64_t i = 0; i < n; i++) {
    check(positions.data()[i] >= 0 && positions.data()[i] < length, "a position is outside the cache");
    check(slots.data()[i] >= 0 && slots.data()[i] < n_slots, "a slot is outside the cache");
  }
  return {n, positions.data(), slots.data()};
}

void check_heads(int64_t heads, int64_t d_head, const Cache& c) {
  check(d_head == c.d_head && heads % c.kv_heads == 0, "query heads do not fit the cache");
}

namespace {

template <class F> double seconds_of(Engine& e, const F& f) {
  double seconds = 0;
  e.call([&](Pool& pool, const Kernels& k) {
    const auto begin = std::chrono::steady_clock::now();
    f(pool, k);
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  });
  return seconds;
}

double read_bandwidth(Engine& e, Bytes data, int passes) {  // bytes a second
  const int64_t whole = static_cast<int64_t>(data.shape(0)) >> 20 << 20;
  check(whole > 0 && passes > 0, "reading needs a MiB of data and a pass");
  return static_cast<double>(whole) * passes / seconds_of(e, [&](Pool& pool, const Kernels& k) {
           for (int p = 0; p < passes; p++) k.read_all(pool, data.data(), whole);
         });
}

double integer_rate(Engine& e, int64_t rounds) {  // multiplications and additions of bytes, a second
  check(rounds > 0, "multiplying needs a round");
  return 2.0 * 256 * 64 * static_cast<double>(rounds) * e.threads() /
         seconds_of(e, [&](Pool& pool, const Kernels& k) { k.multiply_all(pool, rounds); });
}

}  // namespace
}  // namespace petit

using namespace petit;

NB_MODULE(_kernels, m) {
  m.attr("Q4") = static_cast<int>(Q4), m.attr("Q8") = static_cast<int>(Q8);
  m.attr("F16") = static_cast<int>(F16), m.attr("F32") = static_cast<int>(F32);
  m.attr("Q4_0") = static_cast<int>(Q4_0);
  m.def("packed_bytes", [](int format, int64_t rows, int64_t columns) { return packed_bytes(format, rows, columns); });
  m.def("features", &features);
  m.def("best", [](uint32_t features) { return std::string(choose("auto", features)->name); });
  m.def("can_run", [](const std::string& isa) { return choose(isa.c_str(), features()) != nullptr; });

  nb::class_<CacheLayer>(m, "CacheLayer")
      .def(nb::init<AnyArray, AnyArray, nb::object, nb::object>(), nb::arg("keys"), nb::arg("values"),
           nb::arg("key_scales").none(), nb::arg("value_scales").none());
  bind_program(m);

  nb::class_<Engine>(m, "Engine")
      .def(nb::init<int, const std::string&, bool>(), nb::arg("threads"), nb::arg("isa") = "auto",
           nb::arg("pin") = false)
      .def_prop_ro("isa", &Engine::isa)
      .def_prop_ro("threads", &Engine::threads)
      .def(
          "matmul",
          [](Engine& e, int format, int64_t rows, int64_t columns, Bytes data, In<2> x, nb::object bias, Out<2> y) {
            const Matrix w = matrix(format, rows, columns, data);
            const int64_t n = static_cast<int64_t>(x.shape(0));
            check(static_cast<int64_t>(x.shape(1)) == columns, "x has the wrong width");
            check(static_cast<int64_t>(y.shape(0)) == n && static_cast<int64_t>(y.shape(1)) == rows,
                  "y has the wrong shape");
            const float* b = bias_of(bias, rows);
            const Job job{w, b, nullptr, NONE, y.data()};
            e.call([&](Pool& pool, const Kernels& k) { k.matmul(pool, &job, 1, x.data(), n); });
          },
          nb::arg("format"), nb::arg("rows"), nb::arg("columns"), nb::arg("data"), nb::arg("x"), nb::arg("bias").none(),
          nb::arg("y"))
      .def("embed",
           [](Engine& e, int format, int64_t rows, int64_t columns, Bytes data, Ints ids, Out<2> y) {
             const Matrix w = matrix(format, rows, columns, data);
             const int64_t n = static_cast<int64_t>(ids.shape(0));
             check(static_cast<int64_t>(y.shape(0)) == n && static_cast<int64_t>(y.shape(1)) == columns,
                   "y has the wrong shape");
             for (int64_t i = 0; i < n; i++)
               check(ids.data()[i] >= 0 && ids.data()[i] < rows, "a token id is outside the embedding");
             e.call([&](Pool& pool, const Kernels& k) { k.embed(pool, w, ids.data(), n, y.data()); });
           })
      .def("layer_norm",
           [](Engine& e, In<2> x, In<1> w, In<1> b, float eps, Out<2> y) {
             const int64_t n = static_cast<int64_t>(x.shape(0)), d = static_cast<int64_t>(x.shape(1));
             check(w.shape(0) == x.shape(1) && b.shape(0) == x.shape(1), "weight and bias must have x's width");
             check(y.shape(0) == x.shape(0) && y.shape(1) == x.shape(1), "y has the wrong shape");
             e.call([&](Pool& pool, const Kernels& k) {
               k.layer_norm(pool, x.data(), n, d, w.data(), b.data(), eps, y.data());
             });
           })
      .def("rms_norm",
           [](Engine& e, In<2> x, In<1> w, float eps, Out<2> y) {
             const int64_t n = static_cast<int64_t>(x.shape(0)), d = static_cast<int64_t>(x.shape(1));
             check(w.shape(0) == x.shape(1) && y.shape(0) == x.shape(0) && y.shape(1) == x.shape(1),
                   "shapes do not fit");
             e.call([&](Pool& pool, const Kernels& k) { k.rms_norm(pool, x.data(), n, d, w.data(), eps, y.data()); });
           })
      .def("activate",
           [](Engine& e, int kind, In<2> x, Out<2> y) {
             check(kind >= GELU_TANH && kind <= RELU, "unknown activation");
             check(y.shape(0) == x.shape(0) && y.shape(1) == x.shape(1), "y has the wrong shape");
             e.call([&](Pool& pool, const Kernels& k) {
               k.activate(pool, kind, x.data(), static_cast<int64_t>(x.size()), y.data());
             });
           })
      .def("rotate",
           [](Engine& e, In<3> x, In<2> cos, In<2> sin, Ints positions, Out<3> y) {
             const int64_t n = static_cast<int64_t>(x.shape(0)), p = static_cast<int64_t>(cos.shape(1));
             check(sin.shape(0) == cos.shape(0) && sin.shape(1) == cos.shape(1), "cos and sin differ in shape");
             check(2 * p <= static_cast<int64_t>(x.shape(2)), "more rotary pairs than features");
             check(y.shape(0) == x.shape(0) && y.shape(1) == x.shape(1) && y.shape(2) == x.shape(2),
                   "y has the wrong shape");
             tokens_of(positions, positions, n, static_cast<int64_t>(cos.shape(0)), static_cast<int64_t>(cos.shape(0)));
             e.call([&](Pool& pool, const Kernels& k) {
               k.rotate(pool, x.data(), n, static_cast<int64_t>(x.shape(1)), static_cast<int64_t>(x.shape(2)),
                        cos.data(), sin.data(), positions.data(), p, y.data());
             });
           })
      .def("store",
           [](Engine& e, const CacheLayer& layer, Ints positions, Ints slots, In<3> k_new, In<3> v_new) {
             const Cache& c = layer.cache();
             const Tokens t = tokens_of(positions, slots, static_cast<int64_t>(k_new.shape(0)), c.length, c.slots);
             check(k_new.shape(0) == v_new.shape(0) && static_cast<int64_t>(k_new.shape(1)) == c.kv_heads &&
                       static_cast<int64_t>(v_new.shape(1)) == c.kv_heads &&
                       static_cast<int64_t>(k_new.shape(2)) == c.d_head &&
                       static_cast<int64_t>(v_new.shape(2)) == c.d_head,
                   "keys and values do not fit the cache");
             e.call([&](Pool& pool, const Kernels& k) { k.store(pool, c, t, k_new.data(), v_new.data()); });
           })
      .def("attend",
           [](Engine& e, const CacheLayer& layer, Ints positions, Ints slots, In<3> q, float scale, Out<3> z) {
             const Cache& c = layer.cache();
             const int64_t n = static_cast<int64_t>(q.shape(0)), heads = static_cast<int64_t>(q.shape(1));
             const Tokens t = tokens_of(positions, slots, n, c.length, c.slots);
             check_heads(heads, static_cast<int64_t>(q.shape(2)), c);
             check(z.shape(0) == q.shape(0) && z.shape(1) == q.shape(1) && z.shape(2) == q.shape(2),
                   "z has the wrong shape");
             e.call([&](Pool& pool, const Kernels& k) { k.attend(pool, c, t, q.data(), heads, scale, z.data()); });
           })
      .def("scores",
           [](Engine& e, const CacheLayer& layer, Ints positions, Ints slots, In<3> q, float scale, Out<3> out) {
             const Cache& c = layer.cache();
             const int64_t n = static_cast<int64_t>(q.shape(0)), heads = static_cast<int64_t>(q.shape(1));
             const int64_t s = static_cast<int64_t>(out.shape(2));
             const Tokens t = tokens_of(positions, slots, n, std::min(c.length, s), c.slots);
             check_heads(heads, static_cast<int64_t>(q.shape(2)), c);
             check(static_cast<int64_t>(out.shape(0)) == heads && static_cast<int64_t>(out.shape(1)) == n,
                   "scores: wrong shape");
             e.call([&](Pool& pool, const Kernels& k) { k.scores(pool, c, t, q.data(), heads, scale, s, out.data()); });
           })
      .def("softmax",
           [](Engine& e, Ints positions, Ints slots, In<3> scores, Out<3> out) {
             const int64_t heads = static_cast<int64_t>(scores.shape(0)), n = static_cast<int64_t>(scores.shape(1));
             const int64_t s = static_cast<int64_t>(scores.shape(2));
             const Tokens t = tokens_of(positions, slots, n, s, INT32_MAX);
             check(
                 out.shape(0) == scores.shape(0) && out.shape(1) == scores.shape(1) && out.shape(2) == scores.shape(2),
                 "softmax: wrong shape");
             e.call([&](Pool& pool, const Kernels& k) { k.softmax(pool, t, heads, s, scores.data(), out.data()); });
           })
      .def("mix",
           [](Engine& e, const CacheLayer& layer, Ints positions, Ints slots, In<3> pattern, Out<3> z) {
             const Cache& c = layer.cache();
             const int64_t heads = static_cast<int64_t>(pattern.shape(0)), n = static_cast<int64_t>(pattern.shape(1));
             const int64_t s = static_cast<int64_t>(pattern.shape(2));
             const Tokens t = tokens_of(positions, slots, n, std::min(c.length, s), c.slots);
             check_heads(heads, static_cast<int64_t>(z.shape(2)), c);
             check(static_cast<int64_t>(z.shape(0)) == n && static_cast<int64_t>(z.shape(1)) == heads,
                   "z has the wrong shape");
             e.call([&](Pool& pool, const Kernels& k) { k.mix(pool, c, t, pattern.data(), heads, s, z.data()); });
           })
      .def(
          "pack",
          [](Engine& e, In<2> w, int format, nb::object importance, Array<uint8_t, 1> out, Array<double, 2> squares) {
            const int64_t rows = static_cast<int64_t>(w.shape(0)), columns = static_cast<int64_t>(w.shape(1));
            matrix(format, rows, columns, Bytes(out));
            check(static_cast<int64_t>(squares.shape(0)) == round_up(rows, PANEL) / PANEL && squares.shape(1) == 2,
                  "squares: wrong shape");
            const float* h = nullptr;
            if (!importance.is_none()) {
              const auto array = nb::cast<In<1>>(importance);
              check(static_cast<int64_t>(array.shape(0)) == columns, "importance has the wrong length");
              h = array.data();
            }
            e.call([&](Pool& pool, const Kernels& k) {
              k.pack(pool, w.data(), rows, columns, format, h, out.data(), squares.data());
            });
          },
          nb::arg("w"), nb::arg("format"), nb::arg("importance").none(), nb::arg("out"), nb::arg("squares"))
      .def("read_bandwidth", &read_bandwidth, nb::arg("data"), nb::arg("passes"))
      .def("integer_rate", &integer_rate, nb::arg("rounds"));
}
