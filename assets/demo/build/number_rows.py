"""Rows of the demo one / many: he, she, it, him, his, its against they, them, their, in books and WordNet's examples.

Rules, fixed before any training: the masked word is the only one of these in the text, and the word after a subject
has the same form for one and many (`said`, not `was`). Knows documents; knows no model.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import pandas as pd

from assets.demo.build.book_rows import Masked, balanced, masked_windows, windows
from assets.demo.build.corpus import BOOKS, WORDNET, Document
from assets.demo.build.pronoun_rows import COLUMNS
from assets.demo.build.recipe import Recipe
from assets.demo.build.words import stem

CLASSES = ("SG", "PL")
MANY_OF = {"he": "they", "she": "they", "it": "they", "him": "them", "his": "their", "its": "their"}
ONE_OF = {"they": ("he", "she", "it"), "them": ("him",), "their": ("his", "its")}
THIRD_PERSON = frozenset((*MANY_OF, *ONE_OF, "her", "hers", "theirs", "himself", "herself", "itself", "themselves"))
SUBJECTS = frozenset(("he", "she", "it", "they"))
EITHER = frozenset(("had", "could", "would", "should", "might", "must", "may", "can", "will", "shall", "did"))
SAME_FORM_ENDING = "ed"
NO_PAST = frozenset(("indeed", "need", "speed", "feed", "hundred", "exceed", "proceed", "succeed"))


def number_place(words: Sequence[str]) -> tuple[int, str] | None:
    """(index, word) of the only third-person pronoun of a text; None where the word after it gives its number away."""
    stems = [stem(word) for word in words]
    places = [index for index, word in enumerate(stems) if word in THIRD_PERSON]
    if len(places) != 1 or words[places[0]] not in (*MANY_OF, *ONE_OF):
        return None
    index = places[0]
    word, following = words[index], words[index + 1] if index + 1 < len(words) else ""
    is_past = following.endswith(SAME_FORM_ENDING) and following not in NO_PAST
    if word in SUBJECTS and not (following in EITHER or is_past):
        return None
    return index, word


def number_rows(documents: Sequence[Document], recipe: Recipe) -> pd.DataFrame:
    """Columns `COLUMNS`. Test and validation from held-out text, train from text of the base's training; within a
    class and a split every word about equally often. Raises ValueError where the text is too short."""
    rng = random.Random(f"{recipe.seed} number rows")
    rows: list[dict[str, str]] = []
    usable = [document for document in documents if document.source in (*BOOKS, WORDNET)]
    held = {"test": recipe.number_test_rows, "validation": recipe.number_validation_rows}
    for is_held_out, splits in ((True, held), (False, {"train": recipe.number_train_rows})):
        part = [document for document in usable if document.held_out == is_held_out]
        found = list(masked_windows(windows(part, rng), number_place))
        for name, forms in zip(CLASSES, (tuple(MANY_OF), tuple(ONE_OF)), strict=True):
            wanted = {split: spread(count, forms) for split, count in splits.items()}
            total = {form: sum(of[form] for of in wanted.values()) for form in forms}
            chosen = balanced(found, total)
            for split, of in wanted.items():
                for form, count in of.items():
                    rows += [_row(chosen[form].pop(), name, split, number) for number in range(count)]
    rng.shuffle(rows)
    return pd.DataFrame(rows, columns=COLUMNS)


def spread(count: int, forms: Sequence[str]) -> dict[str, int]:
    """`count` over the forms as evenly as can be, the first ones first."""
    return {form: count // len(forms) + (k < count % len(forms)) for k, form in enumerate(forms)}


def _row(row: Masked, name: str, split: str, number: int) -> dict[str, str]:
    others = (MANY_OF[row.label],) if name == "SG" else ONE_OF[row.label]
    values = (
        row.text,
        row.label,
        name,
        others[number % len(others)],
        "PL" if name == "SG" else "SG",
        split,
        row.source,
    )
    return dict(zip(COLUMNS, values, strict=True))
