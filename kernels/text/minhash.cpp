#include "text.h"

namespace petit::text {

void bind_minhash(nanobind::module_&) {}

}  // namespace petit::text
