"""Recording a forward pass, so that a batch runs in one call.

`petitlm.decoder.forward` is written once and is the only forward pass. Here it runs once on symbols
instead of arrays; what it asks of its layers is written down, simplified (products that read the same
activations become one, what follows a product happens where the product is written) and given to the
kernels as a program. Every number is computed as it is when kernels are called one by one, so a run
that nobody looks into has the same bits as one with taps. A recording for taps has pauses, where the value
at a tap lies in a buffer of its own (`petitlm.engine.looked`).
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from petitlm.config import Activation, ModelConfig
from petitlm.decoder import forward
from petitlm.engine.formats import FORMATS, Packed
from petitlm.engine.kernels import ACTIVATIONS, Floats
from petitlm.taps import by_head

if TYPE_CHECKING:
    from petitlm._kernels import Program
    from petitlm.engine.layers import Weights
    from petitlm.rotary import RotaryTables

NOWHERE = -1
NO_ACTIVATION = -1


@dataclass(eq=False)
class Symbol:
    """Stands for an array (rows, width) while the forward pass is recorded."""

    tape: Tape
    width: int
    selected: bool
    heads: int = 1

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, which nobody knows yet, and width."""
        return NOWHERE, self.width

    def reshape(self, _rows: int, *shape: int) -> Symbol:
        """Cut rows into heads, or put them together: the numbers lie as they lay."""
        if len(shape) == 2:
            self.heads = shape[0]
        return self

    def __add__(self, other: Symbol) -> Symbol:
        return self.tape.step("add", [self, other], self.width)

    def __mul__(self, other: Symbol) -> Symbol:
        return self.tape.step("multiply", [self, other], self.width)


@dataclass(eq=False)
class Product:
    """One matrix of a product step, with what happens to its result where it is written."""

    out: Symbol
    weight: Packed
    bias: Floats | None
    activation: int = NO_ACTIVATION
    residual: Symbol | None = None


@dataclass(eq=False)
class Step:
    """One kernel call: what it reads and writes, and its other arguments."""

    name: str
    reads: list[Symbol]
    out: Symbol | None
    arguments: tuple[Any, ...] = ()
    products: list[Product] = field(default_factory=list[Product])


class Pause(NamedTuple):
    """A place between two steps of a program, where somebody looks."""

    step: int
    """Steps that run before."""
    name: str
    """Tap whose value lies in the one buffer; or, of an attention that is looked into, the start of its taps' names."""
    buffers: tuple[int, ...]
    """Of an attention: queries, keys and values, and where its result belongs."""
    layer: int = NOWHERE
    scale: float = 1.0


class _Marks:
    """A tap that writes down where values pass that somebody wants."""

    def __init__(self, tape: Tape, names: Set[str]) -> None:
        self._tape, self._names = tape, names

    def wants(self, name: str, /) -> bool:
        return name in self._names

    def __call__(self, name: str, value: Any, /) -> Any:
        if name in self._names and not by_head(name):  # scores and patterns are made while the program pauses
            self._tape.steps.append(Step("tap", [value], None, (name,)))
        return value


class Tape:
    """Stands in for `petitlm.engine.kernels.Kernels` and writes down what is asked of it."""

    isa, threads = "tape", 1

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def step(self, name: str, reads: list[Symbol], width: int, *arguments: Any, selected: bool = False) -> Symbol:
        out = Symbol(self, width, selected or any(x.selected for x in reads))
        self.steps.append(Step(name, reads, out, arguments))
        return out

    def matmul(self, w: Packed, x: Symbol, bias: Floats | None) -> Symbol:
        out = Symbol(self, w.rows, x.selected)
        self.steps.append(Step("matmul", [x], None, products=[Product(out, w, bias)]))
        return out

    def embed(self, w: Packed, _ids: object) -> Symbol:
        return self.step("embed", [], w.columns, FORMATS[w.format], w.rows, w.columns, w.data)

    def lookup(self, table: Floats, _ids: object) -> Symbol:
        return self.step("lookup", [], table.shape[1], table)

    def select(self, x: Symbol, _wanted: object) -> Symbol:
        return self.step("select", [x], x.width, selected=True)

    def layer_norm(self, x: Symbol, weight: Floats, bias: Floats, eps: float) -> Symbol:
        return self.step("norm", [x], x.width, weight, bias, eps)

    def rms_norm(self, x: Symbol, weight: Floats, eps: float) -> Symbol:
        return self.step("norm", [x], x.width, weight, None, eps)

    def activate(self, kind: Activation, x: Symbol) -> Symbol:
        return self.step("activate", [x], x.width, ACTIVATIONS[kind])

    def rotate(self, x: Symbol, cos: Floats, sin: Floats, _positions: object) -> Symbol:
        out = self.step("rotate", [x], x.width, x.heads, cos, sin)
        out.heads = x.heads
        return out

    def store(self, _cache: int, _positions: object, _slots: object, k: Symbol, v: Symbol) -> None:
        self.stored = k, v  # the attention that follows reads them

    def attend(self, cache: int, _positions: object, _slots: object, q: Symbol, scale: float) -> Symbol:
        return self.step("attend", [q, *self.stored], q.width, cache, q.heads, scale)

    def scores(self, _cache: int, _positions: object, _slots: object, q: Symbol, scale: float) -> Symbol:
        self.asked = q, scale  # an attention that is looked into: the three kernels are called while the program pauses
        return q

    def softmax(self, _positions: object, _slots: object, scores: Symbol) -> Symbol:
        return scores

    def mix(self, cache: int, _positions: object, _slots: object, _pattern: Symbol) -> Symbol:
        q, scale = self.asked
        return self.step("look", [q, *self.stored], q.width, cache, scale)


