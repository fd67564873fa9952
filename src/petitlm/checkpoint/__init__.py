"""A model on disk: a Hugging Face folder or a GGUF file, opened without reading its weights.

Opening checks everything that can be checked without them: files, headers, names, shapes, dtypes, the
tokenizer. Reading gives one weight at a time under petit's name, whatever the file calls it.
"""

from __future__ import annotations

from petitlm.checkpoint.gguf_writing import TYPES, exact_floats, gguf_format, save_gguf
from petitlm.checkpoint.reading import Checkpoint, open_checkpoint
from petitlm.checkpoint.writing import save_hf

__all__ = ["TYPES", "Checkpoint", "exact_floats", "gguf_format", "open_checkpoint", "save_gguf", "save_hf"]
