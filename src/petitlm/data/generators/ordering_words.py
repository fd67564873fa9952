"""What the ordering puzzles say, theme by theme, in English and French.

An order runs from its front (the tallest, the first) to its back. In a template `{a}` comes before `{b}`, and `{b}`
before `{c}`; `{nth}` is a place between the two ends. `[a:x|y]` agrees with `{a}`.
"""

from __future__ import annotations

Phrases = dict[str, str]

THINGS_THEMES = frozenset({"weight", "price", "shelf"})
"""Themes about things; the others are about people."""


def _compared_en(more: str, less: str, most: str, least: str, has: str, who: str) -> Phrases:
    which = "Which thing" if who == "Which" else who
    return {
        "intro": f"{{all}} all have different {has}.",
        "before": f"{{a}} is {more} than {{b}}.", "after": f"{{b}} is {less} than {{a}}.",
        "chain": f"{{b}} is {less} than {{a}} but {more} than {{c}}.",
        "front": f"{{a}} is the {most}.", "back": f"{{a}} is the {least}.", "nth": f"{{a}} is the {{nth}} {most}.",
        "not-front": f"{{a}} is not the {most}.", "not-back": f"{{a}} is not the {least}.",
        "not-nth": f"{{a}} is not the {{nth}} {most}.", "ends": f"{{a}} is either the {most} or the {least}.",
        "ask-front": f"{which} is the {most}?", "ask-back": f"{which} is the {least}?",
        "ask-nth": f"{which} is the {{nth}} {most}?", "ask-compare": f"{who} is {more}, {{a}} or {{b}}?",
        "ask-list": f"List them from the {most} to the {least}.",
    }  # fmt: skip


def _compared_fr(more: str, less: str, has: str, who: str) -> Phrases:
    """`more` and `less` agree by `[a:...]`; in a question they agree with the group, which is `g`."""
    more_b, less_b, more_g, less_g = (text.replace("[a:", f"[{one}:") for one in "bg" for text in (more, less))
    return {
        "intro": f"{{all}} ont {has}.",
        "before": f"{{a}} est {more} {{que_b}}.", "after": f"{{b}} est {less_b} {{que_a}}.",
        "chain": f"{{b}} est {less_b} {{que_a}} mais {more_b} {{que_c}}.",
        "front": f"{{a}} est [a:le|la] {more}.", "back": f"{{a}} est [a:le|la] {less}.",
        "nth": f"{{a}} est [a:le|la] {{nth}} {more}.",
        "not-front": f"{{a}} n'est pas [a:le|la] {more}.", "not-back": f"{{a}} n'est pas [a:le|la] {less}.",
        "not-nth": f"{{a}} n'est pas [a:le|la] {{nth}} {more}.",
        "ends": f"{{a}} est soit [a:le|la] {more}, soit [a:le|la] {less}.",
        "ask-front": f"{who} est [g:le|la] {more_g} ?", "ask-back": f"{who} est [g:le|la] {less_g} ?",
        "ask-nth": f"{who} est [g:le|la] {{nth}} {more_g} ?",
        "ask-compare": f"{who} est [g:le|la] {more_g}, {{a}} ou {{b}} ?",
        "ask-list": f"Range-les [g:du|de la] {more_g} [g:au|à la] {less_g}.",
    }  # fmt: skip


