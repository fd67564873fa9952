"""The models that a command line names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from petitlm.cli.output import note
from petitlm.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from petitlm.checkpoint import Checkpoint
    from petitlm.engine.cache import CacheKind
    from petitlm.front import Model


def load_model(path: str | None, bits: int | None, threads: int | None, context: int | None = None,
               rope_scaling: str | None = None, prefix_cache: str | None = None,
               prefix_cache_gib: float = 8.0, cache: CacheKind | None = None) -> Model:
    """Load the model that these options name; say so where it is stretched."""
    import petitlm

    if path is None:
        own_model()
    model = petitlm.load(path, bits=bits, threads=threads, context=context, rope_scaling=rope_scaling, cache=cache,
                         prefix_cache=prefix_cache, prefix_cache_limit=int(prefix_cache_gib * 2**30))
    if rope_scaling is not None and (scaling := model.config.rope_scaling) is not None:
        note(f"(positions are stretched {scaling.factor:.3g} times by {rope_scaling}, for which this model was not "
             "trained: answers get worse, as docs/context.md measures)")
    return model


def guesser(speculate: str, draft: str | None, threads: int | None) -> Any:
    """Return what --speculate and --draft mean for `Model.stream`.

    Raises: UsageError if they contradict each other; what loading the draft model raises.
    """
    if draft is None:
        return None if speculate == "none" else speculate
    if speculate != "auto":
        raise UsageError(f"--draft guesses with a model and --speculate {speculate} says otherwise; give one of them")
    import petitlm

    return petitlm.load(draft, threads=threads)


def own_model() -> Path:
    """Return the folder of the model that comes with petit.

    Raises: NotFoundError if it did not come with this installation.
    """
    from petitlm.loading import DEFAULT_MODEL

    if not DEFAULT_MODEL.is_dir():
        raise NotFoundError("this installation came without petit's own model; name another, or make it with "
                            "`make default-model`")
    return DEFAULT_MODEL


def open_source(path: str) -> Checkpoint:
    """Open a checkpoint to make another from.

    Raises: UsageError for packed weights, which have lost what the copy would need; what `open_checkpoint` raises.
    """
    from petitlm.checkpoint import open_checkpoint
    from petitlm.engine.packing import is_packed

    folder = named_path(path)
    if is_packed(folder) and not (folder / "model.safetensors").is_file():
        raise UsageError(f"{path} holds packed weights, which are rounded already; start from the checkpoint that it "
                         "was made of")
    return open_checkpoint(folder)


def named_path(path: str) -> Path:
    """Return the path that a command line means: `default` is petit's own model, where nothing else has that name."""
    return own_model() if path == "default" and not Path(path).exists() else Path(path)
