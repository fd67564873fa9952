"""A graph in the making: values that stand for arrays, and the nodes that make them.

A value adds and multiplies like an array, which writes a node down. Names are given late, so that a value that passes
a tap can take the tap's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(eq=False)
class Value:
    """An array that will exist when the graph runs."""

    graph: Graph = field(repr=False)
    name: str
    named: bool = False
    """The name was chosen, and stays."""

    def __add__(self, other: Value | float) -> Value:
        return self.graph.op("Add", self, other)

    def __mul__(self, other: Value | float) -> Value:
        return self.graph.op("Mul", self, other)

    def __sub__(self, other: Value | float) -> Value:
        return self.graph.op("Sub", self, other)

    def __truediv__(self, other: Value | float) -> Value:
        return self.graph.op("Div", self, other)


@dataclass(frozen=True)
class Node:
    """One operator with its inputs, outputs and attributes."""

    kind: str
    inputs: Sequence[Value]
    outputs: Sequence[Value]
    attributes: dict[str, Any]


class Graph:
    """Nodes in order, and the constants that they use."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self._constants: dict[tuple[Any, ...], Value] = {}

    def op(self, kind: str, *inputs: Value | float | np.ndarray, **attributes: Any) -> Value:
        """Write down an operator with one output; numbers and arrays among the inputs become constants."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, n_outputs: int, *inputs: Value | float | np.ndarray, **attributes: Any) -> list[Value]:
        """Write down an operator with several outputs."""
        values = [x if isinstance(x, Value) else self.constant(x) for x in inputs]
        outputs = [Value(self, f"{kind.lower()}_{len(self.nodes)}_{i}") for i in range(n_outputs)]
        self.nodes.append(Node(kind, values, outputs, attributes))
        return outputs

    def constant(self, value: float | np.ndarray) -> Value:
        """Return a small constant, the same one for equal arrays; a plain number is float32."""
        array = np.asarray(value, np.float32) if isinstance(value, float) else np.asarray(value)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self.constants)}"
            self._constants[key], self.constants[name] = Value(self, name, named=True), array
        return self._constants[key]

    def shape(self, value: Value, axis: int) -> Value:
        """Return the length of an axis, int64 (1,)."""
        return self.op("Gather", self.op("Shape", value), np.array([axis]))

    def reshape(self, value: Value, *sizes: int) -> Value:
        """Return the value in another shape: 0 keeps the axis at its place, -1 is what is left."""
        return self.op("Reshape", value, np.array(sizes))


class Names:
    """A tap that gives each value the name under which the engine and torch show it."""

    def __call__(self, name: str, value: Value, /) -> Value:
        if not value.named:  # a value that passes two taps keeps the first one's name
            value.name, value.named = name, True
        return value

    def wants(self, name: str, /) -> bool:
        """Whether scores and pattern have to be made: they always are."""
        return True
