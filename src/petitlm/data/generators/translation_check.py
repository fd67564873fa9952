"""Translations: the second route. Reads both sentences as text; all that the first can mean, the second must mean."""

from __future__ import annotations

import re

from petitlm.data.generators.realiser_read_en import read_english
from petitlm.data.generators.realiser_read_fr import read_french
from petitlm.data.record import Problem

_READ = {"en": read_english, "fr": read_french}
_INTO = {"french": "fr", "français": "fr", "française": "fr", "english": "en", "anglais": "en", "anglaise": "en"}
_REQUEST = re.compile(rf"(.*?\b({'|'.join(_INTO)})\b[^:?]*[:?]) (.+)", re.IGNORECASE)


def check(problem: Problem) -> str | None:
    """Say why the answer of `problem` does not translate its sentence; None if it does."""
    found = _REQUEST.fullmatch(problem.question)
    if not found:
        return f"cannot read what is asked in {problem.question!r}"
    into = _INTO[found[2].lower()]
    source = "en" if into == "fr" else "fr"
    meant, said = _READ[source](found[3]), _READ[into](problem.answer)
    for text, readings in ((found[3], meant), (problem.answer, said)):
        if not readings:
            return f"{text!r} has no reading; it is not a correct sentence of the small grammar"
    if meant <= said:
        return None
    return f"{found[3]!r} can mean what {problem.answer!r} does not say"
