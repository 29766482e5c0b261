"""Small inputs that once gave wrong numbers: tables, tiny bases and GRADIENDs, below `tests/cases`.

Its README says what happened with each and which answer is right; every one has a test with the value in it.
"""

from __future__ import annotations

from pathlib import Path

CASES = Path(__file__).resolve().parent.parent / "cases"


def case(name: str) -> Path:
    """The file or folder `name` ("class_space.csv", "bases/roberta")."""
    found = CASES / name
    if not found.exists():
        raise FileNotFoundError(f"There is no case {name} in {CASES}.")
    return found
