// What the two files that know Python share: checks of shapes and types, and the objects that Python holds.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>

#include "kernels.h"

namespace nb = nanobind;
using namespace petit;

namespace petit {

template <class T, int D> using Array = nb::ndarray<T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;
template <int D> using In = Array<const float, D>;
template <int D> using Out = Array<float, D>;
using Bytes = Array<const uint8_t, 1>;
using Ints = Array<const int32_t, 1>;
using AnyArray = nb::ndarray<nb::c_contig, nb::device::cpu>;

inline void check(bool ok, const char* what) {
  if (!ok) throw std::invalid_argument(what);
}

class Engine {  // a pool of threads and the kernels of one instruction set
 public:
  Engine(int threads, const std::string& isa, bool pin) : kernels_(choose(isa.c_str(), features())) {
    check(threads >= 1 && threads <= 1024, "threads must be from 1 to 1024");
    check(kernels_ != nullptr, "this processor cannot run the instruction set asked for");
    pool_ = std::make_unique<Pool>(threads, pin);
  }

  std::string isa() const { return kernels_->name; }
  int threads() const { return pool_->threads(); }

  template <class F> void call(const F& f) {
    nb::gil_scoped_release release;
    std::lock_guard<std::mutex> lock(pool_->guard());
    f(*pool_, *kernels_);
  }

 private:
  const Kernels* kernels_;
  std::unique_ptr<Pool> pool_;
};

// One layer's cache, and the arrays that it lies in.
// keys: (slots, G, S/16, K, 16); values: (slots, G, S, K rounded up to 16); both float32, fp16 seen as
// uint16, or int8 with scales (slots, G, S) beside them.
class CacheLayer {
 public:
  CacheLayer(AnyArray keys, AnyArray values, nb::object key_scales, nb::object value_scales);
  const Cache& cache() const { return cache_; }

 private:
  nb::object held_[4];
  Cache cache_;
};

Matrix matrix(int format, int64_t rows, int64_t columns, const Bytes& data);
Tokens tokens_of(const Ints& positions, const Ints& slots, int64_t n, int64_t length, int64_t n_slots);
void check_heads(int64_t heads, int64_t d_head, const Cache& c);
const float* bias_of(const nb::object& bias, int64_t rows);  // nullptr for None
void bind_program(nb::module_& m);

}  // namespace petit
