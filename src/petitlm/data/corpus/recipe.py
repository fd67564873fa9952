"""The recipe of a corpus: sources, policy, quality, balance, mixture and tokens, read from TOML, nothing ignored."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from petitlm.data.corpus.schema import CATEGORIES, FORMS
from petitlm.data.generators import GENERATORS, LEVELS
from petitlm.data.generators.number_words import LANGUAGES
from petitlm.errors import ConfigError
from petitlm.recipes import check_keys, from_table, read_toml


@dataclass(frozen=True)
class SourcePlan:
    """One file, or all that match a pattern, with what is declared about them."""

    id: str
    path: str
    """Relative to the recipe's root; a pattern such as `docs/*.md` takes every match, in the order of names."""
    licence: str = ""
    """SPDX expression or a known way to write one; empty: each record names its own, or the policy decides."""
    licence_file: str = ""
    """File that grants the licence, hashed as evidence."""
    licence_sha: str = ""
    """sha256 that the licence file had when somebody read it: another is refused."""
    format: str = ""
    """Empty: by the file's suffix."""
    text_field: str = "text"
    licence_field: str = "licence"
    language_field: str = "lang"
    title_field: str = "title"
    language: str = ""
    """Declared language; empty: identified document by document."""
    category: str = ""
    """Declared category; empty: classified."""
    form: str = "reference"
    group: str = "real"
    """Name of the group in [mix]."""
    title: str = ""
    publisher: str = ""
    uri: str = ""
    commit: str = ""
    attribution: str = ""
    note: str = ""
    optional: bool = False
    """Where its files are absent, go on without it and say so."""
    max_documents: int = 0
    """Take no more than so many of each file; 0: all."""
    pair_fields: tuple[str, ...] = ()
    """Two fields that hold a sentence and its translation, in place of `text_field`."""
    id_field: str = ""
    passage_chars: int = 0
    """Longer texts are cut between paragraphs into passages of about so many characters; 0: never."""
    max_document_bytes: int = 16 << 20
    """A longer record is rejected unread."""

    def __post_init__(self) -> None:
        if self.category and self.category not in CATEGORIES:
            raise ConfigError(f"source {self.id!r}: category {self.category!r} is none of {', '.join(CATEGORIES)}")
        if self.form not in FORMS:
            raise ConfigError(f"source {self.id!r}: form {self.form!r} is none of {', '.join(FORMS)}")
        if len(self.pair_fields) not in (0, 2):
            raise ConfigError(f"source {self.id!r}: pair_fields={list(self.pair_fields)}; name two fields, or none")
        if not self.id or ":" in self.id:
            raise ConfigError(f"a source's id is a name without a colon, not {self.id!r}")


@dataclass(frozen=True)
class PolicyPlan:
    """Which licences may be used."""

    allow: tuple[str, ...] = ()
    """SPDX identifiers beside those of the default policy."""
    deny: tuple[str, ...] = ()
    """SPDX identifiers refused, the default's too."""
    accept_unlicensed: tuple[str, ...] = ()
    """Ids of sources that may have no licence, each by name."""


@dataclass(frozen=True)
class BalancePlan:
    """Targets of the grid (category x language x difficulty), filled by generators where it has gaps."""

    seed: int = 0
    documents: int = 0
    """Training documents wanted in each cell; 0: generate nothing."""
    categories: tuple[str, ...] = ()
    """Empty: all that a generator makes."""
    languages: tuple[str, ...] = LANGUAGES
    levels: tuple[int, ...] = tuple(range(LEVELS))
    targets: Mapping[str, int] = field(default_factory=dict)
    """Documents wanted in some cells, in place of `documents`, by "category", "category/language" or
    "category/language/level"; the most exact counts."""
    heldout: int = 0
    """Documents in each cell of each of the generators' two held-out splits."""
    chat_share: float = 0.2
    """Share of generated records rendered as a conversation."""
    max_rounds: int = 6
    max_drafts: int = 0
    """Budget of drafts; 0: none."""
    epsilon: float = 0.0
    """Stop when the share that lacks is no more than this."""
    floor: float = 0.02
    """A cell whose drafts give new documents less often than this is exhausted: named, never padded."""

    def __post_init__(self) -> None:
        makeable = {generator.category for generator in GENERATORS.values()}
        for category in {*self.categories, *(key.split("/")[0] for key in self.targets)}:
            if category not in makeable:
                raise ConfigError(f"balance: no generator makes {category!r}; choose among "
                                  f"{', '.join(sorted(makeable))}")
        if unknown := set(self.languages) - set(LANGUAGES):
            raise ConfigError(f"balance: languages {sorted(unknown)} are not generated; choose among {LANGUAGES}")
        if bad := [level for level in self.levels if not 0 <= level < LEVELS]:
            raise ConfigError(f"balance: levels {bad} are not between 0 and {LEVELS - 1}")
        if min(self.documents, self.heldout, self.max_drafts, *self.targets.values(), 0) < 0:
            raise ConfigError("balance: documents, heldout, max_drafts and targets must not be negative")
        if not 0 <= self.chat_share <= 1 or not 0 <= self.epsilon < 1 or not 0 < self.floor < 1:
            raise ConfigError("balance: chat_share, epsilon and floor are shares from 0 to 1")
        if self.max_rounds < 1:
            raise ConfigError(f"balance: max_rounds={self.max_rounds} must be at least 1")

    def target(self, category: str, language: str, level: int) -> int:
        """Documents wanted in one cell."""
        for key in (f"{category}/{language}/{level}", f"{category}/{language}", category):
            if key in self.targets:
                return self.targets[key]
        return self.documents


