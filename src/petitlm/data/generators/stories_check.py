"""Short stories: the second route. Reads the labels and the story, and replays it sentence by sentence.

It knows no plan: key words of its own say when an obstacle comes, when it is overcome and in what spirit, and when the
wish comes true. It also asks that nobody appears without an introduction, that pronouns and endings fit the names, that
the tale stays in the past, that no sentence comes twice, that no three in a row open with the same person, and that the
moral is that of the theme.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from petitlm.data.generators.realiser_words import FEMININE, MASCULINE, NAMES
from petitlm.data.generators.story_words import KINDS
from petitlm.data.record import Problem

_REQUEST = {
    "en": re.compile(r".+ (\d+) sentences about (\w+), (.+), who (.+)\. Theme: (\w+)\. Style: (.+)\."),
    "fr": re.compile(r".+ (\d+) phrases sur (\w+), (.+), qui (.+)\. Thème : (\w+)\. Style : (.+)\."),
}
_THING = {
    "en": re.compile(r"(?:looks for|needs|wants to see) (.+?)(?: for .+)?"),
    "fr": re.compile(r"(?:cherche|veut voir) (.+?)(?: pour .+)?"),
}
_TALE = {"en": re.compile(r"Once|Long ago"), "fr": re.compile(r"Il était une fois|Il y a bien longtemps|Autrefois")}
_STYLES = {"plain": "plain", "with speech": "speech", "fairy tale": "tale",
           "simple": "plain", "avec des paroles": "speech", "conte": "tale"}  # fmt: skip
# Obstacle: what announces it, what overcomes it.
_OBSTACLES = {
    "en": (
        (r"wide river|river that|great river", r"raft|waited|boat|not deep"),
        (r"storm (?:broke|came up)", r"waited|through the storm"),
        (r"forest so dark|middle of the forest", r"sang|moon|led|knew every tree"),
        (r"\bcliff\b", r"made steps|climbed the cliff without|rope|stair"),
        (r"gate closed|gate of the town", r"open(?:ed)?\b|key of|had the key"),
        (r"thick fog|fog was so thick", r"lifted|crossed the fog|sound|by heart"),
        (r"bridge was broken|planks of the bridge were", r"mended|crossed the bridge|ladder"),
        (r"angry goose|huge goose", r"stepped aside|thorn|went back|calmed down"),
    ),
    "fr": (
        (r"large rivière|rivière trop|grande rivière", r"radeau|attendit|barque|n'était pas profonde"),
        (r"orage (?:éclata|arriva)", r"attendi|traversèrent l'orage|à travers l'orage"),
        (r"forêt si sombre|milieu de la forêt", r"chanta|lune|guida|connaissait chaque arbre"),
        (r"\bfalaise\b", r"fit un escalier|escalada|corde|escalier caché"),
        (r"grille de fer|grille de la ville", r"ouvrir la grille|s'ouvrit|poussèrent|clé de la grille"),
        (r"épais brouillard|brouillard était si épais", r"se lève|traversa|le son|par cœur"),
        (r"pont était cassé|planches du pont manquait", r"répar|passa le pont|échelle"),
        (r"oie en colère|oie énorme", r"s'écarta|épine|retourna|se calma"),
    ),
}  # fmt: skip
# Theme: the deed in its spirit, the word of its moral.
_THEMES = {
    "work": (r"raft|steps|mended|under every stone|pebble", r"\bwork\b"),
    "patience": (r"waited", r"\b(?:patience|patient)\b"),
    "courage": (r"sang|straight ahead|deep breath|beating heart", r"\bcourage\b"),
    "sharing": (r"half of|piece of cake", r"\bshare"),
    "kindness": (r"thorn|bag", r"\bkind"),
    "friendship": (r"in trouble|soon liked|will help you|stronger than one", r"\bfriend"),
    "honesty": (r"by mistake", r"truth|honest"),
    "travail": (r"radeau|fit un escalier|répara |sous chaque pierre|caillou", r"\btravail\b"),
    "courage ": (r"chanta|droit devant|respira|cœur battant", r"\bcourage\b"),
    "patience ": (r"attendi", r"\bpatience\b"),
    "partage": (r"moitié de|morceau de gâteau", r"partage"),
    "gentillesse": (r"épine|sac", r"\bgentillesse\b"),
    "amitié": (r"avait des ennuis|se plurent|vais t'aider|À deux", r"\bami"),
    "honnêteté": (r"par erreur", r"vérité|honnête"),
}
_GAINS = {"en": r"\b(?:found|saw)\b", "fr": r"\b(?:retrouva|trouva|vit)\b"}
_WISHES = {
    "en": r"gone|could not find|carried|\blost\b|needed|wanted|decided|dreamed",
    "fr": r"disparu|ne trouva plus|emporta|perdit|fallut|voulut|décida|rêvait",
}
_ENTERS = {
    "en": r"met|called|named|stood|neighbour|who lived|lived|was an?\b",
    "fr": r"rencontra|appel|du nom d|se tenait|voisine?|vivait|habitait|était une?\b",
}
_PRESENT = {
    "en": re.compile(r"\b(?:is|are|has|have|wants|goes|does|can|will)\b"),
    "fr": re.compile(r"\b(?:est|sont|ont|veut|veulent|va|vont|peut|dit que)\b"),
}
_SPOKEN = re.compile(r"“[^”]*”|«[^»]*»")
_PRONOUNS = {"He": MASCULINE, "She": FEMININE, "Il": MASCULINE, "Elle": FEMININE}


class _Asked(NamedTuple):
    n_sentences: int
    hero: str
    kind: str
    thing: str
    theme: str
    style: str


def check(problem: Problem) -> str | None:
    """Say why the story of `problem` breaks its labels or itself; None if it holds together."""
    language = problem.language
    asked = _read_request(problem.question, language)
    if asked is None:
        return f"cannot read what is asked in {problem.question!r}"
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-ZÀÂÉÈÊÎÔ“«])", problem.answer)
    if len(sentences) != asked.n_sentences or len(set(sentences)) != len(sentences):
        return f"asked for {asked.n_sentences} sentences, got {len(sentences)}, {len(set(sentences))} of them different"
    openings = [sentence.split()[0] for sentence in sentences]
    for one, *others in zip(openings, openings[1:], openings[2:], strict=False):
        if others == [one, one] and (one in NAMES or one in _PRONOUNS):
            return f"three sentences in a row open with {one}"
    steps = (_check_labels, _check_people, _check_plot, _check_forms)
    return next((reason for step in steps if (reason := step(sentences, asked, language))), None)


def _read_request(question: str, language: str) -> _Asked | None:
    found = _REQUEST[language].fullmatch(question)
    thing = _THING[language].fullmatch(found[4]) if found else None
    if not found or not thing or found[6] not in _STYLES:
        return None
    theme = found[5] + " " * (language == "fr" and found[5] in ("courage", "patience"))
    return _Asked(int(found[1]), found[2], found[3], thing[1], theme, _STYLES[found[6]]) if theme in _THEMES else None


def _check_labels(sentences: list[str], asked: _Asked, language: str) -> str | None:
    if asked.hero not in sentences[0] or asked.kind not in sentences[0]:
        return f"the story does not open with {asked.hero}, {asked.kind}"
    has_speech = any(_SPOKEN.search(sentence) for sentence in sentences)
    style = "speech" if has_speech else "tale" if _TALE[language].match(sentences[0]) else "plain"
    if style != asked.style:
        return f"asked for the style {asked.style}, the story is {style}"
    deed, moral = _THEMES[asked.theme]
    if not any(re.search(deed, sentence, re.IGNORECASE) for sentence in sentences[:-1]):
        return f"nobody does anything in the spirit of {asked.theme!r}"
    fits = re.search(moral, sentences[-1], re.IGNORECASE)
    return None if fits else f"the last sentence has no moral of {asked.theme!r}"


def _check_people(sentences: list[str], asked: _Asked, language: str) -> str | None:
    """Everybody is introduced, and a pronoun that opens a sentence means the one the last sentence was about."""
    known: list[str] = []
    about = ""
    for sentence in sentences:
        people = [name for name in re.findall(r"\b[A-Z]\w+", sentence) if name in NAMES]
        for name in dict.fromkeys(people):
            if name not in known and not re.search(_ENTERS[language], sentence):
                return f"{name} has not been introduced when the story says {sentence!r}"
            known.append(name)
        pronoun = _PRONOUNS.get(sentence.split()[0]) if sentence != sentences[0] else None
        if pronoun and (not about or NAMES[about] != pronoun):
            return f"the pronoun of {sentence!r} does not fit {about or 'anybody'}"
        meant = {*people, *([about] if pronoun else [])}
        about = meant.pop() if len(meant) == 1 else ""
    return None if known[0] == asked.hero else f"the story begins with {known[0]}, not with {asked.hero}"


def _check_plot(sentences: list[str], asked: _Asked, language: str) -> str | None:
    """A wish, then obstacles that are overcome one after the other, then the wish come true."""
    opened: str | None = None
    n_overcome = 0
    wished = fulfilled = False
    for sentence in sentences[1:]:
        if opened is None:
            opened = next((over for comes, over in _OBSTACLES[language] if re.search(comes, sentence)), None)
        elif re.search(opened, sentence):
            opened, n_overcome = None, n_overcome + 1
        elif any(re.search(comes, sentence) for comes, over in _OBSTACLES[language] if over != opened):
            return f"another obstacle comes before the first is overcome: {sentence!r}"
        if asked.thing in sentence or _contracted(asked.thing) in sentence:
            is_wish = bool(re.search(_WISHES[language], sentence))
            wished = wished or (is_wish and not n_overcome)
            fulfilled = not is_wish and bool(n_overcome and not opened and re.search(_GAINS[language], sentence))
    if opened is not None or not n_overcome:
        return "an obstacle is left" if opened else "there is no obstacle"
    return None if wished and fulfilled else f"the story does not tell how {asked.thing!r} is wished for and had"


def _contracted(thing: str) -> str:
    """`du phare` and `des lumières` for `le phare` and `les lumières`."""
    return re.sub(r"^les ", "des ", re.sub(r"^le ", "du ", thing))


def _check_forms(sentences: list[str], asked: _Asked, language: str) -> str | None:
    """The past tense outside speech and moral; French endings that fit the names."""
    for sentence in sentences[:-1]:
        found = _PRESENT[language].search(_SPOKEN.sub("", sentence))
        if found and not _TALE[language].match(sentence):
            return f"{found[0]!r} is not in the past: {sentence!r}"
    if language == "en":
        return None
    text = " ".join(sentences)
    for ending, name in re.findall(r"appelé(e?) (\w+)", text):
        if (ending == "e") != (NAMES[name] == FEMININE):
            return f"{name} is not appelé{ending}"
    is_she = NAMES[asked.hero] == FEMININE
    endings = {ending == "e" for ending in re.findall(r"\b(?:fatigué|[Ss]ois prudent|si seul)(e?)\b", text)}
    if endings - {is_she}:
        return f"an ending does not fit {asked.hero}"
    article, noun = asked.kind.split()[:2]
    right = {kind.fr_f if is_she else kind.fr for kind in KINDS}
    return None if (article == "une") == is_she and noun in right else f"{asked.hero} cannot be {asked.kind!r}"
