"""Labelled texts for the language model: real text, messages of programs, words and trigrams by frequency, code.

What is not in ../shared/data comes from three packages of an environment of its own:

    python -m venv /tmp/languages
    /tmp/languages/bin/pip install django==6.1.3 langdetect==1.0.9 pyspellchecker==0.9.1

`django` (BSD-3-Clause): its messages in 90 languages, and program code. `langdetect` (Apache-2.0): how frequent the
trigrams of 55 languages are. `pyspellchecker` (MIT): how frequent words are in subtitles of films.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import json
import re
import string
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from random import Random

LANGUAGES = ("de", "en", "es", "fr", "it", "nl", "pt")
NOT_OF_LANGUAGE = ("gutenberg_children", "tiny_shakespeare", "python_docs_en_fr_pairs")
Labelled = list[tuple[str, str]]


def is_held_out(source: str) -> bool:
    """A fifth of the documents, chosen by name, is for measuring only."""
    return hashlib.blake2b(source.encode(), digest_size=2).digest()[0] < 51


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """The objects of a .jsonl.gz."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def real(shared: Path) -> Iterator[tuple[str, str, str, str]]:
    """(set, language, source, text) of every document of ../shared/data/text that is in one declared language."""
    for path in sorted((shared / "data" / "text").glob("*.jsonl.gz")):
        name = path.name.removesuffix(".jsonl.gz")
        if name in NOT_OF_LANGUAGE:
            continue
        for row in rows_of(path):
            # The treebanks name one file for all their documents, the novels one for all passages of a book.
            yield name, row["lang"], row["text"] if name.startswith("ud_") else row["source"], row["text"]


def piece(rng: Random, text: str, shortest: int, longest: int) -> str:
    """A run of whole words, its length drawn evenly on a logarithmic scale; cut short by the text's end."""
    size = int(shortest * (longest / shortest) ** rng.random())
    start = text.find(" ", rng.randrange(max(1, len(text) - size))) + 1
    end = text.rfind(" ", start, start + size + 1)
    return text[start : end if end > start else start + size].strip()


def prose(rng: Random, shared: Path, per_set: int) -> Labelled:
    """Pieces of the training documents, equally many of each set."""
    by_set: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, language, source, text in real(shared):
        if not is_held_out(source):
            by_set[name, language].append(text)
    return [(piece(rng, rng.choice(texts), 25, 1500), language)
            for (_, language), texts in by_set.items() for _ in range(per_set)]


def messages(rng: Random, packages: Path, held_out: bool) -> dict[str, list[str]]:
    """Django's messages by language, in lumps of up to 300 characters."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((packages / "django").rglob("LC_MESSAGES/*.po")):
        language = path.parts[-3].split("_")[0]
        for entry in path.read_text("utf-8").split("\n\n")[1:]:
            match = re.search(r'^msgstr(?:\[0\])? ((?:".*"\n?)+)', entry, re.M)
            text = ast.literal_eval(f"({match[1]})").strip() if match and "fuzzy" not in entry else ""
            if language == "en":
                match = re.search(r'^msgid ((?:".*"\n?)+)', entry, re.M)
                text = ast.literal_eval(f"({match[1]})").strip() if match else ""
            text = re.sub(r"%\(\w+\)s|%\w|\{\w*\}|<[^>]*>", "", text)
            if len(text) > 8 and is_held_out(text) == held_out:
                found[language].append(text)
    return {language: list(_lumps(rng, texts)) for language, texts in found.items() if len(texts) > 40}


def _lumps(rng: Random, texts: list[str]) -> Iterator[str]:
    rng.shuffle(texts)
    lump, size = "", rng.randrange(20, 300)
    for text in texts:
        lump = f"{lump} {text}".strip()
        if len(lump) >= size:
            yield lump
            lump, size = "", rng.randrange(20, 300)


def sampler_of_words(packages: Path, language: str) -> Callable[[Random], str]:
    """Word salad with the frequencies of the language's subtitles."""
    path = packages / "spellchecker" / "resources" / f"{language}.json.gz"
    counts: dict[str, int] = json.loads(gzip.decompress(path.read_bytes()))
    words, weights = list(counts), list(accumulate(counts.values()))

    def sample(rng: Random) -> str:
        made = rng.choices(words, cum_weights=weights, k=int(4 * 30 ** rng.random()))
        for i in range(0, len(made), 9):
            made[i] = made[i].capitalize()
        return re.sub(r" (\w+) ([A-ZÀ-Ý])", rf" \1{rng.choice('.,!?')} \2", " ".join(made))

    return sample


