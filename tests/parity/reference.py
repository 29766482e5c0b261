"""The tests' side of the reference: starts the worker process, asks it, brings its answers into our shapes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).parents[2]
Result = dict[str, Any]


class Reference:
    """A running reference. Use as a context manager: the process ends with it."""

    def __init__(self, log: Path, *, threads: int = 1) -> None:
        self._log_path = log
        self._log = log.open("w", encoding="utf-8")
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(threads)}
        environment["PARITY_THREADS"] = str(threads)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.parity.reference_worker", str(log.parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=environment,
            cwd=ROOT,
        )

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=60)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    def ask(self, operation: str, **arguments: Any) -> Any:
        """Run one operation of the worker and return its value; raises RuntimeError with the worker's traceback."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(json.dumps({"operation": operation, "arguments": arguments}) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"The reference's process ended: {self._log_path.read_text()[-2000:]}")
        reply = json.loads(line)
        if "error" in reply:
            raise RuntimeError(f"The reference failed in {operation!r}:\n{reply['error']}")
        return reply["value"]

    def evaluate(
        self,
        checkpoint: Path,
        rows: pd.DataFrame,
        neutral: Sequence[str] | None,
        calls: Sequence[Mapping[str, Any]],
        *,
        arguments: Mapping[str, Any] | None = None,
        **trainer: Any,
    ) -> list[Result]:
        """evaluate_decoder for every entry of ``calls``, in the public shape: class keys, then "grid".

        Raises RuntimeError with the reference's sentence when it refuses one.
        """
        answers = self.answers(checkpoint, rows, neutral, calls, arguments=arguments, **trainer)
        refused = [answer["refused"] for answer in answers if "refused" in answer]
        if refused:
            raise RuntimeError(f"The reference refuses: {refused[0]}")
        return [result_of(answer) for answer in answers]

    def answers(
        self,
        checkpoint: Path,
        rows: pd.DataFrame,
        neutral: Sequence[str] | None,
        calls: Sequence[Mapping[str, Any]],
        *,
        arguments: Mapping[str, Any] | None = None,
        **trainer: Any,
    ) -> list[dict[str, Any]]:
        """The same as the worker gives it: {"summary", "grid", "scored"} or {"refused"} per call."""
        found: list[dict[str, Any]] = self.ask(
            "evaluate",
            checkpoint=str(checkpoint),
            rows=rows.to_dict("records"),
            neutral=None if neutral is None else list(neutral),
            trainer=trainer,
            arguments=dict(arguments or {}),
            calls=[dict(call) for call in calls],
        )
        return found


def result_of(answer: Mapping[str, Any]) -> Result:
    """One answer of the worker in the public shape."""
    grid = {tuple(key) if isinstance(key, list) else key: cell for key, cell in answer["grid"]}
    return {**answer["summary"], "grid": grid}
