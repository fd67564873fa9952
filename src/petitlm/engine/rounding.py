"""How weights are rounded to 4 bits: each for itself, by importance, or making good for one another's errors.

What a matrix W does to activations x suffers by E |(W - Q) x|^2 = tr((W - Q) H (W - Q)^T), H = E[x x^T].
`nearest` makes |W - Q|^2 small, which is the same where H is the identity. `importance` heeds the
diagonal of H when it chooses scales. `gptq` heeds all of H: columns are rounded one after the other, and
each makes good, as far as it can, for the errors of those before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from petitlm.checkpoint import Checkpoint
from petitlm.config import ModelConfig
from petitlm.engine import q4
from petitlm.engine.calibration import TOKENS, Calibration
from petitlm.engine.formats import SUBGROUP, SUPERBLOCK, FormatName, Packed
from petitlm.engine.kernels import Floats, Kernels
from petitlm.sizes import check_fits

Rounding = Literal["nearest", "importance", "gptq"]
ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)

DAMPING = 0.01
"""Share of the mean of H's diagonal that is added to it: as if all inputs had some noise of their own."""
_COLUMNS = 128  # rounded between two matrix products
_ROWS = 4096  # rounded at once, whole panels: those of a large head need memory for a part of it only
_CORNER = 512  # rows and columns of H that are factored at once


class Rounder:
    """Packs the matrices of one checkpoint, in the order of its blocks."""

    def __init__(self, source: Checkpoint, rounding: Rounding, sequences: Sequence[Sequence[int]],
                 kernels: Kernels) -> None:
        self._kernels, self._rounding = kernels, rounding
        if rounding != "nearest":
            n_tokens = sum(min(len(ids), source.config.n_ctx) for ids in sequences)
            check_fits(memory(source.config, rounding, n_tokens), f"rounding={rounding!r} of {source.path}",
                       [(f"rounding={other!r}", memory(source.config, other, n_tokens))
                        for other in ROUNDINGS if other != rounding])
        self._calibration = (None if rounding == "nearest"
                             else Calibration(source, sequences, kernels, whole=rounding == "gptq"))

    def pack(self, name: str, values: Floats, format: FormatName) -> tuple[q4.Codes, float]:
        """Return matrix `name` in a format, and its relative error; formats other than q4 are rounded to nearest."""
        if self._calibration is None or format != "q4":
            return self._kernels.pack(values, format)
        moments = self._calibration.of(name)
        if moments is None:
            return self._kernels.pack(values, format)
        if self._rounding == "importance":
            return self._kernels.pack(values, format, damped(moments))
        return gptq(values, moments, self._kernels)


def memory(config: ModelConfig, rounding: Rounding, n_tokens: int) -> int:
    """Return about how many bytes packing takes at its peak: what a block of weights, text and moments need."""
    shapes = config.tensor_shapes()
    largest = max(rows * columns for rows, columns in (s for s in shapes.values() if len(s) == 2))
    if rounding == "nearest":
        return 5 * largest  # as floats, and packed
    block = sum(int(np.prod(s)) for name, s in shapes.items() if name.startswith("blocks.0."))
    widest = max(s[1] for name, s in shapes.items() if len(s) == 2 and name != "embed.weight")
    text = 4 * n_tokens * config.d_model + 8 * min(n_tokens, TOKENS) * (config.d_mlp + 4 * config.d_model)
    moments = 8 * widest**2 if rounding == "gptq" else 0  # H, and its factor or what is added to it
    return text + max(block + moments + 12 * config.d_mlp * config.d_model, 5 * largest)


def damped(diagonal: Floats) -> Floats:
    """Return importances (C,) of which none is zero."""
    mean = float(diagonal.mean())
    return (diagonal + DAMPING * mean if mean > 0 else np.ones_like(diagonal)).astype(np.float32)


