"""Minimal pairs: the second route. A strict reader must read the answer and find no reading of its foil."""

from __future__ import annotations

import re

from petitlm.data.generators.realiser_forms_fr import FINITE
from petitlm.data.generators.realiser_read_en import read_english
from petitlm.data.generators.realiser_read_fr import read_french
from petitlm.data.generators.realiser_trees import Clause, Predicate, Sentence
from petitlm.data.generators.realiser_words import VERBS
from petitlm.data.record import Problem

_READ = {"en": read_english, "fr": read_french}
_PAIR = re.compile(r".+[.?] \(1\) (.+[.?]) \(2\) (.+[.?])")
_BLANK = re.compile(r".*[“«] ?(?P<verb>[\w ]+?) ?[”»](?P<tense>[^:]*?) ?: (?P<before>.+)___(?P<after>.*)")
_TENSE = {
    "present": "present", "past": "past", "future": "future",
    "présent": "present", "passé composé": "past", "imparfait": "past", "futur": "future",
}  # fmt: skip
# What is swapped for another, and says nothing of its own.
_LISTED = """the a an i me he him she her we us they them is are was were am do does did not no to
    le les un une de du des à au aux ce cet cette ces ne pas me te lui leur leurs il elle ils elles
    mon ma mes ton ta tes son sa ses et est que"""
_SMALL_WORDS = frozenset(_LISTED.split()).union(
    form for form, readings in FINITE.items() if readings[0][0] in ("be", "have", "go")
)
_PASTS = {frozenset((verb.en.split()[0], verb.en_past.split()[0])) for verb in VERBS.values()}


def check(problem: Problem) -> str | None:
    """Say why `problem` is not a right sentence with a wrong twin, asked for as its question says; None if it is."""
    read = _READ[problem.language]
    answer, foil = problem.answer, problem.foil
    if not read(answer):
        return f"{answer!r} has no reading; it is not a correct sentence of the small grammar"
    if read(foil):
        return f"{foil!r} is a correct sentence; it cannot be the wrong half of a pair"
    if not _differ_in_one_place(answer, foil):
        return f"{answer!r} and {foil!r} differ in more than one place"
    if pair := _PAIR.fullmatch(problem.question):
        return None if {pair[1], pair[2]} == {answer, foil} else "the question shows other sentences than the pair"
    if blank := _BLANK.fullmatch(problem.question):
        return _check_blank(blank, answer, read(answer))
    return None if problem.question.endswith(f": {foil}") else "the question does not show the sentence to correct"


def _differ_in_one_place(one: str, other: str) -> bool:
    """Whether, elision aside, neighbours changed places, or a word has another form, or a small word came or went."""
    a, b = (re.sub(r"' ?", "e ", re.sub(r"\bla\b", "le", text.lower())).rstrip(" .?").split() for text in (one, other))
    start = next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    a, b = a[start:], b[start:]
    while a and b and a[-1] == b[-1]:
        a, b = a[:-1], b[:-1]
    if sorted(a) == sorted(b):
        return len(a) <= 3
    if len(a) == len(b):
        return all(map(_are_forms, a, b)) and len(a) <= 2
    return abs(len(a) - len(b)) == 1 and len(a) + len(b) <= 3 and all(word in _SMALL_WORDS for word in (*a, *b))


def _are_forms(one: str, other: str) -> bool:
    return one[0] == other[0] or {one, other} <= _SMALL_WORDS or other.endswith("ed") or {one, other} in _PASTS


def _check_blank(blank: re.Match[str], answer: str, readings: frozenset[Sentence]) -> str | None:
    filled = answer.removeprefix(blank["before"]).removesuffix(blank["after"])
    if blank["before"] + filled + blank["after"] != answer:
        return f"{answer!r} changes more than the blank"
    tense = next((_TENSE[word] for word in _TENSE if re.search(rf"\b{word}\b", blank["tense"])), "")
    verbs = {name for name, verb in VERBS.items() if blank["verb"] in (verb.en, verb.fr)}
    for sentence in readings:
        if any(said.verb in verbs and said.tense == tense for said in _predicates(sentence.clause)):
            return None
    return f"{filled!r} is not {blank['verb']!r} in the tense asked for"


def _predicates(clause: Clause) -> list[Predicate]:
    return [clause.predicate, *([clause.subject.who] if clause.subject.who else [])]
