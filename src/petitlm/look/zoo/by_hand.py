"""The questions to C1 to C5, which need no training: what the tools have to find in models made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from petitlm.engine.runs import run_text, run_texts
from petitlm.look.dla import dla
from petitlm.look.edges import attribute_edges
from petitlm.look.heads import heads
from petitlm.look.identities import identities
from petitlm.look.lens import lens
from petitlm.look.patch import Patched, patch
from petitlm.look.zoo.backup import MARGIN, backup, backup_pair
from petitlm.look.zoo.cancellation import DIRECT, REMAINDER, cancellation, cancelling_pair
from petitlm.look.zoo.found import Found, Trial, equals, yes
from petitlm.look.zoo.fourier import neuron_shares
from petitlm.look.zoo.induction import N_TOKENS, exact_induction, held_margin, induction, lying_pair, repeated_prompt
from petitlm.look.zoo.made import Made
from petitlm.look.zoo.modular import all_sums, modular


def c1(bits: int | None, layers: Literal["engine", "torch"] = "engine") -> Iterator[Found]:
    """Induction by hand: as it was thought out, in float32, or (given bits) with weights that formats hold exactly."""
    if bits is None:
        blueprint, margin, within, case = induction(), 10.0, 1e-5, "C1" if layers == "engine" else "C1 on torch layers"
    else:
        blueprint, margin, case = exact_induction(), held_margin(), f"C1 in {bits} bits"
        within = 5e-3 * margin  # what flows is rounded, to 8 bits in groups of up to 256
    model = blueprint.load(bits or 32, layers)
    if bits is not None:
        off = max(float(np.abs(model.runner.weight(name) - np.asarray(blueprint.weights[name], np.float32)).max())
                  for name in blueprint.config.tensor_shapes())
        yield Found(case, "largest error of a weight", "0: held exactly", off, at_most=0.0)
    holds = identities(model, repeated_prompt(0)).checks
    yield equals(case, "identities that hold", len(holds), sum(check.ok for check in holds), 0)
    scores = heads(model, period=N_TOKENS, start=[0], n_texts=4)
    yield Found(case, "previous-token score of head 0.0", "1", float(scores.previous[0, 0]), at_least=1 - 1e-6)
    yield Found(case, "induction score of head 1.0", "1", float(scores.induction[1, 0]), at_least=1 - 1e-6)
    yield Found(case, "largest duplicate-token score", "0", float(scores.duplicate.max()), at_most=1e-6)
    composed = {pair.kind: pair.score for pair in scores.pairs}
    yield Found(case, "K-composition, beyond Q and V", "all of it", composed["K"] - composed["Q"]
                - composed["V"], at_least=2 * scores.random_pair)
    yield from _answer(case, model, margin, within)


def _answer(case: str, model: Made, margin: float, within: float) -> Iterator[Found]:
    """Ask how C1 comes to its answer after the second half's eighth token."""
    ids = repeated_prompt(0, n_again=8)
    right, other = ids[9], next(id for id in range(1, 30) if id not in ids)
    logits = run_text(model.runner, ids).logits[-1]
    yield equals(case, "margin of the right token", margin,
                 float(logits[right] - np.delete(logits, right).max()), within, "logits")
    votes = dla(model, ids, right, unit="head")
    head = next(term.value for term in votes.terms if term.kind == "head" and (term.layer, term.index) == (1, 0))
    yield equals(case, "direct attribution of head 1.0, share", 1.0, head / votes.logit, within / margin)
    yield Found(case, "direct attribution: gap of the sum", "0", abs(votes.checks[0].value), at_most=1e-5)
    seen = lens(model, ids, at=-1).reading
    says = (seen.top_ids[:, -1, 0] == right) & (seen.top_p[:, -1, 0] > 0.5)
    yield equals(case, "logit lens: layers that say it", 1.0, float(says.sum()), 0.0)
    yield equals(case, "logit lens: the last one does", 1.0, float(says[-1]), 0.0)
    ablated = patch(model, ids, None, right, other, over="heads", ablation="zero")
    for name in ("z:0.0", "z:1.0"):
        yield Found(case, f"ablating {name}: share that is lost", "1", -_effect(ablated, name) / margin,
                    at_least=0.9)


def c2() -> Iterator[Found]:
    """Attribution that lies: the exact effect of the previous-token head on the two answers."""
    model, pair = induction().load(), lying_pair()
    asked = pair.clean, pair.corrupt, pair.answer, pair.versus
    found = patch(model, *asked, over="heads")
    yield equals("C2", "exact patch of z:0.0", 10.0, _effect(found, "z:0.0"), 1e-4, "logits")
    yield equals("C2", "exact patch of z:1.0", 20.0, _effect(found, "z:1.0"), 1e-4, "logits")


