"""The logit lens: what each layer's residual stream says when it is read out as if it were the last.

Idea: nostalgebraist 2020, "interpreting GPT: the logit lens". Early layers need not speak the language of the last one,
so what is read there may be wrong where the layer is right: a tuned lens (`petitlm.look.tuned`) translates first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petitlm.decoder import NO_TAP, Tap
from petitlm.engine.edits import Which
from petitlm.engine.kernels import Floats, Ints
from petitlm.engine.runs import Runner
from petitlm.engine.trace import Keep, Recorder
from petitlm.errors import UsageError
from petitlm.look.models import Model, Text, ids_of, one_token, token_text, token_texts
from petitlm.look.pieces import positions_of, run_pieces
from petitlm.look.results import Check, Result, Table, about
from petitlm.look.tuned import TunedLens
from petitlm.taps import TapName, full_names

STREAMS: tuple[TapName, ...] = (("resid_pre", 0), "resid_post")
"""The residual stream before the first block, and after each."""
_FLOATS = 1 << 23  # logits in memory at a time, 32 MB; the engine gives the same bits however they are cut up
_COLUMNS = 7  # layers side by side on a terminal
_GROUP = 64  # rows of the vocabulary whose largest number stands for them in the search for the top ones
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """Numbers of distributions over the vocabulary, one for each (layer, position)."""

    top_ids: NDArray[np.int64]
    """Tokens with the highest logits, highest first, (L, T, k)."""
    top_p: Numbers
    """Their probabilities, (L, T, k)."""
    entropy: Numbers
    """In nats, (L, T)."""
    kl: Numbers
    """Divergence of the model's own prediction from this one, KL(model || lens), in nats, (L, T)."""
    rank: NDArray[np.int64]
    """How many tokens come before the one that the model says at its end, (L, T)."""
    followed: Numbers
    """Log-probabilities of the tokens that are followed, in nats, (L, T, n)."""


@dataclass(frozen=True)
class Lens(Result):
    """What every layer would say next, at every position asked for."""

    lens: str
    """"logit", or "tuned"."""
    positions: list[int]
    tokens: list[str]
    """The tokens at these positions; the prediction is of what comes after each."""
    layers: list[str]
    """"embed", then one name for each block, after which the stream is read."""
    top_tokens: list[list[list[str]]]
    """Texts of `reading.top_ids`."""
    follow: list[str]
    """Tokens that are followed, as texts."""
    reading: Reading

    @property
    def settled(self) -> list[str]:
        """For each position, the layer from which on the top token is the one of the model's end."""
        same = self.reading.top_ids[..., 0] == self.reading.top_ids[-1, :, 0]
        return [self.layers[int(np.flatnonzero(~same[:, p]).max(initial=-1)) + 1] for p in range(len(self.positions))]

    def tables(self) -> list[Table]:
        grid = [self._grid()] if len(self.positions) > 1 else []
        return [*grid, self._column(len(self.positions) - 1)]

    def _grid(self) -> Table:
        chosen = sorted({round(i) for i in np.linspace(0, len(self.layers) - 1, min(_COLUMNS, len(self.layers)))})
        rows = [[p, token, *(self.top_tokens[layer][i][0] for layer in chosen), settled]
                for i, (p, token, settled) in enumerate(zip(self.positions, self.tokens, self.settled, strict=True))]
        note = "the likeliest next token after each layer; settled: from which layer on it is the model's own"
        if len(chosen) < len(self.layers):
            note += f"; {len(chosen)} of {len(self.layers)} layers"
        return Table(f"{self.lens} lens", ["at", "token", *(self.layers[i] for i in chosen), "settled"], rows, note)

    def _column(self, i: int) -> Table:
        """Return all layers at one position."""
        read, rows = self.reading, []
        for layer, name in enumerate(self.layers):
            says = [f"{t!r} {p:.2f}" for t, p in zip(self.top_tokens[layer][i], read.top_p[layer, i], strict=True)]
            numbers = read.entropy[layer, i], read.kl[layer, i], *np.exp(read.followed[layer, i])
            entropy, kl, *followed = (float(x) if x > 5e-5 else 0.0 for x in numbers)  # float32 logits know no more
            rows.append([name, *says[:3], entropy, kl, int(read.rank[layer, i]), *followed])
        k = min(3, read.top_p.shape[-1])
        return Table(f"after token {self.positions[i]} {self.tokens[i]!r}",
                     ["layer", *("first", "second", "third")[:k], "entropy", "KL", "rank",
                      *(f"p({t!r})" for t in self.follow)], rows,
                     "KL from the model's own prediction, in nats; rank of the model's token: 0 is the first")

    def charts(self) -> list[str]:
        from petitlm.look.page import heat, lines

        read, names = self.reading, [f"{p} {t}" for p, t in zip(self.positions, self.tokens, strict=True)]
        up = slice(None, None, -1)  # the last layer on top, as the stream flows upwards in the field's drawings
        drawn = []
        if len(names) > 1:
            says = [[layer[i][0] for i in range(len(names))] for layer in self.top_tokens]
            drawn += [heat("The likeliest next token after each layer", self.layers[up], names, read.top_p[up, :, 0],
                           unit="probability", texts=says[up]),
                      heat("How far from the model's own prediction", self.layers[:0:-1], names, read.kl[:0:-1],
                           unit="nats", note="KL(model || lens); the embedding, far from it, is left out.")]
        x, at = list(range(len(self.layers) - 1)), f"after {self.tokens[-1]!r}"
        if len(x) == 1:
            return drawn
        drawn.append(lines(f"Entropy and distance {at}", x, {
            "entropy": read.entropy[1:, -1].tolist(), "KL from the model's own": read.kl[1:, -1].tolist()},
            x_label="block", y_label="nats"))
        followed = {repr(t): np.exp(read.followed[1:, -1, j]).tolist() for j, t in enumerate(self.follow)}
        if followed:
            drawn.append(lines(f"Probability {at}", x, followed, x_label="block", y_label="probability"))
        return drawn


