"""Short stories from plans, English and French: somebody wants something, meets an obstacle, gets over it, learns.

The question holds the labels (who, what for, theme, style, number of sentences), the answer is the story.
Levels: 0 one character and one obstacle, 7 sentences; 1 the same with a first try that fails, 9; 2 somebody helps, 11;
3 with more about both, 15; 4 two obstacles, 18; 5 a third character and the way home, 22.
"""

from __future__ import annotations

import re
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

from petitlm.data.generators import story_en, story_fr
from petitlm.data.generators.realiser_words import FEMININE, NAMES, opens_with_vowel
from petitlm.data.generators.story_words import GOALS, HOMES, KINDS, TIMES, TRAITS, Goal, Kind, Trait
from petitlm.data.record import Problem

FAMILY = "stories"
VERSION = 1
LEVEL_WEIGHTS = (2, 2, 3, 3, 3, 3)
FORM = "story"
SHAPE = "raw"

_TELLS = {"en": story_en, "fr": story_fr}
_SKELETONS = tuple(
    skeleton.split()
    for skeleton in (
        "open want meet feel alone gain moral",
        "open want leave meet fail feel alone gain moral",
        "open want leave meet fail helper bond helped gain thanks moral",
        "open detail want leave way meet fail feel helper bond reply helped gain thanks moral",
        "open detail want leave first alone way meet fail feel helper bond reply helped gain thanks return moral",
        "open detail neighbour want advice leave first fail alone way meet fail feel helper bond reply helped gain "
        "thanks return welcome moral",
    )
)
_BONDS = ("friendship", "friendship", "sharing", "kindness", "honesty")
# Training sees each obstacle and each theme, but never these together.
_HELD_OUT = frozenset({
    ("river", "patience"), ("goose", "sharing"), ("fog", "work"), ("cliff", "courage"),
    ("storm", "friendship"), ("gate", "honesty"), ("forest", "sharing"), ("bridge", "kindness"),
})  # fmt: skip
_PRONOUNS = {"{H}": "{He}", "{F}": "{Fe}"}


class _Plan(NamedTuple):
    hero: str
    kind: Kind
    trait: Trait
    goal: Goal
    obstacles: tuple[str, ...]
    """One or two; the hero gets over the first of two alone."""
    first_theme: str
    """How the hero gets over the first of two obstacles."""
    theme: str
    helper: str
    helper_kind: Kind
    neighbour: str
    style: str

    @property
    def structure(self) -> str:
        return f"{self.obstacles[-1]}/{self.theme}/{self.goal.way}/{self.style}/{'+'.join(self.obstacles)}"


def is_held_out(structure: str) -> bool:
    """Whether training never sees `structure`: an obstacle that is overcome in the spirit of a theme."""
    obstacle, theme, _ = structure.split("/", 2)
    return (obstacle, theme) in _HELD_OUT


def draw(rng: Random, language: str, level: int, held_out: bool) -> Problem:
    """Make one story with its labels; with `held_out`, of a structure that training never sees."""
    while True:
        plan = _plan(rng, level)
        if is_held_out(plan.structure) == held_out:
            break
    slots = _slots(rng, language, plan)
    slots["n"] = str(len(_SKELETONS[level]))
    tells = _TELLS[language]
    slots["wish"] = tells.WISHES[plan.goal.way].format(**slots)
    sentences = _with_pronouns(rng, _sentences(rng, language, level, plan))
    finish = _joined_fr if language == "fr" else str
    answer = finish(" ".join(sentence.format(**slots) for sentence in sentences))
    question = finish(rng.choice(tells.REQUESTS).format(**slots))
    names = ",".join((plan.hero, plan.kind.en, plan.trait.en, plan.helper, plan.helper_kind.en, plan.neighbour))
    key = f"{FAMILY}:{level}:{plan.structure}:{plan.goal.en}:{names}"
    return Problem(FAMILY, language, level, plan.structure, key, question, answer)


def _plan(rng: Random, level: int) -> _Plan:
    obstacles = tuple(rng.sample(tuple(story_en.OBSTACLES), 2 if level >= 4 else 1))
    ways = {each: [theme for theme in story_en.OBSTACLES[each] if theme in story_en.MORALS] for each in obstacles}
    hero, helper, neighbour = rng.sample(tuple(NAMES), 3)
    return _Plan(
        hero=hero,
        kind=rng.choice(KINDS),
        trait=rng.choice(TRAITS),
        goal=rng.choice(GOALS),
        obstacles=obstacles,
        first_theme=rng.choice(ways[obstacles[0]]),
        theme=rng.choice(_BONDS if level >= 2 else ways[obstacles[-1]]),
        helper=helper if level >= 2 else "",
        helper_kind=rng.choice(KINDS),
        neighbour=neighbour if level == 5 else "",
        style=rng.choice(("plain", "speech", "tale")),
    )


