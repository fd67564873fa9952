"""Dictionaries on disk, as SAELens has them: a folder with `cfg.json` and `sae_weights.safetensors`.

Source: SAELens 6 (`SAE.save_model`, `SAE.load_from_disk`), and the flat configs that it wrote before version 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from petitlm.errors import DamagedError, NotFoundError, UsageError
from petitlm.files import new_folder, read_json_object, write_json
from petitlm.look.dictionaries import ARCHITECTURES, SparseDictionary
from petitlm.safetensors_file import SafetensorsFile, TensorSpec, as_float32, write_safetensors

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
_LAYOUT = "6.0.0"  # of SAELens, the first version with this layout; without one it takes a config for an older one
_TENSORS = {"W_enc": "w_enc", "b_enc": "b_enc", "W_dec": "w_dec", "b_dec": "b_dec", "threshold": "threshold",
            "W_skip": "w_skip"}
_OLD_NAMES = {"hook_point": "hook_name", "activation_fn_str": "activation_fn"}
_OTHERS = ("sparsity.safetensors", "runner_cfg.json", "README.md")  # what else such a folder may hold


def save_dictionary(dictionary: SparseDictionary, folder: Path | str) -> None:
    """Write a dictionary as SAELens reads it; the folder appears whole or not at all.

    Raises: UsageError if the folder holds other files.
    """
    tensors = {name: value for name, field in _TENSORS.items() if (value := getattr(dictionary, field)) is not None}
    specs = [TensorSpec(name, "F32", value.shape) for name, value in tensors.items()]
    with new_folder(folder, lambda name: name in (CONFIG, WEIGHTS, *_OTHERS)) as new:
        write_json(new / CONFIG, _config(dictionary))
        write_safetensors(new / WEIGHTS, specs, lambda name: tensors[name].astype(np.float32, copy=False))


def _config(dictionary: SparseDictionary) -> dict[str, Any]:
    out = {"hook_name_out": dictionary.writes} if dictionary.is_transcoder else {}
    config = {"architecture": dictionary.architecture, "d_in": dictionary.d_in, "d_sae": dictionary.width,
              "dtype": "float32", "device": "cpu", "apply_b_dec_to_input": dictionary.centred,
              "normalize_activations": "none",
              "reshape_activations": "hook_z" if dictionary.reads.endswith("hook_z") else "none",
              "metadata": {"sae_lens_version": _LAYOUT, "sae_lens_training_version": None, "prepend_bos": False,
                           **dictionary.metadata, "hook_name": dictionary.reads, **out}}
    if dictionary.is_transcoder:
        config["d_out"] = dictionary.d_out
    if dictionary.k is not None:
        config |= {"k": dictionary.k, "rescale_acts_by_decoder_norm": False}
    return config


def load_dictionary(folder: Path | str) -> SparseDictionary:
    """Read a dictionary that SAELens or petit wrote.

    Raises: NotFoundError; DamagedError for files that contradict each other; UsageError for a kind that petit does not
    compute, with what it does.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotFoundError(f"{folder} is no folder; a dictionary is a folder with {CONFIG} and {WEIGHTS}")
    config = _read_config(folder)
    metadata, where = config["metadata"], str(folder / CONFIG)
    architecture = config["architecture"]
    if architecture not in ARCHITECTURES:
        raise UsageError(f"{where}: dictionaries of architecture {architecture!r:.40} are not read; those that are: "
                         f"{', '.join(ARCHITECTURES)}")
    _check_supported(config, where)
    reads, transcodes = _text(metadata, "hook_name", where), architecture.endswith("transcoder")
    writes = _text(metadata, "hook_name_out", where) if transcodes else reads
    tensors: dict[str, Any] = _read_tensors(folder / WEIGHTS, architecture)
    for key, tensor, axis in (("d_in", "w_enc", 0), ("d_sae", "w_enc", 1), ("d_out", "w_dec", 1)):
        if key in config and config[key] != tensors[tensor].shape[axis]:
            raise DamagedError(f"{where} says {key}={config[key]!r:.20}, and the weights have "
                               f"{tensors[tensor].shape[axis]}; fetch the folder again")
    if config.get("rescale_acts_by_decoder_norm"):  # features count by their length: told in the weights, it is equal
        norms = np.linalg.norm(tensors["w_dec"], axis=1)
        tensors |= {"w_enc": tensors["w_enc"] * norms, "b_enc": tensors["b_enc"] * norms,
                    "w_dec": tensors["w_dec"] / norms[:, None]}
    return SparseDictionary(
        architecture, reads, writes, k=config.get("k") if architecture == "topk" else None,
        centred=bool(config.get("apply_b_dec_to_input", True)) and not transcodes,
        metadata={k: v for k, v in metadata.items() if k not in ("hook_name", "hook_name_out")},
        source=str(folder), **tensors)


