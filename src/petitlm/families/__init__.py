"""The model families: what phi, Llama and GPT are called, and how their files are laid out.

Nothing outside this package knows a family by name. It answers four questions: which shapes are known
(`PRESETS`), what was published about them (`published`), which shape does a config file describe
(`config_from_hf`, `config_from_gguf`, and back with `config_to_hf`), and where does each weight lie in a
file (`hf_names`, `gguf_names`).
"""

from __future__ import annotations

import difflib
import json
from importlib.resources import files
from typing import Any

from petitlm.config import ModelConfig
from petitlm.errors import NotFoundError
from petitlm.families.configs import config_from_hf, config_to_hf
from petitlm.families.gguf_configs import config_from_gguf
from petitlm.families.gguf_writing import config_to_gguf, repeats_embedding, rope_factors
from petitlm.families.presets import PRESETS
from petitlm.families.tensors import Source, gguf_names, hf_names

__all__ = ["PRESETS", "Source", "config_from_gguf", "config_from_hf", "config_to_gguf", "config_to_hf", "gguf_names",
           "hf_names", "preset", "prompt_shape", "published", "repeats_embedding", "rope_factors"]


def preset(name: str) -> ModelConfig:
    """Return the shape of a known model.

    Raises: NotFoundError, with the nearest names.
    """
    if name not in PRESETS:
        near = difflib.get_close_matches(name.lower(), PRESETS, 3, 0.4)
        raise NotFoundError(f"preset {name!r} is not known; did you mean {', '.join(near or PRESETS)}?")
    return PRESETS[name]


def published(name: str) -> dict[str, Any]:
    """Return what was published about a preset: groups of figures as {value, source, checked, note?}.

    `source` is spelled out. `checked` is true where the figure was read in that source, false where it was written
    from knowledge of it: look it up before quoting it. Empty for a preset without published figures here.
    """
    data = json.loads(files("petitlm.families").joinpath("published.json").read_text(encoding="utf-8"))
    return _with_sources(data["models"].get(name, {}), data["sources"])


def prompt_shape(config: ModelConfig) -> str:
    """Return the prompt shape that a checkpoint of this family is used with when it does not say."""
    return "qa" if config.family == "phi" else "raw"


def _with_sources(value: Any, sources: dict[str, str]) -> Any:
    if isinstance(value, dict) and "source" in value:
        return {**value, "source": sources[value["source"]]}
    return {key: _with_sources(inner, sources) for key, inner in value.items()} if isinstance(value, dict) else value
