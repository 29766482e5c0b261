"""Finished runs of an earlier scorer: /cells, /runs and the page's picture say that their numbers are not today's."""

from __future__ import annotations

import time

from gradiend_ui.engine.values import SCORER_VERSION
from gradiend_ui.server.session import Session

SMALL = {"learning_rates": [0.2], "max_rows": 10, "max_neutral": 20}


def told(session: Session, run: str) -> set[bool]:
    listed = {entry["run"]: entry for entry in session.runs.newest()["runs"]}
    found = (session.cells(run), session.picture(run), listed[run], session.runs.entry(run))
    return {entry["earlier_scorer"] for entry in found}


def test_a_run_tells_whether_an_earlier_scorer_made_it(session: Session) -> None:
    run = session.start_sweep(session.load("demo")["checkpoint"], SMALL)["run"]
    while session.revision(run)[1] in ("queued", "running"):
        time.sleep(0.02)
    assert told(session, run) == {False}
    info = session._store.run(run).info
    made = info["made_by"]
    session._store.set_info(run, {**info, "made_by": {**made, "scorer": SCORER_VERSION - 1}})
    assert told(session, run) == {True}
    noted = {key: value for key, value in info.items() if key != "made_by"}
    session._store.set_info(run, noted)
    assert told(session, run) == {True}, "the earliest versions noted no scorer"
    imported = {"file": "grid.json", "check": "verified", "note": "", "model": "x", "lms_known": True}
    session._store.set_info(run, {**noted, "imported": imported})
    assert told(session, run) == {False}, "a file's numbers were checked when it was opened"
