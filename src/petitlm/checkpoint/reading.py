"""Opening a checkpoint, with every check that needs no weights, and reading its weights one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from petitlm import sizes
from petitlm.checkpoint.folder import PICKLES, SafetensorsFolder, pickle_refused
from petitlm.config import ModelConfig
from petitlm.errors import DamagedError, NotFoundError, UsageError
from petitlm.families import (
    PRESETS,
    Source,
    config_from_gguf,
    config_from_hf,
    gguf_names,
    hf_names,
    prompt_shape,
)
from petitlm.files import read_json_object, read_text
from petitlm.gguf import GGUFFile, read_vocabulary
from petitlm.prompts import SHAPES
from petitlm.tokenizer import Tokenizer, check_rows

_MAX_SMALL_FILE = 4 << 20  # bytes of a config or a card
_NOT_WEIGHTS = ("F64", "F8_E4M3", "F8_E5M2", "BOOL", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8")


class StoredTensors(Protocol):
    """The tensors of a file or folder, under the names that they have there."""

    @property
    def names(self) -> Sequence[str]: ...

    def dtype(self, name: str) -> str: ...

    def shape(self, name: str) -> tuple[int, ...]: ...

    def where(self, name: str) -> Path:
        """Return the file that holds the tensor."""
        ...

    def read(self, name: str, start: int, stop: int, transposed: bool) -> np.ndarray:
        """Return output rows [start, stop) as float32 (out, in); `transposed` says that (in, out) is stored."""
        ...

    def release(self) -> None:
        """Let the file pages read so far leave memory."""
        ...


class Checkpoint:
    """A model on disk: its shape, its weights by petit's names, its tokenizer and its card."""

    def __init__(self, path: Path, config: ModelConfig, stored: StoredTensors, table: Mapping[str, Source],
                 load_tokenizer: Callable[[], Tokenizer | None], card: str | None = None,
                 prompt: str | None = None) -> None:
        self.path = path
        self.config = config
        self.card = card
        """Text of README.md, if there is one."""
        self.prompt = prompt or prompt_shape(config)
        """Name of the prompt shape that the model is used with by default."""
        self._shapes = config.tensor_shapes()
        self._stored = stored
        self._table = table
        for source in table.values():
            _check_tensor(stored, source)
        self._tokenizer = load_tokenizer()
        if self._tokenizer is not None:
            check_rows(self._tokenizer, config.n_vocab)

    @property
    def names(self) -> list[str]:
        """petit's names of all weights, in file order."""
        return list(self._shapes)

    @property
    def n_params(self) -> int:
        return sizes.n_params(self.config)

    @property
    def n_bytes(self) -> int:
        """Bytes of the weights as float32, the most that reading all of them can take."""
        return 4 * self.n_params

    def shape(self, name: str) -> tuple[int, ...]:
        return self._shapes[self._known(name)]

    def dtype(self, name: str) -> str:
        """Return how the weight is stored: F32, F16, BF16, or a GGUF block format."""
        return self._stored.dtype(self._table[self._known(name)].name)

    def read(self, name: str) -> np.ndarray:
        """Return one weight as float32, matrices as (out, in).

        Raises: NotFoundError for a name that is not in `names`.
        """
        source, shape = self._table[self._known(name)], self._shapes[name]
        values = self._stored.read(source.name, source.start, source.start + shape[0], source.transposed)
        return _with_halves(values, source.interleaved_heads) if source.interleaved_heads else values

    def read_rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Return output rows [start, stop) of a weight as float32, decoding no others."""
        source, shape = self._table[self._known(name)], self._shapes[name]
        if source.interleaved_heads:  # rows change places: from each head's halves to neighbours
            return self.read(name)[start:stop]
        return self._stored.read(source.name, source.start + start, source.start + min(stop, shape[0]),
                                 source.transposed)

    @property
    def has_blocks(self) -> bool:
        """Whether `blocks` can give the stored bytes of a weight: those of a GGUF file."""
        return isinstance(self._stored, GGUFFile)

    def blocks(self, name: str) -> np.ndarray:
        """Return one matrix of a GGUF file as it is stored, uint8 (out, bytes of a row), in the order of `read`.

        Raises: NotFoundError for a name that is not in `names`; UsageError for another kind of checkpoint.
        """
        source, shape = self._table[self._known(name)], self._shapes[name]
        if not isinstance(self._stored, GGUFFile):
            raise UsageError(f"{self.path} is no GGUF file, so its weights are in no blocks; use read({name!r})")
        rows = self._stored.rows(source.name, source.start, source.start + shape[0])
        return _with_halves(rows, source.interleaved_heads) if source.interleaved_heads else rows

    def release(self) -> None:
        """Let file pages read so far leave this process's memory, for those who read weight by weight."""
        self._stored.release()

    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer.

        Raises: NotFoundError if the checkpoint comes without one.
        """
        if self._tokenizer is None:
            raise NotFoundError(f"{self.path} has no tokenizer.json; copy the one that belongs to the model there")
        return self._tokenizer

    def _known(self, name: str) -> str:
        if name not in self._shapes:
            raise NotFoundError(f"this model has no weight {name!r}; `checkpoint.names` lists them")
        return name


def open_checkpoint(path: Path | str) -> Checkpoint:
    """Open a Hugging Face folder or a .gguf file; weights stay on disk until they are read.

    Raises: NotFoundError, DamagedError, RefusedError or UsageError, with what to do about it.
    """
    path = Path(path)
    if path.is_dir():
        return _open_folder(path)
    if not path.exists():
        hint = "; it is a preset, which has a shape and no weights: give a folder or a .gguf file" \
            if str(path) in PRESETS else "; give a folder with config.json and safetensors, or a .gguf file"
        raise NotFoundError(f"{path} is not there{hint}")
    if path.suffix in PICKLES:
        raise pickle_refused(path)
    if path.suffix == ".safetensors":
        raise UsageError(f"{path} is one file of a model; give its folder, which has the config too: {path.parent}")
    return _open_gguf(path)


def _open_folder(folder: Path) -> Checkpoint:
    if not (folder / "config.json").exists():
        raise NotFoundError(f"{folder} has no config.json, so it is no model folder; give the folder that has one")
    values = read_json_object(folder / "config.json", _MAX_SMALL_FILE)
    config = config_from_hf(values)
    stored = SafetensorsFolder(folder)
    return Checkpoint(folder, config, stored, hf_names(config, stored.names), lambda: _folder_tokenizer(folder, config),
                      read_card(folder), prompt_name(values))


def _open_gguf(path: Path) -> Checkpoint:
    file = GGUFFile(path)
    shapes = {name: file.shape(name) for name in file.names}
    factors = file.read("rope_freqs.weight", 0, shapes["rope_freqs.weight"][0]).tolist() \
        if "rope_freqs.weight" in shapes else None
    config = config_from_gguf(file.metadata, shapes, factors)
    if config.tied and "output.weight" in shapes and file.dtype("output.weight") != file.dtype("token_embd.weight"):
        config = config.with_(tied=False)  # rounded apart since petit wrote one matrix twice: two matrices now
    return Checkpoint(path, config, file, gguf_names(config, file.names), lambda: _gguf_tokenizer(file),
                      prompt=prompt_name({"petit": {"prompt": file.metadata.get("petit.prompt")}}))


def _gguf_tokenizer(file: GGUFFile) -> Tokenizer | None:
    vocabulary = read_vocabulary(file.metadata, str(file.path))
    if vocabulary is None:
        return None
    template = file.metadata.get("tokenizer.chat_template")
    config: dict[str, Any] = {"chat_template": template} if isinstance(template, str) else {}
    for key, id in vocabulary.others.items():
        config[f"{key}_token"] = vocabulary.backend.id_to_token(id)
    return Tokenizer(vocabulary.backend, config, vocabulary.eos_id, vocabulary.bos_id)


def _folder_tokenizer(folder: Path, config: ModelConfig) -> Tokenizer | None:
    if not (folder / "tokenizer.json").exists():
        return None
    return Tokenizer.load(folder, config.eos_id, config.bos_id)


def read_card(folder: Path) -> str | None:
    """Return the text of a folder's README.md, if it has one."""
    return read_text(folder / "README.md", _MAX_SMALL_FILE) if (folder / "README.md").exists() else None


