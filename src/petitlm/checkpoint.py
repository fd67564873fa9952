"""A model on disk: a Hugging Face folder or a GGUF file, opened without reading its weights.

Opening checks everything that can be checked without them: files, headers, names, shapes, dtypes, the
tokenizer. Reading gives one weight at a time under petit's name, whatever the file calls it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from petitlm import sizes
from petitlm.config import ModelConfig
from petitlm.errors import DamagedError, NotFoundError, RefusedError, UsageError
from petitlm.families import PRESETS, Source, config_from_hf, config_to_hf, hf_names, prompt_shape
from petitlm.files import check_plain_names, new_folder, read_json_object, read_text, write_file, write_json
from petitlm.prompts import SHAPES
from petitlm.safetensors_file import SafetensorsFile, TensorSpec, write_safetensors
from petitlm.tokenizer import Tokenizer, check_rows

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
DEFAULT_SHARD_BYTES = 2_000_000_000
_MAX_CONFIG_BYTES = 4 << 20
_DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
_FOLDER_FILES = re.compile(r"(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)"
                           r"\.json|merges\.txt|README\.md|model(-\d{5}-of-\d{5})?\.safetensors|"
                           r"model\.safetensors\.index\.json")


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


class SafetensorsFolder:
    """The tensors of a folder, in one safetensors file or in shards with an index."""

    def __init__(self, folder: Path) -> None:
        self._files = {name: SafetensorsFile(folder / name) for name in _weight_files(folder)}
        self._at: dict[str, SafetensorsFile] = {}
        for file in self._files.values():
            for name in file.names:
                if name in self._at:
                    raise DamagedError(f"tensor {name!r} is both in {self._at[name].path.name} and {file.path.name}; "
                                       "remove the files that do not belong to the model")
                self._at[name] = file

    @property
    def names(self) -> list[str]:
        return list(self._at)

    def dtype(self, name: str) -> str:
        return self._at[name].dtype(name)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._at[name].shape(name)

    def where(self, name: str) -> Path:
        return self._at[name].path

    def read(self, name: str, start: int, stop: int, transposed: bool) -> np.ndarray:
        view = self._at[name].view(name)
        part = (view.T if transposed else view)[start:stop]
        if self.dtype(name) == "BF16":  # a bfloat16 is the upper half of a float32
            return (np.ascontiguousarray(part).astype(np.uint32) << 16).view(np.float32)
        return np.array(part, dtype=np.float32, order="C")


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
    if path.suffix in _PICKLES:
        raise _pickle_refused(path)
    if path.suffix == ".safetensors":
        raise UsageError(f"{path} is one file of a model; give its folder, which has the config too: {path.parent}")
    from petitlm.gguf import open_gguf

    return open_gguf(path)


def _open_folder(folder: Path) -> Checkpoint:
    if not (folder / "config.json").exists():
        raise NotFoundError(f"{folder} has no config.json, so it is no model folder; give the folder that has one")
    values = read_json_object(folder / "config.json", _MAX_CONFIG_BYTES)
    config = config_from_hf(values)
    stored = SafetensorsFolder(folder)
    return Checkpoint(folder, config, stored, hf_names(config, stored.names), lambda: _folder_tokenizer(folder, config),
                      _card(folder), _prompt_name(values))


def _folder_tokenizer(folder: Path, config: ModelConfig) -> Tokenizer | None:
    if not (folder / "tokenizer.json").exists():
        return None
    return Tokenizer.load(folder, config.eos_id, config.bos_id)


def _card(folder: Path) -> str | None:
    return read_text(folder / "README.md", _MAX_CONFIG_BYTES) if (folder / "README.md").exists() else None


def _prompt_name(values: Mapping[str, Any]) -> str | None:
    own = values.get("petit")
    name = own.get("prompt") if isinstance(own, dict) else None
    if name is not None and name not in SHAPES:
        raise DamagedError(f"config.json: petit.prompt={name!r:.40} is no prompt shape; known are {', '.join(SHAPES)}")
    return name


def _weight_files(folder: Path) -> list[str]:
    if (folder / INDEX).exists():
        weight_map = read_json_object(folder / INDEX).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise DamagedError(f"{folder / INDEX} has no weight_map; fetch it again")
        check_plain_names(weight_map.values(), str(folder / INDEX))
        names = sorted(set(weight_map.values()))
        missing = [name for name in names if not (folder / name).exists()]
        if missing:
            raise NotFoundError(f"{folder} lacks {len(missing)} of its {len(names)} weight files: "
                                f"{', '.join(missing[:3])}; fetch them again")
        pickles = [name for name in names if not name.endswith(".safetensors")]
        if pickles:
            raise _pickle_refused(folder / pickles[0])
        return names
    if (folder / SINGLE).exists():
        return [SINGLE]
    found = sorted(entry.name for entry in folder.iterdir())
    shards = [name for name in found if name.endswith(".safetensors")]
    if shards:
        raise NotFoundError(f"{folder} has {shards[0]} but neither {SINGLE} nor {INDEX}; fetch the missing file")
    pickles = [name for name in found if Path(name).suffix in _PICKLES]
    if pickles:
        raise _pickle_refused(folder / pickles[0])
    raise NotFoundError(f"{folder} has no weights: neither {SINGLE} nor {INDEX}")


def _pickle_refused(path: Path) -> RefusedError:
    return RefusedError(
        f"{path} is a pickle, and opening a pickle runs whatever code is in it; convert it once, where you trust it, with "
        "transformers: AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER, safe_serialization=True)")


def _check_tensor(stored: StoredTensors, source: Source) -> None:
    where = f"tensor {source.name!r} in {stored.where(source.name).name}"
    found, dtype = stored.shape(source.name), stored.dtype(source.name)
    if found != source.shape:
        raise DamagedError(f"{where} has the shape {list(found)} and config.json asks for {list(source.shape)}; "
                           "they belong to different models")
    if dtype in ("F64", "F8_E4M3", "F8_E5M2", "BOOL") or re.fullmatch(r"[IU]\d+", dtype):
        raise DamagedError(f"{where} has the dtype {dtype}, which is not supported for weights; "
                           "convert the checkpoint to float32, float16 or bfloat16")


def _with_halves(values: np.ndarray, n_heads: int) -> np.ndarray:
    """Reorder rotary rows of each head from neighbours (2i, 2i + 1) to halves (i, i + K/2)."""
    rows = values.shape[0]
    return values.reshape(n_heads, rows // n_heads // 2, 2, -1).swapaxes(1, 2).reshape(values.shape)


def save_hf(folder: Path | str, config: ModelConfig, read: Callable[[str], np.ndarray],
            tokenizer: Tokenizer | None = None, dtype: str = "float16", card: str | None = None,
            extra: Mapping[str, Any] | None = None, shard_bytes: int = DEFAULT_SHARD_BYTES) -> None:
    """Write a folder that `transformers` loads, one tensor in memory at a time, whole or not at all.

    `read` gives each weight under petit's name as (out, in); `extra` is added to config.json.
    Raises: UsageError for another dtype or a folder with files that are no checkpoint's; ConfigError if the family's
    format cannot say the shape; ShapeError if `read` returns another shape.
    """
    if dtype not in _DTYPES:
        raise UsageError(f"dtype={dtype!r} cannot be written; choose one of {', '.join(_DTYPES)}")
    values = {**config_to_hf(config), "dtype": dtype, "torch_dtype": dtype, **(extra or {})}
    table = hf_names(config)
    specs = [TensorSpec(name, _DTYPES[dtype], shape)
             for name, shape in {source.name: source.shape for source in table.values()}.items()]
    if tokenizer is not None:
        check_rows(tokenizer, config.n_vocab)
    with new_folder(folder, lambda name: _FOLDER_FILES.fullmatch(name) is not None) as beside:
        _write_weights(beside, specs, lambda name: _stored_values(name, table, config, read, dtype), shard_bytes)
        write_json(beside / "config.json", values)
        if tokenizer is not None:
            tokenizer.save(beside)
        if card is not None:
            write_file(beside / "README.md", [card.encode()])


def _write_weights(folder: Path, specs: Sequence[TensorSpec], data: Callable[[str], np.ndarray],
                   shard_bytes: int) -> None:
    shards: list[list[TensorSpec]] = [[]]
    for spec in specs:
        if shards[-1] and sum(other.n_bytes for other in shards[-1]) + spec.n_bytes > shard_bytes:
            shards.append([])
        shards[-1].append(spec)
    metadata = {"format": "pt"}  # `transformers` asks for it
    if len(shards) == 1:
        write_safetensors(folder / SINGLE, shards[0], data, metadata)
        return
    weight_map: dict[str, str] = {}
    for i, shard in enumerate(shards, 1):
        file = f"model-{i:05d}-of-{len(shards):05d}.safetensors"
        write_safetensors(folder / file, shard, data, metadata)
        weight_map |= {spec.name: file for spec in shard}
    total = sum(spec.n_bytes for spec in specs)
    write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})


def _stored_values(stored_name: str, table: Mapping[str, Source], config: ModelConfig,
                   read: Callable[[str], np.ndarray], dtype: str) -> np.ndarray:
    """Return the bytes of one stored tensor, stacked and transposed as the file's family wants it."""
    shapes, parts, transposed = config.tensor_shapes(), [], False
    for name, source in table.items():
        if source.name == stored_name:
            values, transposed = np.asarray(read(name), dtype=np.float32), source.transposed
            if values.shape != shapes[name]:
                raise DamagedError(f"weight {name!r} has the shape {list(values.shape)}; the config asks for "
                                   f"{list(shapes[name])}")
            parts.append(values)
    values = parts[0] if len(parts) == 1 else np.concatenate(parts)
    values = np.ascontiguousarray(values.T if transposed else values)
    return to_dtype(values, dtype)


def to_dtype(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return float32 values in `float32`, `float16` or `bfloat16` (its bits as uint16), rounded to nearest even."""
    if dtype == "float32":
        return values
    if dtype == "float16":
        return values.astype(np.float16)
    bits = values.view(np.uint32)
    rounded = ((bits.astype(np.uint64) + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    quiet_nan = (bits >> 16).astype(np.uint16) | np.uint16(0x40)  # rounding up must not turn a NaN into infinity
    return np.where(np.isnan(values), quiet_nan, rounded)


def n_file_bytes(config: ModelConfig, dtype: str) -> int:
    """Return the bytes of weights that `save_hf` would write."""
    return sum(math.prod(shape) for shape in config.tensor_shapes().values()) * (4 if dtype == "float32" else 2)
