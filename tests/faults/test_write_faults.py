"""Writing that fails now and then: nothing is half, nothing that was said is lost (see `write_faults`)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from tests.programs.write_faults import run_all

pytestmark = pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="failing calls need Linux")
@pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="failing calls need a C compiler")
def test_failing_calls_leave_nothing_half() -> None:
    report = run_all(quick=True, sizes=False, only=None)
    assert report["problems"] == []
    endings = _endings(report)
    assert endings["killed"] > 50 and endings["refused"] > 20 and endings["refused, then finished"] > 20


def test_files_that_may_not_grow_leave_nothing_half() -> None:
    report = run_all(quick=True, sizes=True, only=None)
    assert report["problems"] == []
    endings = _endings(report)
    assert endings["refused"] > 15 and endings["finished"] > 0


def _endings(report: Mapping[str, Any]) -> dict[str, int]:
    kinds = ("killed", "refused", "refused, then finished", "finished")
    return {kind: sum(counted.get(kind, 0) for counted in report["table"].values()) for kind in kinds}
