"""Is a generated document what its generator gives today?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from petitlm.data.corpus.generate import remake_row
from petitlm.errors import UsageError

_SAME = ("text", "answers", "answer", "foil", "structure", "problem_key", "category", "language", "difficulty", "split",
         "shape", "licence")


def made_again(row: Mapping[str, Any]) -> str | None:
    """Repeat the generator call behind a row, second route included; return what differs, None where nothing does.

    A stage may have changed a text after it was made (masking, normalising): then the flags say so, and only the name
    of the document, which holds the hash of the text as it was made, is compared.
    """
    if not row["gen"]:
        return "no generator made it"
    try:
        made = remake_row(row["gen"])
    except UsageError as error:
        return str(error)
    if made is None:
        return "the call gives no record: its second route refuses the answer, or the problem is of another split"
    if made["doc_id"] != row["doc_id"]:
        return f"the call gives another text: {made['text']!r:.200}"
    names = [name for name in _SAME if made[name] != row[name] and not (row["flags"] and name in ("text", "answers"))]
    return f"the call gives another {', '.join(names)}" if names else None