def sampler_of_trigrams(packages: Path, language: str) -> Callable[[Random], str] | None:
    """Letter salad with the frequencies of the trigrams of the language's encyclopedia; None where there are none."""
    path = packages / "langdetect" / "profiles" / language
    if not path.exists():
        return None
    following: dict[str, tuple[list[str], list[int]]] = defaultdict(lambda: ([], []))
    for gram, count in json.loads(path.read_text("utf-8"))["freq"].items():
        if len(gram) == 3:
            following[gram[:2]][0].append(gram[2])
            following[gram[:2]][1].append(count)
    openings = [(key, sum(counts)) for key, (_, counts) in following.items() if key[0] == " "]

    def sample(rng: Random) -> str:
        text, size = " ", int(40 * 12 ** rng.random())
        while len(text) < size:
            if text[-1] == " " or text[-2:] not in following:
                text = text.rstrip(" ") + rng.choices([key for key, _ in openings], [n for _, n in openings])[0]
            text += rng.choices(*following[text[-2:]])[0] if text[-2:] in following else " "
        return text.strip()

    return sample


def code(rng: Random, packages: Path, n: int) -> Iterator[str]:
    """Pieces of programs and page templates without their comments."""
    files = sorted((packages / "django").rglob("*.py"))
    scripts = sorted(p for p in (packages / "django").rglob("*") if p.suffix in (".js", ".css", ".html"))
    made = 0
    while made < n:
        path = rng.choice(files if rng.random() < 0.7 else scripts)
        text = path.read_text("utf-8")
        if path.suffix == ".py":
            text = ast.unparse(_Bare().visit(ast.parse(text)))
        if len(text) > 200:
            yield piece(rng, re.sub(r"/\*.*?\*/|//.*|<!--.*?-->", "", text, flags=re.S), 25, 700)
            made += 1


class _Bare(ast.NodeTransformer):
    """Drops docstrings."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node


def numbers(rng: Random) -> str:
    """Figures, codes and letters without a language."""
    def one() -> str:
        kind = rng.randrange(6)
        if kind == 0:
            return str(rng.randrange(10 ** rng.randrange(1, 9)))
        if kind == 1:
            return f"{rng.randrange(1000)}{rng.choice('.,:/-')}{rng.randrange(100)}"
        if kind == 2:
            return "".join(rng.choices(f"{string.ascii_letters}{string.digits}+/=_-", k=rng.randrange(3, 40)))
        if kind == 3:
            return rng.choice("=+-*/%$€|<>()[]{}#@&")
        return rng.choice(["x", "y", "z", "kg", "cm", "km", "EUR", "USD", "A", "B", "C", "ID", "No"])
    return " ".join(one() for _ in range(rng.randrange(3, 60)))


def labelled(shared: Path, packages: Path, seed: int = 5) -> Labelled:
    """All training texts with their labels, "und" for whatever is none of `LANGUAGES`."""
    rng = Random(seed)
    made = prose(rng, shared, 1500)
    lumps = messages(rng, packages, held_out=False)
    for language, texts in sorted(lumps.items()):
        known = language in LANGUAGES
        made += [(text, language if known else "und") for text in (texts if known else texts[:60])]
    for language in LANGUAGES:
        words, trigrams = sampler_of_words(packages, language), sampler_of_trigrams(packages, language)
        assert trigrams
        made += [(words(rng), language) for _ in range(3000)] + [(trigrams(rng), language) for _ in range(1000)]
    for path in sorted((packages / "langdetect" / "profiles").iterdir()):
        trigrams = sampler_of_trigrams(packages, path.name)
        if path.name not in LANGUAGES and trigrams:
            made += [(trigrams(rng), "und") for _ in range(40)]
    made += [(text, "und") for text in code(rng, packages, 1200)]
    made += [(numbers(rng), "und") for _ in range(800)]
    rng.shuffle(made)
    return [(text, label) for text, label in made if text]
