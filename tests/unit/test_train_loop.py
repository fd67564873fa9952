"""The loop: it learns, repeats, stops when asked, and counts a step by its tokens and not by its pieces."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from petitlm.config import ModelConfig
from petitlm.errors import PetitError
from petitlm.model import Decoder
from petitlm.model.greedy import greedy
from petitlm.train.batches import Batches, Row, collate
from petitlm.train.log import EventLog, read_log
from petitlm.train.loop import MAX_SKIPPED, Summary, accumulate, train
from petitlm.train.optimisers import make_optimisers, schedule
from petitlm.train.recipe import TrainConfig

CONFIG = ModelConfig(n_layers=2, d_model=32, n_heads=2, d_head=16, d_mlp=64, n_vocab=20, n_ctx=16, n_rotary=8,
                     tied=True, unembed_bias=True)
QUICK = TrainConfig(steps=6, batch_tokens=256, micro_tokens=128, compile=False, precision="float32", threads=1,
                    log_steps=2)
END = 1


def copying_rows(n: int = 400) -> list[Row]:
    """A few tokens, a mark, the same tokens again."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(n):
        said = rng.integers(2, 20, int(rng.integers(1, 6)))
        ids = np.concatenate([said, [0], said, [END]])
        rows.append(Row(ids, np.where(np.arange(len(ids)) > len(said), 1.0, 0.0)))
    return rows


def new_decoder() -> Decoder:
    decoder = Decoder(CONFIG)
    decoder.initialise(3)
    return decoder


def run(decoder: Decoder, config: TrainConfig, **options: Any) -> tuple[Summary, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    options = {"log": events.append, "save": lambda _: None, **options}
    return train(decoder, Batches(copying_rows(), CONFIG, config.micro_tokens, 0), config, **options), events


def test_it_learns_to_copy() -> None:
    decoder = new_decoder()
    config = replace(QUICK, steps=250, batch_tokens=1024, micro_tokens=512)
    summary, events = run(decoder, config)
    losses = [event["loss"] for event in events if event["event"] == "step"]
    assert losses[-1] < 0.2 < losses[0]
    assert (summary.reason, summary.steps, summary.skipped) == ("done", 250, 0)
    prompts = [[7, 3, 12, 0], [5, 0], [9, 4, 2, 15, 0], [4, 8, 6, 0]]
    assert greedy(decoder, prompts, 10, [END]) == [prompt[:-1] for prompt in prompts]


def test_same_seed_same_bits() -> None:
    first, second = new_decoder(), new_decoder()
    run(first, QUICK)
    run(second, QUICK)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_a_step_does_not_depend_on_how_it_is_cut() -> None:
    rows = copying_rows(24)
    whole, cut = new_decoder(), new_decoder()
    loss = accumulate(whole, whole, [collate(rows)])
    # Pieces of 1, 2 and 21 rows: a mean of the pieces' means would give the single row a third of the say.
    parts = accumulate(cut, cut, [collate(rows[:1]), collate(rows[1:3]), collate(rows[3:])])
    assert parts == pytest.approx(loss, rel=1e-5)
    for a, b in zip(whole.parameters(), cut.parameters(), strict=True):
        assert a.grad is not None
        assert torch.allclose(a.grad, b.grad, atol=1e-6)  # float32 sums in another order


def test_bfloat16_products_learn_too() -> None:
    summary, events = run(new_decoder(), replace(QUICK, steps=60, precision="bfloat16"))
    losses = [event["loss"] for event in events if event["event"] == "step"]
    assert events[0]["precision"] == "bfloat16"
    assert losses[-1] < 0.85 * losses[0]
    assert summary.skipped == 0


def test_hidden_matrices_go_to_muon_and_nothing_is_left_out() -> None:
    decoder = new_decoder()
    optimisers = make_optimisers(decoder, QUICK, torch.float32)
    muon = {id(p) for group in optimisers.muon.param_groups for p in group["params"]}
    adamw = {id(p) for group in optimisers.adamw.param_groups for p in group["params"]}
    assert muon.isdisjoint(adamw)
    assert muon | adamw == {id(p) for p in decoder.parameters()}
    names = {name for name, p in decoder.named_parameters() if id(p) in muon}
    assert names == {f"blocks.{i}.{part}.weight" for i in range(2)
                     for part in ("attn.q", "attn.k", "attn.v", "attn.o", "mlp.up", "mlp.down")}


def test_the_schedule_rises_stays_and_falls() -> None:
    def at(progress: float) -> float:
        return schedule(progress, warmup=0.1, decay=0.4)

    assert (at(0), at(0.05), at(0.1), at(0.6)) == (0, 0.5, 1, 1)
    assert at(0.7) == pytest.approx(0.5)  # 1 - sqrt(1 / 4)
    assert at(1) == pytest.approx(0, abs=1e-9)
    assert schedule(1.0, warmup=0, decay=0) == 1


def test_a_budget_in_minutes_follows_the_clock() -> None:
    seconds = iter(range(0, 10_000, 2))
    config = replace(QUICK, steps=0, minutes=1, batch_tokens=128, save_minutes=0.25, eval_minutes=0.5)
    saves: list[Decoder] = []
    summary, events = run(new_decoder(), config, now=lambda: next(seconds), save=saves.append,
                          evaluate=lambda _: {"exact": 0.5})
    assert 60 <= summary.seconds < 80
    assert len(saves) == 1 + sum(event["event"] == "save" for event in events) >= 3
    assert {event["exact"] for event in events if event["event"] == "eval"} == {0.5}


def test_it_stops_after_the_step_at_hand_and_keeps_what_it_has() -> None:
    asked = iter([False, False, False, True])
    saved: list[Decoder] = []
    summary, events = run(new_decoder(), QUICK, stop=lambda: next(asked), save=saved.append)
    assert (summary.reason, summary.steps, len(saved)) == ("interrupted", 3, 1)
    assert events[-1]["event"] == "end"


def test_steps_without_finite_gradient_are_left_out_and_end_the_run_when_they_last() -> None:
    decoder = new_decoder()
    before = copy.deepcopy(decoder.state_dict())
    with torch.no_grad():
        decoder.embed.weight[5, 0] = float("nan")
    with pytest.raises(PetitError, match=f"{MAX_SKIPPED} steps in a row"):
        run(decoder, replace(QUICK, steps=100))
    assert torch.equal(decoder.blocks[0].mlp.up.weight, before["blocks.0.mlp.up.weight"])


def test_the_log_is_read_back_without_a_torn_last_line(tmp_path: Path) -> None:
    clock = iter([10.0, 10.5, 12.0])
    with EventLog(tmp_path / "log.jsonl", lambda: next(clock)) as log:
        log({"event": "start", "name": "é"})
        log({"event": "step", "step": 1})
    assert read_log(tmp_path / "log.jsonl") == [{"seconds": 0.5, "event": "start", "name": "é"},
                                                {"seconds": 2.0, "event": "step", "step": 1}]
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"seconds": 3.0, "ev')
    assert len(read_log(tmp_path / "log.jsonl")) == 2