def lens(model: Model, text: Text, *, at: Which = None, top: int = 5, follow: Sequence[str | int] = (),
         tuned: TunedLens | Path | str | None = None) -> Lens:
    """Read out the residual stream after the embedding and after every block.

    `at` are positions (all of them if None), `top` how many tokens are kept at each, `follow` tokens whose probability
    is wanted whatever their rank, and `tuned` a tuned lens or its file.
    Values are streamed: besides the result, a few layers' logits are in memory at a time.
    Raises: UsageError; ContextError; NotFoundError and DamagedError for the lens's file.
    """
    if top < 1:
        raise UsageError(f"top={top} keeps nothing; give 1 or more")
    ids, config = ids_of(model, text), model.config
    positions, followed = positions_of(at, len(ids)), [one_token(model, token) for token in follow]
    translate = None if tuned is None else tuned if isinstance(tuned, TunedLens) else TunedLens.load(tuned)
    checks = [] if translate is None else translate.check(model)
    readings, gap = [], 0.0
    for x, logits in residuals(model.runner, ids, positions):
        reading, one_gap = read_out(model.runner, x, logits, top, followed, translate)
        readings.append(reading)
        gap = max(gap, one_gap)
    whole = Reading(*(np.concatenate([getattr(r, name) for r in readings], 1) for name in Reading.__dataclass_fields__))
    gap_check = Check("last layer against the model's own logits", gap, 0.0, "largest difference; the same to the bit")
    return Lens(
        about(model, "lens", text=text, at=at, top=top, follow=list(follow),
              tuned=None if translate is None else str(translate.path or "(a tuned lens that was not saved)")),
        "logit" if translate is None else "tuned", positions, token_texts(model, [ids[p] for p in positions]),
        ["embed", *map(str, range(config.n_layers))], _texts(model, whole.top_ids),
        [token_text(model, id) for id in followed], whole, checks=(gap_check, *checks))


def residuals(runner: Runner, ids: Sequence[int], positions: Sequence[int]) -> Iterator[tuple[Floats, Floats]]:
    """Yield, piece by piece, the residual streams (L + 1, n, D) at some positions and the model's logits (n, V)."""
    def tap_for(piece: Ints) -> Tap:
        own = [p for p in positions if piece[0] <= p <= piece[-1]]
        return Recorder(runner.config, [Keep(tap, at=own) for tap in STREAMS], [], piece) if own else NO_TAP

    for logits, tap in run_pieces(runner, ids[: max(positions) + 1], tap_for, positions):
        if isinstance(tap, Recorder):
            kept = tap.taken()
            yield np.stack([kept[name] for tap in STREAMS for name in full_names(runner.config, tap)]), logits


