"""The session's part for data: what an upload holds, what words resolve to, what a threshold is worth.

Plain JSON-like values in and out; every refusal is a `GradiendUIError`. The worker reads and scores.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from gradiend_ui.engine.answers.data import DataSpec, GivenData, NeutralReport, RowsReport, RunData, TargetsReport
from gradiend_ui.engine.data.encodings import decode
from gradiend_ui.engine.data.table_reading import suffix_of_text
from gradiend_ui.engine.data.uploaded_tables import TEXT_SUFFIX, keep_upload
from gradiend_ui.engine.errors import BadData, Failed, GradiendUIError, NotAllowed, TooLarge, shown
from gradiend_ui.engine.files.file_names import is_writable
from gradiend_ui.engine.files.whole_or_absent import noting
from gradiend_ui.engine.store.runs import Run
from gradiend_ui.engine.sweep.spec import AskedSweep, DataChoice
from gradiend_ui.engine.values import finite
from gradiend_ui.engine.worker.requests import DescribeNeutral, DescribeRows, RejectedRows, ResolveTargets
from gradiend_ui.server.checkpoints import was_uploaded
from gradiend_ui.server.leftovers import make_room
from gradiend_ui.server.shared import Shared

DATA_KEYS = ("rows", "columns", "count_as", "split", "max_rows", "max_neutral", "targets", "neutral", "neutral_set")
"""The keys of a sweep's spec that are about data."""

NEUTRAL_SECONDS = 0.5
"""So long one request may score neutral texts on a public server; the next one goes on where it stopped."""
NO_PATHS = "This server reads no paths: send {key} as records or texts."

Spec = Mapping[str, object]


class Data:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    # --- uploads -------------------------------------------------------------------------------------------------

    def keep_table(self, path: str, visitor: str = "") -> GivenData:
        """Keep an uploaded table; gives {"upload": id, "name": its file's name}.

        Raises BadData, TooLarge, Busy, Failed.
        """
        with self._shared.uploads.held(visitor):
            content, name = _content(path, self._shared.quotas.table_bytes)
            suffix = Path(name).suffix.lower()
            if suffix == TEXT_SUFFIX:
                suffix = suffix_of_text(decode(content).text)
            return self._kept(content, suffix, name)

    def keep_texts(self, path: str, visitor: str = "") -> GivenData:
        """Keep uploaded neutral texts: a table with a column text, or a text file with one text per line."""
        with self._shared.uploads.held(visitor):
            content, name = _content(path, self._shared.quotas.table_bytes)
            return self._kept(content, Path(name).suffix.lower(), name)

    def keep_pasted(self, text: str, name: str, *, is_table: bool) -> GivenData:
        """Keep what was typed or pasted; a table is csv, jsonl or json by its first character."""
        return self._kept(text.encode(errors="replace"), suffix_of_text(text) if is_table else TEXT_SUFFIX, name)

    def _kept(self, content: bytes, suffix: str, name: str) -> GivenData:
        """Strangers' tables are never dropped to make room: somebody's sweep may need them."""
        self._shared.check_room()
        with noting(self._shared.made):
            upload = keep_upload(self._shared.data_dir, content, suffix)
        if not self._shared.public:
            with suppress(GradiendUIError):  # the upload is kept; the next one makes room
                make_room(self._shared.made, upload)
        return {"upload": upload, "name": name}

    # --- reports -------------------------------------------------------------------------------------------------

    def rows(self, checkpoint: str, spec: Spec) -> RowsReport:
        """See `requests.DescribeRows`. Raises BadData, TooLarge, NotFound."""
        return self._shared.worker.ask(DescribeRows(checkpoint, DataChoice.of(spec)))

    def rejected(self, checkpoint: str, spec: Spec) -> str:
        """Every row that cannot be scored, as the text of a csv."""
        return self._shared.worker.ask(RejectedRows(checkpoint, DataChoice.of(spec)))

    def targets(self, checkpoint: str, spec: Spec) -> TargetsReport:
        """See `requests.ResolveTargets`. Raises BadData, BadGrid, NotFound."""
        return self._shared.worker.ask(ResolveTargets(checkpoint, AskedSweep.of(spec)))

    def neutral(self, checkpoint: str, spec: Spec, ratio: float) -> NeutralReport:
        """See `requests.DescribeNeutral`. Raises BadData, BadGrid, NotFound."""
        most, seconds = self._shared.quotas.sweep_size, NEUTRAL_SECONDS if self._shared.public else None
        asked = AskedSweep.of(spec)
        return self._shared.worker.ask(DescribeNeutral(checkpoint, asked, finite(ratio, "ratio"), most, seconds))

    def of_run(self, record: Run) -> RunData:
        """{"spec": the data part of a run's request, "row_counts", ...} for a page to show and use again.

        Rows and texts that are no uploads are named by the run: a page keeps ids, never tables or paths.
        """
        spec = {key: record.request[key] for key in DATA_KEYS if key in record.request}
        for key in ("rows", "neutral"):
            if key in spec and not (isinstance(spec[key], Mapping) and "upload" in spec[key]):
                spec[key] = {"run": record.id}
        if not {"neutral", "neutral_set"} & set(spec) and record.info["neutral_set"]:
            spec["neutral_set"] = record.info["neutral_set"]
        return {
            "spec": cast(DataSpec, spec),
            "row_counts": record.info.get("row_counts", []),
            "rows_left_out": record.info.get("rows_left_out", 0),
            "target_words": record.info.get("target_words", {}),
        }

    def taken_in(self, options: Mapping[str, Any], visitor: str) -> dict[str, Any]:
        """A sweep's options as a stranger may send them: rows and texts as data or as an upload's id; a file in the
        download cache is taken in like one of the page's.

        Raises NotAllowed for any other path, and as `keep_table` does.
        """
        taken = dict(options)
        for key, keep in (("rows", self.keep_table), ("neutral", self.keep_texts)):
            table = taken.get(key)
            if isinstance(table, (str, os.PathLike)):
                raise NotAllowed(NO_PATHS.format(key=key))
            if not isinstance(table, Mapping):
                continue
            kept = {"upload", "run"} & set(table)
            if kept and "path" not in table:
                continue
            if kept or not was_uploaded(table.get("path")):
                raise NotAllowed(NO_PATHS.format(key=key))
            stated = {"encoding": table["encoding"]} if "encoding" in table else {}
            taken[key] = {"upload": keep(table["path"], visitor)["upload"], **stated}
        return taken


def _content(path: str, most: int) -> tuple[bytes, str]:
    """(content, name) of a file that the page has just taken in, of at most so many bytes."""
    if not isinstance(path, str) or "\0" in path or not is_writable(path):
        odd = BadData(f"A table is the path of its file, not {shown(path)}: upload it again.")
        raise odd.known_as("page.no_such_file", name=shown(path))
    file = Path(path)
    try:
        if file.stat().st_size > most:
            told = TooLarge(f"{file.name} is larger than {most // 2**20} MB: take fewer rows.")
            raise told.known_as("data.file_large", name=file.name, most=most // 2**20)
        content = file.read_bytes()
    except OSError as error:
        unread = Failed(f"{file.name} could not be read: {error.strerror}. Upload it again.")
        raise unread.known_as("data.file_unread", name=file.name, why=str(error.strerror)) from error
    if not content.strip():
        raise BadData(f"{file.name} is empty.").known_as("data.file_empty", name=file.name)
    return content, file.name
