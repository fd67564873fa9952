"""Records of JSONL and Parquet: one object or row each, with named fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from petitlm.data.sources.reading import Bad, Pair, Raw, Reading, language_tag
from petitlm.data.sources.streams import BOMB_FLOOR, Line, Stream, lines
from petitlm.errors import UsageError

_SURROGATE = re.compile("[\ud800-\udfff]")
Refusal = tuple[str, str]


def read_jsonl(stream: Stream, reading: Reading) -> Iterator[Raw | Bad]:
    """One record a line; blank lines are none.

    Raises: Broken.
    """
    for number, line in enumerate(lines(stream, reading.max_document_bytes), 1):
        fields = _parse(line, reading.max_document_bytes)
        if isinstance(fields, tuple):
            yield Bad(str(number), line.start, line.end, *fields)
        elif fields is not None:
            yield record(fields, reading, str(number), line.start, line.end)


def _parse(line: Line, max_bytes: int) -> dict[str, Any] | Refusal | None:
    """The object of a line, why there is none, or None for a blank line."""
    if line.data is None:
        return "too-long", f"{line.end - line.start} bytes, {max_bytes} are allowed"
    try:
        text = line.data.decode()
    except UnicodeDecodeError as error:
        return "not-utf8", f"byte {line.start + error.start}: {error.reason}"
    if not text.strip():
        return None
    try:
        value = json.loads(text)
    except RecursionError:
        return "not-json", "nested too deeply"
    except ValueError as error:  # also an integer of more digits than Python converts
        return "not-json", str(error)[:200]
    return value if isinstance(value, dict) else ("not-object", f"a JSON {type(value).__name__}")


def read_parquet(path: Path, reading: Reading) -> Iterator[Raw | Bad]:
    """One record a row. A file without the field gives one refusal for each row.

    Raises: UsageError for a packed file: Parquet packs its columns itself.
    """
    if path.suffix.lower() != ".parquet" and not reading.format:
        raise UsageError(f"{path}: Parquet packs itself; unpack the file to .parquet")
    try:
        with pq.ParquetFile(path) as file:
            yield from _rows(file, path, reading)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        yield Bad("file", None, None, "damaged", str(error)[:200])


def _rows(file: pq.ParquetFile, path: Path, reading: Reading) -> Iterator[Raw | Bad]:
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    unpacked = sum(group.total_byte_size for group in groups)
    if unpacked > BOMB_FLOOR and unpacked > reading.max_expansion * path.stat().st_size:
        yield Bad("file", None, None, "archive-bomb", f"{path.stat().st_size} bytes unpack to {unpacked}")
        return
    named = [reading.id_field, reading.licence_field, reading.language_field, reading.title_field]
    texts = list(reading.pair_fields or (reading.text_field,))
    wanted = {*texts, *reading.meta_fields, *(name for name in named if name)}
    columns = [name for name in file.schema_arrow.names if name in wanted]
    row = 0
    for group in range(len(groups)):
        # Small batches: a row may be as long as a whole document.
        for batch in file.iter_batches(64, row_groups=[group], columns=columns):
            if not columns:
                batch = [{}] * batch.num_rows
            for fields in batch if isinstance(batch, list) else _plain(batch, texts):
                row += 1
                yield record(fields, reading, str(row), None, None)


def _plain(batch: pa.RecordBatch, texts: list[str]) -> Iterator[dict[str, Any]]:
    """Rows as plain values; strings as bytes, so that one that is not UTF-8 harms its own row alone."""
    columns = {}
    for name in batch.schema.names:
        column = batch.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = column.cast(pa.large_binary())
        columns[name] = column
    for row in range(batch.num_rows):
        yield {name: column[row].as_py() for name, column in columns.items()}


def record(fields: Mapping[str, Any], reading: Reading, key: str, start: int | None, end: int | None) -> Raw | Bad:
    """The text of a record, or why it has none."""
    name = _string(fields, reading.id_field)
    key = name if name else key
    texts = []
    for field in reading.pair_fields or (reading.text_field,):
        text = _text(fields, field, reading.max_document_bytes)
        if isinstance(text, tuple):
            return Bad(key, start, end, *text)
        texts.append(text)
    language = language_tag(_string(fields, reading.language_field))
    pair = Pair(texts[0], texts[1], *reading.languages) if reading.pair_fields else None
    return Raw(
        "\n".join(texts), key, start, end,
        title=_string(fields, reading.title_field),
        language=pair.target_language if pair else language,
        licence=_string(fields, reading.licence_field),
        pair=pair,
        meta={field: _decoded(fields[field]) for field in reading.meta_fields if field in fields},
    )  # fmt: skip


def _text(fields: Mapping[str, Any], field: str, max_bytes: int) -> str | Refusal:
    if field not in fields:
        return "no-text-field", f"{field!r} is missing; there are {', '.join(sorted(map(str, fields))[:8]) or 'none'}"
    value = fields[field]
    if isinstance(value, bytes):
        if len(value) > max_bytes:
            return "too-long", f"{len(value)} bytes, {max_bytes} are allowed"
        try:
            value = value.decode()
        except UnicodeDecodeError as error:
            return "not-utf8", f"byte {error.start} of {field!r}: {error.reason}"
    if not isinstance(value, str):
        return "not-text", f"{field!r} holds {type(value).__name__}"
    if half := _SURROGATE.search(value):
        return "lone-surrogate", f"U+{ord(half[0]):04X} at character {half.start()}"
    return value if value.strip() else ("empty", f"{len(value)} characters of white space")


def _string(fields: Mapping[str, Any], field: str | None) -> str | None:
    """A field that may be missing; numbers become text, anything else counts as missing."""
    value = _decoded(fields.get(field)) if field else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if value.bit_length() < 128 else None
    return value if isinstance(value, str) and value and not _SURROGATE.search(value) else None


def _decoded(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
