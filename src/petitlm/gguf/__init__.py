"""GGUF files, as llama.cpp and its relatives write them: our own reader, which trusts nothing it reads."""

from __future__ import annotations

from petitlm.gguf.file import GGUFFile
from petitlm.gguf.vocabulary import Vocabulary, read_vocabulary

__all__ = ["GGUFFile", "Vocabulary", "read_vocabulary"]
