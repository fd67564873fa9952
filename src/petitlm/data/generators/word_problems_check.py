"""Word problems: the second route. Interprets the story sentence by sentence and audits the equations of the answer.

It knows no themes and builds no tree: each kind of sentence changes one running amount. The equations must each be
true, use only numbers of the story (not those beside the point) or earlier results, each once, and end in that amount.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from petitlm.data.record import Problem
from petitlm.errors import UsageError

# What a sentence does: `start` (who, a), `product` (who, a, b), `than+` `than-` `than*` (who, b, than),
# `+` `-` `/` (b), `+product` `-product` (a, b), `half`, `double`, `from` (b: the running amount is taken from it),
# `beside` (nothing).
_SENTENCES = {
    "en": (
        ("start", r"(?P<who>\w+) has (?P<a>\d+) \w+"),
        ("product", r"(?P<who>\w+) has (?P<a>\d+) \w+ of (?P<b>\d+) \w+"),
        ("than+", r"(?P<who>\w+) has (?P<b>\d+) more than (?P<than>\w+)"),
        ("than-", r"(?P<who>\w+) has (?P<b>\d+) fewer than (?P<than>\w+)"),
        ("than*", r"(?P<who>\w+) has (?:(?P<b>\d+) times|twice) as many as (?P<than>\w+)"),
        ("+", r"(?:(?:She|He) (?:gets|finds)|\w+ gives \w+) (?P<b>\d+) more"),
        ("+product", r"(?:She|He) (?:buys|gets) (?P<a>\d+) \w+ of (?P<b>\d+)"),
        ("-", r"(?:She|He) (?:gives (?P<b>\d+) (?:away|to \w+)|loses (?P<b2>\d+)(?: of them)?)"),
        ("half", r"(?:She|He) gives half of them to \w+"),
        ("double", r"Then (?:she|he) doubles what (?:she|he) has"),
        ("/", r"(?:She|He) shares them equally among (?P<b>\d+) friends"),
        ("product", r"(?P<who>\w+) buys (?P<a>\d+) \w+ at (?P<b>\d+) euros each"),
        ("+product", r"(?:She|He) also buys (?P<a>\d+) \w+ at (?P<b>\d+) euros each"),
        ("+", r"(?:She|He) also (?:takes a bag for (?P<b>\d+) euros|pays (?P<b2>\d+) euros for a bag)"),
        ("-", r"(?:She|He) has a voucher worth (?P<b>\d+) euros"),
        ("from", r"(?:She|He) pays with a (?P<b>\d+)-euro note"),
        ("product", r"(?P<who>\w+) (?:walks|cycles|rides) for (?P<a>\d+) hours at (?P<b>\d+) km an hour"),
        ("+product", r"Then (?:she|he) goes on for (?P<a>\d+) hours at (?P<b>\d+) km an hour"),
        ("+", r"Then (?:she|he) (?:walks|covers) (?P<b>\d+) km(?: on foot)?"),
        ("from", r"(?:She|He) has planned (?P<b>\d+) km in all"),
        ("product", r"A (?:hall|theatre) has (?P<a>\d+) rows of (?P<b>\d+) seats"),
        ("-", r"(?P<b>\d+) seats are (?:broken|taken away)"),
        ("+", r"(?P<b>\d+) seats are added"),
        ("-product", r"(?P<a>\d+) (?:classes|groups) of (?P<b>\d+) (?:pupils|people) sit down"),
        ("product", r"(?P<who>\w+) earns (?P<b>\d+) euros a day and works (?P<a>\d+) days"),
        ("product", r"(?P<who>\w+) works (?P<a>\d+) days for (?P<b>\d+) euros a day"),
        ("+", r"(?:She|He) already had (?P<b>\d+) euros"),
        ("-", r"(?:She|He) (?:spends (?P<b>\d+) euros|pays (?P<b2>\d+) euros for food)"),
        ("from", r"(?:She|He) wants a bike that costs (?P<b>\d+) euros"),
        ("beside", r"\w+ is \d+ years old|It is \d+ degrees outside|\w+'s house has \d+ rooms"),
    ),
    "fr": (
        ("start", r"(?P<who>\w+) a (?P<a>\d+) \w+"),
        ("product", r"(?P<who>\w+) a (?P<a>\d+) \w+ de (?P<b>\d+) \w+"),
        ("than+", r"(?P<who>\w+) en a (?P<b>\d+) de plus qu(?:e |')(?P<than>\w+)"),
        ("than-", r"(?P<who>\w+) en a (?P<b>\d+) de moins qu(?:e |')(?P<than>\w+)"),
        ("than*", r"(?P<who>\w+) en a (?:(?P<b>\d+)|deux) fois autant qu(?:e |')(?P<than>\w+)"),
        ("+", r"(?:Elle|Il) en (?:reçoit|trouve) (?P<b>\d+) de plus|\w+ en donne (?P<b2>\d+) de plus à \w+"),
        ("+product", r"(?:Elle|Il) (?:achète|reçoit) (?P<a>\d+) \w+ de (?P<b>\d+)"),
        ("-", r"(?:Elle|Il) en (?:donne (?P<b>\d+)(?: à \w+)?|(?:perd|égare) (?P<b2>\d+))"),
        ("half", r"(?:Elle|Il) en donne la moitié à \w+"),
        ("double", r"Puis (?:elle|il) double ce qu'(?:elle|il) a"),
        ("/", r"(?:Elle|Il) les partage également entre (?P<b>\d+) amis"),
        ("product", r"(?P<who>\w+) achète (?P<a>\d+) \w+ à (?P<b>\d+) euros pièce"),
        ("+product", r"(?:Elle|Il) achète aussi (?P<a>\d+) \w+ à (?P<b>\d+) euros pièce"),
        ("+", r"(?:Elle|Il) (?:prend aussi un sac à (?P<b>\d+) euros|paie aussi (?P<b2>\d+) euros pour un sac)"),
        ("-", r"(?:Elle|Il) a un bon de réduction de (?P<b>\d+) euros"),
        ("from", r"(?:Elle|Il) paie avec un billet de (?P<b>\d+) euros"),
        ("product", r"(?P<who>\w+) (?:marche|pédale|roule) (?P<a>\d+) heures à (?P<b>\d+) km à l'heure"),
        ("+product", r"Puis (?:elle|il) continue (?P<a>\d+) heures à (?P<b>\d+) km à l'heure"),
        ("+", r"Puis (?:elle|il) (?:marche|fait) (?P<b>\d+) km(?: à pied)?"),
        ("from", r"(?:Elle|Il) a prévu (?P<b>\d+) km en tout"),
        ("product", r"Une? (?:salle|théâtre) a (?P<a>\d+) rangées de (?P<b>\d+) places"),
        ("-", r"(?P<b>\d+) places sont cassées|On enlève (?P<b2>\d+) places"),
        ("+", r"On ajoute (?P<b>\d+) places"),
        ("-product", r"(?P<a>\d+) (?:classes|groupes) de (?P<b>\d+) (?:élèves|personnes) s'assoient"),
        ("product", r"(?P<who>\w+) gagne (?P<b>\d+) euros par jour et travaille (?P<a>\d+) jours"),
        ("product", r"(?P<who>\w+) travaille (?P<a>\d+) jours à (?P<b>\d+) euros par jour"),
        ("+", r"(?:Elle|Il) avait déjà (?P<b>\d+) euros"),
        ("-", r"(?:Elle|Il) (?:dépense (?P<b>\d+) euros|paie (?P<b2>\d+) euros de nourriture)"),
        ("from", r"(?:Elle|Il) veut un vélo qui coûte (?P<b>\d+) euros"),
        ("beside", r"\w+ a \d+ ans|Il fait \d+ degrés dehors|La maison d(?:e |')\w+ a \d+ pièces"),
    ),
}
_QUESTIONS = {
    "en": (
        (r"How many (?P<things>\w+) does (?:she|he) have(?: now)?", "{who} has {n} {things}."),
        (r"How many (?P<things>\w+) does each friend get", "Each friend gets {n} {things}."),
        (r"How many (?P<things>\w+) do (?P<one>\w+) and (?P<two>\w+) have together",
         "{one} and {two} have {n} {things}."),
        (r"How much does (?:she|he) pay", "{who} pays {n} euros."),
        (r"How much change does (?:she|he) get", "{who} gets {n} euros back."),
        (r"How many kilometres does (?:she|he) travel", "{who} travels {n} km."),
        (r"How many kilometres are left", "There are {n} km left."),
        (r"How many seats are free", "{n} seats are free."),
        (r"How much does (?:she|he) have in the end", "{who} has {n} euros."),
        (r"How much does (?:she|he) still need", "{who} needs {n} euros more."),
    ),
    "fr": (
        (r"Combien d(?:e |')(?P<things>\w+) a-t-(?:elle|il)(?: maintenant)?", "{who} a {n} {things}."),
        (r"Combien d(?:e |')(?P<things>\w+) reçoit chaque ami", "Chaque ami reçoit {n} {things}."),
        (r"Combien d(?:e |')(?P<things>\w+) ont (?P<one>\w+) et (?P<two>\w+) ensemble",
         "{one} et {two} ont {n} {things}."),
        (r"Combien paie-t-(?:elle|il)", "{who} paie {n} euros."),
        (r"Combien récupère-t-(?:elle|il)", "{who} récupère {n} euros."),
        (r"Combien de kilomètres parcourt-(?:elle|il)", "{who} parcourt {n} km."),
        (r"Combien de kilomètres reste-t-il", "Il reste {n} km."),
        (r"Combien de places sont libres", "{n} places sont libres."),
        (r"Combien a-t-(?:elle|il) à la fin", "{who} a {n} euros."),
        (r"Combien lui manque-t-il", "Il manque {n} euros à {who}."),
    ),
}  # fmt: skip
_READ = {
    language: tuple((act, re.compile(pattern)) for act, pattern in patterns)
    for language, patterns in _SENTENCES.items()
}
_ASKED = {
    language: tuple((re.compile(pattern), answer) for pattern, answer in patterns)
    for language, patterns in _QUESTIONS.items()
}
_EQUATION = re.compile(r"(\d+) ([-+×÷]) (\d+) = (\d+)")
_OPERATORS: dict[str, Callable[[int, int], float]] = {
    "+": operator.add, "-": operator.sub, "×": operator.mul, "÷": operator.truediv,
}  # fmt: skip


@dataclass
class _Tale:
    """What the story told so far."""

    who: str = ""
    amount: int = 0
    had: dict[str, int] = field(default_factory=dict)
    """What each person has, where the text compares."""
    given: Counter[int] = field(default_factory=Counter)
    """Numbers that the equations may use, each as often as the text gives it."""

    def tell(self, act: str, part: dict[str, str | None]) -> None:
        """Change the amount by one sentence."""
        a, b = int(part.get("a") or 0), int(part.get("b") or part.get("b2") or 2 * (act == "than*"))  # none: twice
        self.given.update([n for n in (a, b) if n])
        self.who = part.get("who") or self.who
        if act == "start":
            self.amount = a
        elif act == "product":
            self.amount = a * b
        elif act.startswith("than"):
            than = self.had[str(part["than"])]
            self.amount = than + b if act == "than+" else than - b if act == "than-" else than * b
        elif act in ("+", "-"):
            self.amount += b if act == "+" else -b
        elif act in ("+product", "-product"):
            self.amount += a * b if act == "+product" else -a * b
        elif act == "from":
            self.amount = b - self.amount
        elif act == "double":
            self.amount *= 2
            self.given[2] += 1
        else:
            by = b if act == "/" else 2
            self.given[2] += act == "half"
            if self.amount % by:
                raise UsageError(f"{self.amount} cannot be shared among {by} without a rest")
            self.amount //= by
        self.had[self.who] = self.amount


def check(problem: Problem) -> str | None:
    """Say why the answer of `problem` is wrong or cannot be read; None if it is right."""
    try:
        return _check(problem.question, problem.answer, problem.language)
    except UsageError as error:
        return str(error)


def _check(question: str, answer: str, language: str) -> str | None:
    *sentences, asked = question.rstrip(" ?").split(". ")
    tale = _Tale()
    for sentence in sentences:
        act, found = _read(sentence, language)
        if act != "beside":
            tale.tell(act, found.groupdict())
    for pattern, template in _ASKED[language]:
        if found := pattern.fullmatch(asked):
            part = found.groupdict()
            if tale.amount < 2 or ("things" in part and not re.search(rf"\d {part['things']}\b", question)):
                return f"the story counts no {part.get('things', 'such thing')}"
            if "one" in part:
                if {part["one"], part["two"]} != set(tale.had):
                    return f"the story compares {sorted(tale.had)}, the question asks about others"
                tale.amount = sum(tale.had.values())
                tale.given[next(n for who, n in tale.had.items() if who != tale.who)] += 1
            wanted = template.format(who=tale.who, n=tale.amount, **part)
            return _check_answer(tale, wanted, answer)
    return f"cannot read the question {asked!r}"


def _read(sentence: str, language: str) -> tuple[str, re.Match[str]]:
    for act, pattern in _READ[language]:
        # A story tells ages first; `a 12 ans` is no possession.
        if (found := pattern.fullmatch(sentence)) and not (act == "start" and sentence.endswith(" ans")):
            return act, found
    raise UsageError(f"cannot read the sentence {sentence!r}")


def _check_answer(tale: _Tale, wanted: str, answer: str) -> str | None:
    if not answer.endswith(f". {wanted}"):
        return f"the story leads to {wanted!r}, the answer says {answer!r}"
    said = answer.removesuffix(f". {wanted}")
    lines = _EQUATION.findall(said)
    if ", ".join([f"{a} {sign} {b} = {c}" for a, sign, b, c in lines]) != said or not lines:
        return f"{said!r} is not a list of equations"
    open_results: Counter[int] = Counter()
    left = Counter(tale.given)
    for a, sign, b, c in lines:
        if _OPERATORS[sign](int(a), int(b)) != int(c):
            return f"{a} {sign} {b} is not {c}"
        for operand in (int(a), int(b)):
            source = open_results if open_results[operand] else left
            if not source[operand]:
                return f"{operand} is neither in the story nor an earlier result"
            source[operand] -= 1
        open_results[int(c)] += 1
    unused = +left
    if unused or +open_results != Counter([tale.amount]):
        return f"the equations leave {sorted(unused.elements())} of the story unused or end in another number"
    return None
