#include "text.h"

namespace petit::text {

void bind_linear(nanobind::module_&) {}

}  // namespace petit::text
