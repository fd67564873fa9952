"""The models that a command line names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from petitlm.errors import UsageError

if TYPE_CHECKING:
    from petitlm.checkpoint import Checkpoint
    from petitlm.front import Model


def load_model(path: str | None, bits: int | None, threads: int | None) -> Model:
    """Load the model that --model, --bits and --threads name."""
    import petitlm

    return petitlm.load(path, bits=bits, threads=threads)


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
