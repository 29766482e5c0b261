"""The session's part for exports: what one would be, and writing it step by step.

Names, folders and what is exported are decided here; weights are made and checked in the worker. Plain JSON-like
values in and out; every refusal is a `GradiendUIError`. A visitor never names a folder, only what it is called.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from gradiend_ui.engine.answers.model import ExportAnswer, ExportStep
from gradiend_ui.engine.answers.run import SelectionAnswer
from gradiend_ui.engine.errors import BadGrid, BadName, Failed, NotAllowed, NotFound, listed, shown
from gradiend_ui.engine.files.file_names import WHY, is_device, without_device
from gradiend_ui.engine.files.whole_or_absent import reason_of, sync_names, unfinished, with_advice
from gradiend_ui.engine.selection.policies import DEFAULT_POLICY, policy_named
from gradiend_ui.engine.selection.winner_sentences import chosen_for
from gradiend_ui.engine.values import (
    AS_BASE,
    DEFAULT_RATIO,
    NO_CELL,
    PARTS,
    QUESTION,
    WINNER_GOALS,
    Cell,
    exact,
    finite,
)
from gradiend_ui.engine.worker.requests import DescribeExport, Export, Pack, Rewriting
from gradiend_ui.server.leftovers import KEPT, STAGES, drop, drop_exports
from gradiend_ui.server.shared import Shared

LONGEST_NAME = 80
OPTIONS = frozenset(
    {"feature_factor", "learning_rate", "part", "kind", "name", "dtype", "target_class", "target_classes", *QUESTION}
)
Select = Callable[[str, Mapping[str, object]], SelectionAnswer]


@dataclass(frozen=True)
class Piece:
    """One model of an export: its cell, the folder's name inside the export ("" for the only one), and the reason."""

    cell: Cell
    folder: str
    chosen_for: str | None


@dataclass(frozen=True)
class Contents:
    """What an export writes under which name."""

    name: str
    pieces: tuple[Piece, ...]
    dtype: str | None


