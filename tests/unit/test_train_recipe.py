"""Recipes: nothing is ignored, nothing is guessed; and the recipes that ship can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from petitlm.cli.train import FIGURES, read_recipe
from petitlm.errors import ConfigError, NotFoundError
from petitlm.recipes import from_table, read_toml
from petitlm.train.card import read_template
from petitlm.train.recipe import TrainConfig


def test_every_recipe_that_ships_can_be_read_and_its_card_be_filled(root: Path) -> None:
    # The others, without [train], make corpora.
    recipes = [path for path in sorted((root / "recipes").glob("*.toml")) if "train" in read_toml(path)]
    assert recipes
    for path in recipes:
        plan = read_recipe(path)
        read_template(path.parent / plan.card, FIGURES)


@pytest.mark.parametrize(("old", "new", "message"), [
    ("muon_rate", "muon_rat", r"\[train\] has an unknown key 'muon_rat'; did you mean 'muon_rate'"),
    ("n_train", "n_trian", r"\[data\] has an unknown key 'n_trian'; did you mean 'n_train'"),
    ("[teaching]", "[teeching]", "unknown key 'teeching'; did you mean 'teaching'"),
    ("prompt_weight", "promt_weight", r"\[teaching\] has an unknown key 'promt_weight'; did you mean 'prompt_weight'"),
    ("seed = 1", "seed = true", "seed=True should be of type int"),
    ("compile = true", "compile = 1", "train.compile=1 should be of type bool"),
    ("seed = 1\n", "", r"lacks seed; add it"),
    ("warmup = 0.02", "warmup = 0.9", "their sum may be at most 1"),
    ("[data]", "[data", "is not a TOML file"),
])
def test_a_mistake_in_a_recipe_is_named(root: Path, tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (root / "recipes" / "default-model.toml").read_text()
    assert old in text
    (tmp_path / "recipe.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        read_recipe(tmp_path / "recipe.toml")


def test_a_budget_by_hand_takes_the_place_of_the_recipes(root: Path) -> None:
    train = read_recipe(root / "recipes" / "default-model.toml", minutes=3, threads=1).train
    assert (train.minutes, train.steps, train.threads) == (3, 0, 1)


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no recipe at"):
        read_recipe(tmp_path / "nothing.toml")


def test_whole_numbers_serve_as_fractions() -> None:
    assert from_table(TrainConfig, {"minutes": 3}, "train").minutes == 3.0


@pytest.mark.parametrize(("text", "message"), [
    ("$heldout $n_params $colour", "asks for .'colour'. that no run gives"),
    ("$heldout", "leaves out .*n_params"),
    ("$heldout costs 3 $", "lone"),
])
def test_a_card_that_leaves_out_or_invents_figures_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "card.md").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_template(tmp_path / "card.md", ("heldout", "n_params"))
