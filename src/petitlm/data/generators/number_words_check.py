"""Numbers in words: the second route. A grammar that accepts one spelling of each number and adds up what it reads.

It shares no table of compound forms with the writer: tens, hundreds and thousands are taken apart by rules.
"""

from __future__ import annotations

import re
from functools import lru_cache

from petitlm.data.record import Problem
from petitlm.errors import UsageError

_UNITS = {
    "en": ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "fr": ("un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf"),
}
_TEENS = {
    "en": (
        "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    ),
    "fr": ("dix", "onze", "douze", "treize", "quatorze", "quinze", "seize", "dix-sept", "dix-huit", "dix-neuf"),
}  # fmt: skip
_TENS = {
    "en": ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"),
    "fr": ("vingt", "trente", "quarante", "cinquante", "soixante"),
}
_ZERO = {"en": "zero", "fr": "zéro"}
_IRREGULAR = {
    "first": "one", "second": "two", "third": "three", "fifth": "five", "eighth": "eight", "ninth": "nine",
    "twelfth": "twelve",
}  # fmt: skip


@lru_cache(maxsize=1 << 14)
def read_strictly(words: str, language: str) -> int:
    """The value of a number in words; only its usual spelling is accepted.

    Raises: UsageError for any other text.
    """
    if words == _ZERO[language]:
        return 0
    value = _english(words) if language == "en" else _french(words)
    if not value:
        raise UsageError(f"{words!r} is not the spelling of a number in {language!r}")
    return value


def _below_20(words: str, language: str) -> int:
    if words in _UNITS[language]:
        return _UNITS[language].index(words) + 1
    return _TEENS[language].index(words) + 10 if words in _TEENS[language] else 0


def _english(words: str, most: int = 1_000_000_000) -> int:
    """The value of English number words below `most`; 0 for what is not well written."""
    for name, size in (("million", 1_000_000), ("thousand", 1000)):
        if found := re.fullmatch(rf"(.+?) {name}(?: (and )?(.+))?", words):
            head = _english(found[1], 1000)
            rest = _english(found[3], size) if found[3] else 0
            # `and` stands exactly before a rest below one hundred.
            is_well_joined = not found[3] or (rest and bool(found[2]) == (rest < 100))
            return size * head + rest if head and is_well_joined and size < most else 0
    if found := re.fullmatch(r"(\w+) hundred(?: and (.+))?", words):
        head, rest = _below_20(found[1], "en"), _english(found[2], 100) if found[2] else 0
        return 100 * head + rest if 0 < head < 10 and (rest or not found[2]) and most > 100 else 0
    tens, _, unit = words.partition("-")
    if tens in _TENS["en"]:
        ones = _UNITS["en"].index(unit) + 1 if unit in _UNITS["en"] else 0
        return 10 * _TENS["en"].index(tens) + 20 + ones if ones or words == tens else 0
    return _below_20(words, "en")


def _french(words: str, most: int = 1_000_000_000, before_noun: bool = True) -> int:
    """The value of French number words below `most`; 0 for what is not well written.

    `before_noun`: at the end or before `millions`, where `vingts` and `cents` keep their s; before `mille` they do not.
    """
    if found := re.fullmatch(r"(.+?) (millions?)(?: (.+))?", words):
        head, rest = _french(found[1], 1000), _french(found[3], 1_000_000) if found[3] else 0
        agrees = (found[2] == "millions") == (head > 1)
        return 1_000_000 * head + rest if head and agrees and (rest or not found[3]) and most > 10**6 else 0
    if found := re.fullmatch(r"(?:(.+?) )?mille(?: (.+))?", words):
        head, rest = _french(found[1], 1000, False) if found[1] else 1, _french(found[2], 1000) if found[2] else 0
        is_well_headed = head > 1 or (head == 1 and not found[1])
        return 1000 * head + rest if is_well_headed and (rest or not found[2]) and most > 1000 else 0
    if found := re.fullmatch(r"(?:(\w+) )?cent(s?)(?: (.+))?", words):
        head = _below_20(found[1], "fr") if found[1] else 1
        rest = _french(found[3], 100, before_noun) if found[3] else 0
        is_well_headed = 1 < head < 10 or (head == 1 and not found[1])
        has_s = bool(found[2]) == (head > 1 and not found[3] and before_noun)
        return 100 * head + rest if is_well_headed and has_s and (rest or not found[3]) and most > 100 else 0
    return _french_tens(words, before_noun)


def _french_tens(words: str, before_noun: bool) -> int:
    if words in ("quatre-vingts", "quatre-vingt"):
        return 80 if words.endswith("s") == before_noun else 0
    if words.startswith("quatre-vingt-"):
        rest = _below_20(words.removeprefix("quatre-vingt-"), "fr")
        return 80 + rest if rest else 0
    for at, tens in enumerate(_TENS["fr"]):
        if words == tens:
            return 10 * at + 20
        for joint in (" et ", "-"):
            if words.startswith(tens + joint):
                rest = _below_20(words.removeprefix(tens + joint), "fr")
                # `et` before un and onze only; only soixante goes on to nineteen.
                largest = 19 if tens == "soixante" else 9
                is_well_joined = (rest in (1, 11)) == (joint == " et ") and 0 < rest <= largest
                return 10 * at + 20 + rest if is_well_joined else 0
    return _below_20(words, "fr")


def read_ordinal(words: str, language: str) -> int:
    """The value of an ordinal in words, by its cardinal.

    Raises: UsageError if it is none.
    """
    if language == "en":
        cut = max(words.rfind(" "), words.rfind("-")) + 1
        last = words[cut:]
        if last in _IRREGULAR:
            return read_strictly(words[:cut] + _IRREGULAR[last], language)
        stem = words.removesuffix("th")
        if stem == words or stem.endswith("y") or last.removesuffix("th") in _IRREGULAR.values():
            raise UsageError(f"{words!r} is not an English ordinal")
        return read_strictly(f"{stem[:-2]}y" if stem.endswith("ie") else stem, language)
    if words == "premier":
        return 1
    stem = words.removesuffix("ième")
    # Every cardinal whose ordinal this could be: the dropped e and s come back, v was f, cinqu was cinq.
    for ending, cardinal in (("", ""), ("", "e"), ("", "s"), ("v", "f"), ("qu", "q")):
        if stem != words and stem.endswith(ending):
            try:
                value = read_strictly(stem.removesuffix(ending) + cardinal, language)
            except UsageError:
                continue
            is_regular = not (ending == "" and cardinal == "" and stem.endswith(("neuf", "cinq")))
            if value > 1 and is_regular:
                return value
    raise UsageError(f"{words!r} is not a French ordinal")


_GIVEN = r"(?P<given>.+)"
_QUESTIONS = {
    "en": (
        ("count", r"(?:count|go) from (?P<given>.+) to (?P<end>.+?) (?:in|by) steps of (?P<step>\d+)(?:, in words)?"),
        ("ordinal-digits", rf"(?:write the ordinal {_GIVEN} in digits|how is (?P<g2>.+) written with digits|"
                           r"shorten (?P<g3>.+) to digits|(?P<g4>.+), in short)"),
        ("ordinal", rf"(?:write the ordinal {_GIVEN} in words|how do you spell (?P<g2>\d+\D+)|"
                    r"put (?P<g3>.+) into words|(?P<g4>.+) in full)"),
        ("translate", rf"(?:say {_GIVEN} in french|what is (?P<g2>.+) in french|"
                      r"translate the number (?P<g3>.+) into french|how do the french say (?P<g4>.+))"),
        ("next", rf"(?:which number comes after {_GIVEN}|what follows (?P<g2>.+)|what is one more than (?P<g3>.+)|"
                 r"after (?P<g4>.+), which number comes)"),
        ("previous", rf"(?:which number comes before {_GIVEN}|what is just below (?P<g2>.+)|"
                     r"what is one less than (?P<g3>.+)|before (?P<g4>.+), which number comes)"),
        ("to-digits", rf"(?:write {_GIVEN} in digits|how do you write (?P<g2>.+) in digits|"
                      r"put (?P<g3>.+) into digits|(?P<g4>.+) in digits)"),
        ("to-words", rf"(?:write {_GIVEN} in words|how do you spell the number (?P<g2>.+)|spell out (?P<g3>.+)|"
                     r"(?P<g4>.+) in words)"),
    ),
    "fr": (
        ("count", r"(?:compte|va) de (?P<given>.+) à (?P<end>.+?) par pas de (?P<step>\d+)(?:, en lettres)?"),
        ("ordinal-digits", rf"(?:écris l'ordinal {_GIVEN} en chiffres|comment écrit-on (?P<g2>.+) avec des chiffres|"
                           r"abrège (?P<g3>.+) en chiffres|(?P<g4>.+), en abrégé)"),
        ("ordinal", rf"(?:écris l'ordinal {_GIVEN} en lettres|comment s'écrit (?P<g2>\d+er?)|"
                    r"mets (?P<g3>.+) en lettres|(?P<g4>\d+er?) en toutes lettres)"),
        ("translate", rf"(?:dis {_GIVEN} en anglais|comment dit-on (?P<g2>.+) en anglais|"
                      r"traduis le nombre (?P<g3>.+) en anglais|comment les anglais disent-ils (?P<g4>.+))"),
        ("next", rf"(?:quel nombre vient après {_GIVEN}|qu'est-ce qui suit (?P<g2>.+)|"
                 r"quel nombre suit immédiatement (?P<g3>.+)|après (?P<g4>.+), quel nombre vient)"),
        ("previous", rf"(?:quel nombre vient avant {_GIVEN}|qu'est-ce qui est juste avant (?P<g2>.+)|"
                     r"quel nombre précède (?P<g3>.+)|avant (?P<g4>.+), quel nombre vient)"),
        ("to-digits", rf"(?:écris {_GIVEN} en chiffres|comment écrit-on (?P<g2>.+) en chiffres|"
                      r"mets (?P<g3>.+) en chiffres|(?P<g4>.+) en chiffres)"),
        ("to-words", rf"(?:écris {_GIVEN} en (?:toutes )?lettres|comment s'écrit le nombre (?P<g2>.+)|"
                     r"(?P<g4>.+) en lettres)"),
    ),
}  # fmt: skip
_PATTERNS = {
    language: tuple((kind, re.compile(pattern)) for kind, pattern in kinds) for language, kinds in _QUESTIONS.items()
}
_SUFFIX = {"en": r"(\d+)(st|nd|rd|th)", "fr": r"(\d+)(er|e)"}


def check(problem: Problem) -> str | None:
    """Say why the answer of `problem` is wrong or cannot be read; None if it is right."""
    asked = problem.question.rstrip("?. ").lower()
    for kind, pattern in _PATTERNS[problem.language]:
        if found := pattern.fullmatch(asked):
            parts = found.groupdict()
            given = next(part for name, part in parts.items() if part and name not in ("end", "step"))
            try:
                if kind == "count":
                    return _check_count(given, parts["end"], int(parts["step"]), problem)
                return _check(kind, given, problem)
            except UsageError as error:
                return str(error)
    return f"cannot read the question {problem.question!r}"


def _read_any(text: str, language: str) -> int:
    """The value of digits, grouped or not, or of words."""
    plain = text.replace("," if language == "en" else " ", "")
    if not plain.isdigit():
        return read_strictly(text, language)
    regroup = f"{int(plain):,}".replace(",", "," if language == "en" else " ")
    if text not in (str(int(plain)), regroup):
        raise UsageError(f"the digits of {text!r} are not grouped by three")
    return int(plain)


def _check(kind: str, given: str, problem: Problem) -> str | None:
    language, answer = problem.language, problem.answer
    if kind == "ordinal":
        value, said = _ordinal_from_digits(given, language), read_ordinal(answer, language)
    elif kind == "ordinal-digits":
        value, said = read_ordinal(given, language), _ordinal_from_digits(answer, language)
    elif kind == "translate":
        value, said = read_strictly(given, language), read_strictly(answer, "fr" if language == "en" else "en")
    elif kind in ("next", "previous"):
        value, said = read_strictly(given, language) + (1 if kind == "next" else -1), read_strictly(answer, language)
    else:
        return _check_list(kind, given, problem)
    return None if value == said else f"{given!r} asks for {value}, {answer!r} says {said}"


def _check_list(kind: str, given: str, problem: Problem) -> str | None:
    """One number, or several between commas or semicolons."""
    language, answer = problem.language, problem.answer
    comma = "; " if language == "en" else " ; "
    comma = comma if comma in given or comma in answer else ", "
    wanted = [_read_any(piece, language) for piece in given.split(comma)]
    said = answer.split(comma)
    if kind == "to-words":
        values = [read_strictly(piece, language) for piece in said]
    else:
        values = [_read_any(piece, language) for piece in said]
        if said != [piece for piece, v in zip(said, values, strict=True) if piece.isdigit() == (v < 10_000)]:
            return f"digits of {answer!r} are grouped from 10,000 on, and only there"
    return None if values == wanted else f"{given!r} asks for {wanted}, {answer!r} says {values}"


def _ordinal_from_digits(text: str, language: str) -> int:
    found = re.fullmatch(_SUFFIX[language], text)
    if not found:
        raise UsageError(f"{text!r} is not an ordinal in digits")
    value = int(found[1])
    if language == "fr":
        suffix = "er" if value == 1 else "e"
    elif value // 10 % 10 == 1:
        suffix = "th"
    else:
        suffix = {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    if found[2] != suffix:
        raise UsageError(f"{text!r} should end in {suffix!r}")
    return value


def _check_count(given: str, end: str, step: int, problem: Problem) -> str | None:
    first, last = _read_any(given, problem.language), _read_any(end, problem.language)
    said = [read_strictly(piece, problem.language) for piece in problem.answer.split(", ")]
    wanted = list(range(first, last + 1, step))
    return None if said == wanted and wanted[-1] == last else f"counting gives {wanted}, the answer says {said}"
