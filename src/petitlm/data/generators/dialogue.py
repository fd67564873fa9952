"""Dialogues at a counter, English and French: the clerk fills slots, asks again, takes corrections, declines politely.

A context gives the rules of the house and the dialogue so far; the question asks what the clerk says next, or what the
customer wants so far. The clerk is a state machine: it refuses what the rules forbid, clears up what is vague, asks for
what is missing in a fixed order, reads everything back, and closes.
Levels: 0 one or two remarks; 1 more remarks, several slots in one; 2 vague answers; 3 corrections, questions about the
state; 4 rules broken, other subjects; 5 all of it, in longer dialogues.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from petitlm.data.generators import dialogue_words as say
from petitlm.data.generators.dialogue_phrases import Value, at_hour, capital, composed, counted, on_days, said_alone
from petitlm.data.record import Problem

FAMILY = "dialogue"
VERSION = 1
LEVEL_WEIGHTS = (2, 2, 3, 3, 3, 3)
FORM = "dialogue"

_TURNS = ((1, 2), (2, 4), (2, 4), (2, 5), (2, 5), (4, 7))
_LARGEST = 12
_HOURS = (9, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22)
_OPEN = {"table": (18, 19, 20, 21, 22), "haircut": (9, 10, 11, 13, 14, 15, 16, 17, 18)}
# What has to happen in a dialogue of each level.
_MUST = (frozenset(), frozenset(), {"vague"}, {"corrected"}, {"declined"}, {"corrected", "declined"})

# At these counters training never sees the clerk do these.
_HELD_OUT = frozenset({
    ("table", "ask:hour"), ("train", "confirm:"), ("pizza", "ask:size"), ("haircut", "clarify:hour"),
    ("pizza", "clarify:kind"), ("train", "decline:city"), ("table", "decline:people"), ("haircut", "state:"),
})  # fmt: skip


def is_held_out(structure: str) -> bool:
    """Whether training never sees `structure`: an act of the clerk at a counter."""
    counter, act, _ = structure.split("/")
    return (counter, act) in _HELD_OUT


@dataclass
class Counter:
    """The state of one dialogue: the rules, what is known, what was said."""

    domain: str
    language: str
    closed: int
    """Index of the weekday."""
    most: int
    last_hour: int
    cities: tuple[str, ...]
    missing_kind: int
    known: dict[str, Value] = field(default_factory=dict)
    vague: str = ""
    refused: dict[str, Value] = field(default_factory=dict)
    """Slots whose last value the rules forbid, with that value."""
    is_over: bool = False
    act: str = ""
    """The last act of the clerk, such as `ask:day`."""
    lines: list[str] = field(default_factory=list)
    happened: set[str] = field(default_factory=set)

    def fits(self, slot: str, value: Value) -> bool:
        """Whether the rules allow a value."""
        if slot in say.COUNTED:
            return int(value) <= self.most
        if slot == "day":
            return self.domain == "pizza" or value != self.closed
        if slot == "hour":
            return int(value) <= self.last_hour
        if slot == "city":
            return value in self.cities
        return slot != "kind" or value != self.missing_kind

    def hear(self, slot: str, value: Value) -> None:
        """Take a value, or remember that it is refused."""
        self.known.pop(slot, None)
        self.refused.pop(slot, None)
        if self.fits(slot, value):
            self.known[slot] = value
        else:
            self.refused[slot] = value
            self.happened.add("declined")
        self.vague = "" if self.vague == slot else self.vague

    def next_act(self) -> str:
        """What the clerk does now."""
        slots = say.DOMAINS[self.domain]
        if self.refused:
            return f"decline:{min(self.refused, key=slots.index)}"
        if self.vague:
            return f"clarify:{self.vague}"
        missing = next((slot for slot in slots if slot not in self.known), None)
        return f"ask:{missing}" if missing else "confirm:"


def draw(rng: Random, language: str, level: int, held_out: bool) -> Problem:
    """Make one dialogue with its next line; with `held_out`, of a structure that training never sees."""
    while True:
        counter = _open(rng, language)
        n_turns, reply = rng.randint(*_TURNS[level]), ""
        for turn in range(n_turns):
            reply = _turn(rng, counter, level, is_first=turn == 0)
            if counter.is_over or turn == n_turns - 1:
                break
            counter.lines.append(f"{say.SPEAKERS[language][1]} {reply}")
        act, question, answer = counter.act, rng.choice(say.QUESTIONS[language]), reply
        if level >= 3 and not counter.is_over and not counter.refused and rng.random() < 0.2:
            act, question = "state:", rng.choice(say.STATE_QUESTIONS[language])
            answer = capital(composed(counter.domain, language, counter.known)) + "."
        structure = f"{counter.domain}/{act}/{len(counter.lines) // 2}+{'+'.join(sorted(counter.happened))}"
        if _MUST[level] <= counter.happened and is_held_out(structure) == held_out:
            break
    heard = counter.known | counter.refused
    known = ",".join(f"{slot}={value}" for slot, value in sorted(heard.items()))
    house = f"{counter.closed},{counter.most},{counter.last_hour},{'+'.join(counter.cities)},{counter.missing_kind}"
    key = f"{FAMILY}:{structure}:{house}:{known}"
    text = "\n".join([_rules(rng, counter), *counter.lines, question])
    return Problem(FAMILY, language, level, structure, key, text, answer)


def _open(rng: Random, language: str) -> Counter:
    domain = rng.choice(tuple(say.DOMAINS))
    return Counter(
        domain=domain,
        language=language,
        closed=rng.randrange(7),
        most=rng.randint(4, 8),
        last_hour=rng.choice(_OPEN[domain][-4:-1]) if domain in _OPEN else 0,
        cities=tuple(sorted(rng.sample(say.CITIES, 3))),
        missing_kind=rng.randrange(len(say.KINDS["en"])),
    )


def _turn(rng: Random, counter: Counter, level: int, is_first: bool) -> str:
    """One remark of the customer and the reply of the clerk."""
    said = _opening(rng, counter, level) if is_first else _remark(rng, counter, level)
    counter.lines.append(f"{say.SPEAKERS[counter.language][0]} {said}")
    return _reply(counter)


def _opening(rng: Random, counter: Counter, level: int) -> str:
    language, slots = counter.language, list(say.DOMAINS[counter.domain])
    given = {}
    for slot in rng.sample(slots, rng.choice((0, 1, 1, 2, 3) if level else (1, 2, 2, 3))):
        given[slot] = _value(rng, counter, slot, fitting=level < 4 or rng.random() < 0.7)
        counter.hear(slot, given[slot])
    said = [rng.choice(say.GREETINGS[language])] if rng.random() < 0.6 else []
    if "name" in given:
        said.append(say.SELVES[language].format(given.pop("name")))
    phrase = composed(counter.domain, language, given)
    wish = rng.choice(say.OPENINGS[language][counter.domain])
    return " ".join([*said, wish.format(np=phrase, Np=capital(phrase))])


def _remark(rng: Random, counter: Counter, level: int) -> str:
    """An answer to what the clerk just asked, in the manner of the level."""
    language = counter.language
    act, _, slot = counter.act.partition(":")
    chance = rng.random()
    if level >= 5 and chance < 0.06:
        counter.is_over, counter.act = True, "cancelled:"
        return rng.choice(say.CANCELS[language])
    if level >= 4 and chance < 0.2 and act != "decline":
        counter.happened |= {"declined", "elsewhere"}
        counter.act = "elsewhere:"
        return rng.choice(say.ELSEWHERE[language])
    if act == "confirm":
        if level >= 3 and chance < 0.7:
            return _correction(rng, counter, level)
        counter.is_over, counter.act = True, "done:"
        return rng.choice(say.AGREES[language])
    if level >= 2 and act == "ask" and slot != "name" and chance < (0.6 if level == 2 else 0.4):
        counter.vague = slot
        counter.happened.add("vague")
        return rng.choice(say.VAGUE[language][slot])
    return _answer(rng, counter, level, slot)


def _answer(rng: Random, counter: Counter, level: int, slot: str) -> str:
    """The slot asked for, sometimes with another one or a correction."""
    language = counter.language
    value = _value(rng, counter, slot, fitting=level < 4 or rng.random() < 0.65)
    counter.hear(slot, value)
    said = [_remarked(counter, slot, value)]
    others = [each for each in say.DOMAINS[counter.domain] if each not in counter.known and each not in (slot, "name")]
    if level >= 1 and others and slot != "name" and rng.random() < 0.25:
        other = rng.choice(others)
        extra = _value(rng, counter, other, fitting=True)
        counter.hear(other, extra)
        said.append(_remarked(counter, other, extra))
    answer = capital(rng.choice(say.ANSWERS[language][: 3 if slot == "name" else None]).format(", ".join(said)))
    if level >= 3 and not counter.refused and counter.known.keys() - {"name"} and rng.random() < 0.4:
        return f"{answer} {_correction(rng, counter, level)}"
    return answer


def _correction(rng: Random, counter: Counter, level: int) -> str:
    """Another value for something already known."""
    slot = rng.choice(sorted(counter.known.keys() - {"name"}) or ["day"])
    before = counter.known.get(slot)
    value = before
    while value == before or value is None:
        value = _value(rng, counter, slot, fitting=level < 4 or rng.random() < 0.8)
    counter.hear(slot, value)
    counter.happened.add("corrected")
    return rng.choice(say.CORRECTS[counter.language]).format(_remarked(counter, slot, value))


def _value(rng: Random, counter: Counter, slot: str, fitting: bool) -> Value:
    values: dict[str, Callable[[], Value]] = {
        "day": lambda: rng.randrange(7), "hour": lambda: rng.choice(_OPEN[counter.domain]),
        "city": lambda: rng.choice(say.CITIES), "name": lambda: rng.choice(say.NAMES),
        "kind": lambda: rng.randrange(len(say.KINDS["en"])), "size": lambda: rng.randrange(2),
    }  # fmt: skip
    drawn = values.get(slot, lambda: rng.randint(1, _LARGEST))
    while True:
        value = drawn()
        if counter.fits(slot, value) or not fitting:
            return value


def _reply(counter: Counter) -> str:
    """What the clerk says now, and the act that it is."""
    language = counter.language
    if counter.act == "cancelled:":
        return say.CANCELLED[language]
    if counter.act == "done:":
        return say.DONE[language]
    is_elsewhere = counter.act == "elsewhere:"
    act = counter.next_act()
    counter.act = act
    kind, _, slot = act.partition(":")
    if kind == "ask":
        said = say.ASKS[language][slot]
    elif kind == "clarify":
        said = say.CLARIFIES[language][slot]
    elif kind == "decline":
        said = _decline(counter, slot)
    else:
        said = say.CONFIRMS[language].format(capital(composed(counter.domain, language, counter.known)))
    return f"{say.REFUSES[language][counter.domain]} {said}" if is_elsewhere else said


def _decline(counter: Counter, slot: str) -> str:
    language, value = counter.language, counter.refused[slot]
    template = say.DECLINES[language]["train-day" if (counter.domain, slot) == ("train", "day") else slot]
    return template.format(
        most=capital(counted(language, slot, counter.most)) if slot in say.COUNTED else "",
        day=on_days(language, int(value)) if slot == "day" else "", city=value,
        kind=say.KINDS[language][int(value)] if slot == "kind" else "",
    )  # fmt: skip


def _rules(rng: Random, counter: Counter) -> str:
    language = counter.language
    slot = next((slot for slot in say.DOMAINS[counter.domain] if slot in say.COUNTED), "people")
    cities = "{}, {} and {}" if language == "en" else "{}, à {} et à {}"
    return rng.choice(say.RULES[language][counter.domain]).format(
        day=on_days(language, counter.closed), most=counted(language, slot, counter.most),
        hour=at_hour(language, counter.last_hour), cities=cities.format(*counter.cities),
        kind=say.KINDS[language][counter.missing_kind],
    )  # fmt: skip


def _remarked(counter: Counter, slot: str, value: Value) -> str:
    """A value as a remark of its own: `four people`, `on Friday`, `grandes` of several pizzas."""
    is_many = counter.language == "fr" and slot == "size" and int(counter.known.get("pizzas", 1)) > 1
    return said_alone(counter.language, slot, value) + ("s" if is_many else "")
