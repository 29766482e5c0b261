"""The classes that rows name: which of them a GRADIEND knows, in which order they come, and their words.

Every function goes through the rows once, however many classes they name. Knows rows and directions; no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.eval_data import EvalData, EvalRow


def directed_classes(direction: Mapping[str, float]) -> list[str]:
    """The classes that lie on one of the sides, +1 first; without those of identity rows, which lie at 0."""
    return sorted((name for name in direction if direction[name]), key=lambda name: -direction[name])


def ordered_classes(direction: Mapping[str, float], data: EvalData) -> tuple[str, ...]:
    """The +1 class first, then -1, then the undirected ones that the rows hold. Raises BadData for less than two."""
    known, held = directed_classes(direction), set(data.classes)
    chosen = [name for name in known if name in held] or list(data.classes)
    if len(chosen) < 2:
        raise BadData(
            f"A sweep needs rows of at least two classes of the GRADIEND; the rows hold {', '.join(data.classes)} "
            f"and the checkpoint knows {', '.join(known) or 'no class'}."
        )
    return tuple(chosen)


def of_known_classes(direction: Mapping[str, float], data: EvalData) -> EvalData:
    """The same rows. Raises BadData where the direction of none of their classes is known."""
    known = directed_classes(direction)
    if known and not set(known) & set(data.classes):
        raise BadData(
            f"The rows hold the classes {', '.join(data.classes)}, and the checkpoint knows {', '.join(known)}: write "
            "its names into the table, or choose the columns that hold them."
        )
    return data


def words_by_class(rows: Sequence[EvalRow]) -> dict[str, tuple[str, ...]]:
    """{class: its words in the rows}: its labels, and the alternatives that name it; sorted, each spelling once."""
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.label_class, set()).add(row.label)
        found.setdefault(row.alternative_class, set()).add(row.alternative)
    return {name: tuple(sorted(words)) for name, words in found.items()}
