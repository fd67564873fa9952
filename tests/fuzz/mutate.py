"""Changes that a byte-wise fuzzer hardly ever hits upon: JSON that stays JSON, lengths that stay true."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

ODD = (0, 1, -1, 2, 7, 255, 1 << 31, (1 << 31) - 1, 1 << 62, 1 << 63, 1 << 64, 0.5, -1.5, 1e-320, 1e308, float("inf"),
       float("nan"), True, False, None, "", "a", "\0", "\ud800", "F32", "BF16", "U8", "4", "8", "32", [], {}, [0],
       [0, 0], [1 << 62, 4], [-1, 1], {"a": 1}, [[[[]]]])


def mutate_json(text: bytes, rng: random.Random) -> bytes:
    """Change, drop, copy or rename one or two values somewhere in a JSON text; leave what is none as it is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    for _ in range(rng.randint(1, 2)):
        value = _changed(value, rng)
    try:
        return json.dumps(value).encode()
    except (ValueError, RecursionError):
        return text


def _changed(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        draw = rng.random()
        if draw < 0.06:
            return {k: v for k, v in value.items() if k != key}
        if draw < 0.12:
            return {**value, rng.choice([str(rng.choice(ODD)), rng.choice(list(value)) + "x"]): value[key]}
        return {**value, key: _changed(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        draw = rng.random()
        if draw < 0.1:
            return value[:at] + value[at + 1 :]
        if draw < 0.2:
            return value + [value[at]] * rng.randint(1, 3)
        return value[:at] + [_changed(value[at], rng)] + value[at + 1 :]
    if type(value) is int and rng.random() < 0.5:
        return rng.choice([value + 1, value - 1, 2 * value, value // 2, -value, value + 16, value * (1 << 20)])
    return rng.choice(ODD)


def mutate_safetensors(data: bytes, rng: random.Random) -> bytes:
    """Change the header, and keep the length in front of it true."""
    if len(data) < 8:
        return data
    (length,) = struct.unpack("<Q", data[:8])
    header = mutate_json(data[8 : 8 + length], rng) if length <= len(data) else b"{}"
    header += b" " * max(0, length - len(header)) if length <= len(data) else b""
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def mutate_packed(data: bytes, rng: random.Random) -> bytes:
    """Change the config or the header of the weights."""
    config, _, weights = data.partition(b"\0")
    if rng.random() < 0.5:
        return mutate_json(config, rng) + b"\0" + weights
    return config + b"\0" + mutate_safetensors(weights, rng)


def mutate_gguf(data: bytes, rng: random.Random) -> bytes:
    """Change one number, length or type of the header, or drop or repeat one metadata value and count it."""
    try:
        values, tensors = _gguf_parts(data)
    except (struct.error, OverflowError, KeyError):
        return data
    if values and rng.random() < 0.3:
        begin, end = rng.choice(values)
        times = rng.choice([0, 2])
        count = struct.pack("<Q", max(0, len(values) + times - 1))
        return data[:16] + count + data[24:begin] + data[begin:end] * times + data[end:]
    begin, end = rng.choice(values + tensors + [(0, 24)])
    size = rng.choice([1, 2, 4, 8])
    at = rng.randrange(begin, max(begin + 1, end - size + 1))
    old = int.from_bytes(data[at : at + size], "little")
    new = rng.choice([0, 1, 2, 3, 8, 9, 14, 255, (1 << 31) - 1, 1 << 31, 1 << 40, 1 << 62, (1 << 64) - 1,
                      old + 1, old - 1, 2 * old, old // 2, old ^ (1 << rng.randrange(8 * size))])
    return data[:at] + (new % (1 << 8 * size)).to_bytes(size, "little") + data[at + size :]


_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def _gguf_parts(data: bytes) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return where each metadata value and each tensor's description begin and end."""
    n_tensors, n_values = struct.unpack_from("<QQ", data, 8)
    at, values, tensors = 24, [], []
    for _ in range(min(n_values, 100)):
        begin = at
        at += 8 + struct.unpack_from("<Q", data, at)[0]
        at = _after_value(data, at + 4, struct.unpack_from("<I", data, at)[0])
        values.append((begin, at))
    for _ in range(min(n_tensors, 100)):
        begin = at
        at += 8 + struct.unpack_from("<Q", data, at)[0]
        at += 4 + 8 * struct.unpack_from("<I", data, at)[0] + 12
        tensors.append((begin, at))
    return values, tensors


def _after_value(data: bytes, at: int, kind: int) -> int:
    if kind == 8:
        return at + 8 + struct.unpack_from("<Q", data, at)[0]
    if kind != 9:
        return at + _SIZES[kind]
    inner, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if inner != 8:
        return at + count * _SIZES[inner]
    for _ in range(min(count, 1000)):
        at = _after_value(data, at, 8)
    return at


MUTATORS = {"safetensors": mutate_safetensors, "gguf": mutate_gguf, "packed": mutate_packed}
