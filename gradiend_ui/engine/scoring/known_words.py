"""Words whose tokens lie beyond the embedding: a tokenizer that got words for which its model was never grown.

Such a model loads and reads texts, as long as none of them holds one of these words; where one is asked for, it fails
with a bare index. So a word is looked at before anything is scored or trained. Knows a base model; runs none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradiend_ui.engine.base.base_model import BaseModel, embedding_rows
from gradiend_ui.engine.data.rows import EvalRow
from gradiend_ui.engine.errors import BadData, shown
from gradiend_ui.engine.scoring.objectives.candidates import plain_ids
from gradiend_ui.engine.scoring.targets import ClassTargets, Ids, TargetVocabulary
from gradiend_ui.engine.values import NATURAL


def check_known_targets(base: BaseModel, rows: Sequence[EvalRow], targets: ClassTargets, token_boundary: str) -> None:
    """Raises BadData with the first word of the classes, or of the rows that are scored by their own, that the model
    does not know. token_boundary: how a word's beginning is read."""
    if not base.knows_too_much:
        return
    if targets.words is None:
        words = sorted({word for row in rows for word in (row.label, row.alternative)})
    else:
        words = [word for own in targets.words.values() for word in own]
    check_known_words(base, words, token_boundary)


def check_known_words(base: BaseModel, words: Iterable[str], token_boundary: str) -> None:
    """The same for any words."""
    if not base.knows_too_much:
        return
    vocabulary = TargetVocabulary(base.tokenizer)
    ways = vocabulary.whole_word if token_boundary == NATURAL and base.two_boundaries else vocabulary.pieces
    for word in words:
        as_written = base.facts.words_read == "as written"
        check_known_ids(
            base, word, [tuple(plain_ids(base.tokenizer, " " + word.strip()))] if as_written else ways(word)
        )


def check_known_ids(base: BaseModel, word: str, ways: Iterable[Ids]) -> None:
    """Raises BadData where a way to write `word` holds a token that the model has no row for."""
    known = embedding_rows(base.model)
    highest = max((token for way in ways for token in way), default=-1)
    if known is None or highest < known:
        return
    raise BadData(
        f"The word {shown(word)} has the token {highest:,}, and the base model {base.name!r} knows {known:,} tokens: "
        "take another word, or a base model that was grown for its tokenizer."
    ).known_as("data.word_beyond", word=shown(word), token=f"{highest:,}", base=base.name, known=f"{known:,}")
