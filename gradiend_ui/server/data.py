"""The session's part for data: what an upload holds, what words resolve to, what a threshold is worth.

Plain JSON-like values in and out; every refusal is a `GradiendUIError`. The worker reads and scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from gradiend_ui.engine.answers.data import DataSpec, GivenData, NeutralReport, RowsReport, RunData, TargetsReport
from gradiend_ui.engine.data.table_reading import decode, suffix_of_text
from gradiend_ui.engine.data.uploaded_tables import TEXT_SUFFIX, keep_upload
from gradiend_ui.engine.errors import BadData, Failed, GradiendUIError, TooLarge
from gradiend_ui.engine.files.file_names import is_writable
from gradiend_ui.engine.files.json_files import shown
from gradiend_ui.engine.files.whole_or_absent import noting
from gradiend_ui.engine.store.runs import Run
from gradiend_ui.engine.values import finite
from gradiend_ui.server.leftovers import make_room
from gradiend_ui.server.parts import Ground

DATA_KEYS = ("rows", "columns", "split", "max_rows", "max_neutral", "targets", "neutral", "neutral_set")
"""The keys of a sweep's spec that are about data."""

NEUTRAL_SECONDS = 0.5
"""So long one request may score neutral texts on a public server; the next one goes on where it stopped."""

Spec = Mapping[str, object]


class DataDesk:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    # --- uploads -------------------------------------------------------------------------------------------------

    def keep_table(self, path: str, visitor: str = "") -> GivenData:
        """Keep an uploaded table; gives {"upload": id, "name": its file's name}.

        Raises BadData, TooLarge, Busy, Failed.
        """
        with self._ground.uploads.held(visitor):
            content, name = _content(path, self._ground.quotas.table_bytes)
            suffix = Path(name).suffix.lower()
            if suffix == TEXT_SUFFIX:
                suffix = suffix_of_text(decode(content)[0])
            return self._kept(content, suffix, name)

    def keep_texts(self, path: str, visitor: str = "") -> GivenData:
        """Keep uploaded neutral texts: a table with a column text, or a text file with one text per line."""
        with self._ground.uploads.held(visitor):
            content, name = _content(path, self._ground.quotas.table_bytes)
            return self._kept(content, Path(name).suffix.lower(), name)

    def keep_pasted(self, text: str, name: str, *, is_table: bool) -> GivenData:
        """Keep what was typed or pasted; a table is csv, jsonl or json by its first character."""
        return self._kept(text.encode(errors="replace"), suffix_of_text(text) if is_table else TEXT_SUFFIX, name)

    def _kept(self, content: bytes, suffix: str, name: str) -> GivenData:
        """Strangers' tables are never dropped to make room: somebody's sweep may need them."""
        self._ground.check_room()
        with noting(self._ground.made):
            upload = keep_upload(self._ground.data_dir, content, suffix)
        if not self._ground.public:
            with suppress(GradiendUIError):  # the upload is kept; the next one makes room
                make_room(self._ground.made, upload)
        return {"upload": upload, "name": name}

    # --- reports -------------------------------------------------------------------------------------------------

    def rows(self, checkpoint: str, spec: Spec) -> RowsReport:
        """See `requests.data.describe_rows`. Raises BadData, TooLarge, NotFound."""
        report: RowsReport = self._ask("describe_rows", checkpoint, spec)
        return report

    def rejected(self, checkpoint: str, spec: Spec) -> str:
        """Every row that cannot be scored, as the text of a csv."""
        return str(self._ground.worker.ask("rejected_rows", checkpoint=checkpoint, spec=dict(spec)))

    def targets(self, checkpoint: str, spec: Spec) -> TargetsReport:
        """See `requests.data.resolve_targets`. Raises BadData, BadGrid, NotFound."""
        report: TargetsReport = self._ask("resolve_targets", checkpoint, spec)
        return report

    def neutral(self, checkpoint: str, spec: Spec, ratio: float) -> NeutralReport:
        """See `requests.data.describe_neutral`. Raises BadData, BadGrid, NotFound."""
        quotas = self._ground.quotas
        most, seconds = quotas.sweep_size, NEUTRAL_SECONDS if self._ground.public else None
        asked = {"ratio": finite(ratio, "ratio"), "most": most, "seconds": seconds}
        report: NeutralReport = self._ask("describe_neutral", checkpoint, spec, **asked)
        return report

    def of_run(self, record: Run) -> RunData:
        """{"spec": the data part of a run's request, "row_counts", "target_words"} for a page to show and use again.

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
            "target_words": record.info.get("target_words", {}),
        }

    def _ask(self, kind: str, checkpoint: str, spec: Spec, **more: object) -> Any:
        """The worker names the upload that it cannot read (see `uploaded_tables.told_by_name`)."""
        return self._ground.worker.ask(kind, checkpoint=checkpoint, spec=dict(spec), **more)


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
        unread = Failed(f"{file.name} could not be read: {error.strerror}. GivenData it again.")
        raise unread.known_as("data.file_unread", name=file.name, why=str(error.strerror)) from error
    if not content.strip():
        raise BadData(f"{file.name} is empty.").known_as("data.file_empty", name=file.name)
    return content, file.name