@dataclass(frozen=True)
class MixPlan:
    """How much of each group a pass over the corpus shows."""

    shares: Mapping[str, float] = field(default_factory=dict)
    """Share of the tokens of a pass for each group ("procedural" is the generators'); empty: everything once."""
    max_epochs: float = 4.0
    """Most times that a pass shows one document; up to four are almost as good as new (Muennighoff et al. 2023)."""
    valid: float = 0.01
    test: float = 0.01
    """Shares of real documents kept out of training, by the hash of their content."""

    def __post_init__(self) -> None:
        if any(share < 0 for share in self.shares.values()) or (self.shares and sum(self.shares.values()) <= 0):
            raise ConfigError(f"mix: shares={dict(self.shares)} need numbers of 0 or more, one of them above 0")
        if self.max_epochs < 1 or min(self.valid, self.test) < 0 or self.valid + self.test >= 1:
            raise ConfigError("mix: max_epochs must be at least 1; valid and test are shares whose sum is below 1")


@dataclass(frozen=True)
class TokenPlan:
    """The tokenizer and the token files."""

    tokenizer: str = ""
    """Folder with a tokenizer.json, relative to the recipe's root; empty: train one on the corpus."""
    n_vocab: int = 4096
    sample_bytes: int = 20_000_000
    """Text that the tokenizer is trained on, at most, drawn evenly from the groups."""
    shard_tokens: int = 50_000_000
    seed: int = 0
    """Of the order of documents in the token files."""


@dataclass(frozen=True)
class CorpusRecipe:
    """Everything that decides what a corpus holds."""

    name: str
    root: Path
    """Folder that paths in the recipe are relative to."""
    shards: int
    sources: tuple[SourcePlan, ...]
    policy: PolicyPlan
    stages: Mapping[str, Mapping[str, Any]]
    """Settings of the stages, by their name; `false` leaves one out."""
    benchmarks: tuple[str, ...]
    """Files of evaluation items, or patterns, that no document may hold."""
    balance: BalancePlan
    mix: MixPlan
    tokens: TokenPlan
    description: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.shards <= 4096:
            raise ConfigError(f"shards={self.shards} is out of range; choose from 1 to 4096")
        ids = [source.id for source in self.sources]
        if twice := {id for id in ids if ids.count(id) > 1}:
            raise ConfigError(f"two sources have the id {sorted(twice)[0]!r}; rename one")
        if not self.sources and not self.balance.documents and not self.balance.targets:
            raise ConfigError(f"recipe {self.name!r} has no [[sources]] and no [balance]; nothing would be built")


STAGES = ("normalise", "identify", "label", "filter", "mask", "decontaminate", "grade", "dedup")
"""Stages whose settings a recipe may give, in a table of their name, in the order in which they run."""
_KEYS = ("name", "description", "root", "shards", "sources", "policy", "benchmarks", "balance", "mix", "tokens",
         *STAGES)


def read_recipe(path: Path, root: Path | None = None) -> CorpusRecipe:
    """The recipe at `path`; paths in it are relative to `root`, else to its own `root`, else to its folder.

    Raises: NotFoundError, ConfigError.
    """
    tables = read_toml(path)
    check_keys(tables, _KEYS, path.name, ["name"])
    sources = tables.get("sources", [])
    if not isinstance(sources, list):
        raise ConfigError(f"{path.name}: sources are written [[sources]], one table each")
    stages = {name: _stage(tables[name], name) for name in STAGES if name in tables}
    benchmarks = tables.get("benchmarks", [])
    if not isinstance(benchmarks, list):
        raise ConfigError(f"{path.name}: benchmarks is a list of files or patterns")
    return CorpusRecipe(
        name=str(tables["name"]),
        root=root or path.parent / tables.get("root", "."),
        shards=tables.get("shards", 16),
        sources=tuple(from_table(SourcePlan, table, f"sources.{i}") for i, table in enumerate(sources)),
        policy=from_table(PolicyPlan, tables.get("policy", {}), "policy"),
        stages=stages,
        benchmarks=tuple(benchmarks),
        balance=from_table(BalancePlan, tables.get("balance", {}), "balance"),
        mix=from_table(MixPlan, tables.get("mix", {}), "mix"),
        tokens=from_table(TokenPlan, tables.get("tokens", {}), "tokens"),
        description=tables.get("description", ""),
    )


def _stage(table: Any, name: str) -> dict[str, Any]:
    if table is False:
        return {"off": True}
    if not isinstance(table, dict):
        raise ConfigError(f"{name}={table!r}: give a table of settings, or false to leave the stage out")
    return table


def as_plain(plan: Any) -> dict[str, Any]:
    """A part of a recipe in plain values, for keys and manifests."""
    return dataclasses.asdict(plan)
