"""Dialogues: the second route. Reads the rules and each remark as text, and replays what the clerk must do.

It keeps its own small ledger of what the customer has said, by key words; every line of the clerk in the dialogue, and
the answer, must be the act that the ledger asks for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from petitlm.data.record import Problem

_NUMBERS = {
    "en": ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"],
    "fr": ["zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze"],
}
_DAY = {
    "en": r"monday|tuesday|wednesday|thursday|friday|saturday|sunday",
    "fr": r"lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche",
}
_CITY = (r"lyon|lille|nantes|paris|rennes|tours|dijon|metz|nice|toulouse|brest|reims|nancy|rouen|bordeaux|grenoble")
_NAME = (r"emma|paul|sara|karim|louise|victor|nora|martin|alice|simon|rosa|oscar|"
         r"anna|thomas|julie|adam|clara|lucas|amina|noah")  # fmt: skip
_KIND = {"en": r"ham|cheese|mushroom|tuna|pepper", "fr": r"jambon|fromage|champignons|thon|poivrons"}
_PARTS = {"morning": 0, "afternoon": 12, "evening": 12}


def _patterns(language: str) -> dict[str, re.Pattern[str]]:
    """Slot to what names a value of it."""
    words = [*_NUMBERS[language][1:], *(["une"] if language == "fr" else [])]
    number = rf"\b({'|'.join(words)})"
    of_pizza = r"(?: small| large| petites?| grandes?)?(?: ham| cheese| mushroom| tuna| pepper)?"
    shapes = {
        "people": rf"{number} (?:person|people|personnes?)\b",
        "tickets": rf"{number} (?:tickets?|billets?)\b",
        "pizzas": rf"{number}{of_pizza} pizzas?\b",
        "day": rf"\b({_DAY[language]})\b",
        "hour": r"\bat (\d+) in the (morning|afternoon|evening)" if language == "en" else r"\bà (\d+) h\b",
        "city": rf"\b(?:to|à|pour) ({_CITY})\b",
        "kind": rf"\b({_KIND[language]})\b",
        "size": r"\b(small|large)\b" if language == "en" else r"\b(petite|grande)s?\b",
        "name": rf"\b({_NAME})\b",
    }
    return {slot: re.compile(shape) for slot, shape in shapes.items()}


_PATTERNS = {language: _patterns(language) for language in _DAY}
_SLOTS = {
    "table": ("people", "day", "hour"), "train": ("city", "day", "tickets"), "pizza": ("kind", "size", "pizzas"),
    "haircut": ("day", "hour", "name"),
}  # fmt: skip
_COUNTERS = (("restaurant", "table"), ("train", "train"), ("pizza", "pizza"), ("hairdresser|coiffure", "haircut"))
_HEADS = {"table": r"\btables?\b", "train": r"tickets?\b|billets?\b", "pizza": r"pizzas?\b",
          "haircut": r"appointments?|rendez-vous"}  # fmt: skip
_ASKS = {
    "people": r"how many (?:people|will there be)|combien (?:de personnes|serez-vous)",
    "tickets": r"how many (?:tickets|would)|combien (?:de billets|en voulez)",
    "pizzas": r"how many (?:pizzas|would)|combien (?:de pizzas|en voulez)",
    "day": r"which (?:other )?day|quel (?:autre )?jour", "hour": r"what (?:other )?time|quelle (?:autre )?heure",
    "city": r"where|which city|où|quelle (?:autre )?ville", "kind": r"which (?:other )?pizza|quelle (?:autre )?pizza",
    "size": r"small or large|petite ou grande", "name": r"\bname\b|\bnom\b",
}  # fmt: skip
_REFUSES = {
    "people": r"most|maximum", "tickets": r"most|maximum", "pizzas": r"most|maximum",
    "day": r"closed|no trains|fermés|pas de train", "hour": r"too late|trop tard",
    "city": r"no train goes|aucun train", "kind": r"there is no|il n'y a pas",
}  # fmt: skip
_CONFIRMS = re.compile(r"(.+)\. (?:is that right\?|est-ce bien cela \?)")
_ELSEWHERE = re.compile(r"bicycles|joke|weather|your pen|film|vélos|blague|temps fera|stylo")
_SORRY = re.compile(r"(?:i am sorry|désolé), [^.]*\. ")
_STATE = re.compile(r"so far|jusqu'ici")
_SPOKEN = re.compile(r"(Customer|Clerk|Client|Employé) ?: (.+)")


@dataclass
class _Ledger:
    """What the customer wants, and what the rules of the house say."""

    domain: str
    language: str
    rules: dict[str, str | int]
    cities: list[str]
    known: dict[str, str | int] = field(default_factory=dict)
    refused: dict[str, str | int] = field(default_factory=dict)
    asked: str = ""
    vague: str = ""
    ending: str = ""
    is_elsewhere: bool = False

    def hear(self, remark: str) -> None:
        """Write down one remark of the customer."""
        self.is_elsewhere = bool(_ELSEWHERE.search(remark))
        if re.search(r"\bcancel\b|annul", remark):
            self.ending = "cancelled|annulé"
        elif re.match(r"(?:yes|oui)\b", remark):
            self.ending = "noted|noté"
        elif not self.is_elsewhere:
            values = _values(remark, self.domain, self.language)
            for slot, value in values:
                self._write(slot, value)
            if not values and self.asked:
                self.vague = self.asked

    def _write(self, slot: str, value: str | int) -> None:
        self.known.pop(slot, None)
        self.refused.pop(slot, None)
        (self.known if self._is_allowed(slot, value) else self.refused)[slot] = value
        self.vague = "" if self.vague == slot else self.vague

    def _is_allowed(self, slot: str, value: str | int) -> bool:
        if slot in ("people", "tickets", "pizzas", "hour"):
            return int(value) <= int(self.rules[slot])
        if slot == "city":
            return value in self.cities
        return slot not in ("day", "kind") or value != self.rules[slot]

    def check(self, line: str) -> str | None:
        """Why the clerk must not say `line` now; None if it is right."""
        if self.ending:
            return None if re.search(self.ending, line) else f"the dialogue is over, {line!r} goes on"
        sorry = _SORRY.match(line)
        if bool(sorry) != self.is_elsewhere or (sorry and not re.search(_HEADS[self.domain], sorry[0])):
            return f"{line!r} treats the last remark as if it were about something else"
        line = _SORRY.sub("", line)
        slots = _SLOTS[self.domain]
        self.asked = ""
        if self.refused:
            slot = min(self.refused, key=slots.index)
            right = re.search(_REFUSES[slot], line) and self._gives_reason(slot, line)
            return self._asks(slot, line) if right else f"{line!r} does not refuse the {slot}"
        if any(re.search(refusal, line) for refusal in _REFUSES.values()):
            return f"{line!r} refuses what the rules allow"
        if self.vague:
            right = "exact" in line
            return self._asks(self.vague, line) if right else f"{line!r} does not ask for the exact {self.vague}"
        if missing := next((slot for slot in slots if slot not in self.known), None):
            return f"{line!r} asks too much" if "exact" in line else self._asks(missing, line)
        found = _CONFIRMS.fullmatch(line)
        same = found and dict(_values(found[1], self.domain, self.language)) == self.known
        return None if same else f"{line!r} does not read back {self.known}"

    def _gives_reason(self, slot: str, line: str) -> bool:
        """Whether a refusal names the limit, or the value that cannot be had."""
        if slot in ("people", "tickets", "pizzas"):
            return (slot, self.rules[slot]) in _values(line, self.domain, self.language)
        return slot == "hour" or bool(re.search(rf"\b{self.refused[slot]}s?\b", line))

    def _asks(self, slot: str, line: str) -> str | None:
        self.asked = slot
        return None if re.search(_ASKS[slot], line) and line.endswith("?") else f"{line!r} does not ask for the {slot}"


def _values(text: str, domain: str, language: str) -> list[tuple[str, str | int]]:
    """Slots and their values in the order in which `text` names them."""
    found = [
        (match.start(), slot, _value(slot, match, language))
        for slot in _SLOTS[domain]
        for match in _PATTERNS[language][slot].finditer(text)
    ]
    return [(slot, value) for _, slot, value in sorted(found, key=lambda each: each[0])]


def _value(slot: str, match: re.Match[str], language: str) -> str | int:
    if slot in ("people", "tickets", "pizzas"):
        return _NUMBERS[language].index("un" if match[1] == "une" else match[1])
    if slot == "hour":
        return int(match[1]) + (_PARTS[match[2]] if language == "en" else 0)
    return match[1]


def _open(rules: str, language: str) -> _Ledger | None:
    text = rules.lower()
    domain = next((name for word, name in _COUNTERS if re.search(word, text)), "")
    if not domain:
        return None
    patterns = _PATTERNS[language]
    read: dict[str, str | int] = {}
    for slot in _SLOTS[domain]:
        plain = re.sub(r"days\b", "day", text)
        if slot in patterns and (found := patterns[slot].search(plain)):
            read[slot] = _value(slot, found, language)
    if any(slot in _SLOTS[domain] and slot not in read for slot in ("people", "tickets", "pizzas", "hour")):
        return None
    return _Ledger(domain, language, read, re.findall(_CITY, text))


def check(problem: Problem) -> str | None:
    """Say which line of the clerk in `problem` is not what the dialogue asks for; None if all are."""
    rules, *lines, question = problem.question.split("\n")
    ledger = _open(rules, problem.language)
    if ledger is None:
        return f"cannot tell the counter and its limits from {rules!r}"
    is_customer = True
    for line in lines:
        found = _SPOKEN.fullmatch(line)
        if not found or (found[1] in ("Customer", "Client")) != is_customer:
            return f"{line!r} is not a remark of the {'customer' if is_customer else 'clerk'}"
        if is_customer:
            ledger.hear(found[2].lower())
        elif reason := ledger.check(found[2].lower()):
            return reason
        is_customer = not is_customer
    if _STATE.search(question):
        answer = problem.answer.lower()
        fits = re.fullmatch(r"[^.?!]+\.", answer) and re.search(_HEADS[ledger.domain], answer)
        same = fits and dict(_values(answer, ledger.domain, problem.language)) == ledger.known
        return None if same else f"{problem.answer!r} is not what the customer wants: {ledger.known}"
    return ledger.check(problem.answer.lower())
