"""The rows and texts that a sweep is scored on, as somebody chose them: beside the checkpoint, given, or uploaded.

Keeps what was read last. Small uploads are read here, others in processes of their own. Knows tables; plans nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.checkpoint.companions import Companions
from gradiend_ui.engine.checkpoint.reading import Checkpoint
from gradiend_ui.engine.data.columns import counted_as, of_known_classes, of_known_classes_only
from gradiend_ui.engine.data.neutral_texts import NeutralData, check_neutral
from gradiend_ui.engine.data.rows import EvalData, as_read, read_rows
from gradiend_ui.engine.data.table_reading import ReadTable, read_file
from gradiend_ui.engine.data.uploaded_tables import is_risky, read_upload, told_by_name, upload_path
from gradiend_ui.engine.errors import BadData, Failed, TooLarge, shown
from gradiend_ui.engine.files.bounded_cache import Memory
from gradiend_ui.engine.files.processes import Beside
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.known_cells import table_of
from gradiend_ui.engine.sweep.spec import DataChoice, Table
from gradiend_ui.engine.uploads.trust import Trust
from gradiend_ui.engine.values import NO_NEUTRAL
from gradiend_ui.engine.worker.health_card import Loaded
from gradiend_ui.engine.worker.tables import companions_from, neutral_from, rows_from

CELL_BYTES, ROW_BYTES = 60, 600
KEPT_DATA_BYTES = 192 * 2**20
"""Rows, texts and tables that were read last; those of all visitors together."""


class SweepData:
    """What sweeps are scored on. beside: the processes of its own in which what takes its time is read."""

    def __init__(self, store: Store, data_dir: Path, beside: Beside) -> None:
        self._store, self._data_dir, self._beside = store, data_dir, beside
        self.kept: Memory[Any] = Memory(KEPT_DATA_BYTES)

    def forget(self) -> None:
        self.kept.clear()

    def companions_beside(self, checkpoint: Checkpoint, trust: Trust) -> Companions:
        """What lies beside a stranger's checkpoint, read in a process of its own, before anything large is loaded.

        Kept, since a load may try a second base model; what was taken in does not change any more.
        """
        key, homes = ("companions", checkpoint.folder, checkpoint.source), [str(home) for home in trust.homes]
        companions: Companions | None = self.kept.get(key)
        if companions is None:
            try:
                plain = self._beside.value(
                    "companions", checkpoint.folder, reads=trust.homes, source=checkpoint.source, homes=homes
                )
            except (BadData, TooLarge, Failed) as error:
                return Companions(warnings=(remark("data_unread", why=error),))
            companions = companions_from(plain)
            self.kept.keep(key, companions, _size_of(companions))
        return companions

    def rows(self, loaded: Loaded, data: DataChoice) -> EvalData:
        """The rows that were chosen, else those beside the checkpoint. Raises BadData."""
        given = table_of(self._store, data.rows, "rows")
        classes = counted_as(loaded.model.checkpoint.known_classes, data.count_as)
        if isinstance(given, Mapping) and "upload" in given:
            with told_by_name(given):
                return with_known_classes(loaded, self._uploaded_rows(given, data.columns or {}, classes))
        if given is not None:
            read = as_read(source_of(given))
            return with_known_classes(loaded, read_rows(read, data.columns, fill_alternatives=True, classes=classes))
        if loaded.companions.rows is None:
            raise BadData(
                "No evaluation rows lie beside this checkpoint: give rows, a table with the columns masked, label, "
                "label_class, alternative, alternative_class and split."
            )
        return loaded.companions.rows

    def slow_upload(self, given: Table) -> Path | None:
        """The file of rows or texts that are read in a process of their own; None for what is read here. Raises
        BadData."""
        if not isinstance(given, Mapping) or "upload" not in given:
            return None
        path = upload_path(self._data_dir, given["upload"])
        return path if is_risky(path) else None

    def read_upload(self, given: Mapping[str, Any]) -> ReadTable:
        """A small uploaded table as it was read; the newest stay in memory. Raises BadData, TooLarge."""
        path, encoding = upload_path(self._data_dir, given["upload"]), given.get("encoding")
        table: ReadTable | None = self.kept.get(("table", path.name, encoding))
        if table is None:
            table = read_upload(path, encoding)
            self.kept.keep(("table", path.name, encoding), table, _size_of(table))
        return table

    def _uploaded_rows(
        self, given: Mapping[str, Any], columns: Mapping[str, str], classes: Mapping[str, str]
    ) -> EvalData:
        path, encoding = self.slow_upload(given), given.get("encoding")
        key = ("rows", given["upload"], encoding, tuple(sorted(columns.items())), tuple(sorted(classes.items())))
        data: EvalData | None = self.kept.get(key)
        if data is None:
            if path is None:
                data = read_rows(self.read_upload(given), columns, fill_alternatives=True, classes=classes)
            else:
                plain = self._beside.value(
                    "checked_rows", path, given=dict(columns), classes=dict(classes), encoding=encoding
                )
                data = rows_from(plain)
            self.kept.keep(key, data, _size_of(data))
        return data

    def _uploaded_texts(self, given: Mapping[str, Any]) -> NeutralData:
        path, encoding = self.slow_upload(given), given.get("encoding")
        if path is None:
            return check_neutral(self.read_upload(given))
        key = ("texts", path.name, encoding)
        data: NeutralData | None = self.kept.get(key)
        if data is None:
            data = neutral_from(self._beside.value("neutral_texts", path, encoding=encoding))
            self.kept.keep(key, data, _size_of(data.texts))
        return data

    def neutral_name(self, loaded: Loaded, data: DataChoice) -> str | None:
        """What the chosen neutral texts are called; None where the rows stand in."""
        if data.neutral is not None:
            return "own texts"
        if data.neutral_set == NO_NEUTRAL and NO_NEUTRAL not in loaded.companions.neutral:
            return None
        return data.neutral_set or (None if data.rows else loaded.companions.neutral_set)

    def own_neutral(self, data: DataChoice) -> NeutralData | None:
        """The neutral texts that were given, with how they were read; None where none were. Raises BadData."""
        given = table_of(self._store, data.neutral, "neutral")
        if isinstance(given, Mapping) and "upload" in given:
            with told_by_name(given):
                return self._uploaded_texts(given)
        return None if given is None else check_neutral(source_of(given))

    def neutral(self, loaded: Loaded, data: DataChoice) -> tuple[str, ...] | None:
        """The neutral texts that were chosen; None where the rows stand in. Raises BadData."""
        own = self.own_neutral(data)
        if own is not None:
            return own.texts
        name = self.neutral_name(loaded, data)
        if name is None:
            return None
        if name not in loaded.companions.neutral:
            known = ", ".join(loaded.companions.neutral) or "none"
            raise BadData(f"There is no neutral set {shown(name)}; there are: {known}.")
        return loaded.companions.neutral[name]


def with_known_classes(loaded: Loaded, data: EvalData) -> EvalData:
    """The same rows. Raises BadData where the checkpoint knows the direction of none of their classes."""
    direction = loaded.model.checkpoint.known_classes
    return of_known_classes(direction, of_known_classes_only(direction, data))


def source_of(given: Table) -> Table:
    """Rows or texts as given: records, texts, a path, or the {"path": ...} of an uploaded file, as it was read."""
    if isinstance(given, Mapping) and "path" in given:
        return read_file(Path(given["path"]), given.get("encoding"))
    return given


def _size_of(data: ReadTable | EvalData | Companions | tuple[str, ...] | None) -> int:
    """Bytes of memory that it takes, roughly: its texts, and what Python needs for each."""
    if isinstance(data, ReadTable):
        return data.text_bytes + int(data.frame.size) * CELL_BYTES
    if isinstance(data, EvalData):
        rows = sum(len(row.masked) + ROW_BYTES for row in data.rows)
        return rows + len(data.rejected) * ROW_BYTES
    if isinstance(data, Companions):
        return sum(map(_size_of, (data.rows, *data.neutral.values())))
    return sum(len(text) + CELL_BYTES for text in data or ())
