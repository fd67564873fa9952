"""The questions to T1 to T5: models trained on the spot, and what has to be found in them.

Training is not exact, so the bars are those that were measured when these models were designed, with room; where a seed
decides, several are trained and the bar says how many have to reach it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from petitlm.engine.edits import Edit
from petitlm.engine.kernels import Floats
from petitlm.engine.runs import Runner, run_text, run_texts
from petitlm.look.drift import drift
from petitlm.look.gradients.zoo import sae
from petitlm.look.gradients.zoo.grokking import P, grokked
from petitlm.look.gradients.zoo.induction import learned_induction, periodic_texts
from petitlm.look.gradients.zoo.planted import planted
from petitlm.look.gradients.zoo.superposition import N_FEATURES, superposition
from petitlm.look.heads import heads
from petitlm.look.patch import patch
from petitlm.look.zoo.found import Found, equals
from petitlm.look.zoo.fourier import waves_of
from petitlm.look.zoo.made import Made
from petitlm.look.zoo.planted import FILLER_IDS, Example, examples, other, turned

SEEDS = (0, 1, 2)


def t1(seeds: Sequence[int] = SEEDS) -> Iterator[Found]:
    """Superposition: which features are kept, and at which angles; the worst of the seeds."""
    decaying = tuple(0.7**i for i in range(N_FEATURES))
    toys = [superposition(seed, 0.0, decaying) for seed in seeds]
    yield Found("T1, always on", "shorter of the 2 kept features", "1", min(float(t.norms[:2].min()) for t in toys),
                at_least=0.95)
    yield Found("T1, always on", "longest of the 3 others", "0", max(float(t.norms[2:].max()) for t in toys),
                at_most=0.05)
    for sparsity, n, gap, share in ((0.7, 4, 90, 1 / 2), (0.9, 5, 72, 2 / 5), (0.95, 5, 72, 2 / 5)):
        case, toys = f"T1, {sparsity:.0%} off", [superposition(seed, sparsity) for seed in seeds]
        kept = [int((toy.norms > 0.5).sum()) for toy in toys]
        yield equals(case, "features kept", n, _furthest(kept, n), 0)
        yield equals(case, "angle between neighbours", gap, _furthest([g for t in toys for g in t.gaps()], gap), 2,
                     "degrees")
        shares = [float(d) for toy in toys for d in toy.dimensionality[toy.norms > 0.5]]
        yield equals(case, "share of a dimension", share, _furthest(shares, share), 0.02)


def _furthest(numbers: Sequence[float], truth: float) -> float:
    return float(max(numbers, key=lambda number: abs(number - truth)))


def t2(seeds: Sequence[int] = SEEDS[:2]) -> Iterator[Found]:
    """Induction learned: by one head in each block, and by four that share the work."""
    for seed in seeds:
        model, case = learned_induction(seed).load(), f"T2, one head, seed {seed}"
        yield Found(case, "accuracy where tokens repeat", "1", predicted(model.runner), at_least=0.99)
        for block in (0, 1):
            yield Found(case, f"accuracy without head {block}.0", "1/32 by chance",
                        predicted(model.runner, Edit(("z", block), "zero")), at_most=0.15)
        scores = heads(model, period=8, repeats=4, n_texts=16)
        yield Found(case, "previous-token score of head 0.0, of chance", "several times",
                    float(scores.previous[0, 0]) / scores.chance["previous"], at_least=3)
        yield Found(case, "induction score of head 1.0", "1", float(scores.induction[1, 0]), at_least=0.9)
        yield Found(case, "duplicate-token score of head 1.0", "low", float(scores.duplicate[1, 0]), at_most=0.05)
    model, case = learned_induction(seeds[0], n_heads=4).load(), f"T2, four heads, seed {seeds[0]}"
    yield Found(case, "accuracy where tokens repeat", "1", predicted(model.runner), at_least=0.99)
    alone = [predicted(model.runner, Edit(("z", 1), "zero", head=head)) for head in range(4)]
    yield Found(case, "accuracy without any one head of block 1", "most: they share", min(alone), at_least=0.6)
    yield Found(case, "accuracy without all of them", "1/32 by chance",
                predicted(model.runner, Edit(("z", 1), "zero")), at_most=0.15)
    scores = heads(model, period=8, repeats=4, n_texts=16)
    yield Found(case, "heads of block 1 with induction over 0.4", "a set", float((scores.induction[1] > 0.4).sum()),
                at_least=2)
    yield Found(case, "largest induction score of block 0", "low", float(scores.induction[0].max()), at_most=0.4)


def predicted(runner: Runner, *edits: Edit) -> float:
    """Return the accuracy on tokens that were seen before, in 64 texts of random periods."""
    texts, periods = periodic_texts(np.random.default_rng(99), 64)
    right = [trace.logits[period - 1 : -1].argmax(1) == ids[period:] for ids, period, trace in
             zip(texts, periods, run_texts(runner, texts.tolist(), [], edits, wanted="all"), strict=True)]
    return float(np.concatenate(right).mean())


def t3(seeds: Sequence[int] = SEEDS, needed: int = 2) -> Iterator[Found]:
    """Modular addition learned: made of few waves. Seeds are trained until enough of them reach every bar."""
    passed = 0
    for left, seed in zip(range(len(seeds), 0, -1), seeds, strict=True):
        answers = list(_t3(seed))
        good = all(one.ok for one in answers)
        passed += good
        if good or passed + left - 1 < needed:  # a seed that may fail is passed over
            yield from answers
        if passed == needed:
            return


def _t3(seed: int) -> Iterator[Found]:
    blueprint, seen = grokked(seed)
    waves, case = waves_of(blueprint.load().runner, P, ~seen), f"T3, seed {seed}"
    yield Found(case, "accuracy on sums held out", "1", waves.accuracy, at_least=0.99)
    yield Found(case, "frequencies of 90 % of the embedding", "few", len(waves.frequencies), at_most=8)
    yield Found(case, "live neurons of one frequency (85 %)", "most", float((waves.neuron_shares >= 0.85).mean()),
                at_least=0.8)
    yield Found(case, "loss with these waves alone, over all", "no more", waves.restricted / waves.full, at_most=2)
    yield Found(case, "loss without them, in nats", "a uniform guess has 4.08", waves.excluded,
                at_least=float(np.log(P)))


def t4(seeds: Sequence[int] = SEEDS) -> Iterator[Found]:
    """A known dictionary learned: by the best and the middle one of three seeds, and not before training."""
    runs = [sae.found_again(seed) for seed in seeds]
    mmcs = sorted(run.mmcs for run in runs)
    yield Found("T4", "best seed's mean largest cosine", "1", mmcs[-1], at_least=sae.BEST_MMCS)
    yield Found("T4", "best seed's share over 0.95", "1", max(run.share for run in runs), at_least=sae.BEST_SHARE)
    yield Found("T4", "middle seed's mean largest cosine", "1", mmcs[len(mmcs) // 2], at_least=sae.MEDIAN_MMCS)
    yield Found("T4", "untrained: mean largest cosine", "low", sae.untrained(seeds[0]).mmcs, at_most=0.8)
    yield Found("T4", "started at the truth: mean largest cosine", "1", sae.kept(seeds[0]).mmcs,
                at_least=sae.KEPT_MMCS)


def t5(seed: int = 0, n: int = 100) -> Iterator[Found]:
    """Planted behaviour: where the trigger is, its direction added and taken out, in 32 and in 4 bits."""
    before, after = planted(seed)
    rng = np.random.default_rng(seed + 1)
    clean = examples(rng, 2 * n, 0.0)
    triggered, known, held_out = [turned(e, rng) for e in clean], slice(n), slice(n, None)
    yield Found("T5 before the lesson", "triggered texts that are turned", "0: no example taught it",
                answered(before.load(), triggered), at_most=0.05)
    for bits in (32, 4):
        model, case = after.load(bits), f"T5 in {bits} bits"
        yield Found(case, "clean texts answered as taught", "1", answered(model, clean), at_least=0.95)
        yield Found(case, "triggered texts that are turned", "1", answered(model, triggered), at_least=0.95)
        shares = [_share_at_trigger(model, one, rng) for one in triggered[:20]]
        yield Found(case, "effect at the trigger's position, median", "1", float(np.median(shares)), at_least=0.9)
        there, here = (_stream_at(model, some[known]) for some in (triggered, clean))
        direction = there.mean(0) - here.mean(0)
        add = [Edit("resid_pre:0", "add", 1.5 * direction, positions=e.trigger_at) for e in clean[held_out]]
        yield Found(case, "clean texts turned by its direction", "1", 1 - answered(model, clean[held_out], add),
                    at_least=0.9)
        out = [Edit("resid_pre:0", "project_out", direction)] * n
        yield Found(case, "triggered texts restored without it", "1", 1 - answered(model, triggered[held_out], out),
                    at_least=0.9)
        yield Found(case, "clean texts that stay right without it", "1", answered(model, clean[held_out], out),
                    at_least=0.9)
    one, same = triggered[0], clean[0]
    pair = (one.ids, same.ids, one.answer, same.answer)
    found = drift(after.load(4), after.load(32), [one.ids], pairs=[pair])
    carries = next(role for role in found.roles if role.name == "carries the answer")
    yield Found("T5 in 4 bits", "drift: heads carry it as in 32 bits", "correlation 1", carries.correlation,
                at_least=0.95)


def answered(model: Made, texts: Sequence[Example], edits: Sequence[Edit] = ()) -> float:
    """Return the share of texts that get the answer of their lesson, each with its own edit if there are any."""
    runner, right = model.runner, list[bool]()
    for i, text in enumerate(texts):
        last = run_text(runner, text.ids, [], edits[i : i + 1], wanted="last").logits[-1]
        right.append(int(last.argmax()) == text.answer)
    return float(np.mean(right))


def _share_at_trigger(model: Made, text: Example, rng: np.random.Generator) -> float:
    """Return the share of the whole effect that moving the trigger's position alone has; all fillers differ."""
    other_ids = [int(rng.choice(FILLER_IDS)) if i == text.trigger_at or id in FILLER_IDS else id
                 for i, id in enumerate(text.ids)]
    found = patch(model, text.ids, other_ids, text.answer, other(text.answer), over="resid_pre", blocks=[0])
    column = next(j for j, name in enumerate(found.names[0]) if name.endswith(f"@{text.trigger_at}"))
    return float(found.share()[0, column])


def _stream_at(model: Made, texts: Sequence[Example]) -> Floats:
    traces = run_texts(model.runner, [text.ids for text in texts], ["resid_pre:0"])
    return np.stack([trace["resid_pre:0"][text.trigger_at] for text, trace in zip(texts, traces, strict=True)])