@dataclass(frozen=True)
class _Unknown:
    """Stands for the batch: only its cache's layers are asked for, and only for their numbers."""

    n_layers: int
    ids = positions = slots = wanted = ()

    @property
    def cache(self) -> _Unknown:
        return self

    @property
    def layers(self) -> range:
        return range(self.n_layers)


def record(config: ModelConfig, weights: Weights, turns: RotaryTables | None,
           names: Set[str] = frozenset(), *, lasting: bool = False) -> tuple[Program, list[Pause]]:
    """Return the model's forward pass as a program of the C++ kernels, with a pause at each of some taps.

    It holds on to the memory of the weights and of the rotary tables and copies none of it. The logits are no pause:
    they are what a run returns. What is `lasting` at the taps is still there when the run has ended.
    """
    from petitlm.engine.layers import EngineLayers

    tape = Tape()
    logits = forward(config, EngineLayers(config, weights, cast("Any", tape), turns), _Unknown(config.n_layers),
                     _Marks(tape, names - {"logits"}))
    return _compile(_fuse(tape.steps), cast("Symbol", logits), lasting)


def _fuse(steps: list[Step]) -> list[Step]:
    steps = _group(steps)
    readers: dict[Symbol, int] = {}
    for x in (x for step in steps for x in step.reads):
        readers[x] = readers.get(x, 0) + 1
    kept: list[Step] = []
    made: dict[Symbol, int] = {}  # the step of `kept` that a symbol comes from
    products: dict[Symbol, Product] = {}
    for step in steps:
        if step.name == "tap":  # what is shown may be changed there: nothing that reads it comes before
            products.pop(step.reads[0], None)
            made[step.reads[0]] = len(kept)
            kept.append(step)
        elif not _absorb(step, products, readers, made):
            kept.append(step)
            products |= {p.out: p for p in step.products}
            outs = [p.out for p in step.products] or [cast("Symbol", step.out)]
            made |= dict.fromkeys(outs, len(kept) - 1)
    return kept


def _absorb(step: Step, products: dict[Symbol, Product], readers: dict[Symbol, int], made: dict[Symbol, int]) -> bool:
    """Let the product whose result this step alone reads do it, if it can."""
    if step.name not in ("activate", "add") or step.out is None:
        return False
    for x in step.reads:
        product = products.get(x)
        if product is None or readers[x] > 1 or product.residual is not None:
            continue
        if step.name == "activate" and product.activation == NO_ACTIVATION:
            product.activation = step.arguments[0]
        elif step.name == "add" and len(step.reads) == 2 and step.reads[0] is not step.reads[1]:
            other = step.reads[0] if x is step.reads[1] else step.reads[1]
            if made[other] >= made[x]:  # not there yet when the product is written
                continue
            product.residual = other
        else:
            continue
        products[step.out], made[step.out] = product, made[x]
        product.out = step.out
        return True
    return False


def _group(steps: list[Step]) -> list[Step]:
    """Multiply everything that reads the same activations where the first of it is multiplied."""
    first: dict[tuple[Symbol, str], Step] = {}
    kept: list[Step] = []
    for step in steps:
        if step.name == "matmul":
            there = first.setdefault((step.reads[0], step.products[0].weight.format), step)
            if there is not step:
                there.products += step.products
                continue
        kept.append(step)
    return kept


def _compile(steps: list[Step], logits: Symbol, lasting: bool) -> tuple[Program, list[Pause]]:
    """Give every symbol a buffer, which others take over after its last reader, and add the steps."""
    from petitlm import _kernels

    program, free, at = _kernels.Program(), dict[tuple[int, bool], list[int]](), dict[Symbol, int]()
    pauses = list[Pause]()
    last = {x: i for i, step in enumerate(steps) for x in _read(step)}
    last |= {step.reads[0]: len(steps) for step in steps if lasting and step.name == "tap"}

    def place(x: Symbol) -> int:
        left = free.get((x.width, x.selected))
        at[x] = left.pop() if left and x is not logits else program.buffer(x.width, x.selected)
        return at[x]

    for i, step in enumerate(steps):
        outs = [place(x) for x in ([p.out for p in step.products] or [step.out]) if x is not None]
        reads = [at[x] for x in step.reads]
        if step.name == "tap":
            pauses.append(Pause(len(program), step.arguments[0], (reads[0],)))
        elif step.name == "look":
            layer, scale = step.arguments
            pauses.append(Pause(len(program), f"blocks.{layer}.attn.", (*reads, *outs), layer, scale))
        else:
            _add(program, step, reads, outs, at)
        for x in set(_read(step)):
            if last[x] == i:
                free.setdefault((x.width, x.selected), []).append(at[x])
    program.finish(at[logits])
    return program, pauses


def _read(step: Step) -> list[Symbol]:
    return step.reads + [p.residual for p in step.products if p.residual is not None]


def _add(program: Program, step: Step, reads: list[int], outs: list[int], at: dict[Symbol, int]) -> None:
    if step.name in ("add", "multiply"):
        program.combine(outs[0], reads[0], reads[1], step.name == "multiply")
    elif step.name != "matmul":
        getattr(program, step.name)(outs[0], *reads, *step.arguments)
    else:
        program.matmul(reads[0])
        for out, p in zip(outs, step.products, strict=True):
            residual = NOWHERE if p.residual is None else at[p.residual]
            program.product(out, FORMATS[p.weight.format], p.weight.rows, p.weight.columns, p.weight.data, p.bias,
                            p.activation, residual)
        program.end_matmul()
