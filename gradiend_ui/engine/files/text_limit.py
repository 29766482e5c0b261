"""How much text the tables of one reading may hold, where whoever reads for others has bounded it.

A few bytes of a packed table may stand for any amount of text, so it is counted before it is unpacked (see
`parquet_text`), and once more in the cells. Knows numbers; not where the text comes from.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from gradiend_ui.engine.errors import TooLarge

STRANGERS_BYTES = 40 * 1024 * 1024
"""Of one table, and of all that lie beside a checkpoint. A file that is uploaded alone has at most 32 MB."""


class _Bound:
    """most: bytes of text; left: of them, after the tables that were kept already."""

    def __init__(self, most: int) -> None:
        self.most = self.left = most


_BOUND: ContextVar[_Bound | None] = ContextVar("bound", default=None)


@contextmanager
def text_at_most(most: int | None) -> Iterator[None]:
    """While the block runs, `check_text` refuses a table with more bytes of text; None takes any amount."""
    token = _BOUND.set(None if most is None else _Bound(most))
    try:
        yield
    finally:
        _BOUND.reset(token)


@contextmanager
def counted_alone() -> Iterator[None]:
    """While the block runs, what was kept before does not count, and what is kept in it does not afterwards."""
    bound = _BOUND.get()
    with text_at_most(None if bound is None else bound.most):
        yield


def is_bounded() -> bool:
    return _BOUND.get() is not None


def check_text(count: int, where: str = "") -> None:
    """Raises TooLarge for more bytes of text than may be read (any more); where: in which part of the table so far."""
    bound = _BOUND.get()
    if bound is not None and count > bound.left:
        others = bound.most - bound.left
        told = f"{_size(count)} of text{where}" + (f", and the tables before it {_size(others)}" if others else "")
        much = TooLarge(
            f"The table has {told}; at most {_size(bound.most)} are read{' of all together' if others else ''}: "
            "leave rows or columns out."
        )
        raise much.known_as("data.much_text", size=_size(count), most=_size(bound.most))


def keep_text(count: int) -> None:
    """A table with so many bytes of text is kept: the next ones may have so many less. Raises as `check_text`."""
    check_text(count)
    bound = _BOUND.get()
    if bound is not None:
        bound.left -= count


def _size(count: int) -> str:
    return f"{count / 2**20:,.1f} MB"
