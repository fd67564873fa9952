"""What a teacher is asked to do with a document: prompts in English and French, each with a name and a hash.

Every grounded prompt gives the whole seed document, asks for nothing that is not in it, and asks for a first line that
names the request, so that a reply to another request is seen. The kinds of rewriting follow Nemotron-CC and Cosmopedia
(arXiv:2412.02595; huggingface.co/blog/cosmopedia); the wording is our own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from petitlm.data.corpus.stage import canonical
from petitlm.errors import UsageError

LANGUAGES = ("en", "fr")
VERSION = 1


@dataclass(frozen=True)
class Strategy:
    """One way to make a text of a seed document, or of none."""

    id: str
    form: str
    """One of `schema.FORMS`."""
    layout: str
    """How the reply must be laid out; see `layouts`."""
    ask: Mapping[str, str]
    """The task, by the language of the reply."""
    category: str | None = None
    """Of the result; None: the seed's."""
    numbers: bool = True
    """Whether all numbers of the reply must be in the seed."""
    names: bool = True
    """Whether all names must be."""
    grounded: bool = True
    translates: bool = False

    @property
    def sha(self) -> str:
        """Hash of everything that shapes the prompt and what is accepted."""
        said = [VERSION, self.id, self.layout, dict(self.ask), self.numbers, self.names, self.grounded, _FRAME, _TAG]
        return hashlib.sha256(canonical(said).encode()).hexdigest()

    def prompt(self, language: str, seed: str, tag: str) -> tuple[tuple[str, str], ...]:
        """The messages that ask for a reply in `language`."""
        task = f"{self.ask[language]} {_TAG[language].format(tag=tag)}"
        if self.grounded:
            task = f"{task} {_FRAME[language]}\n\n<text>\n{seed}\n</text>"
        return (("user", task),)


_FRAME = {
    "en": "Use only what the text between <text> and </text> says: add no fact, no number and no name. Write nothing "
          "before or after the result.",
    "fr": "N'utilise que ce que dit le texte entre <text> et </text> : n'ajoute aucun fait, aucun nombre, aucun nom. "
          "N'écris rien avant ni après le résultat.",
}
_TAG = {"en": "The first line of your reply is exactly #{tag}, and nothing else is on it.",
        "fr": "La première ligne de ta réponse est exactement #{tag}, sans rien d'autre."}

_ALL = (
    Strategy("faq", "reference", "pairs", {
        "en": "Write three to six questions that a reader of the text may have, each with its answer. Each question "
              "is one line that begins with 'Q: ', and its answer one line below that begins with 'A: '.",
        "fr": "Écris en français trois à six questions qu'un lecteur du texte peut se poser, chacune avec sa réponse. "
              "Chaque question est une ligne qui commence par « Q : », et sa réponse une ligne au-dessous qui "
              "commence par « R : ».",
    }),
    Strategy("maths", "exercise", "problem", {
        "en": "Write one arithmetic word problem about what the text tells, with its solution. The first line begins "
              "with 'Problem: ', the next lines with 'Solution: ', and the last with 'Answer: ' and the number.",
        "fr": "Écris en français un problème d'arithmétique sur ce que raconte le texte, avec sa solution. La première "
              "ligne commence par « Problème : », les suivantes par « Solution : », et la dernière par « Réponse : » "
              "et le nombre.",
    }, category="word-problems", numbers=False),
    Strategy("table", "table", "table", {
        "en": "Put the facts of the text into one Markdown table with a header and at least two rows.",
        "fr": "Mets les faits du texte dans un seul tableau Markdown en français, avec un en-tête et au moins deux "
              "lignes.",
    }),
    Strategy("tutorial", "reference", "steps", {
        "en": "Explain what the text teaches as a tutorial of three to eight numbered steps: '1. ', '2. ' and so on, "
              "each a full sentence or more.",
        "fr": "Explique en français ce que le texte enseigne, sous forme de tutoriel de trois à huit étapes "
              "numérotées : « 1. », « 2. » et ainsi de suite, chacune d'au moins une phrase entière.",
    }),
    Strategy("dialogue", "dialogue", "turns", {
        "en": "Write a dialogue of four to ten lines in which B explains the text to A. The lines begin with 'A: ' and "
              "'B: ' in turn, A first.",
        "fr": "Écris en français un dialogue de quatre à dix lignes dans lequel B explique le texte à A. Les lignes "
              "commencent tour à tour par « A : » et « B : », A d'abord.",
    }, category="dialogue"),
    Strategy("summary", "reference", "summary", {
        "en": "Summarise the text in plain sentences, in at most half of its length.",
        "fr": "Résume le texte en français, en phrases simples et au plus à la moitié de sa longueur.",
    }),
    Strategy("audience-child", "reference", "prose", {
        "en": "Rewrite the text for a child of ten: short sentences, common words, nothing left unexplained.",
        "fr": "Réécris le texte en français pour un enfant de dix ans : phrases courtes, mots courants, rien "
              "d'inexpliqué.",
    }),
    Strategy("audience-expert", "reference", "prose", {
        "en": "Rewrite the text for an expert of its field: exact terms, no explanation of what experts know.",
        "fr": "Réécris le texte en français pour un spécialiste du domaine : termes exacts, sans expliquer ce qu'un "
              "spécialiste sait.",
    }),
    Strategy("translate", "pair", "translation", {
        "en": "Translate the text into English, sentence by sentence.",
        "fr": "Traduis le texte en français, phrase par phrase.",
    }, category="translation", names=False, translates=True),
    Strategy("article", "reference", "prose", {
        "en": "Write a short article of three paragraphs about an everyday topic of your choice, for people who learn "
              "English.",
        "fr": "Écris un court article de trois paragraphes sur un sujet quotidien de ton choix, pour des personnes "
              "qui apprennent le français.",
    }, numbers=False, names=False, grounded=False, category="other"),
    Strategy("story", "story", "prose", {
        "en": "Write a short story with a beginning, a difficulty and an end, in simple words.",
        "fr": "Écris en français une courte histoire avec un début, une difficulté et une fin, en mots simples.",
    }, numbers=False, names=False, grounded=False, category="stories"),
)
STRATEGIES: dict[str, Strategy] = {strategy.id: strategy for strategy in _ALL}


def strategy_named(name: str, ungrounded: bool) -> Strategy:
    """The strategy of that name.

    Raises: UsageError for an unknown one, or for one without seed documents that was not asked for as such.
    """
    if name not in STRATEGIES:
        raise UsageError(f"no strategy is named {name!r}; choose one of {', '.join(STRATEGIES)}")
    strategy = STRATEGIES[name]
    if not strategy.grounded and not ungrounded:
        raise UsageError(f"the strategy {name!r} needs no seed document, so nothing holds its facts to a source; say "
                         "--ungrounded if that is meant")
    if strategy.grounded and ungrounded:
        free = ", ".join(s.id for s in _ALL if not s.grounded)
        raise UsageError(f"the strategy {name!r} works on seed documents; leave out --ungrounded, or choose {free}")
    return strategy
