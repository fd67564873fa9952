"""Whatever is written comes back; whatever is damaged is refused and never crashes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from petitlm.errors import DamagedError
from petitlm.safetensors_file import DTYPES, SafetensorsFile, TensorSpec, write_safetensors

NUMBERS = {name: dtype for name, dtype in DTYPES.items() if name not in ("BF16", "F8_E4M3", "F8_E5M2")}


@st.composite
def tensors(draw: st.DrawFn) -> list[tuple[TensorSpec, np.ndarray]]:
    names = draw(st.lists(st.text(max_size=20).filter(lambda name: name != "__metadata__"), max_size=5, unique=True))
    drawn = []
    for name in names:
        code = draw(st.sampled_from(sorted(NUMBERS)))
        values = draw(arrays.arrays(NUMBERS[code], arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)))
        drawn.append((TensorSpec(name, code, values.shape), values))
    return drawn


@given(tensors(), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_what_is_written_comes_back(content: list[tuple[TensorSpec, np.ndarray]], metadata: dict[str, str]) -> None:
    values = {spec.name: array for spec, array in content}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        write_safetensors(path, [spec for spec, _ in content], values.__getitem__, metadata)
        file = SafetensorsFile(path)
        assert file.metadata == metadata
        assert sorted(file.names) == sorted(values)
        for spec, array in content:
            view = file.view(spec.name)
            assert (file.dtype(spec.name), view.shape) == (spec.dtype, array.shape)
            assert view.tobytes() == array.tobytes()  # by bytes: NaNs count too


@given(st.data())
def test_damage_is_refused_or_harmless_and_never_reads_outside(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        write_safetensors(path, [TensorSpec("a", "F32", (2, 3)), TensorSpec("b", "U8", (5,))],
                          {"a": np.zeros((2, 3), np.float32), "b": np.zeros(5, np.uint8)}.__getitem__)
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, 160))] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
        try:
            file = SafetensorsFile(path)
        except DamagedError:
            return
        assert sum(file.view(name).nbytes for name in file.names) <= len(content)