def prompt_name(values: Mapping[str, Any]) -> str | None:
    """Return the prompt shape that a config.json names under `petit`, if it does.

    Raises: DamagedError for one that does not exist.
    """
    own = values.get("petit")
    name = own.get("prompt") if isinstance(own, dict) else None
    if name is not None and (not isinstance(name, str) or name not in SHAPES):
        raise DamagedError(f"config.json: petit.prompt={name!r:.40} is no prompt shape; known are {', '.join(SHAPES)}")
    return name


def _check_tensor(stored: StoredTensors, source: Source) -> None:
    where = f"tensor {source.name!r} in {stored.where(source.name).name}"
    found, dtype = stored.shape(source.name), stored.dtype(source.name)
    if found != source.shape:
        raise DamagedError(f"{where} has the shape {list(found)} and the config asks for {list(source.shape)}; "
                           "they belong to different models")
    if dtype in _NOT_WEIGHTS:
        raise DamagedError(f"{where} has the dtype {dtype}, which is not supported for weights; "
                           "convert the checkpoint to float32, float16 or bfloat16")


def _with_halves(values: np.ndarray, n_heads: int) -> np.ndarray:
    """Reorder rotary rows of each head from neighbours (2i, 2i + 1) to halves (i, i + K/2)."""
    rows = values.shape[0]
    return values.reshape(n_heads, rows // n_heads // 2, 2, -1).swapaxes(1, 2).reshape(values.shape)
