"""Random abstract trees of short sentences that make sense, from level 0 to 5, for translations and grammar.

Levels: 0 a quality or a place; 1 what somebody does, with one thing or several; 2 adjectives, negation, numbers; 3 past
and future, times, ways; 4 pronouns as objects, questions, possession, can, must, want, giving; 5 two clauses: because,
but, when, who, that.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from petitlm.data.generators.realiser_trees import (
    Clause,
    Phrase,
    Predicate,
    Sentence,
    as_pronoun,
    both,
    named,
    noun,
    pronoun,
)
from petitlm.data.generators.realiser_words import ADJECTIVES, NAMES, NOUNS, NUMBERS, TIMES, VERBS, WHERE

_OF_KIND = {
    kind: [n.en for n in NOUNS.values() if n.kind == kind]
    for kind in ("person", "animal", "thing", "food", "mass", "drink", "place", "furniture")
}
_FIRST = {kind: [a.en for a in ADJECTIVES.values() if a.comes_first and kind in a.kinds] for kind in _OF_KIND}
_SECOND = {kind: [a.en for a in ADJECTIVES.values() if not a.comes_first and kind in a.kinds] for kind in _OF_KIND}
_DOING = {
    frame: [v.en for v in VERBS.values() if v.frame == frame] for frame in ("", "object", "recipient", "to", "that")
}
_ANIMALS_DO = {"": ("sleep", "run", "play", "arrive", "fall"), "object": ("see", "eat", "drink", "find", "look for"),
               "to": ("go", "return")}  # fmt: skip
_FOR_ANIMALS = ("garden", "park", "forest", "village", "beach", "castle", *_OF_KIND["furniture"], "tree", "bridge")
# A `beau-père` is a father-in-law and a `vieille fille` a spinster: some adjectives stay away from some nouns.
_FIRST_OF = {name: ["young", "old"] for name in ("father", "mother", "brother", "sister", "uncle", "aunt")} | {
    name: ["small", "beautiful"] for name in ("boy", "girl")
}
_KNOWN = ("love", "know")
_COLOURS = {"black", "white", "red", "green", "blue", "brown", "grey", "yellow"}
_AT_ONCE = ("arrive", "leave", "fall")
_OWNED = ("thing", "food")
_PETS = ("cat", "dog", "horse", "rabbit")


def draw_sentence(rng: Random, level: int) -> Sentence:
    """A tree of this level, in which nobody and nothing is named twice."""
    while True:
        sentence = _draw(rng, level)
        heads = list(_heads(sentence))
        if len(heads) == len(set(heads)):
            return sentence


def _draw(rng: Random, level: int) -> Sentence:
    if level <= 3:
        subject = draw_subject(rng, level)
        return Sentence(Clause(subject, draw_predicate(rng, level, subject)))
    if level == 4:
        subject = draw_subject(rng, 2)
        said = _of_level_4(rng, subject)
        # `Must she not sleep?` is stiff English.
        return Sentence(Clause(subject, said), asks=rng.random() < 0.35 and not (said.modal and said.negated))
    return rng.choice((_joined, _joined, _reported, _with_relative))(rng)


def _heads(tree: object) -> Iterator[str]:
    """Every noun and name in a tree."""
    if isinstance(tree, Phrase) and tree.head:
        yield tree.head
    if isinstance(tree, tuple):
        for part in tree:
            yield from _heads(part)


def draw_subject(rng: Random, level: int) -> Phrase:
    """Somebody who does something."""
    kind = rng.random()
    if kind < 0.2:
        return rng.choice([pronoun(1), pronoun(2), pronoun(3), pronoun(3, gender="f"), pronoun(1, True),
                           pronoun(3, True), pronoun(3, True, "f"), pronoun(2, True)])  # fmt: skip
    if kind < 0.5:
        who = named(rng.choice(tuple(NAMES)))
        return both(who, _another(rng, who)) if level and rng.random() < 0.25 else who
    head = rng.choice(_OF_KIND["person" if rng.random() < 0.65 else "animal"])
    return _described(rng, noun(head, "the", level > 0 and rng.random() < 0.35), 0.5 if level == 2 else 0.15)


def _another(rng: Random, who: Phrase) -> Phrase:
    return named(rng.choice([name for name in NAMES if name != who.head]))


def _described(rng: Random, phrase: Phrase, share: float) -> Phrase:
    kind = NOUNS[phrase.head].kind
    first = _FIRST_OF.get(phrase.head, _FIRST[kind])
    if first and rng.random() < share:
        phrase = phrase._replace(first=rng.choice(first))
    if _SECOND[kind] and rng.random() < share:
        phrase = phrase._replace(second=rng.choice(_SECOND[kind]))
    return phrase


def _is_animal(subject: Phrase) -> bool:
    return bool(subject.head) and subject.head not in NAMES and NOUNS[subject.head].kind == "animal"


def draw_predicate(rng: Random, level: int, subject: Phrase) -> Predicate:
    """Something that `subject` is or does."""
    if level == 0 or rng.random() < 0.12:
        said = _being(rng, subject, level)
    else:
        frames = ("", "object", "object", "object", "to") if level >= 3 else ("", "object", "object")
        said = _doing(rng, level, subject, rng.choice(frames))
    if level >= 3:
        tense = rng.choice(("past", "past", "future", "present"))
        time = rng.choice(tuple(TIMES[tense])) if rng.random() < 0.6 else ""
        if VERBS[said.verb].is_state and (tense == "present" or said.verb != "be"):
            time = ""  # one does not know somebody yesterday
        said = said._replace(tense=tense, time=time)
    if level >= 2 and rng.random() < (0.4 if level == 2 else 0.25):
        said = said._replace(negated=True)
    return said


def _being(rng: Random, subject: Phrase, level: int) -> Predicate:
    kind = "animal" if _is_animal(subject) else "person"
    if rng.random() < 0.5:
        fitting = [a for a in _SECOND[kind] if a != subject.second and not {a, subject.second} <= _COLOURS]
        return Predicate("be", quality=rng.choice(fitting))
    preposition = rng.choice(("in", "in", "under", "behind", "in front of", "near"))
    return Predicate("be", place=_somewhere(rng, preposition, level, subject))


def _somewhere(rng: Random, preposition: str, level: int, who: Phrase) -> tuple[str, Phrase]:
    where = noun(rng.choice([w for w in WHERE[preposition] if w in _FOR_ANIMALS or not _is_animal(who)]))
    return preposition, _described(rng, where, 0.25 if level == 2 else 0.0)


def _doing(rng: Random, level: int, subject: Phrase, frame: str) -> Predicate:
    verb = rng.choice((_ANIMALS_DO if _is_animal(subject) else _DOING)[frame])
    said = Predicate(verb)
    if frame == "object":
        said = said._replace(object=_thing_done(rng, level, verb))
        if verb == "drink" and _is_animal(subject):
            said = said._replace(object=noun(rng.choice(("water", "milk")), rng.choice(("a", "the"))))
    if frame == "to":
        said = said._replace(place=_somewhere(rng, "to", level, subject))
    elif frame == "" and verb in ("sleep", "sing", "dance", "work", "play", "run") and rng.random() < 0.4:
        said = said._replace(place=_somewhere(rng, "in", level, subject))
    return said


def _thing_done(rng: Random, level: int, verb: str) -> Phrase:
    wanted = rng.choice(VERBS[verb].objects)
    head = rng.choice(_OF_KIND[wanted]) if wanted in _OF_KIND else wanted
    kind = NOUNS[head].kind
    if kind == "person" and rng.random() < 0.5:
        return named(rng.choice(tuple(NAMES)))
    if kind in ("mass", "drink"):
        return noun(head, rng.choice(("a", "the")))
    is_known = verb in _KNOWN or kind in ("person", "place", "furniture")
    determiner = "the" if is_known else rng.choice(("the", "a", "a", "this"))
    if level == 2 and determiner == "a" and rng.random() < 0.4:
        return _described(rng, noun(head, rng.choice(tuple(NUMBERS)), True), 0.4)
    plural = determiner != "this" and kind != "place" and rng.random() < 0.3
    return _described(rng, noun(head, determiner, plural), (0.0, 0.0, 0.55, 0.1, 0.1, 0.1)[level])


def _of_level_4(rng: Random, subject: Phrase) -> Predicate:
    """A pronoun as object, something given, something owned, or something wanted, possible or due."""
    if _is_animal(subject):
        said = _doing(rng, 1, subject, "object")
        return _owned(said) if rng.random() < 0.5 else said._replace(modal=rng.choice(("can", "must", "want")))
    kind = rng.choice(("clitic", "clitic", "give", "give", "own", "modal"))
    if kind == "clitic":
        verb = rng.choice([v for v in _DOING["object"] if VERBS[v].objects == ("person",)])
        said = Predicate(verb, object=_somebody(rng, subject))
        if not VERBS[verb].is_state and rng.random() < 0.3:
            return said._replace(modal=rng.choice(("can", "must", "want")), negated=rng.random() < 0.2)
    elif kind == "give":
        verb = rng.choice(_DOING["recipient"])
        given = noun(rng.choice(_OF_KIND["thing"]), rng.choice(("the", "a", "own")))
        to = _somebody(rng, subject) if rng.random() < 0.6 else named(rng.choice(tuple(NAMES)))
        said = Predicate(verb, object=given, recipient=to)
    elif kind == "own":
        verb = rng.choice([v for v in _DOING["object"] if "thing" in VERBS[v].objects])
        said = _owned(Predicate(verb, object=noun(rng.choice(_OF_KIND["thing"]))))
    else:
        said = _doing(rng, 1, subject, rng.choice(("", "object", "to")))
        if not VERBS[said.verb].is_state:
            said = said._replace(modal=rng.choice(("can", "must", "want")))
    if said.modal or VERBS[said.verb].is_state:
        return said._replace(negated=rng.random() < 0.25)
    return said._replace(tense=rng.choice(("present", "present", "past", "future")), negated=rng.random() < 0.25)


def _somebody(rng: Random, subject: Phrase) -> Phrase:
    """A pronoun for somebody else than `subject`."""
    others = [pronoun(1), pronoun(2), pronoun(3), pronoun(3, gender="f"), pronoun(1, True), pronoun(3, True),
              pronoun(3, True, "f")]  # fmt: skip
    return rng.choice([other for other in others if other.person == 3 or other.person != subject.person])


def _owned(said: Predicate) -> Predicate:
    it = said.object
    assert it is not None
    if it.is_pronoun or it.head in NAMES or not (NOUNS[it.head].kind in _OWNED or it.head in _PETS):
        return said
    return said._replace(object=it._replace(determiner="own"))


def _human(rng: Random) -> Phrase:
    if rng.random() < 0.6:
        return named(rng.choice(tuple(NAMES)))
    return noun(rng.choice(_OF_KIND["person"]), "the", rng.random() < 0.2)


def _joined(rng: Random) -> Sentence:
    """Two clauses, the second about the same subject or another."""
    joint = rng.choice(("because", "but", "and", "when"))
    subject = _human(rng)
    other = as_pronoun(subject) if joint != "when" and rng.random() < 0.6 else _human(rng)
    tense = rng.choice(("past", "present", "past" if joint == "when" else "future"))
    first = _untimed(rng, subject)._replace(tense=tense)
    second = (_moment(rng, other) if joint == "when" else _untimed(rng, other))._replace(tense=tense)
    if joint in ("but", "because") and rng.random() < 0.6:
        first = first._replace(negated=True)
    return Sentence(Clause(subject, first), False, joint, Clause(other, second))


def _moment(rng: Random, subject: Phrase) -> Predicate:
    """Something short or something lasting that another thing can happen at: he fell when she was in the garden."""
    if rng.random() < 0.3:
        return _being(rng, subject, 1)
    if rng.random() < 0.5:
        return Predicate(rng.choice(_AT_ONCE))
    verb = rng.choice(("see", "call", "thank", "invite"))
    return Predicate(verb, object=_somebody(rng, subject) if rng.random() < 0.5 else named(rng.choice(tuple(NAMES))))


def _untimed(rng: Random, subject: Phrase) -> Predicate:
    if rng.random() < 0.25:
        return _being(rng, subject, 1)
    if rng.random() < 0.3:
        verb = rng.choice([v for v in _DOING["object"] if VERBS[v].objects == ("person",) and not VERBS[v].is_state])
        return Predicate(verb, object=_somebody(rng, subject))
    return _doing(rng, 1, subject, rng.choice(("", "object", "to")))


def _reported(rng: Random) -> Sentence:
    """Somebody says, thinks or hopes that ..."""
    subject = _human(rng)
    other = as_pronoun(subject) if rng.random() < 0.4 else _human(rng)
    tense = rng.choice(("past", "present", "future"))
    that = Clause(other, _untimed(rng, other)._replace(tense=tense, negated=rng.random() < 0.3))
    return Sentence(Clause(subject, Predicate(rng.choice(_DOING["that"]), that=that)))


def _with_relative(rng: Random) -> Sentence:
    """The girl who ... ."""
    subject = noun(rng.choice(_OF_KIND["person" if rng.random() < 0.7 else "animal"]), "the", rng.random() < 0.4)
    tense = rng.choice(("past", "present"))
    who = _doing(rng, 1, subject, rng.choice(("object", "object", "to", "")))._replace(tense=tense)
    predicate = who
    while predicate.verb == who.verb:
        is_so = rng.random() < 0.4
        predicate = _being(rng, subject, 1) if is_so else _doing(rng, 1, subject, rng.choice(("", "object")))
    return Sentence(Clause(subject._replace(who=who), predicate._replace(tense=tense)))
