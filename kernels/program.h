// A forward pass as a list of steps, run in one call: what petitlm/engine/tape.py records from the
// decoder. It computes what the same kernels compute when they are called one by one, to the bit.
#pragma once
#include <string>
#include <vector>

#include "kernels.h"

namespace petit {

constexpr int NOWHERE = -1;  // for "no such buffer"

struct Inputs {
  int64_t n, wanted_n;
  const int32_t *ids, *positions, *slots;
  const int32_t* wanted;  // rows whose logits are asked for; nullptr for all
  const std::vector<Cache>* caches;
  float* logits;  // [wanted_n][V]
};

struct Step {
  enum Kind { EMBED, LOOKUP, LAYER_NORM, RMS_NORM, MATMUL, ROTATE, ATTEND, ACTIVATE, ADD, MULTIPLY, SELECT };
  Kind kind;
  int x = NOWHERE, y = NOWHERE, z = NOWHERE, out = NOWHERE;  // buffers; for ATTEND q, k, v
  const float *a = nullptr, *b = nullptr;                    // weight and bias of a norm; cos and sin; a table
  float number = 0;                                          // epsilon; attention's scale
  int64_t heads = 0, k = 0, pairs = 0;
  int index = 0;  // layer; kind of activation
  Matrix w{};     // of EMBED
  struct Product {
    Matrix w;
    const float* bias;
    int activation, residual, out;
  };
  std::vector<Product> products{};
};

class Program {
 public:
  // Buffers are [rows][width]; those past a SELECT have as many rows as are wanted.
  int buffer(int64_t width, bool selected);
  void add(Step step) { steps_.push_back(std::move(step)); }
  void finish(int logits) { logits_ = logits; }
  int64_t width(int buffer) const { return widths_.at(static_cast<size_t>(buffer)); }
  bool selected(int buffer) const { return selected_.at(static_cast<size_t>(buffer)); }
  bool has(int buffer) const { return buffer >= 0 && buffer < static_cast<int>(widths_.size()); }
  const std::vector<Step>& steps() const { return steps_; }
  // Runs steps `begin` up to `end`. Between two runs over the same inputs the buffers stay as they are, so that they
  // may be read and written there.
  void run(Pool& pool, const Kernels& kernels, const Inputs& in, size_t begin, size_t end);
  float* at(int buffer);  // of the last run

 private:
  int64_t rows(int buffer, const Inputs& in) const {
    return selected_[static_cast<size_t>(buffer)] ? in.wanted_n : in.n;
  }
  void place(const Inputs& in);
  void run_step(const Step& step, Pool& pool, const Kernels& kernels, const Inputs& in);
  void multiply(const Step& step, Pool& pool, const Kernels& kernels, const Inputs& in);

  std::vector<Step> steps_;
  std::vector<int64_t> widths_;
  std::vector<char> selected_;
  std::vector<int64_t> offsets_;
  std::vector<float> memory_;  // kept from run to run
  std::vector<Job> jobs_;
  float* out_ = nullptr;
  int logits_ = NOWHERE;
};

}  // namespace petit