def read_out(runner: Runner, x: Floats, logits: Floats, top: int, followed: Sequence[int] = (),
             translate: TunedLens | None = None) -> tuple[Reading, float]:
    """Read streams (L + 1, n, D) against the model's own logits (n, V).

    Returns the reading and by how much the last layer differs from the logits.
    """
    if translate is not None:
        x = np.stack([*(translate.apply(i, x[i]) for i in range(len(x) - 1)), x[-1]])
    n_layers, n = x.shape[:2]
    k = min(top, runner.config.n_vocab)
    reading = Reading(np.empty((n_layers, n, k), np.int64), np.empty((n_layers, n, k)), np.empty((n_layers, n)),
                      np.empty((n_layers, n)), np.empty((n_layers, n), np.int64),
                      np.empty((n_layers, n, len(followed))))
    gap = 0.0
    for layers, rows in _groups(runner, n_layers, n):
        part = x[layers, rows]
        said = runner.readout(part.reshape(-1, x.shape[-1])).reshape(*part.shape[:2], -1)
        if layers.stop is None or layers.stop == n_layers:
            gap = max(gap, float(np.abs(said[-1] - logits[rows]).max()))
        _measure(reading, layers, rows, said, logits[rows], followed)
    return reading, gap


def _groups(runner: Runner, n_layers: int, n: int) -> Iterator[tuple[slice, slice]]:
    """Yield (layers, rows) that are read out together.

    The kernels' bits do not depend on company, so there all layers of a few positions share one pass over the head.
    Elsewhere a product's last bits depend on its height, so each layer is read with as many rows as the model's own
    logits have: only so is the last layer equal to them.
    """
    if runner.exact:
        size = max(1, _FLOATS // (n_layers * runner.config.n_vocab))
        yield from ((slice(None), slice(at, at + size)) for at in range(0, n, size))
    else:
        yield from ((slice(i, i + 1), slice(None)) for i in range(n_layers))


def _measure(out: Reading, layers: slice, rows: slice, said: Floats, final: Floats, followed: Sequence[int]) -> None:
    """Write what logits (L, T, V) say into `out`, compared with the model's own (T, V); `said` is overwritten.

    One layer at a time: its logits pass through the processor's cache several times, and through memory once.
    """
    own = final - final.max(-1, keepdims=True)
    answer, own_p = own.argmax(-1)[:, None], np.exp(own)
    own_total = own_p.sum(-1)
    own_p /= own_total[:, None]
    own_entropy = np.log(own_total) - np.einsum("pv,pv->p", own_p, own)
    for i, x in zip(range(*layers.indices(len(out.entropy))), said, strict=True):
        ids = largest(x, out.top_ids.shape[-1])
        x -= np.take_along_axis(x, ids[:, :1], -1)
        p = np.exp(x)
        total = p.sum(-1)  # in pairs: within a few units of float32's last place
        log_total = np.log(total)
        out.top_ids[i, rows] = ids
        out.top_p[i, rows] = np.take_along_axis(p, ids, -1) / total[:, None]
        out.entropy[i, rows] = log_total - np.einsum("pv,pv->p", p, x) / total
        out.kl[i, rows] = np.maximum(0, log_total - np.einsum("pv,pv->p", own_p, x) - own_entropy)
        out.rank[i, rows] = np.count_nonzero(x > np.take_along_axis(x, answer, -1), -1)
        out.followed[i, rows] = x[:, list(followed)] - log_total[:, None]


def largest(x: Floats, k: int) -> NDArray[np.int64]:
    """Return where the k largest numbers of each row of (N, V) are, largest first, (N, k).

    The k largest lie in the k groups whose own largest are largest, so only those are searched. A group is every
    n-th number: so the largest of all groups are found in a few passes over whole rows.
    """
    n, v = x.shape
    groups = v // _GROUP
    if groups <= 2 * k:
        places = np.broadcast_to(np.arange(v), (n, v))
    else:
        tops = x[:, : groups * _GROUP].reshape(n, _GROUP, groups).max(1)
        chosen = np.argpartition(tops, -k, -1)[:, -k:]
        places = (chosen[..., None] + groups * np.arange(_GROUP)).reshape(n, -1)
        rest = np.broadcast_to(np.arange(groups * _GROUP, v), (n, v - groups * _GROUP))
        places = np.sort(np.concatenate([places, rest], -1), -1)
    order = np.argsort(-np.take_along_axis(x, places, -1), -1, kind="stable")[:, :k]
    return np.take_along_axis(places, order, -1)


def _texts(model: Model, ids: NDArray[np.int64]) -> Any:
    known = {int(id): token_text(model, int(id)) for id in np.unique(ids)}
    return [[[known[id] for id in row] for row in layer] for layer in ids.tolist()]
