"""A sample of a corpus made again: generators and their second routes run again, texts encoded again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from petitlm.data.corpus.schema import DOCUMENTS
from petitlm.data.provenance.again import made_again
from petitlm.data.provenance.corpus import Corpus
from petitlm.errors import PetitError

if TYPE_CHECKING:
    from petitlm.data.provenance.verify import Verdict


def verify_sample(corpus: Corpus, n: int, verdict: Verdict, progress: Callable[[int, int, str], None],
                  tokens: bool = True) -> None:
    """Repeat the generator calls of `n` documents, and encode `n` documents again where there are token files.

    Which ones follows from the manifest's hash: the same for everyone, known to nobody who made the corpus.
    """
    rng = np.random.default_rng(int(corpus.identity[:16], 16))
    made = list(sampled(corpus, n, rng, generated=True))
    for done, row in enumerate(made):
        progress(done, len(made), "generators")
        if why := made_again(row):
            verdict.find(f"document {row['doc_id'].hex()}", f"is not what its generator gives: {why}")
    verdict.checks["documents made again"] = len(made)
    if tokens and n and corpus.paths("tokens"):
        try:
            verdict.checks["documents encoded again"] = _encode_again(corpus, n, rng, verdict)
        except PetitError as error:
            verdict.find("tokens", f"cannot be read: {error}")


def sampled(corpus: Corpus, n: int, rng: np.random.Generator, generated: bool = False) -> Iterator[dict[str, Any]]:
    """About `n` documents in order, drawn evenly over all of them, or over those that a generator made."""
    paths = corpus.tables("documents")
    masks = [_generated(path) if generated else np.ones(pq.read_metadata(path).num_rows, bool) for path in paths]
    total = int(sum(mask.sum() for mask in masks))
    chosen = np.zeros(total, bool)
    chosen[rng.permutation(total)[:n]] = True
    begin = 0
    for path, mask in zip(paths, masks, strict=True):
        end = begin + int(mask.sum())
        rows = np.flatnonzero(mask)[chosen[begin:end]]
        begin = end
        if len(rows):
            yield from _rows(path, rows)


def _rows(path: Any, rows: np.ndarray) -> Iterator[dict[str, Any]]:
    """Rows of a file by their number, row group by row group."""
    file, begin = pq.ParquetFile(path), 0
    for group in range(file.num_row_groups):
        end = begin + file.metadata.row_group(group).num_rows
        inside = rows[(rows >= begin) & (rows < end)] - begin
        begin = end
        if len(inside):
            yield from file.read_row_group(group).take(pa.array(inside)).to_pylist()


def _generated(path: Any) -> np.ndarray:
    """Which rows of a file a generator made (N,)."""
    column = pq.read_table(path, columns=["gen"])["gen"]
    return ~np.asarray(column.is_null())


def _encode_again(corpus: Corpus, n: int, rng: np.random.Generator, verdict: Verdict) -> int:
    """Compare the token files at the spans of `n` documents with their texts, encoded again."""
    from petitlm.data.tokens.encoder import load_encoder
    from petitlm.data.tokens.pack import encode_documents
    from petitlm.data.tokens.reader import TokenFiles

    files, encoder = TokenFiles(corpus.folder / "tokens"), load_encoder(corpus.folder / "tokens")
    if (said := corpus.manifest["tokenizer"].get("sha256")) != encoder.sha256:
        verdict.find("tokens/tokenizer.json", f"is {encoder.sha256[:16]}… and the manifest says {str(said)[:16]}…")
    if (said := corpus.manifest.get("n_packed_tokens", files.n_tokens)) != files.n_tokens:
        verdict.find("tokens", f"hold {files.n_tokens:,} tokens and the manifest says {said:,}")
    numbers = np.sort(rng.permutation(files.n_documents)[:n]).tolist()
    where = {files.doc_id(number): number for number in numbers}
    rows = _by_id(corpus, set(where))
    coded = encode_documents(rows, encoder)
    for i, doc_id in enumerate(rows["doc_id"].to_pylist()):
        if not np.array_equal(files.document(where[doc_id]), coded.ids[coded.offsets[i] : coded.offsets[i + 1]]):
            verdict.find(f"document {doc_id.hex()}", "has other tokens in the files than its text gives")
    if len(rows) != len(where):
        verdict.find("tokens", f"name {len(where) - len(rows)} documents that are not there")
    return len(rows)


def _by_id(corpus: Corpus, wanted: set[bytes]) -> pa.Table:
    """The documents with these ids."""
    ids = pa.array(sorted(wanted), pa.binary(16))
    tables = [pq.read_table(path, filters=pc.field("doc_id").isin(ids))
              for path in corpus.tables("documents")]
    return pa.concat_tables(tables).cast(DOCUMENTS)
