"""Learned dictionaries: sparse autoencoders and transcoders, whose features are taps like any other.

A sparse autoencoder (SAE) says the value at a tap as a sum of few out of many directions,
`f = activation((x - b_dec) W_enc + b_enc)` and `x ~ f W_dec + b_dec`; a transcoder says what an MLP gives from what it
reads. The features of `blocks.3.hook_resid_post` are the tap `blocks.3.hook_resid_post.sae`, which is read and edited
as any tap; what a dictionary does not explain goes on unchanged, so an edit of features changes their part alone.
Sources: Cunningham et al. 2023 and Bricken et al. 2023 (SAE); Dunefsky et al. 2024 (transcoders); Rajamanoharan et al.
2024 (JumpReLU); Gao et al. 2024 (TopK); Bussmann et al. 2024 (BatchTopK, which is a JumpReLU once it is trained).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from petitlm.config import ModelConfig
from petitlm.decoder import check_tap
from petitlm.engine.kernels import Floats
from petitlm.errors import ShapeError, UsageError
from petitlm.look.models import Model
from petitlm.taps import by_head, tap_shape

Architecture = Literal["standard", "jumprelu", "topk", "transcoder", "jumprelu_transcoder", "skip_transcoder",
                       "jumprelu_skip_transcoder"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)
"""By SAELens' names; `standard` and `transcoder` bend by ReLU alone."""
_ROWS = 8  # multiplied at once, never more or fewer: so a token's features have the same bits whatever it is run with


