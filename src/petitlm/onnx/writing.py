"""Writing an ONNX folder, one weight in memory at a time, whole or not at all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from petitlm.checkpoint import Checkpoint
from petitlm.decoder import forward
from petitlm.errors import UsageError
from petitlm.families import config_to_hf
from petitlm.files import new_folder, write_file, write_json
from petitlm.onnx.graph import Graph, Names, Value
from petitlm.onnx.layers import Batch, OnnxLayers, Weights

if TYPE_CHECKING:
    import onnx

MODEL, DATA = "model.onnx", "model.onnx_data"
OPSET = 17  # the first with LayerNormalization; runtimes of 2022 and later have it
INLINE_BYTES = 256 << 20
"""Up to so many bytes the weights are in the model file itself; larger ones go into a file beside it."""
_IR_VERSION = 8  # the one that goes with OPSET
_ALIGN = 4096  # one page, so that runtimes can map the weights
_FILES = {MODEL, DATA, "config.json", "tokenizer.json", "tokenizer_config.json", "README.md"}
Progress = Callable[[int, int, str], None]


def export_onnx(source: Checkpoint, folder: Path | str, kind: str = "f32", progress: Progress | None = None,
                inline_bytes: int = INLINE_BYTES) -> dict[str, Any]:
    """Write a folder with model.onnx, the config and the tokenizer. Return a report.

    `kind` is f32 or f16: how matrices are stored; arithmetic is float32 either way. Inputs: input_ids (B, T),
    attention_mask (B, S), position_ids (B, T), past_key_values.N.key and .value (B, G, P, K) with S = P + T; outputs:
    logits (B, T, V), present.N.key and .value (B, G, S, K). Values inside have the names of `tap_names`.
    The report has `type`, `tensors`, `bytes` and `seconds`.
    Raises: UsageError if the package onnx is missing, or for a value beyond float16.
    """
    try:
        import onnx
    except ImportError:
        raise UsageError("writing ONNX needs the package onnx, which is not installed; install petitlm[onnx]") from None
    if kind not in ("f32", "f16"):
        raise UsageError(f"type {kind!r} cannot be written as ONNX; choose f32 or f16")
    start, config = time.perf_counter(), source.config
    graph = Graph()
    weights = Weights(graph, config, half=kind == "f16")
    batch = _inputs(graph, source)
    logits = forward(config, OnnxLayers(config, weights), batch, Names())
    for i, pair in enumerate(batch.present):
        for part, value in zip(("key", "value"), pair, strict=True):
            value.name, value.named = f"present.{i}.{part}", True
    outside = sum(_n_bytes(weights, name) for name in weights.stored) > inline_bytes
    contents = _contents(source, weights, progress)
    with new_folder(folder, _FILES.__contains__) as target:
        tensors = list(_outside(weights)) if outside else [
            onnx.TensorProto(name=name, data_type=_type(weights, name), dims=weights.stored[name][0],
                             raw_data=content.tobytes()) for name, content in contents]
        model = _model(onnx, graph, batch, logits, tensors)
        write_file(target / MODEL, [model.SerializeToString()])
        if outside:
            write_file(target / DATA, (chunk for _, content in contents for chunk in (
                content.reshape(-1).view(np.uint8).data, bytes(-content.nbytes % _ALIGN))))
        own = {"petit": {"prompt": source.prompt}}
        write_json(target / "config.json", {**config_to_hf(config), **own})
        source.tokenizer().save(target)
        if source.card:
            write_file(target / "README.md", [source.card.encode()])
        size = sum(file.stat().st_size for file in target.iterdir())
    return {"type": kind, "tensors": len(weights.stored), "bytes": size, "seconds": time.perf_counter() - start}


def _inputs(graph: Graph, source: Checkpoint) -> Batch:
    ids, mask, positions = (Value(graph, name, named=True) for name in ("input_ids", "attention_mask", "position_ids"))
    past = [tuple(Value(graph, f"past_key_values.{i}.{part}", named=True) for part in ("key", "value"))
            for i in range(source.config.n_layers)]
    return Batch(graph, source.config, ids, mask, positions, [(k, v) for k, v in past])


def _type(weights: Weights, name: str) -> int:
    return 10 if weights.is_half(name) else 1  # TensorProto.FLOAT16, FLOAT


def _n_bytes(weights: Weights, name: str) -> int:
    return math.prod(weights.stored[name][0]) * (2 if weights.is_half(name) else 4)


def _contents(source: Checkpoint, weights: Weights, progress: Progress | None) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each weight as it is stored."""
    for done, (name, (_, transposed)) in enumerate(weights.stored.items(), 1):
        if progress:
            progress(done, len(weights.stored), name)
        values = source.read(name)
        source.release()
        with np.errstate(over="ignore"):
            content = np.ascontiguousarray((values.T if transposed else values).astype(
                "<f2" if weights.is_half(name) else "<f4"))
        if not np.array_equal(np.isfinite(content.T if transposed else content), np.isfinite(values)):
            raise UsageError(f"weight {name!r} has the value {np.abs(values).max():.4g}, beyond the 65504 of float16; "
                             "choose type f32")
        yield name, content


def _outside(weights: Weights) -> Iterator[onnx.TensorProto]:
    """Yield each weight's head, which says where in the data file it lies."""
    import onnx

    offset = 0
    for name, (shape, _) in weights.stored.items():
        size = _n_bytes(weights, name)
        tensor = onnx.TensorProto(name=name, data_type=_type(weights, name), dims=shape,
                                  data_location=onnx.TensorProto.EXTERNAL)
        for key, value in (("location", DATA), ("offset", offset), ("length", size)):
            tensor.external_data.add(key=key, value=str(value))
        yield tensor
        offset += size + -size % _ALIGN


def _model(onnx: Any, graph: Graph, batch: Batch, logits: Value, tensors: list[Any]) -> onnx.ModelProto:
    helper, config, float32, int64 = onnx.helper, batch.config, 1, 7
    cache = ["batch", config.n_kv_heads, "past", config.d_head]
    inputs = [helper.make_tensor_value_info(value.name, int64, ["batch", length])
              for value, length in ((batch.ids, "new"), (batch.mask, "total"), (batch.positions, "new"))]
    inputs += [helper.make_tensor_value_info(value.name, float32, cache) for pair in batch.past for value in pair]
    outputs = [helper.make_tensor_value_info(logits.name, float32, ["batch", "new", config.n_vocab])]
    cache = ["batch", config.n_kv_heads, "total", config.d_head]
    outputs += [helper.make_tensor_value_info(value.name, float32, cache) for pair in batch.present for value in pair]
    nodes = [helper.make_node(node.kind, [value.name for value in node.inputs], [value.name for value in node.outputs],
                              name=f"{node.kind}_{i}", **node.attributes) for i, node in enumerate(graph.nodes)]
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in graph.constants.items()]
    model = helper.make_model(helper.make_graph(nodes, "petit", inputs, outputs, [*constants, *tensors]),
                              opset_imports=[helper.make_opsetid("", OPSET)], producer_name="petit")
    model.ir_version = _IR_VERSION
    return model
