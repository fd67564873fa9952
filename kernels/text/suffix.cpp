#include "text.h"

namespace petit::text {

void bind_suffix(nanobind::module_&) {}

}  // namespace petit::text
