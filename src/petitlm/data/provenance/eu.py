"""The public summary of training content that article 53(1)(d) of Regulation (EU) 2024/1689 asks of providers.

Sections and their order are those of the template of the European Commission, 24 July 2025. Where the template asks
for a range, the exact number stands beside it. What no corpus can know (who provides the model, when it is placed on
the market, what users agreed to) is left to the provider in so many words, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping

from petitlm.data.provenance.cards import ORIGINS, language_name, share, table
from petitlm.data.provenance.facts import MADE, Facts, Source
from petitlm.data.sources.licences import REASONS

TO_FILL = "*To be filled in by the provider.*"
FIELDS = ("provider", "contact", "representative", "model", "placed", "collected")
"""What a provider can state: name, contact, authorised representative in the Union, versioned name of the model, date
of its placing on the market, latest date of data collection."""
_NONE = "The table of sources declares none."
_RANGES = ((10**9, "less than 1 billion tokens"), (10**13, "1 billion to 10 trillion tokens"))
_KINDS = {"prose": "fiction text", "drama": "fiction text", "stories": "fiction text",
          "science": "scientific text", "society": "scientific text", "history": "non-fiction text",
          "technical": "technical documentation", "web": "web text and messages", "code": "source code",
          "dialogue": "conversations", "translation": "parallel texts in two languages", "other": "text of other kinds",
          "": "text without a category"}


def eu_summary(facts: Facts, stated: Mapping[str, str] | None = None) -> str:
    """The summary as Markdown; `stated` is what the provider says of FIELDS."""
    said = {name: (stated or {}).get(name) or TO_FILL for name in FIELDS}
    people = [source for source in facts.sources if source.amount.documents and source.facts.get("kind") not in
              ("procedural", "teacher", "own", "rewrite") and not source.id.startswith(("generator:", "teacher:"))]
    parts = [
        f"# Summary of training content: {said['model'] if said['model'] != TO_FILL else facts.corpus.name}",
        "Template for the public summary of training content for general-purpose AI models, article 53(1)(d) of "
        f"Regulation (EU) 2024/1689. Counted from the corpus whose manifest has the SHA-256 `{facts.corpus.identity}`.",
        "## 1. General information",
        "### 1.1. Provider identification", _list({
            "Provider name": said["provider"], "Provider contact details": said["contact"],
            "Authorised representative name and contact details": said["representative"]}),
        "### 1.2. Model identification", _list({
            "Versioned model name(s)": said["model"],
            "Model dependencies": TO_FILL,
            "Date of placement of the model on the Union market": said["placed"]}),
        "### 1.3. Modalities, overall training data size and other characteristics", *_size(facts, said["collected"]),
        "## 2. List of data sources",
        "### 2.1. Publicly available datasets", *_public(facts, people),
        "### 2.2. Private non-publicly available datasets obtained from third parties",
        "#### 2.2.1. Datasets commercially licensed by rightsholders or their representatives",
        _NONE,
        "#### 2.2.2. Private datasets obtained from other third parties", _NONE,
        "### 2.3. Data crawled and scraped from online sources",
        "The program that built the corpus reads files and fetches nothing: it ran no crawler. Where a dataset named "
        "in 2.1 was crawled by those who published it, their documentation says how.",
        "### 2.4. User data", _NONE,
        "### 2.5. Synthetic data", *_synthetic(facts),
        "### 2.6. Other sources of data", _NONE,
        "## 3. Data processing aspects",
        "### 3.1. Respect of reservation of rights from text and data mining exception or limitation",
        *_rights(facts),
        "### 3.2. Removal of illegal content", *_removed(facts),
        "### 3.3. Other information", "Which documents are behind any token, source, licence or training step can be "
        "asked of the corpus itself (`petit data trace`), and every file verified (`petit data verify`).",
    ]
    return "\n\n".join(parts) + "\n"


def _list(facts: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def _range(tokens: int) -> str:
    return next((name for most, name in _RANGES if tokens < most), "more than 10 trillion tokens")


def _size(facts: Facts, collected: str) -> list[str]:
    kinds: dict[str, int] = {}
    for (category, origin), amount in facts.content.items():
        kind = _KINDS.get(category, "exercises and their answers") + (" (synthetic)" if origin in MADE else "")
        kinds[kind] = kinds.get(kind, 0) + amount.tokens
    total = facts.total.tokens
    content = [[kind, f"{n:,}", share(n, total)] for kind, n in sorted(kinds.items(), key=lambda item: -item[1])]
    spoken = [[language_name(code), f"{n.tokens:,}", share(n.tokens, total)]
              for code, n in facts.by["language"].items()]
    train = facts.by["split"].get("train")
    return [_list({
        "Modality": "text",
        "Training data size": f"{_range(total)}; exactly {total:,} tokens in {facts.total.documents:,} documents and "
                              f"{facts.total.bytes:,} bytes, of which {train.tokens if train else 0:,} tokens are for "
                              f"training; the training files hold {facts.n_packed:,} tokens, repetitions included",
        "Latest date of data acquisition or collection": collected,
        "Other modalities": "none"}),
        "Types of content:", table(["type of content", "tokens", "share"], content),
        "Linguistic characteristics of the overall training data:", table(["language", "tokens", "share"], spoken)]


def _public(facts: Facts, people: list[Source]) -> list[str]:
    if not people:
        return ["None: the corpus holds synthetic text alone."]
    total = facts.total.tokens
    rows = [[source.title, source.facts.get("publisher") or "", source.where, ", ".join(source.licences),
             ", ".join(map(language_name, source.languages)), f"{source.amount.tokens:,}",
             share(source.amount.tokens, total)] for source in people]
    return ["Modality of all of them: text.",
            table(["dataset", "publisher", "where", "licence", "language", "tokens", "share"], rows)]


def _synthetic(facts: Facts) -> list[str]:
    parts = [f"{facts.made.tokens:,} tokens ({share(facts.made.tokens, facts.total.tokens)}) in "
             f"{facts.made.documents:,} documents, modality text:",
             table(["how", "documents", "tokens"],
                   [[ORIGINS[name], f"{n.documents:,}", f"{n.tokens:,}"] for name, n in facts.by["origin"].items()
                    if name in ORIGINS and name != "human"])]
    if facts.generators:
        each = ", ".join(f"{g['name']} {g['tokens']:,} tokens" for g in facts.generators)
        parts.append("Generators are programs without a model (grammars, simulators, arithmetic) whose answers a "
                     f"second program confirms: {each}.")
    if facts.teachers:
        parts += ["Models used to generate:", table(
            ["model", "revision", "SHA-256 of its weights", "terms of its output", "tokens"],
            [[t["teacher"], t["revision"] or "", t["weights_sha"] or "unknown", t["output_terms"] or "not recorded",
              f"{t['tokens']:,}"] for t in facts.teachers])]
    else:
        parts.append("No AI model wrote any of it.")
    return parts if facts.made.documents else ["None."]


def _rights(facts: Facts) -> list[str]:
    kinds = ", ".join(f"{n.documents:,} {name or 'unknown'}" for name, n in facts.evidence.items())
    licences = table(["licence", "documents", "tokens"],
                     [[name or "none", f"{n.documents:,}", f"{n.tokens:,}"] for name, n in facts.by["licence"].items()])
    gate = sum(n for stage in facts.corpus.manifest["stages"] for reason, n in stage["reasons"].items()
               if reason in REASONS)
    return ["Every document has a licence, and a policy of the recipe admits or refuses it before anything else is "
            f"done with it; {gate:,} documents were refused for their licence. How licences are known: {kinds} "
            "(declared: somebody says so; computed: the program's own; corroborated: a licence file was hashed).",
            licences, f"Signatory of the code of practice, and measures beyond licences: {TO_FILL}"]


def _removed(facts: Facts) -> list[str]:
    masked = ", ".join(f"{flag[4:]} {n:,}" for flag, n in facts.flags.items() if flag.startswith("pii."))
    personal = f"Personal data masked by pattern and check digit, in documents: {masked or 'none found'}." \
        if facts.ran("mask") else "Personal data were not looked for."
    removed = [[stage["stage"], f"{stage['n_rejected']:,}", f"{stage['n_in']:,}"]
               for stage in facts.corpus.manifest["stages"]]
    return [f"{personal} What each stage removed:", table(["stage", "removed", "of"], removed),
            "No list of illegal content was applied beyond this. " + TO_FILL]
