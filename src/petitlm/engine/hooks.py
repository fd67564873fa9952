"""What can be seen, changed, read and differentiated in a model, on the layers that it runs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from petitlm.config import ModelConfig
from petitlm.decoder import check_tap, tap_names
from petitlm.engine.edits import OPERATIONS
from petitlm.engine.runs import Runner
from petitlm.errors import UsageError
from petitlm.taps import SHORT, by_head, heads_at, short_name

Capability = Literal["functions", "gradients", "exact"]
REDUCTIONS = ("at", "head", "top", "norm", "project")
"""What a `Keep` selects and reduces inside the run."""


@dataclass(frozen=True)
class Hooks:
    """What one model's layers can do for those who look inside."""

    layers: str
    """`engine` or `torch`."""
    taps: Mapping[str, str]
    """Every tap by full name, with its shape in letters: T tokens, S tokens seen, D, H, G, K, F, V as in the docs."""
    absent: Mapping[str, str]
    """Short names that this shape cannot have, with the reason."""
    edits: tuple[str, ...]
    """Operations of `Edit`, with selectors positions, head and neuron; on all layers the same."""
    reductions: tuple[str, ...]
    """What is selected and reduced inside the run."""
    weights: tuple[str, ...]
    """Names that `runner.weight` gives, decoded to float32."""
    functions: bool
    """Functions of torch tensors as taps: `petitlm.look.gradients.run`."""
    gradients: Literal["own", "decoded"] | None
    """Of these very layers; or of torch layers that hold the engine's weights, decoded; None without torch."""
    exact: bool
    """Alone or in company, in pieces or whole: the same bits."""

    def need(self, what: Capability) -> None:
        """Do nothing if these layers can do it.

        Raises: UsageError, saying what to do instead.
        """
        if what == "functions" and not self.functions:
            raise UsageError("functions as taps and gradients through them need torch tensors, and this model runs on "
                             "the engine; load it with layers='torch', or say the change as a petitlm.Edit, which "
                             "works here; petitlm.look.attribute has gradients of the engine's own weights")
        if what == "gradients" and self.gradients is None:
            raise UsageError("gradients need torch; install petitlm[train], or patch instead of attributing: "
                             "petitlm.look.patch needs no gradients")
        if what == "exact" and not self.exact:
            raise UsageError("results that are the same to the bit in any company need the engine's compiled kernels; "
                             "leave layers and isa out")

    def table(self) -> str:
        """Return it as text for a terminal; the taps of every block are one line."""
        lines = [f"layers: {self.layers}", "taps, alone for all blocks or with one, as ('pattern', 5) or 'pattern:5':"]
        lines += [f"  {short:<12} {shape}" for short, shape in self._short_taps().items()]
        lines += [f"  no {short}: {why}" for short, why in self.absent.items()]
        gradients = {"own": "yes", "decoded": "of torch layers with the engine's weights, decoded",
                     None: "no, torch is missing"}
        lines += [f"reduced inside the run: {', '.join(self.reductions)}", f"edits: {', '.join(self.edits)}",
                  f"functions as taps: {'yes' if self.functions else 'no, the torch layers have them'}",
                  f"gradients: {gradients[self.gradients]}", f"weights to read: {len(self.weights)}",
                  f"same bits in any company: {'yes' if self.exact else 'no, near'}"]
        return "\n".join(lines)

    def _short_taps(self) -> dict[str, str]:
        return {short_name(name).partition(":")[0]: shape for name, shape in self.taps.items()}

    def __str__(self) -> str:
        return self.table()


def hooks_of(runner: Runner) -> Hooks:
    """Return what a model's layers can do."""
    config, own = runner.config, runner.kind == "torch"
    return Hooks(runner.kind, {name: _letters(config, name) for name in tap_names(config)}, _absent(config), OPERATIONS,
                 REDUCTIONS, tuple(config.tensor_shapes()), own,
                 "own" if own else "decoded" if find_spec("torch") else None, runner.exact)


def _letters(config: ModelConfig, name: str) -> str:
    if by_head(name):
        return "(H, T, S)"
    heads, last = heads_at(config, name), name.rsplit(".", 1)[-1]
    if heads is not None:
        return "(T, G, K)" if last in ("hook_k", "hook_v", "hook_rot_k") else "(T, H, K)"
    return "(T, F)" if ".mlp." in name else "(T, V)" if name == "logits" else "(T, D)"


def _absent(config: ModelConfig) -> dict[str, str]:
    reasons = dict[str, str]()
    for short, full in SHORT.items():
        try:
            check_tap(config, f"blocks.0.{full}")
        except UsageError as error:
            reasons[short] = str(error).partition("; ")[0].partition(": ")[2]
    return reasons