class Exports:
    """`select` answers which cell wins (as the API's /select)."""

    def __init__(self, shared: Shared, select: Select) -> None:
        self._shared = shared
        self._select = select

    def contents(self, run: str, options: Mapping[str, Any]) -> Contents:
        """What `options` ask for. Raises BadGrid, BadName, NotFound.

        One cell (feature_factor, learning_rate), or `target_classes`: the winner of each by the run's scores, under
        goal, policy, ratio and any_feature_factor as for /select. part: None for the run's own.
        """
        unknown = sorted(set(options) - OPTIONS)
        if unknown:
            raise BadGrid(f"Unknown option {shown(unknown[0])}; export knows {', '.join(sorted(OPTIONS))}.")
        if options.get("kind", "checkpoint") != "checkpoint":
            raise BadGrid(f"kind must be checkpoint, not {shown(options['kind'])}.")
        record = self._shared.store.run(run)
        card = self._shared.store.checkpoint(record.checkpoint)[2]
        _check_kinds(options, record.info["classes"])
        pieces = self._pieces(run, options, record.info["classes"])
        given = options.get("name")
        name = _default_name(card["name"], pieces) if given is None or given == "" else checked_name(given)
        return Contents(name, pieces, options.get("dtype", AS_BASE))

    def describe(self, run: str, options: Mapping[str, object]) -> ExportAnswer:
        """Its name and, per model, its card and script; {dtype: bytes of all weights} and the base's dtype."""
        contents = self.contents(run, options)
        answers = [
            self._shared.worker.ask(
                DescribeExport(
                    run,
                    _rewriting(contents, piece),
                    f"{contents.name}-{piece.folder}" if piece.folder else contents.name,
                    tells_paths=not self._shared.public,
                )
            )
            for piece in contents.pieces
        ]
        return {
            "name": contents.name,
            "stored": answers[0]["stored"],
            "scored": answers[0]["scored"],
            "bytes": {name: size * len(answers) for name, size in answers[0]["bytes"].items()},
            "pieces": [
                {
                    "folder": piece.folder,
                    "cell": piece.cell.as_json(),
                    "card": answer["card"],
                    "script": answer["script"],
                    "degenerate": answer["degenerate"],
                }
                for piece, answer in zip(contents.pieces, answers, strict=True)
            ],
        }

    def write(
        self, run: str, options: Mapping[str, object], *, keep: bool = False, visitor: str = ""
    ) -> Iterator[ExportStep]:
        """Write the export; one answer per step: {"step": "writing" | "packing" | "done", ...}.

        The last one has path, name and bytes: a zip that lives for an hour, or with keep=True the new folder under
        the data folder (or the folder that the server was given for them). Nothing half is left behind.
        Raises as `contents`, and NotAllowed, BadName, Failed, Busy.
        """
        with self._shared.exports.held(visitor):
            yield from self._write(run, options, keep)

    def _write(self, run: str, options: Mapping[str, object], keep: bool) -> Iterator[ExportStep]:
        contents = self.contents(run, options)
        target = self._kept_folder(contents.name) if keep else None
        drop_exports(self._shared.made, time.time())
        place = target or self._download_folder() / f"{contents.name}.zip"
        with self._stage_beside(place) as stage:
            root = stage / contents.name
            for number, piece in enumerate(contents.pieces, 1):
                cell = piece.cell.as_json()
                yield {"step": "writing", "number": number, "count": len(contents.pieces), "cell": cell}
                self._shared.worker.ask(Export(run, _rewriting(contents, piece), str(root / piece.folder)))
            if target is None:
                yield {"step": "packing", "name": place.name}
                packed = Path(self._shared.worker.ask(Pack(str(root), str(stage / place.name))))
                self._shared.made.keeps(place, packed, kind="export")
                _moved(packed, place)
            else:
                _moved(root, place)
        yield {"step": "done", "path": str(place), "name": place.name, "bytes": _size(place)}

    @contextmanager
    def _stage_beside(self, place: Path) -> Iterator[Path]:
        """A new folder beside its place: a rename works within one disk only. Raises Failed."""
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with unfinished(place, folder=True, notes=self._shared.made) as stage:
                yield stage
        except OSError as error:
            raise _no_place(error) from error
        finally:
            if place.parent.parent == self._shared.data_dir / STAGES and not os.path.lexists(place):
                drop(self._shared.made, place.parent)

    def _download_folder(self) -> Path:
        """A new folder with an unguessable name. Raises Failed."""
        folder = self._shared.data_dir / STAGES / token_urlsafe(12)
        try:
            return self._shared.made.folder(folder, "place")
        except OSError as error:
            raise _no_place(error) from error

    def zip_of(self, run: str, options: Mapping[str, object], visitor: str = "") -> str:
        """The API's /export: path of a finished zip, kept for an hour. Raises as `write`."""
        return str([step for step in self.write(run, options, visitor=visitor) if step["step"] == "done"][0]["path"])

    def _pieces(self, run: str, options: Mapping[str, Any], known: Sequence[str]) -> tuple[Piece, ...]:
        question = {key: options[key] for key in QUESTION if options.get(key) is not None}
        wanted = options.get("target_classes")
        if wanted is None:
            return (self._single(run, options, question),)
        if isinstance(wanted, str) or not isinstance(wanted, Sequence) or not wanted:
            raise BadGrid(f"target_classes must be a list of at least one class, not {shown(wanted)}.")
        missing = [name for name in wanted if name not in known]
        if missing:
            raise BadGrid(f"target_classes must be among {listed(known)}, not {shown(missing[0])}.")
        names = list(dict.fromkeys(str(name) for name in wanted))
        winners = [self._select(run, {**question, "target_class": name}) for name in names]
        folders = unique_names([safe(name) for name in names]) if len(names) > 1 else [""]
        return tuple(
            Piece(replace(Cell.of(winner), part=options.get("part")), folder, reason(name, question, winner))
            for name, folder, winner in zip(names, folders, winners, strict=True)
        )

    def _single(self, run: str, options: Mapping[str, Any], question: Mapping[str, object]) -> Piece:
        """One cell; where `target_class` says what was looked for, the card says whether the cell is the answer."""
        if not options.keys() >= NO_CELL.keys():
            raise BadGrid(
                "Exporting needs feature_factor and learning_rate, two numbers, or target_classes, not "
                f"{shown(dict(options))}."
            )
        cell = Cell.of(options)
        target, why = options.get("target_class"), None
        if target is not None:
            with suppress(NotFound):  # nothing can be chosen yet: nothing is said
                winner = self._select(run, {**question, "target_class": target})
                is_winner = replace(Cell.of(winner), part=cell.part) == cell
                why = (
                    reason(target, question, winner)
                    if is_winner
                    else f"chosen by hand, looking to {_goal(question)} {target}"
                )
        return Piece(cell, "", why)

    def _kept_folder(self, name: str) -> Path:
        if self._shared.public:
            told = NotAllowed("This server keeps no folders for its visitors: download the zip.")
            raise told.known_as("export.no_folders")
        target = (self._shared.export_dir or self._shared.data_dir / KEPT) / name
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            taken = BadName(f"{name!r} exists already in {str(target.parent)!r} and is not empty: choose another name.")
            raise taken.known_as("export.exists", name=name, folder=str(target.parent))
        return target


