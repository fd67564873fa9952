"""petit: one small language model. Run it, teach it, look inside it.

    import petitlm
    model = petitlm.load()
    print(model.generate("Instruct: What is 2 + 3?\\nOutput:").text)

Names are loaded when they are first used, so that importing this costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from petitlm.checkpoint import Checkpoint, open_checkpoint
    from petitlm.config import ModelConfig
    from petitlm.engine.edits import Edit
    from petitlm.engine.generation import Generation, Piece
    from petitlm.engine.trace import Keep, Trace
    from petitlm.errors import PetitError
    from petitlm.front import Model
    from petitlm.loading import load
    from petitlm.tokenizer import Tokenizer

__version__ = "0.1.0"

_HOMES = {
    "load": "loading", "Model": "front", "Generation": "engine.generation", "Piece": "engine.generation",
    "Trace": "engine.trace", "Keep": "engine.trace", "Edit": "engine.edits", "ModelConfig": "config",
    "Tokenizer": "tokenizer", "Checkpoint": "checkpoint", "open_checkpoint": "checkpoint", "PetitError": "errors",
}  # fmt: skip

__all__ = ["Checkpoint", "Edit", "Generation", "Keep", "Model", "ModelConfig", "PetitError", "Piece", "Tokenizer",
           "Trace", "load", "open_checkpoint"]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'petitlm' has no attribute {name!r}")
    return getattr(import_module(f"petitlm.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