PHRASES: dict[str, dict[str, Phrases]] = {
    "en": {
        "height": _compared_en("taller", "shorter", "tallest", "shortest", "heights", "Who"),
        "age": _compared_en("older", "younger", "oldest", "youngest", "ages", "Who"),
        "weight": _compared_en("heavier", "lighter", "heaviest", "lightest", "weights", "Which"),
        "price": _compared_en("dearer", "cheaper", "dearest", "cheapest", "prices", "Which"),
        "race": {
            "intro": "{all} ran a race, and no two arrived together.",
            "before": "{a} finished before {b}.", "after": "{b} finished after {a}.",
            "next": "{a} finished right before {b}.", "prev": "{b} finished right after {a}.",
            "front": "{a} finished first.", "back": "{a} finished last.", "nth": "{a} finished {nth}.",
            "not-front": "{a} did not finish first.", "not-back": "{a} did not finish last.",
            "not-nth": "{a} did not finish {nth}.", "ends": "{a} finished either first or last.",
            "between": "{b} finished somewhere between {a} and {c}.",
            "gap": "Exactly one person finished between {a} and {b}.",
            "ask-front": "Who finished first?", "ask-back": "Who finished last?", "ask-nth": "Who finished {nth}?",
            "ask-compare": "Who finished earlier, {a} or {b}?", "ask-list": "List them in the order of arrival.",
            "ask-place": "In what place did {a} finish?", "ask-next": "Who finished right after {a}?",
        },
        "line": {
            "intro": "{all} are standing in line, one behind the other.",
            "before": "{a} is ahead of {b}.", "after": "{b} is behind {a}.",
            "next": "{a} is right ahead of {b}.", "prev": "{b} is right behind {a}.",
            "front": "{a} is first in line.", "back": "{a} is last in line.", "nth": "{a} is {nth} in line.",
            "not-front": "{a} is not first in line.", "not-back": "{a} is not last in line.",
            "not-nth": "{a} is not {nth} in line.", "ends": "{a} is either first or last in line.",
            "between": "{b} is somewhere between {a} and {c}.", "gap": "Exactly one person is between {a} and {b}.",
            "ask-front": "Who is first in line?", "ask-back": "Who is last in line?",
            "ask-nth": "Who is {nth} in line?",
            "ask-compare": "Who is closer to the front, {a} or {b}?", "ask-list": "List them from front to back.",
            "ask-place": "What is the place of {a} in the line?", "ask-next": "Who is right behind {a}?",
        },
        "shelf": {
            "intro": "{all} stand in a row on a shelf.",
            "before": "{a} is to the left of {b}.", "after": "{b} is to the right of {a}.",
            "next": "{a} is directly to the left of {b}.", "prev": "{b} is directly to the right of {a}.",
            "front": "{a} is at the left end.", "back": "{a} is at the right end.",
            "nth": "{a} is {nth} from the left.",
            "not-front": "{a} is not at the left end.", "not-back": "{a} is not at the right end.",
            "not-nth": "{a} is not {nth} from the left.", "ends": "{a} is at one of the two ends.",
            "between": "{b} is somewhere between {a} and {c}.", "gap": "Exactly one thing is between {a} and {b}.",
            "ask-front": "Which thing is at the left end?", "ask-back": "Which thing is at the right end?",
            "ask-nth": "Which thing is {nth} from the left?",
            "ask-compare": "Which is further to the left, {a} or {b}?", "ask-list": "List them from left to right.",
            "ask-place": "What is the place of {a}, counted from the left?",
            "ask-next": "Which thing is directly to the right of {a}?",
        },
    },
    "fr": {
        "height": _compared_fr("plus [a:grand|grande]", "plus [a:petit|petite]", "des tailles différentes", "Qui"),
        "age": _compared_fr("plus [a:âgé|âgée]", "plus jeune", "des âges différents", "Qui"),
        "weight": _compared_fr("plus [a:lourd|lourde]", "plus [a:léger|légère]", "des poids différents", "Lequel"),
        "price": _compared_fr("plus [a:cher|chère]", "moins [a:cher|chère]", "des prix différents", "Lequel"),
        "race": {
            "intro": "{all} ont fait une course, sans ex æquo.",
            "before": "{a} est [a:arrivé|arrivée] avant {b}.", "after": "{b} est [b:arrivé|arrivée] après {a}.",
            "next": "{a} est [a:arrivé|arrivée] juste avant {b}.",
            "prev": "{b} est [b:arrivé|arrivée] juste après {a}.",
            "front": "{a} est [a:arrivé premier|arrivée première].",
            "back": "{a} est [a:arrivé dernier|arrivée dernière].", "nth": "{a} est [a:arrivé|arrivée] {nth}.",
            "not-front": "{a} n'est pas [a:arrivé premier|arrivée première].",
            "not-back": "{a} n'est pas [a:arrivé dernier|arrivée dernière].",
            "not-nth": "{a} n'est pas [a:arrivé|arrivée] {nth}.",
            "ends": "{a} est [a:arrivé|arrivée] soit [a:premier|première], soit [a:dernier|dernière].",
            "between": "{b} est [b:arrivé|arrivée] quelque part entre {a} et {c}.",
            "gap": "Une seule personne est arrivée entre {a} et {b}.",
            "ask-front": "Qui est arrivé premier ?", "ask-back": "Qui est arrivé dernier ?",
            "ask-nth": "Qui est arrivé {nth} ?", "ask-compare": "Qui est arrivé plus tôt, {a} ou {b} ?",
            "ask-list": "Cite-les dans l'ordre d'arrivée.",
            "ask-place": "À quelle place {a} est-[a:il arrivé|elle arrivée] ?",
            "ask-next": "Qui est arrivé juste après {a} ?",
        },
        "line": {
            "intro": "{all} font la queue.",
            "before": "{a} est devant {b}.", "after": "{b} est derrière {a}.",
            "next": "{a} est juste devant {b}.", "prev": "{b} est juste derrière {a}.",
            "front": "{a} est [a:premier|première] dans la file.", "back": "{a} est [a:dernier|dernière] dans la file.",
            "nth": "{a} est {nth} dans la file.",
            "not-front": "{a} n'est pas [a:premier|première] dans la file.",
            "not-back": "{a} n'est pas [a:dernier|dernière] dans la file.",
            "not-nth": "{a} n'est pas {nth} dans la file.",
            "ends": "{a} est soit [a:premier|première], soit [a:dernier|dernière] dans la file.",
            "between": "{b} est quelque part entre {a} et {c}.", "gap": "Une seule personne est entre {a} et {b}.",
            "ask-front": "Qui est premier dans la file ?", "ask-back": "Qui est dernier dans la file ?",
            "ask-nth": "Qui est {nth} dans la file ?", "ask-compare": "Qui est plus près du début, {a} ou {b} ?",
            "ask-list": "Cite-les du début à la fin de la file.",
            "ask-place": "Quelle est la place {de_a} dans la file ?", "ask-next": "Qui est juste derrière {a} ?",
        },
        "shelf": {
            "intro": "{all} sont côte à côte sur une étagère.",
            "before": "{a} est à gauche {de_b}.", "after": "{b} est à droite {de_a}.",
            "next": "{a} est juste à gauche {de_b}.", "prev": "{b} est juste à droite {de_a}.",
            "front": "{a} est tout à gauche.", "back": "{a} est tout à droite.",
            "nth": "{a} est en {nth} position en partant de la gauche.",
            "not-front": "{a} n'est pas tout à gauche.", "not-back": "{a} n'est pas tout à droite.",
            "not-nth": "{a} n'est pas en {nth} position en partant de la gauche.",
            "ends": "{a} est à l'un des deux bouts.", "between": "{b} est quelque part entre {a} et {c}.",
            "gap": "Un seul objet est entre {a} et {b}.",
            "ask-front": "Quel objet est tout à gauche ?", "ask-back": "Quel objet est tout à droite ?",
            "ask-nth": "Quel objet est en {nth} position en partant de la gauche ?",
            "ask-compare": "Quel objet est le plus à gauche, {a} ou {b} ?",
            "ask-list": "Cite-les de gauche à droite.",
            "ask-place": "Quelle est la place {de_a} en partant de la gauche ?",
            "ask-next": "Quel objet est juste à droite {de_a} ?",
        },
    },
}  # fmt: skip
THEMES = tuple(PHRASES["en"])