def gptq(w: Floats, h: Floats, kernels: Kernels) -> tuple[q4.Codes, float]:
    """Return matrix `w` (R, C) in q4, rounded so that tr((W - Q) H (W - Q)^T) is small, and its relative error.

    Scales are found first, by importance; then columns are rounded, those of large activations first. With
    H = (I + A) D (I + A)^T, A strictly upper triangular, the loss is the sum over columns k of
    D_k |e_k + sum_{j<k} A_jk e_j|^2, e_j = w_j - q_j; so q_k rounds w_k + sum_{j<k} A_jk e_j.
    Source: Frantar et al. 2022, GPTQ; in this form, Chee et al. 2023, QuIP, section 4.
    """
    importance = damped(np.diagonal(h))
    order = np.argsort(-importance, kind="stable")
    feedback = _feedback(h, order)
    parts = [_round(w[at : at + _ROWS], importance, order, feedback, kernels) for at in range(0, len(w), _ROWS)]
    norm, lost = float(np.linalg.norm(w)), sum(error for _, error in parts) ** 0.5
    return np.concatenate([data for data, _ in parts]), lost / norm if norm else 0.0


def _round(w: Floats, importance: Floats, order: NDArray[np.intp], feedback: Floats,
           kernels: Kernels) -> tuple[q4.Codes, float]:
    """Return some rows in q4 and the sum of their squared errors; rows do not depend on one another."""
    rows, columns = w.shape
    d, subscales, codes = q4.take_apart(Packed("q4", rows, columns, kernels.pack(w, "q4", importance)[0]))
    per_group = SUPERBLOCK // SUBGROUP
    steps = np.repeat(d.astype(np.float32), per_group, axis=1)[:, : subscales.shape[1]]
    steps = np.ascontiguousarray((steps * q4.SIGNED_SUBSCALES[subscales]).T)  # (groups, R)
    inverse = np.divide(1, steps, out=np.zeros_like(steps), where=steps != 0)
    wt, errors, codes_t = w.T[order], np.zeros((columns, rows), np.float32), np.ascontiguousarray(codes.T)
    for begin in range(0, columns, _COLUMNS):
        end = min(begin + _COLUMNS, columns)
        wanted = wt[begin:end] + feedback[:begin, begin:end].T @ errors[:begin]
        for k in range(begin, end):
            group = order[k] // SUBGROUP
            target = wanted[k - begin] + feedback[begin:k, k] @ errors[begin:k]
            q = np.clip(np.rint(target * inverse[group]), -8, 7)
            errors[k] = wt[k] - q * steps[group]
            codes_t[order[k]] = q + 8
    return q4.lay_out(d, subscales, codes_t.T), float(np.vdot(errors, errors))


def _feedback(h: Floats, order: NDArray[np.intp]) -> Floats:
    """Return A of H = (I + A) D (I + A)^T above its diagonal, with H damped and its rows and columns in `order`."""
    damping = DAMPING * (float(np.diagonal(h).mean()) or 1.0)
    while True:
        a = h[np.ix_(order, order)]
        a.flat[:: len(a) + 1] += damping
        try:
            _factor(a)
            break
        except np.linalg.LinAlgError:  # float32 is too short for this H: damp it ten times more
            damping *= 10
    a /= np.diagonal(a).copy()
    return a


def _factor(a: Floats) -> None:
    """Put R of A = R R^T, R upper triangular, above and on the diagonal of A; what is below is left undefined.

    In place and in float32, block after block from the last: for phi-2's widest input A has 420 MB, and NumPy's
    own routine would take five times as much beside it. The corners, small, are factored in float64.
    """
    for end in range(len(a), 0, -_CORNER):
        begin = max(0, end - _CORNER)
        corner = a[begin:end, begin:end].astype(np.float64)
        corner = np.triu(corner) + np.triu(corner, 1).T
        r = np.linalg.cholesky(corner[::-1, ::-1])[::-1, ::-1]
        a[begin:end, begin:end] = r
        a[:begin, begin:end] = a[:begin, begin:end] @ np.linalg.inv(r).T.astype(np.float32)
        for left in range(0, begin, _CORNER):
            right = min(left + _CORNER, begin)
            a[:right, left:right] -= a[:right, begin:end] @ a[left:right, begin:end].T
