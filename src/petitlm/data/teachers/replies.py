"""What becomes of a reply: a text that keeps every promise of its strategy, or a reason from a closed list."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from petitlm.data.quality.language import UNDETERMINED, find_languages
from petitlm.data.teachers.grounding import content_words, new_names, new_numbers, share_of
from petitlm.data.teachers.layouts import repaired, without_thoughts, wrong_layout
from petitlm.data.teachers.protocol import Reply
from petitlm.data.teachers.strategies import Strategy

REASONS: Mapping[str, str] = {
    "empty": "the reply has no text",
    "refusal": "the teacher declines to do it",
    "truncated": "the reply ends in the middle: the limit of tokens was reached",
    "echo": "the reply repeats the prompt",
    "other-request": "the reply answers another request",
    "wrong-language": "the reply is in another language than asked for",
    "invalid-format": "the reply is not laid out as asked, after one repair",
    "not-grounded": "the reply has numbers or names that its document does not have",
    "repeated": "the same reply came to several requests",
    "failed": "the server refuses the request for good",
    "another-teacher": "another model wrote the reply, or may have",
}
"""Why a reply makes no document: the closed list."""

_REFUSAL = re.compile(
    r"\s*(?:(?:i['’]m|i am) (?:very |so |really )?sorry|sorry,? (?:but )?i|i (?:can(?:no|['’])t|cannot|am unable|"
    r"am not able|won['’]t|will not|must decline)|as an? (?:ai|artificial|language model)|unfortunately,? i (?:can|am)|"
    r"(?:je suis |je |)(?:vraiment )?(?:désolée?|regrette)|je ne (?:peux|puis|suis pas (?:en mesure|capable))|"
    r"en tant qu['’](?:ia|intelligence|assistant)|malheureusement,? je ne|navrée?)", re.I)
_REFUSAL_CHARS = 600
"""A longer text that begins like a refusal is a text."""
_TAG = re.compile(r"\A\s*(?:[`*]*)#(?P<tag>[0-9a-f]{8})\b[`*]*\s*(?:\n|\Z)")
_N_GRAM = 8
_ECHOED = 0.9
_STRANGE = 0.1
"""A reply that shares less than this with its own document may belong to another one..."""
_FAMILIAR = 0.4
"""...and does, if it shares this with that one."""


@dataclass(frozen=True)
class Asked:
    """What a reply answers."""

    call_id: str
    strategy: Strategy
    language: str
    seed: str
    """Text of the document; empty without one."""

    @property
    def tag(self) -> str:
        """The name of the request, as the first line of the reply has it."""
        return tag_of(self.strategy.id, self.seed)


@dataclass(frozen=True)
class Verdict:
    """What became of a reply."""

    text: str
    """Kept where `reason` is empty; otherwise what there was."""
    reason: str = ""
    detail: str = ""
    repaired: bool = False


def tag_of(strategy: str, seed: str) -> str:
    """Eight hexadecimal digits for a request about a document."""
    return hashlib.sha256(f"{strategy}\0{seed}".encode()).hexdigest()[:8]


def judge_all(asked: Sequence[Asked], replies: Mapping[str, Reply]) -> dict[str, Verdict]:
    """A verdict on each reply, by call_id: first one by one, then beside each other."""
    words = {a.call_id: content_words(a.seed) for a in asked if a.strategy.grounded}
    tags = {a.tag: a.call_id for a in asked}
    verdicts: dict[str, Verdict] = {}
    for a in asked:
        if a.call_id in replies:
            verdicts[a.call_id] = judge(a, replies[a.call_id], words, tags)
    return _without_repeats(asked, verdicts)


def judge(asked: Asked, reply: Reply, words: Mapping[str, set[str]], tags: Mapping[str, str]) -> Verdict:
    """Look at one reply. `words` are the content words of every document asked about, by call_id; `tags` the names
    of the requests."""
    text = unicodedata.normalize("NFC", reply.text).replace("\r\n", "\n").replace("\0", "")
    text = without_thoughts(text.strip()).strip()
    if not text:
        reason = "refusal" if reply.finish == "content_filter" else "empty"
        return Verdict("", reason, f"finish {reply.finish!r}")
    if reply.finish == "content_filter" or (len(text) <= _REFUSAL_CHARS and _REFUSAL.match(_TAG.sub("", text))):
        return Verdict(text, "refusal", text[:120])
    if reply.finish != "stop":
        return Verdict(text, "truncated", f"finish {reply.finish!r}")
    body, was_repaired = _unwrapped(asked, text)
    if found := _TAG.match(body):
        if asked.strategy.grounded and found["tag"] != asked.tag:
            whose = tags.get(found["tag"])
            return Verdict(text, "other-request", f"it answers #{found['tag']}" + (f", call {whose}" if whose else ""))
        body = body[found.end():].strip()
    else:
        was_repaired = True  # a reply without the line that was asked for: all other checks have to do
    if not body:
        return Verdict(text, "empty", "nothing after the first line")
    return _judge_body(asked, body, was_repaired, words)


def _judge_body(asked: Asked, text: str, was_repaired: bool, words: Mapping[str, set[str]]) -> Verdict:
    if echoed := _echoes(asked, text):
        return Verdict(text, "echo", echoed)
    if other := _about_another(asked, text, words):
        return Verdict(text, "other-request", other)
    found = find_languages([text])
    if found.languages[0] not in (asked.language, UNDETERMINED):
        return Verdict(text, "wrong-language", f"{found.languages[0]}, and {asked.language} was asked for")
    if wrong := wrong_layout(asked.strategy.layout, text, asked.seed):
        return Verdict(text, "invalid-format", wrong)
    if asked.strategy.numbers and (new := new_numbers(text, asked.seed)):
        return Verdict(text, "not-grounded", f"numbers that the document does not have: {', '.join(new[:10])}")
    # The words of a table's header are often written with capital letters.
    prose = text.partition("\n")[2] if asked.strategy.layout == "table" else text
    if asked.strategy.names and (new := new_names(prose, asked.seed)):
        return Verdict(text, "not-grounded", f"names that the document does not have: {', '.join(new[:10])}")
    return Verdict(text, repaired=was_repaired)


def _unwrapped(asked: Asked, text: str) -> tuple[str, bool]:
    """The reply without what was put around it, and whether there was something."""
    if match := _TAG.match(text):
        inner = repaired(text[match.end():])
        return f"#{match['tag']}\n{inner}", inner != text[match.end():].strip()
    inner = repaired(text)
    return inner, inner != text


def _echoes(asked: Asked, text: str) -> str:
    """How a text repeats its prompt, or its document; empty: it does not."""
    task = asked.strategy.ask[asked.language]
    if _plain(task)[:60] in _plain(text):
        return "it has the words of the task"
    mine, given = _grams(text), _grams(asked.seed)
    if mine and share_of(mine, given) >= _ECHOED and len(text) >= 0.5 * len(asked.seed):
        return f"{100 * share_of(mine, given):.0f} % of its runs of {_N_GRAM} words are the document's"
    return ""


def _about_another(asked: Asked, text: str, words: Mapping[str, set[str]]) -> str:
    """Which other document a text is about, if it is plainly not about its own."""
    said = content_words(text)
    if asked.call_id not in words or len(said) < 5 or share_of(said, words[asked.call_id]) >= _STRANGE:
        return ""
    best = max(((share_of(said, other), name) for name, other in words.items()), default=(0.0, ""))
    return f"its words are those of the document of call {best[1]}" if best[0] >= _FAMILIAR else ""


def _without_repeats(asked: Sequence[Asked], verdicts: dict[str, Verdict]) -> dict[str, Verdict]:
    """Reject texts that came more than once: all of them where each should say what its own document says, and all
    but the first where there is no document."""
    same: dict[str, list[Asked]] = defaultdict(list)
    for a in sorted(asked, key=lambda a: a.call_id):
        if a.call_id in verdicts and not verdicts[a.call_id].reason:
            same[_plain(verdicts[a.call_id].text)].append(a)
    for group in same.values():
        for a in group[0 if group[0].strategy.grounded else 1:]:
            if len(group) > 1:
                detail = f"{len(group)} requests got it"
                verdicts[a.call_id] = Verdict(verdicts[a.call_id].text, "repeated", detail)
    return verdicts


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _grams(text: str) -> set[str]:
    words = _plain(text).split()
    return {" ".join(words[i:i + _N_GRAM]) for i in range(len(words) - _N_GRAM + 1)}
