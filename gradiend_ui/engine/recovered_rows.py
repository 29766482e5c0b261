"""Evaluation rows and neutral texts out of `encoded_values*.csv`, for a run folder without tables of its own.

    template                            the sentence with [MASK]
    factual_token, alternative_token    what stood there, and the other class's token
    source_token, source_id             the token that was encoded, and its class
    target_id                           the class of the alternative token
    type, data_split                    "training": an evaluation row; "neutral_dataset": a neutral text with one
                                        masked token, decoded, so spaces and case may not be those of the original

Where the *alternative* token was encoded, both ids name the alternative's class: the row belongs to the other one.
Knows tables; no checkpoint, no model. Source of the layout: `gradiend` 0.2.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradiend_ui.engine.checked_json import shown
from gradiend_ui.engine.errors import BadData, TooLarge
from gradiend_ui.engine.eval_data import MASK, Candidate, EvalData, checked_rows, read_table
from gradiend_ui.engine.text_limit import counted_alone

ENCODED_VALUES = "encoded_values*.csv"
FACTUAL, ALTERNATIVE = "factual", "alternative"
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
            warnings.append(f"No rows were recovered from {path.name}: {error}")
            continue
        if best is None or len(found.rows.rows) > len(best[1].rows.rows):
            best = (path.name, found)
    if best is None:
        return None, tuple(warnings)
    name, found = best
    texts = f" and {len(found.neutral)} neutral texts" if found.neutral else ""
    return found, (f"{len(found.rows.rows)} rows{texts} recovered from {name}; the file may be capped or balanced.",)


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
