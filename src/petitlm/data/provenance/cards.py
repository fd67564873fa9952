"""The data card of a corpus and its list of attributions, as Markdown; every number is counted from the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from petitlm.data.corpus.schema import CATEGORIES
from petitlm.data.provenance.facts import Amount, Facts, Source

_LANGUAGES = {"en": "English", "fr": "French", "de": "German", "es": "Spanish", "it": "Italian", "pt": "Portuguese",
              "nl": "Dutch", "und": "not sure"}
ORIGINS = {"human": "written by people", "procedural": "made by verified generators",
           "teacher": "written by another model", "own": "written by a model of petit",
           "rewrite": "people's text, rewritten by a model"}
"""What the origins mean, for readers."""
_CHANGES = {"normalise": "normalised", "filter": "filtered", "mask": "personal data masked",
            "dedup": "repeats left out"}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
          (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1 << 63, "n>100M"))


def language_name(code: str) -> str:
    """A language as its card calls it."""
    return _LANGUAGES.get(code, code)


def data_card(facts: Facts) -> str:
    """The card: what the corpus is, what is in it, how it was made, what was left out, what one owes to whom."""
    manifest, total = facts.corpus.manifest, facts.total
    parts = [
        _front_matter(facts), f"# {facts.corpus.name}", str(manifest.get("description") or ""),
        f"{total.documents:,} documents, {total.tokens:,} tokens, {total.bytes:,} bytes of text. Identity of this "
        f"corpus: the SHA-256 of its manifest, `{facts.corpus.identity}`.",
        "## What is in it", *_contents(facts), "## Where it comes from", *_origins(facts),
        "## How it was made", *_stages(facts), "## Splits", table(
            ["split", "documents", "tokens"],
            [[name, f"{n.documents:,}", f"{n.tokens:,}"] for name, n in facts.by["split"].items()]),
        "A generated problem of a held-out split is not in training: what splits them is the key of the problem, not "
        "the seed that drew it." if any(name.startswith("heldout") for name in facts.by["split"]) else "",
        "## Personal data, and what to know before use", *_cautions(facts),
        "## Check it, and ask it", "```\npetit data verify FOLDER\npetit data trace FOLDER --document ID\n"
        "petit data card FOLDER --format attribution\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def attribution_list(facts: Facts) -> str:
    """Who made what, under which licence, where it is: what has to travel with the corpus or a model made of it."""
    lines = [f"# Attribution: {facts.corpus.name}", f"Of the corpus whose manifest has the SHA-256 "
             f"`{facts.corpus.identity}`.", ""]
    for source in sorted(facts.sources, key=lambda source: source.id):
        if not source.amount.documents:
            continue
        by = source.facts.get("attribution") or source.facts.get("publisher") or "author not recorded"
        where = f" {source.where}." if source.where else ""
        changed = [what for stage, what in _CHANGES.items() if facts.ran(stage)]
        changes = f" Changed: {', '.join(changed)}." if changed and source.facts.get("kind") != "procedural" else ""
        licences = ", ".join(licence or "no licence recorded" for licence in source.licences)
        lines.append(f"- **{source.title}** (`{source.id}`): {by}. {licences}.{where}{changes} {source.amount}.")
    shared = [source.id for source in facts.sources if source.facts.get("sa") and source.amount.documents]
    if shared:
        lines += ["", f"Share alike: {', '.join(f'`{name}`' for name in shared)} ask that what is adapted from them is "
                      "passed on under the same licence."]
    return "\n".join(lines) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; columns of numbers flush right."""
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    right = [bool(cells) and all(cell.replace(",", "").replace(".", "").strip("% ").isdigit() for cell in column)
             for column in (zip(*cells, strict=True) if cells else [[]] * len(columns))]
    rule = ["---:" if flush else "---" for flush in right]
    return "\n".join(f"| {' | '.join(row)} |" for row in [list(columns), rule, *cells])


def share(part: int, whole: int) -> str:
    """A share in percent, with a digit more where it is small."""
    percent = 100 * part / whole if whole else 0.0
    return f"{percent:.1f} %" if percent >= 1 or not part else f"{percent:.2f} %"


def _front_matter(facts: Facts) -> str:
    """Metadata as dataset hubs read it."""
    languages = [code for code in facts.by["language"] if code not in ("und", "")]
    size = next(name for most, name in _SIZES if facts.total.documents < most)
    licences = sorted(facts.by["licence"])
    is_one = len(licences) == 1 and " " not in licences[0] and not licences[0].startswith("LicenseRef")
    one = licences[0].lower() if is_one else "other"
    return "\n".join(["---", f"pretty_name: {facts.corpus.name}", f"license: {one}", "language:",
                      *(f"- {code}" for code in sorted(languages)), "size_categories:", f"- {size}",
                      "task_categories:", "- text-generation", "---"])