def _read_config(folder: Path) -> dict[str, Any]:
    """Return the config with its metadata, older flat ones in the shape of today's."""
    config = {_OLD_NAMES.get(k, k): v for k, v in read_json_object(folder / CONFIG).items()}
    if not isinstance(config.setdefault("metadata", {}), dict):
        raise DamagedError(f"{folder / CONFIG}: metadata must be an object; fetch the file again")
    if "hook_name" in config:  # before version 6
        kept = ("hook_name", "hook_name_out", "model_name", "context_size", "prepend_bos", "sae_lens_version")
        config["metadata"] = {**{k: config[k] for k in kept if k in config}, **config["metadata"]}
    if isinstance(config.get("normalize_activations"), bool):
        config["normalize_activations"] = "expected_average_only_in" if config["normalize_activations"] else "none"
    config.setdefault("architecture", "standard")
    if config["architecture"] == "standard" and config.get("activation_fn", "relu") == "topk":
        config |= {"architecture": "topk", "k": config.get("activation_fn_kwargs", {}).get("k")}
    return config


def _check_supported(config: Mapping[str, Any], where: str) -> None:
    """Refuse what would change the numbers and is not computed here."""
    for key, allowed in (("normalize_activations", ("none", None)), ("reshape_activations", ("none", "hook_z", None)),
                         ("finetuning_scaling_factor", (False, None)), ("hook_head_index", (None,)),
                         ("activation_fn", ("relu", "topk", None))):
        value = config.get(key, config["metadata"].get(key))
        if value not in allowed:
            raise UsageError(f"{where} has {key}={value!r:.40}, which petit does not compute; fold it into the weights "
                             f"with SAELens, so that it is {allowed[0]!r}")


def _text(metadata: Mapping[str, Any], key: str, where: str) -> str:
    if not isinstance(metadata.get(key), str):
        raise UsageError(f"{where} does not say {key}, the tap that the dictionary "
                         f"{'writes' if key.endswith('out') else 'reads'}; add it to the metadata")
    return metadata[key]


def _read_tensors(path: Path, architecture: str) -> dict[str, Any]:
    """Return the weights by field, float32 and finite."""
    file = SafetensorsFile(path)
    wanted = ["W_enc", "b_enc", "W_dec", "b_dec", *(["threshold"] if "jumprelu" in architecture else []),
              *(["W_skip"] if "skip" in architecture else [])]
    if missing := [name for name in wanted if name not in file]:
        raise DamagedError(f"{path} has no {', '.join(missing)}, which a {architecture} dictionary needs; "
                           f"it has {', '.join(file.names):.200}")
    tensors = {}
    for name in wanted:
        n_axes = 2 if name.startswith("W") else 1
        if len(file.shape(name)) != n_axes or file.dtype(name) not in ("F64", "F32", "F16", "BF16"):
            raise DamagedError(f"{path}: {name} has shape {file.shape(name)} and type {file.dtype(name)}; a "
                               f"dictionary's has {n_axes} axes of floating point")
        tensors[_TENSORS[name]] = as_float32(file.view(name), file.dtype(name))
        if not np.isfinite(tensors[_TENSORS[name]]).all():
            raise DamagedError(f"{path}: {name} holds numbers that are not finite; fetch or train it again")
    return tensors
