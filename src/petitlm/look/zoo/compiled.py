"""The questions to C7: does a program say what it should, and are its edges found?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from petitlm.engine.runs import run_text
from petitlm.look.circuit import circuit
from petitlm.look.edges import attribute_edges
from petitlm.look.zoo.compiler import NUMBER, TOP
from petitlm.look.zoo.found import Found, Trial, equals
from petitlm.look.zoo.programs import PROGRAMS, Program, make_program

Edge = tuple[str, str]


def said_right(program: Program, n_texts: int = 20, seed: int = 0) -> float:
    """Return the share of results that the model says as the program's own definition does."""
    rng, blueprint, right = np.random.default_rng(seed), program.compiled.blueprint, list[bool]()
    runner = blueprint.load().runner
    for _ in range(n_texts):
        words = program.sample(rng)
        logits = run_text(runner, [0, *map(blueprint.words.index, words)]).logits[1:]
        for row, said in zip(logits, program.truth(words), strict=True):
            if isinstance(said, float):
                right.append(abs(row[blueprint.words.index(NUMBER)] / TOP - said) < 1e-4)
            elif said is not None:
                right.append(blueprint.words[int(row.argmax())] == said)
    return float(np.mean(right))


def edge_scores(program: Program, method: str, n_pairs: int = 6, seed: int = 0) -> dict[Edge, float]:
    """Return each edge's largest score, of either sign, over some pairs of texts."""
    model, rng, best = program.compiled.blueprint.load(), np.random.default_rng(seed), dict[Edge, float]()
    for _ in range(n_pairs):
        pair = program.pair(rng)
        found = attribute_edges(model, pair.clean, pair.corrupt, pair.answer, pair.versus, method=method, confirm=0)
        for edge, score in zip(found.edges, found.scores, strict=True):
            best[edge] = max(best.get(edge, 0.0), abs(score))
    return best


def auroc(scores: Mapping[Edge, float], truth: set[Edge]) -> float:
    """Return how likely a true edge scores above a false one, ties counted half (as InterpBench and MIB have it)."""
    true, false = (np.array([score for edge, score in scores.items() if (edge in truth) == kind])
                   for kind in (True, False))
    return float((true[:, None] > false).mean() + (true[:, None] == false).mean() / 2)


def c7(name: str, method: str) -> Iterator[Found]:
    """Ask one program, and look for its edges by one method."""
    program = make_program(name)
    case = f"C7 {name}"
    yield equals(case, "share of results that are right", 1.0, said_right(program), 0.0)
    yield _edges(case, program, method)
    if name != "brackets":  # its edges matter in few texts each: no small set of pairs needs them all
        yield from _circuit(case, program)


def _circuit(case: str, program: Program, n_pairs: int = 8) -> Iterator[Found]:
    rng, truth = np.random.default_rng(0), program.compiled.varying
    pairs = [(p.clean, p.corrupt, p.answer, p.versus) for p in (program.pair(rng) for _ in range(n_pairs))]
    found = circuit(program.compiled.blueprint.load(), pairs, method="acdc")
    yield equals(case, "circuit by acdc: edges too many or too few", 0, len(truth ^ set(found.edges)), 0)
    yield equals(case, "circuit: faithfulness on other texts", 1.0, found.held_out.faithfulness, 1e-3)


def c7_edges(name: str, method: str) -> Iterator[Found]:
    """Look for one program's edges by one method."""
    yield _edges(f"C7 {name}", make_program(name), method)


def _edges(case: str, program: Program, method: str) -> Found:
    truth = program.compiled.varying
    scores = edge_scores(program, method)
    return Found(case, f"AUROC of {len(truth)} true edges of {len(scores)}, {method}", "1", auroc(scores, truth),
                 at_least=1.0)


TRIALS = (
    *(Trial(f"C7 {name}", lambda name=name: c7(name, "exact")) for name in PROGRAMS),
    *(Trial(f"C7 {name} by gradients", lambda name=name: c7_edges(name, "eap-ig"), slow=True, torch=True)
      for name in PROGRAMS))
"""In order."""
