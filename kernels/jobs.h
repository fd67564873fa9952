// Sharing out the panels of one or more matrices that read the same activations.
#pragma once
#include "formats.h"
#include "pool.h"
#include "rows.h"

namespace petit::PETIT_ISA {

inline void write_panel(const Job& job, int64_t panel, int64_t token, F y) {
  const int64_t row = panel * PANEL, left = job.w.rows - row, m = left < PANEL ? left : PANEL;
  const int64_t at = token * job.w.rows + row;
  if (job.bias) y = add(y, load_up_to(job.bias + row, m));
  if (job.activation != NONE) y = activation(job.activation, y);
  if (job.residual) y = add(load_up_to(job.residual + at, m), y);
  store_up_to(job.y + at, y, m);
}

// How many units a thread takes at a time: enough of these that threads end together, but each with
// work worth the handing out, about a microsecond of reading for each token.
inline int64_t units_each(const Pool& pool, int64_t unit_bytes, int64_t units, int64_t n) {
  const int64_t worth = 32768 / (unit_bytes * n) + 1, even = units / (8 * pool.threads()) + 1;
  return worth > even ? worth : even;
}

// Call f(job, first panel, panels, thread) for every unit of at most WIDTH neighbouring panels.
template <int WIDTH, class Fn>
inline void each_unit(Pool& pool, const Job* jobs, int count, int64_t n, const Fn& f) {
  int64_t units = 0;
  for (int j = 0; j < count; j++) units += pieces(jobs[j].w.rows, PANEL * WIDTH);
  const int64_t bytes = WIDTH * panel_bytes(jobs[0].w.format, jobs[0].w.columns);
  pool.run(units, units_each(pool, bytes, units, n), [&](int64_t begin, int64_t end, int thread) {
    int64_t first = 0;  // unit number of the job's first unit
    for (int j = 0; j < count && first < end; j++) {
      const int64_t panels = pieces(jobs[j].w.rows, PANEL), own = pieces(panels, WIDTH);
      for (int64_t u = begin > first ? begin : first; u < end && u < first + own; u++) {
        const int64_t p = (u - first) * WIDTH;
        f(jobs[j], p, panels - p < WIDTH ? panels - p : WIDTH, thread);
      }
      first += own;
    }
  });
}

}  // namespace petit::PETIT_ISA
