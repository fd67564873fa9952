#include "text.h"

namespace petit::text {

void bind_bpe(nanobind::module_&) {}

}  // namespace petit::text
