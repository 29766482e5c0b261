"""Which markers a test carries by its place, and which tests take too long for the quick subset."""

from __future__ import annotations

FOLDERS = ("parity", "browser", "security", "faults", "slow")
"""Tests below a folder of this name carry a marker of the same name."""
NOT_QUICK = ("parity", "browser", "faults", "slow")
LONG = frozenset[str]()
"""Files, and single tests as `file::test`, below tests/, that take more than a second or two: none of them is quick."""


def markers_of(place: str) -> set[str]:
    """The markers of `folder/file.py::test`, a place below tests/ as pytest writes it, with or without parameters."""
    file, _, test = place.partition("[")[0].partition("::")
    name = f"{file}::{test.rpartition('::')[2]}"
    found = {file.split("/")[0]} & set(FOLDERS)
    return found if found & set(NOT_QUICK) or {file, name} & LONG else found | {"quick"}
