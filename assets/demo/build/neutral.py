"""The two neutral sets: held-out texts without gendered words, and without personal pronouns either.

Knows documents and the neutral rule of `words`; knows a tokenizer only to count masked tokens.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pandas as pd
from tokenizers import Tokenizer

from assets.demo.build.corpus import BOOKS, WORDNET, Document
from assets.demo.build.recipe import Recipe
from assets.demo.build.words import is_gender_free, is_pronoun_free, words_of

RULES: dict[str, Callable[[str], bool]] = {"pronoun-free": is_pronoun_free, "gender-free": is_gender_free}
FILES = {"pronoun-free": "neutral_pronoun_free.csv", "gender-free": "neutral.csv"}
MASKED_SHARE = 0.15
SPECIAL_TOKENS = 2


def neutral_sets(documents: Sequence[Document], tokenizer: Tokenizer, recipe: Recipe) -> dict[str, pd.DataFrame]:
    """{name: table of text, source} with at least `recipe.neutral_tokens` masked tokens each. Raises ValueError."""
    return {name: neutral_set(documents, rule, tokenizer, recipe) for name, rule in RULES.items()}


def neutral_set(
    documents: Sequence[Document], rule: Callable[[str], bool], tokenizer: Tokenizer, recipe: Recipe
) -> pd.DataFrame:
    """Texts drawn in turn from books and from WordNet's examples while both last, until enough tokens are masked."""
    rng = random.Random(f"{recipe.seed} neutral")
    lots: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
    for document in documents:
        if document.held_out and document.source in (*BOOKS, WORDNET):
            lots[document.source in BOOKS] += [
                (text.lower(), document.source) for text in _usable(document, rule, recipe)
            ]
    for lot in lots.values():
        rng.shuffle(lot)
    chosen: list[tuple[str, str]] = []
    masked = 0
    while masked < recipe.neutral_tokens and any(lots.values()):
        for lot in lots.values():
            if lot and masked < recipe.neutral_tokens:
                chosen.append(lot.pop())
                masked += masked_tokens(chosen[-1][0], tokenizer)
    if masked < recipe.neutral_tokens:
        raise ValueError(f"The held-out text gives {masked} masked tokens only, {recipe.neutral_tokens} are needed.")
    return pd.DataFrame(chosen, columns=["text", "source"])


def masked_tokens(text: str, tokenizer: Tokenizer) -> int:
    """How many tokens of a text the LMS masks: 15 %, at least one, special tokens counted."""
    return max(1, int(MASKED_SHARE * (len(tokenizer.encode(text, add_special_tokens=False).ids) + SPECIAL_TOKENS)))


def _usable(document: Document, rule: Callable[[str], bool], recipe: Recipe) -> list[str]:
    shortest, longest = recipe.neutral_words
    return [
        text
        for text in document.sentences
        if shortest <= len(words_of(text)) <= longest and '"' not in text and rule(text)
    ]
