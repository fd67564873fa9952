"""llama.cpp as a judge: its Python bindings, where they are installed."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import numpy as np
import pytest


def llama_logits(path: Path, ids: list[int], text: str) -> tuple[np.ndarray, list[int]]:
    """Return llama.cpp's logits after each of `ids`, (T, V), and the ids that it gives `text`."""
    llama_cpp = pytest.importorskip("llama_cpp", reason="needs llama-cpp-python; `make test-all` installs it")
    model = llama_cpp.Llama(str(path), n_ctx=64, n_batch=64, logits_all=True, verbose=False,
                            n_threads=min(2, os.cpu_count() or 1))
    try:
        model.eval(ids)
        return np.array(model.scores[: len(ids)]), model.tokenize(text.encode(), add_bos=True, special=False)
    finally:
        model.close()


class _Text(ctypes.Structure):
    """std::string of the C++ library that llama.cpp is built with on Linux."""

    _fields_ = (("start", ctypes.c_void_p), ("length", ctypes.c_size_t), ("room", ctypes.c_char * 16))


class _LoadInfo(ctypes.Structure):
    """common_control_vector_load_info"""

    _fields_ = (("strength", ctypes.c_float), ("name", _Text))


class _Vector(ctypes.Structure):
    """std::vector"""

    _fields_ = (("begin", ctypes.c_void_p), ("end", ctypes.c_void_p), ("limit", ctypes.c_void_p))


class _Data(ctypes.Structure):
    """common_control_vector_data"""

    _fields_ = (("n_embd", ctypes.c_int), ("data", _Vector))


def llama_control_vector(path: Path, strength: float) -> np.ndarray:
    """Return what llama.cpp's own loader, that of `--control-vector-scaled`, makes of a file: (blocks - 1, D).

    Row i is added after block i + 1. An empty array is a file that it refuses.
    """
    llama_cpp = pytest.importorskip("llama_cpp", reason="needs llama-cpp-python; `make test-all` installs it")
    library = Path(llama_cpp.__file__).parent / "lib" / "libllama-common.so"
    if not library.exists():
        pytest.skip("needs llama.cpp's common library, which this build of llama-cpp-python came without")
    symbol = "_Z26common_control_vector_loadRKSt6vectorI31common_control_vector_load_infoSaIS0_EE"
    load = ctypes.CDLL(str(library))[symbol]
    load.restype, load.argtypes = _Data, [ctypes.POINTER(_Vector)]
    name = ctypes.create_string_buffer(str(path).encode())
    info = _LoadInfo(strength, _Text(ctypes.addressof(name), len(str(path).encode())))
    begin = ctypes.addressof(info)
    found = load(_Vector(begin, begin + ctypes.sizeof(info), begin + ctypes.sizeof(info)))
    if found.n_embd < 1:
        return np.empty((0, 0), np.float32)
    n = (found.data.end - found.data.begin) // 4
    return np.ctypeslib.as_array((ctypes.c_float * n).from_address(found.data.begin)).copy().reshape(-1, found.n_embd)


def llama_steered_logits(path: Path, ids: list[int], vectors: np.ndarray, first: int, last: int) -> np.ndarray:
    """Return llama.cpp's logits (T, V) with a control vector (blocks - 1, D) added after blocks `first` to `last`."""
    llama_cpp = pytest.importorskip("llama_cpp", reason="needs llama-cpp-python; `make test-all` installs it")
    model = llama_cpp.Llama(str(path), n_ctx=64, n_batch=64, logits_all=True, verbose=False, n_threads=1)
    data = np.ascontiguousarray(vectors, np.float32)
    try:
        assert llama_cpp.llama_set_adapter_cvec(
            model.ctx, data.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), data.size, data.shape[1], first, last) == 0
        model.eval(ids)
        return np.array(model.scores[: len(ids)])
    finally:
        model.close()
