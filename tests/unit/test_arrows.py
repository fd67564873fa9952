"""The design's arrows, read from the imports: parts depend downwards only, and torch stays where it belongs."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "petitlm"

# The ground, lowest first: a module may import those of lower ranks.
GROUND = {
    "errors": 0,
    "config": 1, "drawings": 1, "files": 1, "recipes": 1,
    "safetensors_file": 2, "gguf": 2, "prompts": 2, "sizes": 2, "rotary": 2,
    "families": 3,
    "tokenizer": 4,
    "checkpoint": 5, "decoder": 5,
    "taps": 6,
}
# Parts above the ground, and the parts (beside the ground and themselves) that each may import.
PARTS = {
    "model": set(), "onnx": set(), "engine": {"_kernels"}, "data": {"_text"},  # _kernels and _text are compiled
    "train": {"model", "engine"}, "look": {"model", "engine"},
    "serve": {"engine"}, "evals": {"engine"},
}
JOINERS = {"__init__", "__main__", "front", "loading", "cli", "apps"}  # they join the parts: everything is open to them

TORCH = {"torch", "torchvision", "torchaudio"}
ORACLES = {"transformers", "peft", "gguf", "llama_cpp", "onnxruntime", "sklearn", "captum", "transformer_lens",
           "mlcroissant", "datasketch", "z3", "sympy"}
CORE = {"numpy", "tokenizers", "safetensors", "click", "rich"}
EXTRAS = {
    "serve": {"starlette", "uvicorn", "msgspec", "prometheus_client", "llguidance"},
    "data": {"pyarrow", "duckdb", "py3langid", "openai", "ray"},
    "onnx": {"onnx"},
    "train": {*TORCH, "jaxtyping"}, "model": {*TORCH, "jaxtyping"},
}


def part_of(module: str) -> str:
    """Return the part of a dotted module: petitlm.engine.cache -> engine, petitlm.config -> config."""
    names = module.split(".")
    return names[1] if len(names) > 1 else "__init__"


def imports(tree: ast.AST, module: str, package: bool) -> Iterator[tuple[str, int]]:
    """Yield every module that the source imports, wherever in the file, with its line."""
    home = module.split(".") if package else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = home[: len(home) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            if name == PACKAGE:  # `from petitlm import checkpoint`
                yield from ((f"{PACKAGE}.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield name, node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("__import__", "import_module"):
            yield from ((str(arg.value), node.lineno) for arg in node.args[:1] if isinstance(arg, ast.Constant))


def why_refused(module: str, imported: str) -> str | None:
    """Return why the design has no arrow from `module` to `imported`; None where it has."""
    part, top = part_of(module), imported.split(".")[0]
    if top == PACKAGE:
        return _inside(part, part_of(imported)) if part not in JOINERS else None
    if top in sys.stdlib_module_names:
        return None
    if top in ORACLES:
        return f"{top} judges from outside, in tests only"
    if top in TORCH:
        # The gradient half of look is one folder or file, so that the other half runs without torch.
        gradients = module.startswith(f"{PACKAGE}.look.gradients")
        return None if part in ("model", "train") or gradients else "only model, train and look.gradients import torch"
    if module == f"{PACKAGE}.decoder":
        return "the forward pass knows no array library"
    if top in CORE or top in EXTRAS.get(part, set()):
        return None
    return f"{top} is not a dependency of this part"


def _inside(part: str, target: str) -> str | None:
    if part == target or (target == "__init__" and part not in GROUND):
        return None  # the package itself carries the version
    if part in GROUND:
        lower = target in GROUND and GROUND[target] < GROUND[part]
        return None if lower else f"{part} is of the ground: it may import only what lies below it"
    if target in GROUND or target in PARTS[part]:
        return None
    return f"{part} may import the ground and {sorted(PARTS[part]) or 'nothing else'}; pass a plain function instead"


def source_files(root: Path) -> list[tuple[str, bool, Path]]:
    """Return (dotted module, whether it is a package, file) of every source file."""
    files = []
    for path in sorted((root / "src" / PACKAGE).rglob("*.py")):
        names = list(path.relative_to(root / "src").with_suffix("").parts)
        package = names[-1] == "__init__"
        files.append((".".join(names[:-1] if package else names), package, path))
    return files


def test_every_arrow_is_in_the_design(root: Path) -> None:
    refused = []
    for module, package, path in source_files(root):
        part = part_of(module)
        assert part in {*GROUND, *PARTS, *JOINERS}, f"{module} is in no part of the design; DESIGN.md names them"
        for imported, line in imports(ast.parse(path.read_text("utf-8")), module, package):
            reason = why_refused(module, imported)
            if reason:
                refused.append(f"{path.relative_to(root)}:{line} imports {imported}: {reason}")
    assert not refused, "\n".join(refused)


@pytest.mark.parametrize(("module", "source"), [
    ("petitlm.engine.cache", "import torch"),
    ("petitlm.engine.cache", "from petitlm.model import Decoder"),
    ("petitlm.engine.cache", "from ..train import loop"),
    ("petitlm.data.sums", "from petitlm import front"),
    ("petitlm.data.sums", "from petitlm.engine import generate"),
    ("petitlm.evals.speed", "from petitlm import _kernels"),
    ("petitlm.evals.speed", "def f():\n    from petitlm.data import records"),
    ("petitlm.model.layers", "from petitlm.engine.kernels import matmul"),
    ("petitlm.config", "from petitlm.families import PRESETS"),
    ("petitlm.tokenizer", "from petitlm.checkpoint import open_checkpoint"),
    ("petitlm.decoder", "import numpy as np"),
    ("petitlm.checkpoint", "import transformers"),
    ("petitlm.cli.run", "import torch"),
    ("petitlm.engine.http", "import starlette"),
    ("petitlm.engine.cache", "import importlib\nimportlib.import_module('torch')"),
])
def test_a_wrong_arrow_is_refused(module: str, source: str) -> None:
    assert any(why_refused(module, imported) for imported, _ in imports(ast.parse(source), module, False))


@pytest.mark.parametrize(("module", "source"), [
    ("petitlm.cli.train", "from petitlm.train import loop"),
    ("petitlm.train.loop", "import torch\nfrom petitlm.model import Decoder\nfrom petitlm.engine import packing"),
    ("petitlm.evals.speed", "from petitlm.engine import kernels\nfrom petitlm.errors import UsageError"),
    ("petitlm.checkpoint", "import numpy\nfrom petitlm import tokenizer, families"),
    ("petitlm.engine.cache", "from .kernels import attend\nfrom ..decoder import forward"),
])
def test_an_arrow_of_the_design_passes(module: str, source: str) -> None:
    found = list(imports(ast.parse(source), module, False))
    assert found
    assert not [why for imported, _ in found if (why := why_refused(module, imported))]
