"""Circuits: the graph, running with edges off, selection, and judgement, against small truths and brute force."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from tests_look import random_model

import petitlm
from petitlm import look
from petitlm.errors import UsageError
from petitlm.front import Model
from petitlm.look.circuit_checks import evaluate
from petitlm.look.circuit_steps import Task, acdc, mask_of, score_edges, select_edges
from petitlm.look.graph import Graph
from petitlm.look.pairs import make_pairs
from petitlm.look.zoo.cancellation import cancellation, cancelling_pair
from petitlm.look.zoo.induction import exact_induction, induction, lying_pair
from petitlm.look.zoo.made import Made
from tests_shapes import SHAPES

FAMILIES = ["phi, kv groups, tied", "llama", "gpt"]
INDUCTION = {("embed", "v:0.0"), ("z:0.0", "k:1.0"), ("z:1.0", "logits"), ("embed", "v:1.0")}
"""What differs between the texts of C2 and matters: the previous token into the key, the token into the value."""


def pair_of(seed: int) -> tuple:
    pair = lying_pair(seed)
    return pair.clean, pair.corrupt, pair.answer, pair.versus


@pytest.fixture(scope="module")
def made() -> Made:
    return induction().load()


@pytest.fixture(scope="module")
def sums() -> tuple[Model, list[tuple[str, str, str, str]]]:
    """The default model and pairs of one-digit sums."""
    found = []
    for a, b, c in itertools.product((1, 2, 4), (2, 3, 5), (2, 3, 5)):
        if b != c and a + max(b, c) < 10:
            clean, corrupt = (f"Instruct: What is {a} + {x}?\nOutput: {a} + {x} = " for x in (b, c))
            found.append((clean, corrupt, str(a + b), str(a + c)))
    return petitlm.load(threads=1), found[:8]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_graph_knows_who_sees_whom(name: str) -> None:
    config = SHAPES[name]
    graph = Graph(config)
    for r, u in np.ndindex(graph.exists.shape):
        sender, reader = graph.senders[u], graph.readers[r]
        block = graph.block_of(reader)
        of = -1 if ":" not in sender else int(sender.split(":")[1].split(".")[0])
        sees = of < block or (not config.parallel_block and sender.startswith("z:") and of == block
                              and reader.startswith("mlp_out"))
        assert graph.exists[r, u] == sees, (sender, reader)
    edges = graph.edges(graph.exists)
    assert len(edges) == len(set(edges)) == graph.exists.sum()
    assert (graph.mask(edges) == graph.exists).all()
    for kv in range(config.n_kv_heads):
        fed = {graph.senders[u] for u in graph.node_of(f"k:1.{kv}")}
        assert fed == {f"z:1.{h}" for h in range(config.n_heads) if h // config.group == kv}


@pytest.mark.parametrize("name", FAMILIES)
def test_dead_edges_change_nothing(name: str) -> None:
    model, rng = random_model(name), np.random.default_rng(0)
    pairs = make_pairs(model, [([5, 17, 40, 3], [5, 17, 41, 3], 12, 33), ([6, 1, 2, 3, 4], [6, 1, 2, 9, 4], 12, 33)])
    task = Task(model, pairs)
    order = [tuple(edge) for edge in np.argwhere(task.graph.exists)]
    for n in (8, 20, 45):
        chosen = [order[i] for i in rng.choice(len(order), n, replace=False)]
        mask = np.zeros_like(task.graph.exists)
        for r, u in chosen:
            mask[r, u] = True
        small = mask_of(task.graph, chosen)
        assert small.sum() <= mask.sum()
        assert task.metrics(small) == pytest.approx(task.metrics(mask), abs=2e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_selection_is_greedy_from_the_logits(name: str) -> None:
    graph = Graph(SHAPES[name])
    scores = np.random.default_rng(1).normal(size=graph.exists.shape)
    order = select_edges(graph, scores)
    assert len(order) == len(set(order)) == graph.exists.sum()
    joined: set[int] = set()
    for n, (r, u) in enumerate(order):  # by definition: the largest of all that feed what has joined
        open_readers = [i for i, reader in enumerate(graph.readers)
                        if reader == "logits" or joined & set(graph.node_of(reader))]
        left = [(i, v) for i in open_readers for v in np.flatnonzero(graph.exists[i]) if (i, v) not in order[:n]]
        assert abs(scores[r, u]) == max(abs(scores[i, v]) for i, v in left)
        joined.add(u)
        if n > 25:
            break


def test_a_circuit_that_starts_late_is_the_same_circuit(made: Made) -> None:
    task = Task(made, make_pairs(made, [pair_of(seed) for seed in range(3)]))
    mask = task.graph.exists.copy()
    mask[task.graph.readers.index("q:1.0"), 0] = False
    assert np.array_equal(task.metrics(mask), task.metrics(mask, start=1))


@pytest.mark.parametrize("method", ["eap-ig", "exact", "acdc"])
def test_the_circuit_of_induction_is_found(made: Made, method: str) -> None:
    found = look.circuit(made, [pair_of(seed) for seed in range(8)], method=method, target=0.99)
    assert set(found.edges) == INDUCTION
    assert found.held_out.faithfulness == pytest.approx(1.0, abs=1e-3)
    assert found.held_out.without == pytest.approx(0.0, abs=1e-3)
    assert found.held_out.incompleteness < 0.02
    assert found.held_out.right == found.held_out.right_model == 1.0
    assert found.held_out.least > 0.3  # no node can go
    assert {name for name, _ in found.held_out.losses} == {"z:0.0", "z:1.0"}
    assert found.evidence == "intervention"


@pytest.mark.parametrize("bits", [4, 8])
def test_the_circuit_of_induction_is_found_in_packed_weights(bits: int) -> None:
    found = look.circuit(exact_induction().load(bits), [pair_of(seed) for seed in range(6)], target=0.97)
    assert set(found.edges) == INDUCTION
    assert found.held_out.faithfulness == pytest.approx(1.0, abs=0.03)


def test_acdc_keeps_paths_that_cancel() -> None:
    model, pair = cancellation().load(), cancelling_pair()
    task = Task(model, make_pairs(model, [(pair.clean, pair.corrupt, pair.answer, pair.versus)]))
    kept = set(task.graph.edges(acdc(task, 0.5)))
    assert {("z:0.0", "logits"), ("z:0.0", "mlp_out:0"), ("mlp_out:0", "logits")} <= kept


def test_judgement_is_what_its_words_say(made: Made) -> None:
    pairs = make_pairs(made, [pair_of(seed) for seed in range(4)])
    task = Task(made, pairs)
    graph = task.graph
    mask = graph.mask(INDUCTION)
    found = evaluate(task, mask, subsets=3)
    assert found.clean == pytest.approx(10.0, abs=1e-4)
    assert found.empty == pytest.approx(-10.0, abs=1e-4)
    assert found.circuit == pytest.approx(10.0, abs=1e-3)
    broken = graph.mask(INDUCTION - {("z:0.0", "k:1.0")})
    worse = evaluate(task, broken, subsets=3)
    share = (task.metrics(broken).mean() - task.empty.mean()) / (task.clean.mean() - task.empty.mean())
    assert worse.faithfulness == pytest.approx(share)
    assert worse.faithfulness < 0.6
    assert worse.interval[0] <= worse.faithfulness <= worse.interval[1] + 1e-9
    assert found.random < 0.7


@pytest.mark.parametrize("ablation", ["zero", "mean"])
def test_other_ablations_are_measured_from_their_own_nothing(made: Made, ablation: str) -> None:
    found = look.circuit(made, [pair_of(seed) for seed in range(4)], method="acdc", ablation=ablation)
    assert found.ablation == ablation
    assert ("z:0.0", "k:1.0") in found.edges
    assert found.held_out.faithfulness == pytest.approx(1.0, abs=0.1)
    assert ablation in found.table()


def test_how_the_default_model_adds_one_digit(sums: tuple[Model, list]) -> None:
    """On the engine in 4 bits: a small circuit, faithful on held-out sums, and nothing much without it."""
    model, pairs = sums
    found = look.circuit(model, pairs, size=60, subsets=1)
    assert len(found.edges) <= 60
    assert found.held_out.faithfulness > 0.8
    assert abs(found.held_out.without) < 0.1
    assert found.held_out.random < 0.2
    assert "<svg" in found.html()


def test_scores_are_means_over_pairs(made: Made) -> None:
    pairs = make_pairs(made, [pair_of(seed) for seed in range(2)])
    both = score_edges(made, pairs, "exact")
    each = [score_edges(made, [pair], "exact") for pair in pairs]
    assert both == pytest.approx((each[0] + each[1]) / 2)


def test_a_circuit_is_a_finding(made: Made, tmp_path: Path) -> None:
    found = look.circuit(made, [dict(zip(("clean", "corrupt", "answer", "versus"), pair_of(s), strict=True))
                                for s in range(4)], subsets=2)
    look.save_finding(found, tmp_path / "circuit.json")
    assert look.replay(look.load_finding(tmp_path / "circuit.json"), made).holds


@pytest.mark.parametrize(("wrong", "message"), [
    (dict(method="guess"), "method='guess' is not known"),
    (dict(size=3, method="acdc"), "acdc decides by itself"),
    (dict(size=10**6), "choose from 1 to"),
    (dict(target=1.5), "give a target above 0"),
    (dict(pairs=[pair_of(0)]), "give at least two"),
    (dict(pairs=[pair_of(0), pair_of(1)[:2]]), r"pair 2 is .*give \(clean"),
    (dict(pairs=[pair_of(0), dict(clean="a", right="b")]), "pair 2 has clean, right"),
    (dict(pairs=[pair_of(0), ([0, 1, 2], [0, 1], 1, 2)]), "pair 2: the clean text has 3 tokens"),
    (dict(pairs=[pair_of(0), pair_of(1)], held_out=[]), "there is no pair"),
])  # fmt: skip
def test_what_cannot_be_asked_is_said(made: Made, wrong: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        look.circuit(made, **{"pairs": [pair_of(0), pair_of(1)], **wrong})


def test_an_edge_that_is_not_there_is_refused() -> None:
    graph = Graph(SHAPES["llama"])
    for edge in (("z:1.0", "q:0.0"), ("mlp_out:0", "mlp_out:0"), ("z:0.9", "logits"), ("logits", "embed")):
        with pytest.raises(UsageError, match="there is no edge from"):
            graph.mask([edge])
