"""What lets the server start quickly: nothing here changes what it does once it runs.

At each start Gradio parses the source of every component, to write interface files (.pyi) for editors beside it: half
the time that importing it takes, and files among one's own sources. A server needs none. Knows nothing of the page.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

ARENA_MAX, MOST_ARENAS = -8, 2
"""The number of glibc's option M_ARENA_MAX, and its value."""
WRITES_STUBS, WRITER = "gradio.component_meta", "create_or_modify_pyi"


@contextmanager
def quick_start() -> Iterator[None]:
    """Inside, Gradio is imported without writing interface files, and garbage is not looked for.

    What was made inside is not looked through again later: it is there to stay.
    """
    finder, collects = WithoutStubs(), gc.isenabled()
    sys.meta_path.insert(0, finder)
    gc.disable()
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        gc.freeze()
        if collects:
            gc.enable()


class WithoutStubs(MetaPathFinder):
    """Finds the one module of Gradio that writes the files, and has it loaded without its writer (`sys.meta_path`)."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == WRITES_STUBS else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _LoaderWithoutWriter(spec.loader.name, spec.loader.path)
        return spec


class _LoaderWithoutWriter(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        if hasattr(module, WRITER):  # another version of Gradio may have none
            setattr(module, WRITER, _write_nothing)


def _write_nothing(component_class: type, class_name: str, events: Sequence[object]) -> None:
    """In place of Gradio's own, with its arguments."""


def share_arenas() -> None:
    """Have threads share few pools of memory (glibc only; nothing happens elsewhere).

    glibc gives each of a server's many threads a pool of its own, and what is freed in one is of no use to the others.
    Two pools instead of sixteen cost no time that shows, and half the growth per open page.
    """
    try:
        ctypes.CDLL("libc.so.6").mallopt(ARENA_MAX, MOST_ARENAS)
    except (OSError, AttributeError):
        return
