"""The weight files of a Hugging Face folder: one safetensors file, or shards with an index."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from petitlm.errors import DamagedError, NotFoundError, RefusedError
from petitlm.files import check_plain_names, read_json_object
from petitlm.safetensors_file import SafetensorsFile, as_float32

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


class SafetensorsFolder:
    """The tensors of a folder, in one safetensors file or in shards with an index."""

    def __init__(self, folder: Path) -> None:
        self._files = {name: SafetensorsFile(folder / name) for name in _weight_files(folder)}
        self._at: dict[str, SafetensorsFile] = {}
        for file in self._files.values():
            for name in file.names:
                if name in self._at:
                    raise DamagedError(f"tensor {name!r:.100} is both in {self._at[name].path.name} and "
                                       f"{file.path.name}; remove the files that do not belong to the model")
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
        return as_float32(part, self.dtype(name))

    def release(self) -> None:
        for file in self._files.values():
            file.release()


def pickle_refused(path: Path) -> RefusedError:
    return RefusedError(
        f"{path} is a pickle, and opening a pickle runs whatever code is in it; convert it once, where you trust it, "
        "with transformers: AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)")


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
            raise pickle_refused(folder / pickles[0])
        return names
    if (folder / SINGLE).exists():
        return [SINGLE]
    found = sorted(entry.name for entry in folder.iterdir())
    shards = [name for name in found if name.endswith(".safetensors")]
    if shards:
        raise NotFoundError(f"{folder} has {shards[0]} but neither {SINGLE} nor {INDEX}; fetch the missing file")
    pickles = [name for name in found if Path(name).suffix in PICKLES]
    if pickles:
        raise pickle_refused(folder / pickles[0])
    raise NotFoundError(f"{folder} has no weights: neither {SINGLE} nor {INDEX}")
