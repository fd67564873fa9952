// The kernels for text: each file binds its own functions to the Python module `_text`.
#pragma once

#include <nanobind/nanobind.h>

namespace petit::text {

void bind_minhash(nanobind::module_& m);
void bind_linear(nanobind::module_& m);
void bind_bpe(nanobind::module_& m);
void bind_suffix(nanobind::module_& m);

}  // namespace petit::text
