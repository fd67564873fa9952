#include "program.h"

#include <algorithm>
#include <cstring>

namespace petit {

int Program::buffer(int64_t width, bool selected) {
  widths_.push_back(width);
  selected_.push_back(selected);
  return static_cast<int>(widths_.size()) - 1;
}

float* Program::at(int buffer) {
  if (buffer == NOWHERE) return nullptr;
  return buffer == logits_ ? out_ : memory_.data() + offsets_[static_cast<size_t>(buffer)];
}

void Program::place(const Inputs& in) {
  int64_t total = 0;
  offsets_.resize(widths_.size());
  for (size_t b = 0; b < widths_.size(); b++) {
    offsets_[b] = total;
    if (static_cast<int>(b) != logits_) total += round_up(widths_[b] * rows(static_cast<int>(b), in), 16);
  }
  if (static_cast<int64_t>(memory_.size()) < total) memory_.resize(static_cast<size_t>(total));
  out_ = in.logits;
}

void Program::run(Pool& pool, const Kernels& kernels, const Inputs& in, size_t begin, size_t end) {
  place(in);
  for (size_t i = begin; i < std::min(end, steps_.size()); i++) run_step(steps_[i], pool, kernels, in);
}

void Program::multiply(const Step& step, Pool& pool, const Kernels& kernels, const Inputs& in) {
  jobs_.clear();
  for (const auto& p : step.products) jobs_.push_back({p.w, p.bias, at(p.residual), p.activation, at(p.out)});
  kernels.matmul(pool, jobs_.data(), static_cast<int>(jobs_.size()), at(step.x), rows(step.x, in));
}

void Program::run_step(const Step& s, Pool& pool, const Kernels& kernels, const Inputs& in) {
  const Tokens tokens{in.n, in.positions, in.slots};
  const int64_t n = s.x == NOWHERE ? in.n : rows(s.x, in), d = s.x == NOWHERE ? width(s.out) : width(s.x);
  switch (s.kind) {
    case Step::EMBED: return kernels.embed(pool, s.w, in.ids, in.n, at(s.out));
    case Step::LOOKUP:
      for (int64_t i = 0; i < in.n; i++)
        std::memcpy(at(s.out) + i * d, s.a + in.positions[i] * d, static_cast<size_t>(d) * 4);
      return;
    case Step::LAYER_NORM: return kernels.layer_norm(pool, at(s.x), n, d, s.a, s.b, s.number, at(s.out));
    case Step::RMS_NORM: return kernels.rms_norm(pool, at(s.x), n, d, s.a, s.number, at(s.out));
    case Step::MATMUL: return multiply(s, pool, kernels, in);
    case Step::ROTATE:
      return kernels.rotate(pool, at(s.x), n, s.heads, s.k, s.a, s.b, in.positions, s.pairs, at(s.out));
    case Step::ATTEND: {
      const Cache& cache = (*in.caches)[static_cast<size_t>(s.index)];
      kernels.store(pool, cache, tokens, at(s.y), at(s.z));
      return kernels.attend(pool, cache, tokens, at(s.x), s.heads, s.number, at(s.out));
    }
    case Step::ACTIVATE: return kernels.activate(pool, s.index, at(s.x), n * d, at(s.out));
    case Step::ADD:
    case Step::MULTIPLY: return kernels.combine(pool, s.kind == Step::MULTIPLY, at(s.x), at(s.y), n * d, at(s.out));
    case Step::SELECT:
      for (int64_t i = 0; i < in.wanted_n; i++)
        std::memcpy(at(s.out) + i * d, at(s.x) + (in.wanted ? in.wanted[i] : i) * d, static_cast<size_t>(d) * 4);
      return;
  }
}

}  // namespace petit
