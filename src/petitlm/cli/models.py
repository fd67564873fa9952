"""The models that a command line names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from petitlm.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from petitlm.checkpoint import Checkpoint
    from petitlm.front import Model


def load_model(path: str | None, bits: int | None, threads: int | None) -> Model:
    """Load the model that --model, --bits and --threads name."""
    import petitlm

    if path is None:
        own_model()
    return petitlm.load(path, bits=bits, threads=threads)


def own_model() -> Path:
    """Return the folder of the model that comes with petit.

    Raises: NotFoundError if it did not come with this installation.
    """
    from petitlm.front import DEFAULT_MODEL

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

    folder = Path(path)
    if is_packed(folder) and not (folder / "model.safetensors").is_file():
        raise UsageError(f"{path} holds packed weights, which are rounded already; start from the checkpoint that it "
                         "was made of")
    return open_checkpoint(folder)
