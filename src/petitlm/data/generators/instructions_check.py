"""Lists and words handled as told: the second route. Reads the orders by their key words and obeys them by hand.

It shares no operation with the generator: it sorts by repeated choice of the least, reverses and counts by loops.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from petitlm.data.record import Problem
from petitlm.errors import UsageError

_TOLD = re.compile(r"(Words|Numbers|Word|Mots|Nombres|Mot) ?: (.+)\.")
_OPENING = re.compile(r"^(?:First, |Then |Finally, |D'abord, |Ensuite, |Enfin, )")
_CLOSING = ("What is the result", "Give only the result", "Quel est le résultat", "Donne seulement le résultat")
_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "premier": 1, "première": 1,
    "deuxième": 2, "troisième": 3, "quatrième": 4, "cinquième": 5, "sixième": 6,
}  # fmt: skip
_NTH = f"({'|'.join(_ORDINALS)})"


def check(problem: Problem) -> str | None:
    """Say why the answer of `problem` is not what its orders give; None if it is."""
    told = _TOLD.fullmatch(problem.context)
    if not told:
        return f"cannot read {problem.context!r}"
    items = told[2].split(", ")
    state = State(items, is_word=told[1] in ("Word", "Mot"))
    try:
        for sentence in re.split(r"[.?] ?", problem.question.replace(" ?", "?")):
            if sentence:
                state.obey(_OPENING.sub("", sentence))
    except UsageError as error:
        return str(error)
    wanted = state.written()
    return None if problem.answer == wanted else f"the orders give {wanted!r}, not {problem.answer!r}"


class State:
    """What is left of the list or the word, and how it is to be written."""

    def __init__(self, items: list[str], is_word: bool) -> None:
        self.items = items
        self.is_word = is_word
        self.form = ""

    def obey(self, order: str) -> None:
        """Do what one sentence says.

        Raises: UsageError if no order fits it.
        """
        if order in _CLOSING:
            return
        for pattern, act in _ORDERS:
            if found := pattern.fullmatch(order[0].lower() + order[1:]):
                act(self, found)
                return
        raise UsageError(f"cannot read the order {order!r}; it follows no known wording")

    def written(self) -> str:
        """The result in its form."""
        joints = {"dashes": " - ", "slashes": " / "}
        if self.form == "numbered":
            lines = ""
            for number, item in enumerate(self.items):
                lines += f"{chr(10) if number else ''}{number + 1}. {item}"
            return lines
        text = joints.get(self.form, ", ").join(self.items)
        return "[" + text + "]" if self.form == "brackets" else text


def _sort(down: bool, by_length: bool = False) -> Callable[[State, re.Match[str]], None]:
    def weigh(item: str) -> tuple[int, str]:
        if by_length:
            return len(item), ""
        return (int(item), "") if item.isdigit() else (0, item.lower())

    def act(state: State, _: re.Match[str]) -> None:
        rest, done = list(state.items), []
        while rest:
            best = rest[0]
            for item in rest:
                if (weigh(item) > weigh(best)) if down else (weigh(item) < weigh(best)):
                    best = item
            rest.remove(best)
            done.append(best)
        state.items = done

    return act


def _keep(wanted: Callable[[str, str], bool]) -> Callable[[State, re.Match[str]], None]:
    def act(state: State, found: re.Match[str]) -> None:
        argument = found[1] if found.re.groups else ""
        state.items = [item for item in state.items if wanted(item, argument)]

    return act


def _each(changed: Callable[[str, str], str]) -> Callable[[State, re.Match[str]], None]:
    def act(state: State, found: re.Match[str]) -> None:
        argument = found[1] if found.re.groups else ""
        state.items = [changed(item, argument) for item in state.items]

    return act


def _whole(result: Callable[[list[str], str], str]) -> Callable[[State, re.Match[str]], None]:
    def act(state: State, found: re.Match[str]) -> None:
        state.items = [result(state.items, found[1] if found.re.groups else "")]

    return act


def _reverse(state: State, _: re.Match[str]) -> None:
    turned: list[str] = []
    for item in state.items:
        turned.insert(0, item)
    state.items = turned


def _swap(state: State, _: re.Match[str]) -> None:
    state.items[0], state.items[-1] = state.items[-1], state.items[0]


def _drop(at: int) -> Callable[[State, re.Match[str]], None]:
    def act(state: State, _: re.Match[str]) -> None:
        state.items.pop(at)

    return act


def _set_form(form: str) -> Callable[[State, re.Match[str]], None]:
    def act(state: State, _: re.Match[str]) -> None:
        state.form = form

    return act


def _pick(items: list[str], nth: str) -> str:
    if _ORDINALS[nth] > len(items):
        raise UsageError(f"there is no {nth} one among {items}")
    return items[_ORDINALS[nth] - 1]


def _longest(items: list[str], _: str) -> str:
    lengths = sorted(map(len, items))
    if lengths.count(lengths[-1]) > 1:
        raise UsageError(f"no one of {items} is the longest")
    return next(item for item in items if len(item) == lengths[-1])


def _backwards(word: str, _: str) -> str:
    turned = ""
    for letter in word:
        turned = letter + turned
    return turned


def _same(a: str, b: str) -> bool:
    return a.lower() == b.lower()


_ORDERS = tuple((re.compile(pattern), act) for pattern, act in (
    (r"put them in alphabetical order|sort them from A to Z|mets-les dans l'ordre alphabétique|trie-les de A à Z|"
     r"sort them from smallest to largest|put them in increasing order|trie-les du plus petit au plus grand|"
     r"mets-les dans l'ordre croissant", _sort(False)),
    (r"put them in reverse alphabetical order|sort them from Z to A|mets-les dans l'ordre alphabétique inverse|"
     r"trie-les de Z à A|sort them from largest to smallest|put them in decreasing order|"
     r"trie-les du plus grand au plus petit|mets-les dans l'ordre décroissant", _sort(True)),
    (r"sort them from the shortest word to the longest|put them in order of length, shortest first|"
     r"trie-les du mot le plus court au plus long|mets-les par ordre de longueur, le plus court d'abord",
     _sort(False, by_length=True)),
    (r"reverse the list|give the list backwards|renverse la liste|donne la liste à l'envers", _reverse),
    (r"(?:remove|leave out) the first one|(?:retire|laisse de côté) le premier", _drop(0)),
    (r"(?:remove|leave out) the last one|(?:retire|laisse de côté) le dernier", _drop(-1)),
    (r"(?:keep only those with more than|keep the words longer than|garde seulement ceux de plus de|"
     r"garde les mots de plus de) (\d+) (?:letters|lettres)", _keep(lambda item, n: len(item) >= int(n) + 1)),
    (r"(?:keep only those with fewer than|keep the words shorter than|garde seulement ceux de moins de|"
     r"garde les mots de moins de) (\d+) (?:letters|lettres)", _keep(lambda item, n: len(item) <= int(n) - 1)),
    (r"(?:keep only those that contain|keep the words with|garde seulement ceux qui contiennent|garde les mots avec) "
     r"(?:the letter|la lettre) [\"«] ?(\w) ?[\"»]", _keep(lambda item, x: any(_same(letter, x) for letter in item))),
    (r"write (?:them|it) in capital letters|écris-les? en majuscules", _each(lambda item, _: item.upper())),
    (r"(?:swap|exchange) the first and the last one|(?:échange|intervertis) le premier et le dernier", _swap),
    (rf"(?:give the|say which one is|donne le|dis lequel est le) {_NTH}(?: one)?", _whole(_pick)),
    (r"count them|say how many there are|compte-les|dis combien il y en a", _whole(lambda items, _: str(len(items)))),
    (r"join their first letters|write the word made of their first letters|assemble leurs premières lettres|"
     r"écris le mot formé de leurs premières lettres", _whole(lambda items, _: "".join(item[:1] for item in items))),
    (r"give the longest word|give the one with the most letters|donne le mot le plus long|"
     r"donne celui qui a le plus de lettres", _whole(_longest)),
    (r"keep only the even ones|keep the even numbers|garde seulement les pairs|garde les nombres pairs",
     _keep(lambda item, _: item[-1] in "02468")),
    (r"keep only the odd ones|keep the odd numbers|garde seulement les impairs|garde les nombres impairs",
     _keep(lambda item, _: item[-1] in "13579")),
    (r"(?:keep only those greater than|keep the numbers above|garde seulement ceux qui dépassent|"
     r"garde les nombres au-dessus de) (\d+)", _keep(lambda item, n: int(item) - int(n) > 0)),
    (r"double each of them|double chacun d'eux", _each(lambda item, _: str(int(item) + int(item)))),
    (r"(?:add|ajoute) (\d+) (?:to each of them|à chacun d'eux)", _each(lambda item, n: str(int(item) + int(n)))),
    (r"add them all up|give their sum|additionne-les tous|donne leur somme",
     _whole(lambda items, _: str(sum(map(int, items))))),
    (r"give the largest one|donne le plus grand", _whole(lambda items, _: sorted(items, key=int)[-1])),
    (r"write it backwards|spell it from the end to the beginning|écris-le à l'envers|épelle-le de la fin au début",
     _each(_backwards)),
    (r"(?:remove every letter|write it without the letter|retire-lui chaque lettre|écris-le sans la lettre) "
     r"[\"«] ?(\w) ?[\"»](?: from it)?", _each(lambda word, x: "".join(a for a in word if not _same(a, x)))),
    (r"write its last letter twice|repeat its last letter once more|écris deux fois sa dernière lettre|"
     r"répète une fois sa dernière lettre", _each(lambda word, _: f"{word}{word[len(word) - 1]}")),
    (r"(?:count how often the letter|count its letters|compte combien de fois la lettre|compte ses lettres) "
     r"[\"«] ?(\w) ?[\"»](?: occurs in it| y figure)?",
     _each(lambda word, x: str(sum(_same(letter, x) for letter in word)))),
    (r"count its letters|say how many letters it has|compte ses lettres|dis combien de lettres il a",
     _each(lambda word, _: str(sum(1 for _ in word)))),
    (rf"(?:give its|donne sa) {_NTH} (?:letter|lettre)", _each(lambda word, nth: _pick(list(word), nth))),
    (r"(?:keep only its first|garde seulement ses) (\d) (?:letters|premières lettres)",
     _each(lambda word, n: "".join(letter for at, letter in enumerate(word) if at < int(n)))),
    (r"separate what is left by dashes|sépare ce qui reste par des tirets", _set_form("dashes")),
    (r"separate what is left by slashes|sépare ce qui reste par des barres obliques", _set_form("slashes")),
    (r"write the result in square brackets|écris le résultat entre crochets", _set_form("brackets")),
    (r"number the result, one item a line|numérote le résultat, un élément par ligne", _set_form("numbered")),
))  # fmt: skip
