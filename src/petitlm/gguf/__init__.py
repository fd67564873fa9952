"""GGUF files, as llama.cpp and its relatives write and read them: a reader that trusts nothing, and a writer."""

from __future__ import annotations

from petitlm.gguf.file import GGUFFile
from petitlm.gguf.vocabulary import Vocabulary, read_vocabulary
from petitlm.gguf.vocabulary_writing import write_vocabulary
from petitlm.gguf.writing import TensorSpec, write_gguf

__all__ = ["GGUFFile", "TensorSpec", "Vocabulary", "read_vocabulary", "write_gguf", "write_vocabulary"]