@dataclass(frozen=True, eq=False)
class SparseDictionary:
    """Directions of the value at a tap, and how strongly each is there. D values read, F features, E values written.

    Raises: UsageError or ShapeError, on construction, where the parts do not fit each other.
    """

    architecture: Architecture
    reads: str
    """Full name of the tap that is encoded."""
    writes: str
    """Full name of the tap that the decoded features are a part of: the same for an SAE."""
    w_enc: Floats
    """(D, F)."""
    b_enc: Floats
    """(F,)."""
    w_dec: Floats
    """(F, E): the direction of each feature."""
    b_dec: Floats
    """(E,)."""
    threshold: Floats | None = None
    """(F,): what a feature must exceed to count; JumpReLU alone."""
    k: int | None = None
    """Features that may count at a token; TopK alone."""
    w_skip: Floats | None = None
    """(E, D): what a transcoder with a skip adds linearly."""
    centred: bool = True
    """`b_dec` is taken off before encoding; never in a transcoder."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What SAELens keeps beside the weights, and under `petit` which model it was trained on and how well it fits."""
    source: str = ""
    """The folder that it was read from."""
    heads: int = 0
    """Heads of the taps, if they have any; set by `fitted`."""

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise UsageError(f"dictionaries of architecture {self.architecture!r:.40} are not read; those that are: "
                             f"{', '.join(ARCHITECTURES)}")
        d, f, e = self.d_in, self.width, self.d_out
        wanted = {"b_enc": (f,), "w_dec": (f, e), "b_dec": (e,)}
        wanted |= {"threshold": (f,)} if "jumprelu" in self.architecture else {}
        wanted |= {"w_skip": (e, d)} if "skip" in self.architecture else {}
        for name, shape in wanted.items():
            value = getattr(self, name)
            if value is None or value.shape != shape:
                raise ShapeError(f"the dictionary's {name} has shape {np.shape(value) if value is not None else None} "
                                 f"and must have {shape}, since W_enc has {self.w_enc.shape}")
        if self.architecture == "topk" and not 1 <= (self.k or 0) <= f:
            raise UsageError(f"k={self.k} features of {f} cannot count at a token; a TopK dictionary needs 1 to {f}")
        if not self.is_transcoder and (d != e or self.reads != self.writes):
            raise ShapeError(f"an autoencoder writes what it reads, and this one reads {d} values at {self.reads!r} "
                             f"and writes {e} at {self.writes!r}")
        if self.is_transcoder and self.centred:
            raise UsageError("a transcoder's b_dec is of what it writes; apply_b_dec_to_input cannot be set")

    @property
    def d_in(self) -> int:
        """Values read, D."""
        return self.w_enc.shape[0]

    @property
    def width(self) -> int:
        """Features, F."""
        return self.w_enc.shape[1]

    @property
    def d_out(self) -> int:
        """Values written, E."""
        return self.w_dec.shape[1]

    @property
    def is_transcoder(self) -> bool:
        """Whether it reads one tap and writes another."""
        return self.architecture.endswith("transcoder")

    @property
    def name(self) -> str:
        """The features' own tap."""
        return f"{self.reads}.{'transcoder' if self.is_transcoder else 'sae'}"

    def encode(self, x: Floats, /) -> Floats:
        """Return the features (N, F) of values (N, D), or (N, H, K) at a tap with heads."""
        x = np.ascontiguousarray(x, np.float32).reshape(len(x), -1)
        if x.shape[1] != self.d_in:
            raise ShapeError(f"the dictionary reads {self.d_in} values for a token and was given {x.shape[1]}")
        pre = _product(x - self.b_dec if self.centred else x, self.w_enc) + self.b_enc
        f = np.maximum(pre, 0)
        if self.threshold is not None:
            f[pre <= self.threshold] = 0
        if self.k is not None and self.k < self.width:
            np.put_along_axis(f, np.argpartition(pre, -self.k, axis=-1)[:, : -self.k], 0, -1)
        return f

    def decode(self, f: Floats, /) -> Floats:
        """Return what features (N, F) add up to, (N, E), or (N, H, K) at a tap with heads; without the skip's part."""
        out = np.empty((len(f), self.d_out), np.float32)
        for row, active in zip(f, out, strict=True):  # few are active: summing their directions alone is exact and fast
            which = np.flatnonzero(row)
            active[:] = row[which] @ self.w_dec[which] + self.b_dec
        return out.reshape(len(f), self.heads, -1) if self.heads else out

    def reconstruct(self, x: Floats) -> Floats:
        """Return what the dictionary makes of values (N, D): decoded features, and the skip's part if there is one."""
        out = self.decode(self.encode(x))
        if self.w_skip is None:
            return out
        return out + _product(np.ascontiguousarray(x, np.float32).reshape(len(x), -1), self.w_skip.T).reshape(out.shape)

    def fitted(self, config: ModelConfig) -> SparseDictionary:
        """Return this dictionary for a model of some shape, checked.

        Raises: UsageError if its taps are not in the model or are of another width, or if it was trained on a model of
        another shape.
        """
        trained = self.metadata.get("petit", {}).get("shape", {})
        for name, value in trained.items():
            if getattr(config, name, value) != value:
                raise UsageError(f"the dictionary was trained on a model with {name}={value}, and this one has "
                                 f"{getattr(config, name)}; give it the model it was made for, or train one for this")
        for tap, width, verb in ((self.reads, self.d_in, "reads"), (self.writes, self.d_out, "writes")):
            if by_head(check_tap(config, tap)):
                raise UsageError(f"a dictionary cannot be of {tap!r}, whose values are a table for each head")
            shape = tap_shape(config, tap, 1)[1:]
            if (here := int(np.prod(shape))) != width:
                raise UsageError(f"the dictionary {verb} {width} values at {tap!r}, and this model has {here} there; "
                                 "it was made for another model: give it that one, or train one for this")
        shape = tap_shape(config, self.writes, 1)[1:]
        return replace(self, heads=shape[0] if len(shape) == 2 else 0)

    def strangeness(self, model: Model) -> str | None:
        """Return how the weights that it was trained on differ from a model's; None if they are the same or unknown."""
        trained = self.metadata.get("petit", {})
        if trained.get("digest") in (None, model.runner.digest):
            return None
        return (f"it was trained on other weights ({trained.get('model')} in {trained.get('bits')} bits, "
                f"{trained['digest'][:12]}) than these ({model.bits} bits, {model.runner.digest[:12]})")


def _product(x: Floats, w: Floats) -> Floats:
    """Return x (N, D) @ w (D, F), in blocks of equally many rows."""
    out = np.empty((len(x), w.shape[1]), np.float32)
    for at in range(0, len(x), _ROWS):
        block = x[at : at + _ROWS]
        n = len(block)
        if n < _ROWS:
            block = np.concatenate([block, np.zeros((_ROWS - n, x.shape[1]), np.float32)])
        out[at : at + n] = (block @ w)[:n]
    return out
