"""Small corpora for tests: a recipe with every kind of source and trouble, built in about a second."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

RECIPE = """
name = "small"
shards = 3

[[sources]]
id = "notes"
path = "notes.jsonl.gz"
licence = "CC BY 4.0"
attribution = "A. Writer"
form = "reference"
category = "technical"

[[sources]]
id = "pages"
path = "pages/*.md"
licence = "MIT"
licence_file = "LICENSE"
group = "docs"

[[sources]]
id = "not-there"
path = "nowhere.jsonl"
licence = "MIT"
optional = true

[label]
min_confidence = 0.5

[balance]
seed = 3
documents = 4
heldout = 1
categories = ["arithmetic", "robot"]
levels = [0, 1]
max_rounds = 2

[mix]
valid = 0.1
test = 0.1
[tokens]
n_vocab = 400
shard_tokens = 2000
"""

_SUBJECTS = ("The garden", "A river", "The old mill", "A small engine", "The library", "Every harbour", "The teacher",
             "A bright lamp", "The mountain road", "A clever machine")
_VERBS = ("holds", "needs", "shows", "keeps", "returns", "explains", "measures", "carries")
_OBJECTS = ("a quiet place for those who read", "more water than one would think", "what was learnt over many years",
            "the weight of its own history", "a question that nobody has asked", "three reasons to come back later",
            "the difference between two pictures")


def sentences(start: int, n: int) -> str:
    """English sentences that differ from one another, the same for the same numbers."""
    said = []
    for i in range(start, start + n):
        subject, verb = _SUBJECTS[i % 10], _VERBS[i // 10 % 8]
        said.append(f"{subject} {verb} {_OBJECTS[(i * 5 + i // 7) % 7]}, and page {i} of this book says why.")
    return " ".join(said)


def small_source(root: Path, recipe: str = RECIPE) -> Path:
    """Write the sources of a small corpus and its recipe into `root`; returns the recipe."""
    root.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"text": sentences(i * 9, 9), "lang": "en"}).encode() for i in range(40)]
    lines[5:5] = [b"{not json", b'{"title": "no text"}', b'{"text": 7}', b'{"text": "\xff\xfe broken"}', b""]
    lines.append(lines[3])  # the same text again
    with gzip.GzipFile(root / "notes.jsonl.gz", "wb", mtime=0) as file:
        file.write(b"\n".join(lines) + b"\n")
    (root / "pages").mkdir(exist_ok=True)
    for i in range(3):
        (root / "pages" / f"page{i}.md").write_text(f"# Page {i}\n\n{sentences(1000 + 20 * i, 12)}\n")
    (root / "LICENSE").write_text(MIT)
    path = root / "recipe.toml"
    path.write_text(recipe)
    return path


MIT = """MIT License

Copyright (c) 2026 The petit authors

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.
"""
