"""What is fuzzed: each target takes any bytes and lets nothing out but a model or a petit error.

A target that raises anything else, takes long or takes much memory has found a bug in a reader.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

import petitlm
from petitlm.checkpoint import open_checkpoint
from petitlm.errors import PetitError
from petitlm.safetensors_file import SafetensorsFile
from petitlm.tokenizer import Tokenizer

WORDS = ("<end>", "a", "b", "c", "ab")
_MEMORY = Path("/dev/shm")
_folder = Path(tempfile.mkdtemp(prefix="petit-fuzz-", dir=_MEMORY if _MEMORY.is_dir() else None))


def letters() -> Tokenizer:
    """The tokenizer of the packed seeds: five tokens, the first one ends a text."""
    backend = tokenizers.Tokenizer(models.BPE({word: id for id, word in enumerate(WORDS)}, [("a", "b")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([WORDS[0]])
    return Tokenizer(backend, eos_id=0, bos_id=0)


def safetensors(data: bytes) -> None:
    """Open a safetensors file and read all its tensors."""
    file = SafetensorsFile(_file("x.safetensors", data))
    assert sum(file.view(name).nbytes for name in file.names) <= len(data)
    for name in file.names:
        file.view(name).tobytes()


def gguf(data: bytes) -> None:
    """Open a GGUF file, read all its weights and use its tokenizer."""
    checkpoint = open_checkpoint(_file("x.gguf", data))
    for name in checkpoint.names:
        assert checkpoint.read(name).shape == checkpoint.shape(name)
    tokenizer = checkpoint.tokenizer()
    tokenizer.decode(tokenizer.encode("ab c"))


def packed(data: bytes) -> None:
    """Open a packed folder, given its config.json, a zero byte and its packed.safetensors; run one token."""
    config, _, weights = data.partition(b"\0")
    _file("config.json", config)
    _file("packed.safetensors", weights)
    if not (_folder / "tokenizer.json").exists():
        letters().save(_folder)
    model = petitlm.load(_folder, threads=1)
    assert model.logits([0]).shape == (1, model.config.n_vocab)


def _file(name: str, data: bytes) -> Path:
    path = _folder / name
    path.unlink(missing_ok=True)  # a new file: the old one may still be mapped
    path.write_bytes(data)
    return path


TARGETS: dict[str, Callable[[bytes], None]] = {"safetensors": safetensors, "gguf": gguf, "packed": packed}


def run(name: str, data: bytes) -> str:
    """Run one target on some bytes; return what came of it: `read`, or the petit error's sentence."""
    try:
        with np.errstate(all="ignore"):  # damaged weights may be infinite or no numbers: no reader's matter
            TARGETS[name](data)
    except PetitError as error:
        return str(error)
    return "read"


def clean_up() -> None:
    """Remove the files that targets work on."""
    shutil.rmtree(_folder, ignore_errors=True)


