"""Puzzles, instructions, grids and code: by hand, against a third judge, and with planted mistakes."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from random import Random

import pytest

from petitlm.data import GENERATORS, Problem, generator
from petitlm.data.generators import code_check, gridworld, ordering, truth_tellers
from petitlm.data.generators.gridworld_check import Grid, read_order
from petitlm.data.generators.ordering_check import Puzzle
from petitlm.data.generators.truth_tellers_check import worlds_of

ORDERS = [
    ("en", "Tom, Lea and Max all have different heights. Lea is shorter than Tom. Max is not the shortest. "
     "Max is shorter than Tom.", "Who is the shortest?", "Lea is the shortest.", "Max is the shortest."),
    ("en", "The cup, the key and the hat stand in a row on a shelf. The key is directly to the right of the hat.",
     "Which thing is at the left end?", "The text does not say.", "The hat is at the left end."),
    ("en", "Anna, Paul, Eva and Hugo ran a race, and no two arrived together. Eva finished right after Paul. "
     "Exactly one person finished between Eva and Anna. Anna finished first.",
     "List them in the order of arrival.", "Anna, Paul, Eva, Hugo.", "Anna, Hugo, Eva, Paul."),
    ("fr",
     "Le sac, l'orange et la lampe ont des poids différents. L'orange est plus légère que le sac mais plus lourde "
     "que la lampe.", "Range-les du plus lourd au plus léger.", "Le sac, l'orange, la lampe.",
     "La lampe, l'orange, le sac."),
    ("fr", "Anna, Léa et Tom font la queue. Léa est juste derrière Anna. Tom n'est pas dernier dans la file.",
     "Quelle est la place de Léa dans la file ?", "Léa est dernière dans la file.", "Léa est deuxième dans la file."),
]  # fmt: skip
TRUTHS = [
    ("en", 'On an island, everybody either always tells the truth or always lies. Tom and Eva live there. '
     'Tom says: "We both lie."  Eva: "Tom lies."', "Who lies?", "Tom lies.", "Eva lies."),
    ("en", 'A judge listens to Tom and Eva. Each of them either always lies or always tells the truth. '
     'It is known that Eva lies. Eva: "Tom does not lie."', "Does Tom lie?", "Yes, Tom lies.",
     "No, Tom tells the truth."),
    ("fr", "Anna et Max sont des robots qui parlent. Chacun dit toujours le vrai ou toujours le faux. "
     "Anna dit : « Max et moi, nous sommes de sortes différentes. » Max : « Anna ment. »",
     "Combien y a-t-il de menteurs ?", "Il y a un menteur.", "Il y a deux menteurs."),
]  # fmt: skip
ORDERED = [
    ("en", "Words: fish, ant, cow.", "First, sort them from A to Z. Finally, give the second one.", "cow", "ant"),
    ("en", "Numbers: 3, 8, 5.",
     "First, keep only the odd ones. Finally, double each of them. Number the result, one item "
     "a line.", "1. 6\n2. 10", "6, 10"),
    ("fr", "Mot : tortue.", "Compte combien de fois la lettre « t » y figure.", "2", "1"),
    ("fr", "Mots : nid, image, zoo.", "D'abord, garde les mots de moins de 5 lettres. Enfin, écris-les en majuscules. "
     "Écris le résultat entre crochets.", "[NID, ZOO]", "[ZOO, NID]"),
]  # fmt: skip
GRID = ("The grid has 3 columns and 3 rows. The robot is at (1, 1) and faces north. There is a wall at (1, 2). "
        "A red key is at (1, 3). A blue key is at (3, 1).")  # fmt: skip
PLANS = [
    ("en", GRID, "Bring the blue key to the red key.",
     "right(); forward(2); grip(close); left(); forward(2); left(); forward(2); grip(open)",
     "right(); forward(2); grip(close); left(); left(); forward(1); right(); forward(2); left(); forward(1); "
     "grip(open)"),
    ("en", GRID, "Go to the red key.", "right(); forward(1); left(); forward(2); left(); forward(1)", "forward(2)"),
    ("fr",
     "La grille a 2 colonnes et 2 lignes. Le robot est en (1, 1) et regarde vers l'est. Il y a des murs en (1, 2) "
     "et (2, 1). Une clé est en (2, 2).", "Ramasse la clé.", "Il n'y a pas de chemin.",
     "left(); forward(1); grip(close)"),
]  # fmt: skip
FAULTY = "def f(xs):\n    return sum([x for x in xs if x < 3])"
CODE = [
    ("en", "", "Write a Python function f(xs) that returns the sum of the numbers in xs that are greater than 3.",
     "def f(xs):\n    return sum([x for x in xs if x > 3])", "def f(xs):\n    return sum([x for x in xs if x >= 3])"),
    ("fr", "", f"Répare cette fonction : f(xs) doit renvoyer la somme des nombres supérieurs à 3 dans xs.\n\n{FAULTY}",
     "def f(xs):\n    return sum([x for x in xs if x > 3])", FAULTY),
    ("en", "", "What does this program print?\n\nprint([1, 2][::-1])\nprint('a' * 3)", "[2, 1]\naaa", "[1, 2]\naaa"),
    ("en", "", "Write a Python function f(n) that returns n plus 2.", "def f(n):\n    return n + 2",
     "def f(n):\n    while True:\n        n = n"),
    ("en", "", "Write a Python function f(n) that returns n plus 2.", "def f(n):\n    return n + 2",
     "import os\ndef f(n):\n    return n + 2"),
    ("en", "", "Write a Python function f(n) that returns True if n is greater than 5, otherwise False.",
     "def f(n):\n    return n > 5", "def f(n):\n    return 1 if n > 5 else 0"),
]  # fmt: skip
BY_HAND = {"ordering": ORDERS, "truth-tellers": TRUTHS, "instructions": ORDERED, "gridworld": PLANS, "code": CODE}
CASES = [(family, *case) for family, cases in BY_HAND.items() for case in cases]


@pytest.mark.parametrize(("family", "language", "text", "question", "right", "wrong"), CASES)
def test_by_hand(family: str, language: str, text: str, question: str, right: str, wrong: str) -> None:
    problem = Problem(family, language, 0, "", "", question, right, text)
    check = GENERATORS[family].check
    assert check(problem) is None
    assert check(replace(problem, answer=wrong))
    assert check(replace(problem, question="Dance a little."))


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("level", range(6))
def test_z3_finds_the_same_orders(language: str, level: int) -> None:
    z3 = pytest.importorskip("z3")
    rng = Random(level)
    for _ in range(6):
        problem = ordering.draw(rng, language, level, False)
        puzzle = Puzzle(problem.context, language)
        at = {name: z3.Int(name) for name in puzzle.entities}
        last = len(at) - 1
        solver = z3.Solver()
        solver.add(z3.Distinct(*at.values()), *(z3.And(x >= 0, x <= last) for x in at.values()))
        for kind, names, place in puzzle.facts:
            a, b, c = (*(at[name] for name in names), 0, 0)[:3]
            solver.add({"before": a < b, "next": b == a + 1, "gap": z3.Or(a - b == 2, b - a == 2),
                        "between": z3.Or(z3.And(b < a, a < c), z3.And(c < a, a < b)), "ends": z3.Or(a == 0, a == last),
                        "at": a == place % (last + 1), "not at": a != place % (last + 1)}[kind])  # fmt: skip
        found = set()
        while solver.check() == z3.sat and len(found) < 800:
            model = solver.model()
            found.add(tuple(sorted(at, key=lambda name: model[at[name]].as_long())))
            solver.add(z3.Or(*(x != model[x] for x in at.values())))
        assert found == set(puzzle.orders())


@pytest.mark.parametrize("level", range(6))
def test_z3_finds_the_same_liars(level: int) -> None:
    z3 = pytest.importorskip("z3")
    rng = Random(level)
    for _ in range(8):
        n = truth_tellers._SIZES[level]
        kinds, claims = truth_tellers._pose(rng, level, n, 0 if level == 0 else -1)
        if level == 0:
            continue
        tells = [z3.Bool(str(i)) for i in range(n)]

        def holds(claim: truth_tellers.Claim, speaker: int, tells: list = tells, n: int = n) -> object:
            one = tells[claim.who[0]] if claim.who else None
            is_right = [t == bool(claim.value > 0) for t in tells]
            parts = [holds(part, speaker) for part in claim.parts]
            return {
                "is": lambda: one == bool(claim.value), "is-not": lambda: one != bool(claim.value),
                "same": lambda: one == tells[speaker], "other": lambda: one != tells[speaker],
                "both": lambda: z3.And(*is_right), "one": lambda: z3.Or(*is_right), "and": lambda: z3.And(*parts),
                "or": lambda: z3.Or(*parts), "if": lambda: z3.Implies(*parts),
                "count": lambda: z3.Sum([z3.If(right, 1, 0) for right in is_right]) == abs(claim.value),
            }[claim.form]()  # fmt: skip

        solver = z3.Solver()
        solver.add(*(tells[i] == holds(claim, i) for i, claim in enumerate(claims) if claim))
        assert solver.check() == z3.sat
        assert tuple(z3.is_true(solver.model().eval(t, True)) for t in tells) == kinds
        solver.add(z3.Or(*(t != kind for t, kind in zip(tells, kinds, strict=True))))
        assert solver.check() == z3.unsat, "exactly one share of kinds fits"


def test_a_puzzle_with_two_solutions_is_refused() -> None:
    text = ('A judge listens to Tom and Eva. Each of them either always lies or always tells the truth. '
            'Tom: "Eva tells the truth." Eva: "Tom tells the truth."')  # fmt: skip
    people, worlds = worlds_of(text, "en")
    assert worlds == {frozenset(), frozenset(people)}
    problem = Problem("truth-tellers", "en", 0, "", "", "Who lies?", "Nobody.", text)
    assert "2 shares" in str(GENERATORS["truth-tellers"].check(problem))


@pytest.mark.parametrize("level", range(6))
def test_a_plan_walks_through_no_wall_and_is_the_shortest(level: int) -> None:
    rng = Random(level)
    for _ in range(30):
        problem = gridworld.draw(rng, "en", level, False)
        if problem.answer == "There is no way.":
            continue
        grid = Grid(problem.context)
        at, heading, holds = grid.robot, grid.heading, []
        for action in problem.answer.split("; "):
            if action.startswith("forward"):
                for _ in range(int(action[8:-1])):
                    at += heading
                    assert grid.is_free(at), (problem, action)
            elif action in ("left()", "right()"):
                heading *= 1j if action == "left()" else -1j
            elif action.startswith("grip"):
                holds.append((action, at))
        legs = read_order(problem.question, "en")
        assert [where for _, where in holds] == [grid.find(name) for name, deed in legs if deed in ("close", "open")]
        goal, deed = grid.find(legs[-1][0]), legs[-1][1]
        assert abs(at - goal) == (deed == "beside")


def test_every_wrong_variant_differs_from_the_function_and_fails() -> None:
    made = code_check.variants("def f(x):\n    return x * 3 + 1")
    assert len(made) == 2
    assert all(a != b for a, b in combinations([*made, "def f(x):\n    return x * 3 + 1"], 2))
    vague = Problem("code", "en", 0, "", "", "Write a Python function f(n) that returns n plus 2.",
                    "def f(n):\n    unused = n * 7\n    return n + 2")  # fmt: skip
    assert "wrong variant" in str(code_check.check(vague)), "an operator that no test can miss is a line too many"


def test_programs_that_lie_about_being_fixed_are_refused() -> None:
    right = "def f(n):\n    return n + 2"
    question = f"Repair this function: f(n) is to return n plus 2.\n\n{right}"
    assert "passes" in str(code_check.check(Problem("code", "en", 0, "", "", question, right)))


@pytest.mark.parametrize("family", ["ordering", "truth-tellers", "instructions", "gridworld", "code"])
def test_both_languages_share_the_key_and_levels_differ(family: str) -> None:
    made_by = generator(family)
    for level in range(6):
        english, french = (made_by.draw(Random(level), language, level, False) for language in ("en", "fr"))
        assert english.level == french.level == level
        if family != "instructions":  # whose words are of one language
            assert english.key == french.key
            assert english.structure == french.structure
    lengths = [sum(len(made_by.draw(Random(i), "en", level, False).context + made_by.draw(Random(i), "en", level, False)
                       .question) for i in range(30)) for level in (0, 5)]  # fmt: skip
    assert lengths[0] < lengths[1]
