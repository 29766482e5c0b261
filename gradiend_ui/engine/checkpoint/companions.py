"""The data that lies beside a checkpoint: evaluation rows, neutral sets and example sentences.

A folder may say so in a `demo.json`; otherwise `eval.*` and `neutral*.*` in the checkpoint folder or its parent are
taken, for a checkpoint of a run also in the run folder. Where there are no rows at all they are recovered from the
run's `encoded_values*.csv`:

    template                            the sentence with [MASK]
    factual_token, alternative_token    what stood there, and the other class's token
    source_token, source_id             the token that was encoded, and its class
    target_id                           the class of the alternative token
    type, data_split                    "training": an evaluation row; "neutral_dataset": a neutral text with one
                                        masked token, decoded, so spaces and case may not be those of the original

Where the *alternative* token was encoded, both ids name the alternative's class: the row belongs to the other one.
Knows files and tables; no model. Source of the layout: `gradiend` 0.2.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.checkpoint.run_folder import leads_out
from gradiend_ui.engine.data.neutral_texts import check_neutral
from gradiend_ui.engine.data.rows import MASK, Candidate, EvalData, checked_rows, read_rows, read_table
from gradiend_ui.engine.data.table_reading import ReadTable, read_file
from gradiend_ui.engine.data.uploaded_tables import read_file_confined
from gradiend_ui.engine.errors import BadData, Failed, TooLarge, shown
from gradiend_ui.engine.files.file_names import can_be_name
from gradiend_ui.engine.files.json_files import object_at
from gradiend_ui.engine.files.text_limit import counted_alone
from gradiend_ui.engine.uploads.trust import LOCAL, Trust
from gradiend_ui.engine.values import ALTERNATIVE, FACTUAL

ENCODED_VALUES = "encoded_values*.csv"
NEEDED = ("type", "template", "factual_token", "alternative_token", "source_id", "target_id")
Record = Mapping[str, str]


@dataclass(frozen=True)
class Recovered:
    """What one file gives: rows, and neutral texts in its order (none where it was made without)."""

    rows: EvalData
    neutral: tuple[str, ...]


def recover(folder: Path, source: str | None = None) -> tuple[Recovered | None, tuple[str, ...]]:
    """The fullest `encoded_values*.csv` in `folder`, and sentences on what was taken or could not be.

    source: what the GRADIEND was trained on, for files that do not tell which token was encoded.
    (None, ()) when there is no such file.
    """
    warnings: list[str] = []
    best: tuple[str, Recovered] | None = None
    for path in sorted(item for item in folder.glob(ENCODED_VALUES) if item.is_file()):
        try:
            with counted_alone():  # one of them is taken
                found = recovered_from(path, source)
        except (BadData, TooLarge) as error:
            warnings.append(remark("not_recovered", file=path.name, why=error))
            continue
        if best is None or len(found.rows.rows) > len(best[1].rows.rows):
            best = (path.name, found)
    if best is None:
        return None, tuple(warnings)
    name, found = best
    count, texts = len(found.rows.rows), len(found.neutral)
    if texts:
        return found, (remark("recovered_both", count=count, texts=texts, file=name),)
    return found, (remark("recovered", count=count, file=name),)


def recovered_from(path: Path, source: str | None = None) -> Recovered:
    """Read one file. Raises BadData when it lacks a column, tells no classes or holds no row between two classes."""
    table = read_table(path)
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        raise BadData(f"it has no column {shown(missing[0])}.")
    records = [{str(name): _text(value) for name, value in record.items()} for record in table.to_dict("records")]
    trained = [record for record in records if record["type"] == "training"]
    encoded = encoded_token(trained) or source
    if encoded not in (FACTUAL, ALTERNATIVE):
        raise BadData("it does not tell which token its classes belong to.")
    data = checked_rows(_candidates(trained, encoded), "test")
    if not data.rows:
        raise BadData("it holds no row between two classes.")
    texts = (
        record["template"].replace(MASK, record["factual_token"], 1)
        for record in records
        if record["type"] == "neutral_dataset"
    )
    return Recovered(data, tuple(text for text in texts if text.strip()))


def encoded_token(records: Sequence[Record]) -> str | None:
    """Which token `source_id` names the class of: "factual", "alternative", or None where the file does not tell."""
    told = [record for record in records if record["factual_token"] != record["alternative_token"]]
    for name in (FACTUAL, ALTERNATIVE):
        if told and all(record.get("source_token") == record[f"{name}_token"] for record in told):
            return name
    return None


def _candidates(records: Sequence[Record], encoded: str) -> Iterable[Candidate]:
    """Rows of an identity (a token that stands for itself) are no evaluation rows and are left out."""
    owners = _owners(records)
    for number, record in enumerate(records):
        factual, alternative = record["factual_token"], record["alternative_token"]
        if encoded == ALTERNATIVE and factual.lower() == alternative.lower():
            continue
        other = record["target_id"]
        own = record["source_id"] if encoded == FACTUAL else _own_class(factual, other, owners)
        if own != other:
            split = record.get("data_split", "")
            yield Candidate(number, record["template"], factual, own, alternative, other, split)


def _owners(records: Sequence[Record]) -> dict[str, set[str]]:
    """{class: its tokens in lower case}, read off the alternative tokens, whose class is always told."""
    owners: dict[str, set[str]] = {}
    for record in records:
        owners.setdefault(record["target_id"], set()).add(record["alternative_token"].lower())
    return owners


def _own_class(token: str, other: str, owners: Mapping[str, set[str]]) -> str:
    """The class of a factual token: the one left of two, else the only one that has this token; "" for neither."""
    left = [name for name in owners if name != other]
    if len(left) > 1:
        left = [name for name in left if token.lower() in owners[name]]
    return left[0] if len(left) == 1 else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None or value != value else str(value)


MANIFEST = "demo.json"
TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
EXAMPLES, MAX_EXAMPLE = 3, 2000
MAX_SETS, MAX_SET_NAME = 50, 200
STRANGERS_CSV_BYTES = 16 * 1024 * 1024
RECOVERED = "recovered"
Reader: TypeAlias = "Callable[[Path], ReadTable]"


@dataclass(frozen=True)
class Companions:
    """rows: None when none were found; neutral: {name of the set: texts}; neutral_set: the one to start with.

    recovered: the rows come from `encoded_values*.csv` and may be fewer than the data the run was made with.
    """

    rows: EvalData | None = None
    neutral: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    neutral_set: str | None = None
    examples: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    recovered: bool = False


def run_folder_of(checkpoint_folder: Path) -> Path | None:
    """The run folder that a checkpoint is the `model/` or a `seeds/seed_<N>/` of; None for one that stands alone."""
    parent = checkpoint_folder.parent
    if checkpoint_folder.name == "model":
        return parent
    return parent.parent if parent.name == "seeds" and checkpoint_folder.name.startswith("seed_") else None


def find_companions(
    checkpoint_folder: Path, source: str | None = None, trust: Trust = LOCAL, *, read: Reader | None = None
) -> Companions:
    """Read what lies beside the checkpoint. Files that cannot be read become warnings, never errors.

    source: what the GRADIEND was trained on, for a run's csv that does not tell (see `recover`). trust: for
    whom; of an upload nothing outside of it is read. read: what reads a table; None reads a stranger's in a
    process of its own.
    """
    read = read or (read_file_confined if trust.public else read_file)
    run = run_folder_of(checkpoint_folder)
    around = dict.fromkeys((checkpoint_folder, checkpoint_folder.parent, run or checkpoint_folder))
    folders = tuple(folder for folder in around if trust.may_look_into(folder))
    found = Companions()
    for folder in folders:
        manifest = object_at(folder / MANIFEST)
        if manifest or _tables(folder, "eval"):
            found = _read(folder, manifest, read)
            break
    if found.rows is not None:
        return found
    return _with_recovered(found, run or checkpoint_folder, source, trust, read)


def _with_recovered(found: Companions, run: Path, source: str | None, trust: Trust, read: Reader) -> Companions:
    """The same with rows out of the run's csv, where it has one, and the neutral texts that lie beside it."""
    sizes = [path.stat().st_size for path in run.glob(ENCODED_VALUES) if path.is_file()] if trust.public else []
    if any(size > STRANGERS_CSV_BYTES for size in sizes):
        told = remark("not_recovered_large", file=ENCODED_VALUES, most=STRANGERS_CSV_BYTES // 2**20)
        return replace(found, warnings=(*found.warnings, told))
    recovered, warnings = recover(run, source)
    if recovered is None:
        return replace(found, warnings=(*found.warnings, *warnings))
    beside = found if found.neutral else _read(run, {}, read)
    if not beside.neutral and recovered.neutral:
        beside = replace(beside, neutral={RECOVERED: recovered.neutral}, neutral_set=RECOVERED)
    return replace(
        beside,
        rows=recovered.rows,
        examples=beside.examples or tuple(row.masked for row in recovered.rows.rows[:EXAMPLES]),
        warnings=tuple(dict.fromkeys((*found.warnings, *beside.warnings, *warnings))),
        recovered=True,
    )


def _tables(folder: Path, stem: str) -> list[Path]:
    return sorted(p for p in folder.glob(f"{stem}*") if p.suffix in TABLE_SUFFIXES and p.is_file())


def _table(path: Path, read: Reader) -> ReadTable:
    """A table of the checkpoint's folder. Raises BadData, TooLarge, Failed."""
    if leads_out(path, path.parent):
        raise BadData("it is a link that leads out of its folder.")
    return read(path)


def _whole(path: Path, read: Reader) -> ReadTable:
    """A table without damaged rows. Raises as `_table`."""
    table = _table(path, read)
    for number, reason in table.damaged.items():
        raise BadData(f"row {number + 1} cannot be read: {reason}.")
    return table


def _file_name(value: object, what: str) -> str:
    """A file's plain name out of demo.json. Raises BadData."""
    if not isinstance(value, str) or not can_be_name(value):
        path = isinstance(value, str) and bool({"/", "\\"} & set(value))
        raise BadData(
            f"{MANIFEST}: {what} must be the plain name of a file in the same folder, not "
            f"{'a path, which is not followed' if path else shown(value)}."
        )
    return value


def _not_read(stated: object, error: Exception) -> str:
    """The warning on a table that was not read, by its name where it has one."""
    plain = isinstance(stated, str) and can_be_name(stated)
    return remark("file_unread", file=stated, why=error) if plain else remark("table_unread", why=error)


def _rows_of(folder: Path, manifest: Mapping[str, Any], read: Reader, warnings: list[str]) -> EvalData | None:
    stated = manifest.get("rows") or next((path.name for path in _tables(folder, "eval")), None)
    if stated is None:
        return None
    try:
        return read_rows(_table(folder / _file_name(stated, "rows"), read))
    except (BadData, TooLarge, Failed) as error:
        warnings.append(_not_read(stated, error))
        return None


def _neutral_of(
    folder: Path, manifest: Mapping[str, Any], read: Reader, warnings: list[str]
) -> dict[str, tuple[str, ...]]:
    named = manifest.get("neutral") or {path.stem: path.name for path in _tables(folder, "neutral")}
    neutral: dict[str, tuple[str, ...]] = {}
    if not isinstance(named, Mapping) or len(named) > MAX_SETS or any(len(name) > MAX_SET_NAME for name in named):
        warnings.append(remark("sets_unread", file=MANIFEST, most=MAX_SETS))
        return neutral
    for name, stated in named.items():
        try:
            found = check_neutral(_whole(folder / _file_name(stated, "neutral"), read))
            neutral[str(name)] = found.texts
            warnings += [remark("table_note", file=stated, note=note) for note in found.notes]
        except (BadData, TooLarge, Failed) as error:
            warnings.append(_not_read(stated, error))
    return neutral


def _read(folder: Path, manifest: Mapping[str, Any], read: Reader) -> Companions:
    warnings: list[str] = []
    rows = _rows_of(folder, manifest, read, warnings)
    neutral = _neutral_of(folder, manifest, read, warnings)
    chosen, stated = manifest.get("neutral_set"), manifest.get("examples")
    if not isinstance(stated, Sequence) or not all(isinstance(text, str) for text in stated):
        stated = ()
    examples = [text[:MAX_EXAMPLE] for text in stated if not isinstance(stated, str)]
    examples = examples or [row.masked for row in (rows.rows[:EXAMPLES] if rows else ())]
    return Companions(
        rows=rows,
        neutral=neutral,
        neutral_set=chosen if isinstance(chosen, str) and chosen in neutral else next(iter(neutral), None),
        examples=tuple(examples),
        warnings=tuple(warnings),
    )
