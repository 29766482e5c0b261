"""Rows of the demo he / she: from books and from templates, and rows of other pronouns that stand for themselves.

Rules, fixed before any training: a row has exactly one he or she, a word of the same gender before it and none of the
other before it (`pronoun_place`); held-out book text and templates share no sentence and no pattern with the training.
Knows documents and templates; knows no model.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import pandas as pd

from assets.demo.build.book_rows import MASK, Masked, balanced, masked_windows, windows
from assets.demo.build.corpus import BOOKS, Document
from assets.demo.build.recipe import Recipe
from assets.demo.build.templates import TEST, TRAIN, People, filled
from assets.demo.build.words import FEMALE_CUES, MALE_CUES, stem

CLASSES = ("M", "F")
WORD = {"M": "he", "F": "she"}
OTHER = {"M": "F", "F": "M"}
CUES = {"M": MALE_CUES, "F": FEMALE_CUES}
IDENTITY_CLASS = "other"
GENDERED_FORMS = frozenset(("he", "she", "him", "his", "her", "hers", "himself", "herself"))
IDENTITY_WORDS = ("it", "they", "i", "you", "we", "them", "me", "us")
COLUMNS = ["masked", "label", "label_class", "alternative", "alternative_class", "split", "source"]


def pronoun_place(words: Sequence[str]) -> tuple[int, str] | None:
    """(index of the only he or she, its class) where the words before it tell its gender; else None."""
    stems = [stem(word) for word in words]
    places = [index for index, word in enumerate(stems) if word in WORD.values()]
    if len(places) != 1 or words[places[0]] != stems[places[0]]:
        return None
    gender = "M" if words[places[0]] == "he" else "F"
    before = set(stems[: places[0]])
    if not before & CUES[gender] or before & CUES[OTHER[gender]]:
        return None
    return places[0], gender


def identity_place(words: Sequence[str]) -> tuple[int, str] | None:
    """(index, word) of the last of `IDENTITY_WORDS` that a text without he, she and their forms has."""
    if {stem(word) for word in words} & GENDERED_FORMS:
        return None
    present = [word for word in reversed(IDENTITY_WORDS) if word in words]
    return (words.index(present[0]), present[0]) if present else None


def pronoun_rows(documents: Sequence[Document], people: People, recipe: Recipe) -> pd.DataFrame:
    """Columns `COLUMNS`. Test and validation: held-out text and templates; train: text of the base's training and
    templates. The base model has seen no template of these; test templates share no pattern with the others."""
    rng = random.Random(f"{recipe.seed} pronoun rows")
    held = [document for document in documents if document.held_out and document.source in BOOKS]
    seen = [document for document in documents if not document.held_out and document.source == "austen"]
    test, validation, train = recipe.test_rows // 2, recipe.validation_rows // 2, recipe.train_rows // 2
    from_held = balanced(masked_windows(windows(held, rng), pronoun_place), dict.fromkeys(CLASSES, test + validation))
    from_seen = balanced(masked_windows(windows(seen, rng), pronoun_place), dict.fromkeys(CLASSES, train))
    rows: list[dict[str, str]] = []
    for gender in CLASSES:
        rows += [_row(row.text, gender, "test", row.source) for row in from_held[gender][:test]]
        rows += [_row(row.text, gender, "validation", row.source) for row in from_held[gender][test:]]
        rows += [_row(row.text, gender, "train", row.source) for row in from_seen[gender]]
        for patterns, splits in ((TEST, ["test"] * test), (TRAIN, ["validation"] * validation + ["train"] * train)):
            texts = template_texts(patterns, people, gender, len(splits), rng)
            rows += [_row(text, gender, split, "template") for text, split in zip(texts, splits, strict=True)]
    rng.shuffle(rows)
    return pd.DataFrame(rows, columns=COLUMNS)


def template_texts(patterns: Sequence[str], people: People, gender: str, count: int, rng: random.Random) -> list[str]:
    """`count` different texts with [MASK], every pattern about equally often."""
    made: dict[str, None] = {}
    for number in range(50 * count):
        if len(made) == count:
            return list(made)
        person = people.draw(gender, rng)
        made[filled(patterns[number % len(patterns)], person, gender, MASK)] = None
    raise ValueError(f"{len(patterns)} patterns do not make {count} different texts.")


def identity_rows(documents: Sequence[Document], recipe: Recipe) -> pd.DataFrame:
    """Columns `COLUMNS`: other pronouns in text of the base's training, each its own alternative, equally many."""
    rng = random.Random(f"{recipe.seed} identity rows")
    seen = [document for document in documents if not document.held_out and document.source in BOOKS]
    each = recipe.identity_rows // len(IDENTITY_WORDS)
    kinds = balanced(masked_windows(windows(seen, rng), identity_place), dict.fromkeys(IDENTITY_WORDS, each))
    rows = [_identity(row) for kind in kinds.values() for row in kind]
    rng.shuffle(rows)
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(text: str, gender: str, split: str, source: str) -> dict[str, str]:
    other = OTHER[gender]
    values = (text, WORD[gender], gender, WORD[other], other, split, source)
    return dict(zip(COLUMNS, values, strict=True))


def _identity(row: Masked) -> dict[str, str]:
    values = (row.text, row.label, IDENTITY_CLASS, row.label, IDENTITY_CLASS, "train", row.source)
    return dict(zip(COLUMNS, values, strict=True))