def checked_name(given: object) -> str:
    """A name for a file or folder that leads nowhere else. Raises BadName."""
    name = given.strip() if isinstance(given, str) else given
    if (
        not isinstance(name, str)
        or not name
        or len(name) > LONGEST_NAME
        or not all(character.isalnum() or character in "-._" for character in name)
        or len(name.encode()) > 2 * LONGEST_NAME
        or name[0] in ".-"
        or name[-1] == "."
    ):
        raise BadName(
            f"{shown(given)} cannot be the name of an export: take letters, digits, '-', '_' and '.', at most "
            f"{LONGEST_NAME} of them, beginning with neither '-' nor '.', and not ending with '.'."
        ).known_as("export.bad_name", name=shown(given), most=LONGEST_NAME)
    if is_device(name):
        free = _short(without_device(name), LONGEST_NAME)
        told = BadName(f"{shown(name)} {WHY} an export: take another one, such as {free!r}.")
        raise told.known_as("export.device_name", name=name, free=free)
    return name


def safe(text: str) -> str:
    """`text` as a name that `checked_name` accepts."""
    name = "".join(c if c.isalnum() or c in "-._" else "_" for c in str(text))[:LONGEST_NAME]
    return _short(without_device(name.strip("-._") or "model"), LONGEST_NAME)


def _short(name: str, longest: int) -> str:
    """The beginning of a safe name: at most so many characters, and twice as many bytes."""
    while len(name.encode()) > 2 * longest or len(name) > longest or name.endswith("."):
        name = name[:-1]
    return name


def unique_names(names: Sequence[str]) -> list[str]:
    """The same names, those that come again (in any case) with a number."""
    found: list[str] = []
    for name in names:
        number, unique = 1, name
        while unique.lower() in {other.lower() for other in found}:
            number += 1
            unique = f"{name}-{number}"
        found.append(unique)
    return found


def reason(target_class: str, question: Mapping[str, object], winner: SelectionAnswer) -> str:
    """What the card says on why this cell."""
    policy, ratio = str(question.get("policy", DEFAULT_POLICY)), finite(question.get("ratio", DEFAULT_RATIO), "ratio")
    return chosen_for(_goal(question), target_class, policy, ratio, winner["fallback"])


def _goal(question: Mapping[str, object]) -> str:
    return str(question.get("goal", "strengthen"))


def _check_kinds(options: Mapping[str, Any], classes: Sequence[str]) -> None:
    """Whether each option that is there is of its kind, also where nothing depends on it. Raises BadGrid."""
    given = {name: value for name, value in options.items() if value is not None}
    accepted = {"part": PARTS, "goal": WINNER_GOALS, "target_class": tuple(classes)}
    for name, values in accepted.items():
        if name in given and given[name] not in values:
            raise BadGrid(f"{name} must be one of {', '.join(values)}, not {shown(given[name])}.")
    if not isinstance(given.get("any_feature_factor", False), bool):
        raise BadGrid(f"any_feature_factor must be true or false, not {shown(given['any_feature_factor'])}.")
    policy_named(given.get("policy", DEFAULT_POLICY), given.get("ratio", DEFAULT_RATIO))


def _default_name(model: str, pieces: Sequence[Piece]) -> str:
    """Cells that differ have names that differ: the cell is whole in it, the model's name is cut short."""
    if len(pieces) > 1:
        return safe("-".join([str(model)[:40], *(piece.folder for piece in pieces)]))
    cell = pieces[0].cell
    ending = f"-ff{exact(cell.feature_factor)}-lr{exact(cell.learning_rate)}".replace("+", "")
    return _short(safe(model), LONGEST_NAME - len(ending)) + ending


def _rewriting(contents: Contents, piece: Piece) -> Rewriting:
    return Rewriting(piece.cell, contents.dtype, piece.chosen_for)


def _no_place(error: OSError) -> Failed:
    return Failed(f"There is no place for the export: {with_advice(error)}")


def _moved(folder: Path, target: Path) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder, target)
    except OSError as error:
        raise Failed(f"The folder {target.name!r} could not be put in its place: {reason_of(error)}.") from error
    sync_names(target.parent)
    return target


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
