"""The model that comes with the package: small, packed, with a card, and able to do what the card says."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from e2e.command import COMMAND, Petit, environment

from petitlm.data import HELDOUT_VALUES, Mixture, make_records
from petitlm.front import Model
from petitlm.loading import DEFAULT_MODEL, load
from petitlm.prompts import shape_named


@pytest.fixture(scope="module")
def model() -> Model:
    return load(threads=1)


def test_it_is_small_packed_and_of_phis_shape(model: Model) -> None:
    # the packed weights, and the fp16 ones for other formats and torch layers
    assert sum(path.stat().st_size for path in DEFAULT_MODEL.iterdir()) < 10_000_000
    assert (DEFAULT_MODEL / "packed.safetensors").is_file()
    assert model.bits == 4
    assert model.config.parallel_block
    assert model.config.positions == "rotary"


def test_its_card_has_held_out_figures_and_says_what_it_cannot_do(model: Model) -> None:
    card = model.card or ""
    assert "cannot" in card
    for word in ("heldout-values", "heldout-structures", "arithmetic", "passages", "commands", "%"):
        assert word in card
    assert "$" not in card, "every figure is filled in"


def test_it_answers_new_problems_of_its_families(model: Model) -> None:
    """A floor far below the card's figures, from a seed that the card does not use: it fails if the model is broken."""
    records = [record for record in make_records(Mixture(n_train=0, n_heldout=120, seed=97, chat_share=0)).records
               if record.split == HELDOUT_VALUES and record.family != "small-talk"]
    shape, right = shape_named(model.prompt), 0
    for record in records:
        answer = model.generate(shape.render(record.turns[-1].question), stop=shape.stops, max_tokens=96).text
        right += answer.strip() == record.answer
    assert len(records) > 80
    assert right / len(records) > 0.5


def test_it_speaks_both_languages(petit: Petit) -> None:
    def answer(question: str) -> str:
        return petit("run", question).stdout.strip()

    assert "42" in answer("What is 12 + 30?")
    assert "15" in answer("Combien font 7 + 8 ?")


def test_info_and_chat_need_no_argument(petit: Petit) -> None:
    assert json.loads(petit("info", "--json").stdout)["packed_bits"] == 4
    assert petit("chat", stdin="Hello!\n").stdout.strip()


def test_the_tour_runs(root: Path) -> None:
    env = environment(PATH=f"{Path(COMMAND).parent}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run([root / "examples" / "tour.sh"], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0
    assert done.stdout.count("$ petit run") == done.stderr.count("tokens/s") == 6
    assert "petit chat" in done.stdout