def _sentences(rng: Random, language: str, level: int, plan: _Plan) -> list[str]:
    """Sentences with slots, none of them twice."""
    tells = _TELLS[language]
    manner = "speech" if plan.style == "speech" else "plain"
    first, last = tells.OBSTACLES[plan.obstacles[0]], tells.OBSTACLES[plan.obstacles[-1]]
    facing = last
    after = {"friendship": "thanks", "honesty": "honesty"}.get(plan.theme, manner) if manner == "speech" else manner
    replies = tells.REPLIES[after]
    told: list[str] = []
    for step in _SKELETONS[level]:
        facing = first if step == "first" else last if step == "meet" else facing
        choices: Any = {
            "open": tells.OPENINGS["tale" if plan.style == "tale" else "plain"],
            "detail": tells.DETAILS, "neighbour": tells.NEIGHBOUR, "want": tells.WANTS[plan.goal.way],
            "advice": tells.ADVICE[manner], "leave": tells.LEAVES, "way": tells.WAYS, "feel": tells.FEELINGS[manner],
            "first": first["meet"], "meet": last["meet"], "fail": facing["fail"], "helper": tells.HELPERS,
            "alone": facing.get(plan.first_theme if len(plan.obstacles) > 1 else plan.theme),
            "bond": tells.BONDS[plan.theme][manner] if plan.helper else (), "reply": replies,
            "helped": last["helped"], "gain": tells.GAINS[plan.goal.way], "thanks": tells.THANKS,
            "return": tells.RETURNS, "welcome": tells.WELCOMES, "moral": tells.MORALS[plan.theme],
        }[step]  # fmt: skip
        told.append(rng.choice([sentence for sentence in choices if sentence not in told]))
    return told


def _with_pronouns(rng: Random, sentences: list[str]) -> list[str]:
    """A pronoun for who opens a sentence, now and then, where the sentence before was about nobody else."""
    told = sentences[:1]
    for before, sentence in pairwise(sentences):
        who = sentence[:3]
        about = {each for each in ("{H}", "{F}", "{N}") if each in before}
        is_clear = who in _PRONOUNS and about == {who} and not told[-1].startswith(_PRONOUNS[who])
        if is_clear and (told[-1].startswith(who) or rng.random() < 0.5):
            sentence = _PRONOUNS[who] + sentence[3:]
        told.append(sentence)
    return told


def _slots(rng: Random, language: str, plan: _Plan) -> dict[str, str]:
    is_en = language == "en"
    index = 0 if is_en else 1
    hero_gender, helper_gender = NAMES[plan.hero], NAMES.get(plan.helper, "m")
    home, time = rng.choice(HOMES)[index], rng.choice(TIMES)[index]
    kind, trait = plan.kind.said(language, hero_gender), plan.trait.said(language, hero_gender)
    a_kind = _with_article(f"{trait} {kind}" if is_en else f"{kind} {trait}", language, hero_gender)
    a_friend = _with_article(plan.helper_kind.said(language, helper_gender), language, helper_gender)
    thing, purpose = (plan.goal.en, plan.goal.en_for) if is_en else (plan.goal.fr, plan.goal.fr_for)
    slots = {
        "H": plan.hero, "F": plan.helper, "N": plan.neighbour, "a_kind": a_kind, "a_friend": a_friend,
        "A_friend": a_friend[0].upper() + a_friend[1:], "home": home, "Home": home[0].upper() + home[1:], "Time": time,
        "thing": thing, "purpose": purpose, "theme": _TELLS[language].THEMES[plan.theme],
        "style": _TELLS[language].STYLES[plan.style],
    }  # fmt: skip
    return slots | (_pronouns_en(hero_gender, helper_gender) if is_en else _pronouns_fr(plan))


def _with_article(noun: str, language: str, gender: str) -> str:
    if language == "en":
        return f"{'an' if noun.startswith(('a', 'e', 'i', 'o', 'u', 'honest')) else 'a'} {noun}"
    return f"{'une' if gender == FEMININE else 'un'} {noun}"


def _pronouns_en(hero: str, helper: str) -> dict[str, str]:
    is_she = hero == FEMININE
    return {
        "h": "she" if is_she else "he", "He": "She" if is_she else "He", "him": "her" if is_she else "him",
        "his": "her" if is_she else "his", "fhim": "her" if helper == FEMININE else "him",
        "Fe": "She" if helper == FEMININE else "He",
    }  # fmt: skip


def _pronouns_fr(plan: _Plan) -> dict[str, str]:
    is_she, is_her = NAMES[plan.hero] == FEMININE, NAMES.get(plan.helper) == FEMININE
    both = is_she and is_her
    return {
        "He": "Elle" if is_she else "Il", "Fe": "Elle" if is_her else "Il",
        "le": "la" if is_she else "le", "lui": "elle" if is_she else "lui",
        "e": "e" if is_she else "", "fe": "e" if is_her else "", "it": plan.goal.it, "ils": "elles" if both else "ils",
        "Tous": "Toutes" if both else "Tous", "amis": "amies" if both else "amis",
        "an_old_neighbour": "une vieille voisine" if NAMES.get(plan.neighbour) == FEMININE else "un vieux voisin",
    }  # fmt: skip


_ELIDED = re.compile(r"\b([Ll]e|[Ll]a|[Dd]e|[Qq]ue|[Nn]e|[Jj]usque) (?=(\w+))")
_CONTRACTED = {"de le": "du", "de les": "des", "à le": "au", "à les": "aux"}


def _joined_fr(text: str) -> str:
    """Elision and contraction where a slot has been filled: `que Anna` becomes `qu'Anna`, `de le phare` `du phare`."""
    text = _ELIDED.sub(lambda found: f"{found[1][:-1]}'" if opens_with_vowel(found[2]) else found[0], text)
    return re.sub(rf"\b({'|'.join(_CONTRACTED)})\b", lambda found: _CONTRACTED[found[0]], text)
