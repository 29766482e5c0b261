"""How much text a parquet file holds, counted without unpacking it: lengths are added up where each text lies once.

Columns of texts stay as the file has them, a dictionary and numbers that point into it, and a part of the rows is
looked at after another. Knows pyarrow's arrays; not what becomes of them.
"""

from __future__ import annotations

from typing import Any

from gradiend_ui.engine.files.text_limit import check_text

ROWS_AT_ONCE = 1024
TEXTS = "BYTE_ARRAY"
WITH_DICTIONARIES = frozenset({"PLAIN", "RLE", "BIT_PACKED", "PLAIN_DICTIONARY", "RLE_DICTIONARY"})
"""Columns of any length, and how they may be packed, in the words of parquet."""


def check_parquet_text(content: Any) -> None:
    """Whether the parquet file (a path, or something to read from) has no more text than may be read.

    Raises TooLarge as soon as it has, and what pyarrow raises for a file that is none.
    """
    from pyarrow import parquet  # type: ignore[import-untyped]

    file = parquet.ParquetFile(content, read_dictionary=_in_dictionaries(parquet.ParquetFile(content).metadata))
    found, rows, total = 0, 0, file.metadata.num_rows
    for batch in file.iter_batches(ROWS_AT_ONCE, use_threads=False):
        found += sum(text_bytes(column) for column in batch.columns if not _is_plain(column.type))
        rows += batch.num_rows
        check_text(found, f" in the first {rows:,} of {total:,} rows" if rows < total else "")


def _in_dictionaries(told: Any) -> list[str]:
    """The columns of texts that can be left as dictionaries. In the other encodings a text may share its beginning with
    the one before it: these are unpacked, a part of the rows at a time."""
    found: dict[str, bool] = {}
    for group in map(told.row_group, range(told.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if column.physical_type == TEXTS:
                path = column.path_in_schema
                found[path] = found.get(path, True) and WITH_DICTIONARIES.issuperset(column.encodings)
    return [path for path, can_be in found.items() if can_be]


def _is_plain(kind: Any) -> bool:
    """Whether a column is one of numbers, dates and the like: of these there are as many as cells."""
    import pyarrow as pa

    return not _is_text(kind) and (pa.types.is_primitive(kind) or pa.types.is_null(kind) or pa.types.is_decimal(kind))


def text_bytes(array: Any) -> int:
    """Bytes of text in an array, however it is packed; of what is no text, one for each value."""
    import pyarrow as pa
    from pyarrow import compute

    kind, types = array.type, pa.types
    if isinstance(array, pa.ExtensionArray):
        return text_bytes(array.storage)
    if types.is_dictionary(kind):
        used = compute.value_counts(array.indices.drop_null())
        return _weighed(array.dictionary, used.field("values"), used.field("counts"))
    if types.is_run_end_encoded(kind):
        ends = compute.cast(array.run_ends, pa.int64()).to_pylist()
        lengths = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
        return _weighed(array.values, pa.array(range(len(ends)), pa.int64()), pa.array(lengths, pa.int64()))
    if types.is_struct(kind):
        return sum(map(text_bytes, array.flatten()))
    if types.is_map(kind):
        begin, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
        return len(array) + sum(text_bytes(part.slice(begin, end - begin)) for part in (array.keys, array.items))
    if types.is_nested(kind):
        return len(array) + text_bytes(array.flatten())
    return _summed(_lengths(array)) if _is_text(kind) else len(array)


def _weighed(values: Any, places: Any, counts: Any) -> int:
    """Bytes of text where each of the values at these places stands so often."""
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_nested(values.type):  # parquet has none; each may be as long as all of them
        return text_bytes(values) * max(1, _summed(counts))
    lengths = compute.fill_null(compute.take(_lengths(values), places), 0)
    return _summed(compute.multiply(lengths, compute.cast(counts, pa.int64())))


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return any(
        is_kind(kind)
        for is_kind in (
            pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
            pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary,
        )
    )  # fmt: skip


def _lengths(array: Any) -> Any:
    """The bytes of each value; 1 for what is no text."""
    import pyarrow as pa
    from pyarrow import compute

    if not _is_text(array.type):
        return pa.array([1], pa.int64()).take(pa.array([0] * len(array), pa.int64()))
    if pa.types.is_string_view(array.type) or pa.types.is_binary_view(array.type):
        array = array.cast(pa.large_binary())
    return compute.cast(compute.binary_length(array), pa.int64())


def _summed(lengths: Any) -> int:
    from pyarrow import compute

    return int(compute.sum(lengths).as_py() or 0)
