"""`petit train` on a recipe of seconds: everything that a run should leave is there, and it can be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import petitlm
from petitlm.checkpoint import open_checkpoint
from petitlm.cli.train import command, until_stop
from petitlm.train.log import read_log

RECIPE = """
name = "tiny"
seed = 4
card = "card.md"
prompt = "qa"
pack_bits = 8
[data]
n_train = 120
n_heldout = 16
[tokenizer]
n_vocab = 400
n_records = 100
[teaching]
n_watched = 4
max_answer = 3
[model]
n_layers = 1
d_model = 32
n_heads = 2
d_head = 16
d_mlp = 64
n_ctx = 512
n_rotary = 8
tied = true
unembed_bias = true
[train]
steps = 3
batch_tokens = 1024
micro_tokens = 512
compile = false
precision = "float32"
threads = 1
log_steps = 1
"""
CARD = "Tiny, $n_params parameters.\n$heldout\n$engine\n$levels\n$misses\n$data\n$training\n$config\n"


def run(folder: Path, recipe: str = RECIPE) -> dict:
    folder.mkdir()
    (folder / "recipe.toml").write_text(recipe)
    (folder / "card.md").write_text(CARD)
    arguments = [str(folder / "recipe.toml"), "--out", str(folder / "out"), "--json"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train") / "run"
    assert run(folder)["steps"] == 3
    return folder / "out"


def test_the_model_answers_packed_and_on_torch_layers(out: Path) -> None:
    models = [petitlm.load(out / "packed", threads=1), petitlm.load(out / "model", layers="torch", threads=1)]
    ids = models[0].tokenizer.encode("Instruct: What is 2 + 3?\nOutput:")
    packed, whole = (model.logits(ids) for model in models)
    assert np.abs(packed - whole).max() < 0.05 * np.abs(whole).max()  # 8 bits: within the format's error
    assert {model.prompt for model in models} == {"qa"}


def test_transformers_loads_the_model_with_equal_logits(out: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="the outside implementation; `make setup` installs it")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(out / "model", dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(out / "model")
    text = "Instruct: Où est Zoé ?\nOutput:"
    ids = open_checkpoint(out / "model").tokenizer().encode(text)
    assert tokenizer(text).input_ids == ids
    with torch.no_grad():
        expected = theirs(torch.tensor([ids])).logits[0].numpy()
    np.testing.assert_allclose(petitlm.load(out / "model", layers="torch").logits(ids), expected, atol=1e-5)


def test_the_card_and_the_story_say_what_was_measured(out: Path) -> None:
    story = json.loads((out / "run.json").read_text())
    assert story["recipe"]["seed"] == 4
    splits = story["data"]["splits"]
    for scores in (story["heldout"], story["heldout_8_bits"]):
        assert sum(cell["n"] for cell in scores["cells"]) == splits["heldout-values"] + splits["heldout-structures"] > 0
    card = (out / "model" / "README.md").read_text()
    assert card == (out / "packed" / "README.md").read_text()
    assert f"Tiny, {open_checkpoint(out / 'model').n_params:,} parameters." in card
    assert "| arithmetic | en |" in card
    assert [event["event"] for event in read_log(out / "log.jsonl")] == ["start", "step", "step", "step", "end"]


def test_the_same_recipe_makes_the_same_bytes(out: Path, tmp_path: Path) -> None:
    run(tmp_path / "again")
    for name in ("model/model.safetensors", "model/tokenizer.json", "packed/packed.safetensors"):
        assert (tmp_path / "again" / "out" / name).read_bytes() == (out / name).read_bytes(), name


def test_what_the_tokenizer_decides_is_refused_in_the_recipe(tmp_path: Path) -> None:
    with pytest.raises(petitlm.errors.ConfigError, match="sets n_vocab, which the tokenizer decides"):
        run(tmp_path / "run", RECIPE.replace("n_layers = 1", "n_layers = 1\nn_vocab = 400"))


def test_an_answer_ends_where_the_other_side_would_speak() -> None:
    assert until_stop(" You are welcome.\nAlice: And you?\nBob: Fine.") == " You are welcome."
    assert until_stop(" 4\nInstruct: 5\nOutput: 6") == " 4"
    assert until_stop(" left()\nright()") == " left()\nright()"
