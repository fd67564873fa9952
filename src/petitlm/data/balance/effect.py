"""The effect of a corpus on a model: what a training run reads of it, and what it is asked afterwards.

Training itself is not here: the command joins the two, since data knows nothing of models.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as compute
import pyarrow.parquet as pq
from numpy.typing import NDArray

from petitlm.data.balance.grid import Cell
from petitlm.data.corpus.schema import DOCUMENTS
from petitlm.data.scoring import wilson_interval
from petitlm.data.tokens.encoder import Encoder
from petitlm.data.tokens.pack import encode_documents

pc: Any = compute


class Question(NamedTuple):
    """A held-out document as a question."""

    cell: Cell
    prompt: str
    answer: str


@dataclass(frozen=True)
class Measured:
    """How many questions of a cell two models answered right."""

    cell: Cell
    n: int
    before: int
    after: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values with 95 % intervals."""
        counts = {"before": [self.before, self.n], "after": [self.after, self.n]}
        return {**self.cell._asdict(), **counts,
                **{f"{name}_interval_95": [round(x, 4) for x in wilson_interval(*of)] for name, of in counts.items()}}


def training_rows(folder: Path, tokenizer: Encoder, prompt_weight: float,
                  longest: int) -> list[tuple[NDArray[Any], NDArray[np.float32]]]:
    """Ids and loss weights of every training document of a corpus, in the vocabulary of `tokenizer`.

    Longer documents are cut into pieces of `longest` tokens. Tokens of answers weigh 1 and those around them
    `prompt_weight`; a document without answers weighs 1 throughout. A document is there as often as a pass shows it,
    rounded, once at least.
    """
    rows = []
    for path in sorted((folder / "documents").glob("*.parquet")):
        table = pq.read_table(path, columns=["doc_id", "text", "answers", "split", "weight"], schema=DOCUMENTS)
        table = table.filter(pc.and_(pc.equal(table["split"], "train"), pc.greater(table["weight"], 0)))
        coded = encode_documents(table, tokenizer)
        ends = coded.offsets.tolist()
        for i, (ranges, weight) in enumerate(zip(coded.answers.to_pylist(), table["weight"].to_pylist(), strict=True)):
            ids = coded.ids[ends[i] : ends[i + 1]].astype(np.int64)
            weights = np.full(len(ids), prompt_weight if ranges else 1.0, np.float32)
            for begin, end in zip((ranges or [])[::2], (ranges or [])[1::2], strict=True):
                weights[begin:end] = 1.0
            for at in range(0, len(ids), longest):
                piece = slice(at, at + longest)
                if len(ids[piece]) > 1 and weights[piece][1:].any():
                    rows += [(ids[piece], weights[piece])] * max(1, round(weight))
    return rows


def held_out_questions(folder: Path, most_per_cell: int) -> list[Question]:
    """Held-out documents that end in an answer, at most so many of each cell, smallest ids first."""
    by_cell: dict[Cell, list[Question]] = defaultdict(list)
    for path in sorted((folder / "documents").glob("*.parquet")):
        rows = pq.read_table(path, columns=["text", "answers", "answer", "category", "language", "difficulty", "split"])
        rows = rows.filter(pc.starts_with(rows["split"], "heldout"))
        for row in rows.to_pylist():
            cell = Cell(row["category"], row["language"], row["difficulty"])
            if row["answers"] and len(by_cell[cell]) < most_per_cell:
                prompt = row["text"].encode()[: row["answers"][-1]["start"]].decode()
                by_cell[cell].append(Question(cell, prompt, row["answer"]))
    return [question for cell in sorted(by_cell, key=str) for question in by_cell[cell]]


def compare(questions: Sequence[Question], before: Callable[[list[str]], list[str]],
            after: Callable[[list[str]], list[str]]) -> list[Measured]:
    """Ask both models everything; exact match without surrounding space."""
    prompts = [question.prompt for question in questions]
    right: dict[Cell, list[int]] = defaultdict(lambda: [0, 0, 0])
    for question, one, other in zip(questions, before(prompts), after(prompts), strict=True):
        counts = right[question.cell]
        counts[0] += 1
        counts[1] += one.strip() == question.answer
        counts[2] += other.strip() == question.answer
    return [Measured(cell, *counts) for cell, counts in sorted(right.items(), key=str)]
