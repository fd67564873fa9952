"""What the steps of a training run read, by the checkpoint that they led to."""

from __future__ import annotations

from typing import Any

from petitlm.data.provenance.state import DataState, lineage, states_of_step
from petitlm.data.provenance.trace import Trace
from petitlm.errors import UsageError


def of_this_corpus(state: DataState, trace: Trace) -> DataState:
    """The newest order in a checkpoint's lineage that read this corpus.

    Raises: UsageError where none did, naming the corpora that it read; where the corpus has other tokens now.
    """
    read = [one for _, _, one in lineage(state) if one]
    for one in read:
        if one.manifest_sha256 == trace.corpus.identity:
            return _checked(one, trace)
    known = ", ".join(dict.fromkeys(one.manifest_sha256[:12] for one in read))
    raise UsageError(f"this checkpoint read the corpus {known}, and {trace.corpus.folder} is "
                     f"{trace.corpus.identity[:12]}; give the folder of that corpus, or a checkpoint of this one")


def read_by_step(trace: Trace, state: DataState | None, step: int, limit: int) -> dict[str, Any]:
    """The documents that a step read, from each of the orders that may have done it.

    Raises: UsageError without a checkpoint, for a step that it did not do, or that read another corpus.
    """
    if state is None:
        raise UsageError(f"--step {step} needs --checkpoint: it says in which order the corpus was read")
    did = states_of_step(state, step)
    if not did:
        raise UsageError(f"step {step} is none of the {state.steps:,} steps that this checkpoint and its parents did, "
                         "counted from 0")
    here = [one for one in did if one.manifest_sha256 == trace.corpus.identity]
    if not here:
        of_this_corpus(did[0], trace)  # says which corpus it was
    reads = [read for one in here for read in _checked(one, trace).reads(step)]
    answer = trace.ranges([(read.start, read.end) for read in reads], f"step {step:,}", limit)
    return {"question": answer.question, "n_documents": answer.n_documents, "n_tokens": answer.n_tokens,
            "groups": answer.groups, "documents": answer.documents, "sequences": [read._asdict() for read in reads]}


def _checked(state: DataState, trace: Trace) -> DataState:
    """The state, if its tokens are those of the corpus."""
    sha, n = trace.corpus.manifest["tokenizer"].get("sha256", ""), trace.n_positions
    if state.n_tokens != n or (sha and state.tokenizer_sha256 != sha):
        raise UsageError(f"this checkpoint read {state.n_tokens:,} tokens of tokenizer {state.tokenizer_sha256[:12]}, "
                         f"and the corpus has {n:,} of {sha[:12]}; one of the two was made over")
    return state
