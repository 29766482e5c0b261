"""A process that ends with the one that started it, whatever it is doing then. Knows no work.

A worker looks at its pipe between two blocks only, and a block or a large model can take minutes: for so long it would
hold a device and its memory after its server was killed.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.process import BaseProcess

EXIT_CODE = 1


def end_with_parent() -> None:
    """Watch the process that started this one from a thread; ends this one at once when that one has gone.

    Does nothing in a process that multiprocessing did not start. Like a kill: nothing is cleaned up, so whatever is
    written must be whole at any moment.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_outlive_nothing, args=(parent,), daemon=True, name="lifeline").start()


def _outlive_nothing(parent: BaseProcess) -> None:
    parent.join()
    os._exit(EXIT_CODE)
