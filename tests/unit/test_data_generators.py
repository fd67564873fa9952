"""Each family by hand: questions that the second route must accept, planted wrong answers that it must catch."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from petitlm.data import GENERATORS, Problem, generator
from petitlm.data.generators.commands_check import obey_actions, obey_sentence
from petitlm.data.generators.french import accented, definite, elide
from petitlm.errors import UsageError

SUMS = [
    ("en", "What is 27 + 15?", "27 + 15 = 42.", "27 + 15 = 43."),
    ("en", "Twelve minus five?", "12 - 5 = 7.", "5 - 12 = 7."),
    ("en", "Subtract 5 from 12.", "12 - 5 = 7.", "5 - 12 = -7."),
    ("en", "6x7 = ?", "6 × 7 = 42.", "6 + 7 = 13."),
    ("en", "What is 5 + 7 - 3?", "5 + 7 = 12, 12 - 3 = 9.", "5 + 7 = 12, 12 - 3 = 8."),
    ("en", "Which is smaller, nine or 11?", "9 is smaller than 11.", "11 is smaller than 9."),
    ("en", "Write 42 in words.", "forty-two", "fourty-two"),
    ("en", "Lea has 5 apples. She gives 2 away. How many apples does she have now?",
     "5 - 2 = 3. Lea has 3 apples.", "5 - 2 = 3. Lea has 2 apples."),
    ("fr", "Combien font vingt-sept plus quinze ?", "27 + 15 = 42.", "27 + 15 = 41."),
    ("fr", "Quelle est la somme de vingt et un et trente et un ?", "21 + 31 = 52.", "20 + 31 = 51."),
    ("fr", "Ça fait combien, 99-71 ?", "99 - 71 = 28.", "99 - 71 = 38."),
    ("fr", "Écris quatre-vingt-onze en chiffres.", "91", "81"),
    ("fr", "Léa a une pomme. Elle en reçoit vingt et une de plus. Combien de pommes a-t-elle maintenant ?",
     "1 + 21 = 22. Léa a 22 pommes.", "1 + 21 = 22. Léa a 22 billes."),
]  # fmt: skip


@pytest.mark.parametrize(("language", "question", "right", "wrong"), SUMS)
def test_sums(language: str, question: str, right: str, wrong: str) -> None:
    problem = Problem("arithmetic", language, 0, "", "", question, right)
    check = GENERATORS["arithmetic"].check
    assert check(problem) is None
    assert check(replace(problem, answer=wrong))


TEXT_EN = (
    "Tom is in the garden. Anna goes to the kitchen. Tom takes the key. Tom walks to the kitchen. "
    "Tom gives the key to Anna."
)
TEXT_FR = "Tom est dans l'atelier. Tom prend la clé. Tom laisse la clé là. Tom va dans la cave. Anna ramasse le sac."
PASSAGES = [
    ("en", TEXT_EN, "Where is Tom?", "Tom is in the kitchen.", "Tom is in the garden."),
    ("en", TEXT_EN, "Where is the key?", "The key is in the kitchen.", "The key is in the garden."),
    ("en", TEXT_EN, "Who has the key?", "Anna has the key.", "Tom has the key."),
    ("en", TEXT_EN, "Is Anna in the garden?", "No, Anna is in the kitchen.", "Yes, Anna is in the kitchen."),
    ("en", TEXT_EN, "What does Anna have?", "Anna has the key.", "The text does not say."),
    ("en", TEXT_EN, "Where is the lamp?", "The text does not say.", "The lamp is in the kitchen."),
    ("fr", TEXT_FR, "Où est la clé ?", "La clé est dans l'atelier.", "La clé est dans la cave."),
    ("fr", TEXT_FR, "Qui a la clé ?", "Le texte ne le dit pas.", "Tom a la clé."),
    ("fr", TEXT_FR, "Qu'est-ce qu'Anna a ?", "Anna a le sac.", "Anna a la clé et le sac."),
    ("fr", TEXT_FR, "Est-ce que Tom est dans la cave ?", "Oui, Tom est dans la cave.", "Non, Tom est dans l'atelier."),
    ("fr", TEXT_FR, "Où est Anna ?", "Le texte ne le dit pas.", "Anna est dans la cave."),
]


@pytest.mark.parametrize(("language", "text", "question", "right", "wrong"), PASSAGES)
def test_passages(language: str, text: str, question: str, right: str, wrong: str) -> None:
    problem = Problem("passages", language, 0, "", "", question, right, text)
    check = GENERATORS["passages"].check
    assert check(problem) is None
    assert check(replace(problem, answer=wrong))


COMMANDS = [
    ("en", "Robot, go forward 3, then turn left, then close the gripper.", "forward(3); left(); grip(close)",
     "forward(3); right(); grip(close)"),
    ("en", "Turn around, but first back up one step.", "back(1); left(); left()", "left(); left(); back(1)"),
    ("en", "Go forward 3 steps, no, 5; then turn right twice, please.", "forward(5); right(); right()",
     "forward(3); right(); right()"),
    ("en", "First raise the arm, then wait ten seconds, and finally let go.", "arm(up); wait(10); grip(open)",
     "arm(up); wait(10)"),
    ("fr", "Avance d'un pas, puis tourne à gauche, non, à droite.", "forward(1); right()", "forward(1); left()"),
    ("fr", "Recule de onze pas deux fois, s'il te plaît.", "back(11); back(11)", "back(11)"),
    ("fr", "Ferme la pince, mais avant, attends une seconde.", "wait(1); grip(close)", "grip(close); wait(1)"),
    ("fr", "D'abord fais demi-tour, puis lève le bras, et enfin avance tout droit de 2.",
     "left(); left(); arm(up); forward(2)", "left(); arm(up); forward(2)"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "sentence", "right", "wrong"), COMMANDS)
def test_commands(language: str, sentence: str, right: str, wrong: str) -> None:
    problem = Problem("commands", language, 0, "", "", sentence, right)
    check = GENERATORS["commands"].check
    assert check(problem) is None
    assert check(replace(problem, answer=wrong))


def test_the_robot_ends_where_the_sentence_says() -> None:
    robot = obey_sentence("Go forward 2, then turn left, then go forward 3.", "en")
    assert (robot.at, robot.heading) == (-3 + 2j, -1)
    assert obey_actions("forward(2); left(); forward(3)") == robot


@pytest.mark.parametrize("actions", ["", "forward()", "forward(-1)", "left(2)", "grip(wide)", "jump(1)", "left();"])
def test_what_is_no_action_is_refused(actions: str) -> None:
    with pytest.raises(UsageError, match="not an action"):
        obey_actions(actions)


@pytest.mark.parametrize("family", list(GENERATORS))
@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("held_out", [False, True])
def test_drawn_problems_hold_and_their_swapped_answers_do_not(family: str, language: str, held_out: bool) -> None:
    made_by = generator(family)
    rng = Random(7)
    for level in range(len(made_by.level_weights)):
        problems = [made_by.draw(rng, language, level, held_out) for _ in range(60)]
        for problem, other in pairwise(problems):
            assert (problem.family, problem.language, problem.level) == (family, language, level)
            assert made_by.is_held_out(problem.structure) == held_out
            assert made_by.check(problem) is None
            # Two programs that do the same are both right.
            same_task = family == "code" and other.key.split(":")[2:] == problem.key.split(":")[2:]
            if other.answer != problem.answer and not same_task:
                assert made_by.check(replace(problem, answer=other.answer)), (problem, other.answer)


@pytest.mark.parametrize("family", ["arithmetic", "passages", "commands"])
def test_one_generator_serves_every_level_and_many_structures(family: str) -> None:
    rng = Random(3)
    made_by = generator(family)
    structures = Counter(made_by.draw(rng, "fr", 2, False).structure for _ in range(400))
    assert len(structures) >= 25
    assert structures.most_common(1)[0][1] < 100


def test_several_questions_about_one_text_differ() -> None:
    draw = generator("passages").draw_conversation
    assert draw is not None
    for seed in range(50):
        problems = draw(Random(seed), "fr", 1, True, 3)
        assert len({problem.context for problem in problems}) == 1
        assert len({problem.question for problem in problems}) == 3
        assert [generator("passages").is_held_out(p.structure) for p in problems] == [False, False, True]


def test_french_joints() -> None:
    assert [elide("que", "Anna"), elide("que", "Tom"), elide("de", "œufs")] == ["qu'Anna", "que Tom", "d'œufs"]
    assert [definite("école", True), definite("clé", True), definite("sac", False)] == ["l'école", "la clé", "le sac"]
    assert accented("Lea et Leo; Leonard") == "Léa et Léo; Leonard"


# A translation holds English too, a question of grammar French with mistakes; their own tests look at their French.
@pytest.mark.parametrize("family", [family for family in GENERATORS if family not in ("translation", "grammar")])
def test_french_spacing_and_elision_in_what_is_drawn(family: str) -> None:
    rng = Random(11)
    made_by = generator(family)
    said = []
    for _ in range(600):
        problem = made_by.draw(rng, "fr", rng.randrange(len(made_by.level_weights)), False)
        said.append(f"{problem.context} {problem.question}")
        # The action language and Python keep their own spacing.
        said += [problem.answer] if family not in ("commands", "gridworld", "code") else []
        said = [text.partition("\n\n")[0] for text in said]
    for text in said:
        assert not re.search(r"[^ ][?!;:]", text), text
        plain = re.sub(r"\bde (?:un|onze|A à Z)\b", "", text)
        assert not re.search(r"(?<!-)\b(?:que|le|la|de) [AEIOUaeiouéèœ]", plain), text
        assert not re.search(r"d'onze|\bde un pas\b", text), text


def test_an_unknown_generator_is_refused() -> None:
    with pytest.raises(UsageError, match="arithmetic"):
        generator("algebra")