def c3() -> Iterator[Found]:
    """Cancellation: a node whose effect is epsilon, and whose edges are not."""
    model, pair = cancellation().load(), cancelling_pair()
    asked = pair.clean, pair.corrupt, pair.answer, pair.versus
    yield equals("C3", "exact patch of z:0.0", REMAINDER, _effect(patch(model, *asked, over="heads"), "z:0.0"), 1e-5)
    edges = attribute_edges(model, *asked, method="exact", confirm=0)
    scores = dict(zip(edges.edges, edges.scores, strict=True))
    yield equals("C3", "exact edge z:0.0 to logits", DIRECT, scores["z:0.0", "logits"], 1e-4)
    yield equals("C3", "exact edge z:0.0 to mlp_out:0", REMAINDER - DIRECT, scores["z:0.0", "mlp_out:0"], 1e-4)


def c4() -> Iterator[Found]:
    """A backup head: total and direct effect differ, and only both heads together are missed."""
    model, pair = backup().load(), backup_pair()
    asked = pair.clean, None, pair.answer, pair.versus
    found = patch(model, *asked, over="heads", ablation="zero", direct=True)
    row, column = _place(found, "z:0.0")
    assert found.direct is not None
    yield equals("C4", "ablating head A: total effect", 0.0, _effect(found, "z:0.0"), 1e-4, "logits")
    yield equals("C4", "ablating head A: direct effect", -MARGIN, float(found.direct[row, column]), 1e-4, "logits")
    both = patch(model, *asked, over="heads", ablation="zero", given=["z:0.0"])
    yield equals("C4", "ablating head B where A is gone", -MARGIN, _effect(both, "z:1.0"), 1e-4, "logits")
    votes = dla(model, pair.clean, pair.answer, unit="head")
    head = next(term.value for term in votes.terms if term.kind == "head" and (term.layer, term.index) == (0, 0))
    yield equals("C4", "direct attribution of head A", MARGIN, head, 1e-4, "logits")


def c5(p: int = 59) -> Iterator[Found]:
    """Modular addition in closed form: the waves of its neurons."""
    model = modular(p).load()
    traces = list(run_texts(model.runner, all_sums(p), ["mlp_pre:0"]))
    logits = np.stack([trace.logits[-1, :p] for trace in traces])
    right, ordered = np.array([(a + b) % p for a, b, _ in all_sums(p)]), np.sort(logits, 1)
    yield equals("C5", f"accuracy on {p * p:,} sums", 1.0, float((logits.argmax(1) == right).mean()), 0.0)
    ratio = (ordered[:, -1] - ordered[:, -2]) / ordered[:, -1]
    yield equals("C5", "margin over largest logit, worst sum", 1 + 1 / (p - 1),
                 float(ratio[np.abs(ratio - 1 - 1 / (p - 1)).argmax()]), 1e-5)
    shares = neuron_shares(np.stack([trace["mlp_pre:0"][-1] for trace in traces]).astype(np.float64), p)
    yield Found("C5", "a neuron's share of one wave, worst", "1", float(shares.min()), at_least=1 - 1e-6)


def c2_gradients() -> Iterator[Found]:
    """What the estimates say of C2, C3: right, or flagged."""
    from petitlm.look.attribute import Attributed, attribute

    model, pair = induction().load(), lying_pair()
    asked = pair.clean, pair.corrupt, pair.answer, pair.versus
    for method in ("atp", "atp*", "ig"):
        found = attribute(model, *asked, over="heads", method=method, confirm=2)
        assert isinstance(found, Attributed)
        row = [name for names in found.names for name in names].index("z:0.0")
        estimate, flagged = float(found.estimates.ravel()[row]), not found.checks[0].ok
        right = abs(estimate - 10) <= 0.1
        said = f"{estimate:.3g}" if abs(estimate) > 1e-9 else "below 1e-9"
        yield yes("C2", f"{method} of z:0.0, right or flagged", f"10; estimated {said}", right or flagged)
        exact = next((c.exact for c in found.confirmed if c.part.startswith("z:0.0")), float("nan"))
        yield equals("C2", f"{method}, confirmed by an exact patch", 10.0, exact, 1e-3)
    model, pair = cancellation().load(), cancelling_pair()
    found = attribute(model, pair.clean, pair.corrupt, pair.answer, pair.versus, over="heads", method="atp",
                      graddrop=True)
    assert isinstance(found, Attributed)
    assert found.graddrop is not None
    yield equals("C3", "GradDrop of z:0.0, whose effect is 1/128", DIRECT, float(np.abs(found.graddrop).max()), 0.1)


def _place(found: Patched, name: str) -> tuple[int, int]:
    """Return the row and column of a part; names may say positions, too."""
    return next((i, j) for i, row in enumerate(found.names) for j, one in enumerate(row) if one.split("@")[0] == name)


def _effect(found: Patched, name: str) -> float:
    return float(found.effects[_place(found, name)])


TRIALS = (
    Trial("C1 induction by hand", lambda: c1(None)),
    *(Trial(f"C1 in {bits} bits", lambda bits=bits: c1(bits)) for bits in (8, 4)),
    Trial("C1 on torch layers", lambda: c1(None, "torch"), torch=True),
    Trial("C2 attribution that lies", c2), Trial("C3 cancellation", c3), Trial("C4 backup head", c4),
    Trial("C5 modular addition in closed form", c5), Trial("C2 and C3 by gradients", c2_gradients, torch=True))
"""In order."""