def _contents(facts: Facts) -> list[str]:
    total = facts.total.tokens
    languages = [code for code in facts.by["language"] if code]
    cells: dict[str, dict[str, int]] = {}
    for cell in facts.corpus.manifest["cells"]:
        row = cells.setdefault(str(cell["category"]), {})
        row[str(cell["language"])] = row.get(str(cell["language"]), 0) + cell["tokens"]
    rows = []
    for category, amount in facts.by["category"].items():
        per = [f"{cells.get(category, {}).get(language, 0):,}" for language in languages]
        rows.append([category, CATEGORIES.get(category, ""), *per, f"{amount.documents:,}",
                     share(amount.tokens, total)])
    levels = [[level or "none", f"{n.documents:,}", f"{n.tokens:,}", share(n.tokens, total)]
              for level, n in sorted(facts.by["difficulty"].items())]
    columns = ["category", "what", *(f"tokens, {language_name(code)}" for code in languages), "documents", "share"]
    return [table(columns, rows), "Difficulty, from 0 (easiest) to 5:",
            table(["level", "documents", "tokens", "share"], levels)]


def _origins(facts: Facts) -> list[str]:
    total = facts.total.tokens
    origins = [[ORIGINS.get(name, name), f"{n.documents:,}", f"{n.tokens:,}", share(n.tokens, total)]
               for name, n in facts.by["origin"].items()]
    sources = [[f"{source.title} (`{source.id}`)", ", ".join(source.licences), _evidence(source),
                f"{source.amount.documents:,}", f"{source.amount.tokens:,}"]
               for source in facts.sources if source.amount.documents]
    parts = [table(["text", "documents", "tokens", "share"], origins),
             table(["source", "licence", "how the licence is known", "documents", "tokens"], sources)]
    if facts.generators:
        parts += ["Every generated answer was found twice: by the generator, and by a second route that reads the text "
                  "alone. Documents on which both agree:",
                  table(["generator", "version", "documents", "agree"], [
                      [g["name"], g["version"], f"{g['documents']:,}", f"{g['passed']:,}"] for g in facts.generators])]
    if facts.teachers:
        parts += ["Models that wrote text:", table(
            ["model", "revision", "weights", "terms of its output", "documents", "tokens"],
            [[t["teacher"], t["revision"] or "", (t["weights_sha"] or "unknown")[:16],
              t["output_terms"] or "not recorded", f"{t['documents']:,}", f"{t['tokens']:,}"] for t in facts.teachers])]
    if absent := facts.corpus.manifest.get("absent_sources"):
        parts.append(f"The recipe names sources that were not there when this was built: {', '.join(absent)}.")
    return parts


def _evidence(source: Source) -> str:
    """Whether somebody says so, or a file was read."""
    kind, sha = source.facts.get("evidence") or "declared", source.facts.get("licence_sha")
    return f"{kind}, licence file {sha[:12]}" if sha else str(kind)


def _stages(facts: Facts) -> list[str]:
    manifest = facts.corpus.manifest
    rows = [[stage["stage"], f"{stage['n_in']:,}", f"{stage['n_kept']:,}", f"{stage['n_rejected']:,}",
             reasons_text(stage["reasons"])] for stage in manifest["stages"]]
    tokenizer = manifest["tokenizer"]
    return ["Each stage keeps a document or rejects it with a reason; nothing vanishes between them.",
            table(["stage", "in", "kept", "rejected", "why"], rows),
            f"Recipe `{manifest.get('recipe_sha256', '')[:16]}`, petit {manifest.get('code_version', '')}; tokenizer "
            f"`{str(tokenizer.get('sha256', ''))[:16]}` with {tokenizer.get('n_vocab', 0):,} tokens. The token files "
            f"hold {facts.n_packed:,} tokens: a document stands there as often as its weight says."]


def reasons_text(reasons: Mapping[str, int], most: int = 4) -> str:
    """The commonest reasons, with how often."""
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    more = [f"{len(ordered) - most} more"] if len(ordered) > most else []
    return ", ".join([*(f"{name} {n:,}" for name, n in ordered[:most]), *more])


def _cautions(facts: Facts) -> list[str]:
    masked = ", ".join(f"{flag[4:]} in {n:,} documents" for flag, n in facts.flags.items() if flag.startswith("pii."))
    declared = facts.evidence.get("declared", Amount(0, 0, 0))
    lines = [
        "- Personal data were masked where a pattern and, if there is one, a check digit found them: "
        f"{masked or 'none was found'}. Names of people are not masked."
        if facts.ran("mask") else "- Personal data were not looked for: no stage of this corpus masks them.",
        f"- {share(facts.made.tokens, facts.total.tokens)} of the tokens were made by generators or models "
        f"({facts.made.tokens:,}).",
        f"- The licence of {declared.documents:,} documents is what somebody declares; that of the others was read in "
        "a licence file, or is the program's own.",
        "- Evaluation items were looked for by their words and by the structure of our own problems. A translation or "
        "a paraphrase of one is not found."
        if facts.ran("decontaminate")
        else "- Evaluation items were not looked for: do not measure on public benchmarks.",
    ]
    return ["\n".join(lines)]
