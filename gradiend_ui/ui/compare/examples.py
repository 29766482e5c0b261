"""Sentences to begin with, as a model of each kind reads them: with `[MASK]`, or as the beginning of a text.

Knows the health card's own examples and a few that are about nothing in particular; no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradiend_ui.ui.words import Words

MASK = "[MASK]"
FIRST_EXAMPLES = 3
FROM_DATA, SEVERAL_MASKS, ENGLISH, GERMAN = "data", "several", "english", "german"
NEXT_TOKEN = ("clm_next_token", "clm_mlm_head")
ONE_GAP = (*NEXT_TOKEN, "clm_sequence_cloze", "seq2seq_decoder", "seq2seq_decoder_sequence_cloze")
"""The objectives that read one gap of a sentence only."""
CONTINUING = ("clm", "seq2seq")
CONTINUED_TOKENS = 12
UNRELATED: Mapping[str, tuple[str, ...]] = {
    ENGLISH: (
        "The capital of France is [MASK].",
        "They put the fresh bread on the [MASK].",
        "In winter the lake is covered with [MASK].",
        "Two and two make [MASK].",
    ),
    GERMAN: (
        "Die Hauptstadt von Frankreich ist [MASK].",
        "Das frische Brot liegt auf dem [MASK].",
        "Im Winter liegt auf dem See viel [MASK].",
        "Zwei und zwei sind [MASK].",
    ),
}
"""About nothing that a GRADIEND was trained on: what changes here is damage."""


def choices_of(objective: str, words: Words) -> list[tuple[str, str]]:
    """(label, name) of the sets that fit the objective."""
    names = [FROM_DATA, SEVERAL_MASKS, ENGLISH, GERMAN]
    if objective in ONE_GAP:
        names.remove(SEVERAL_MASKS)
    return [(words(f"compare.examples_{name}"), name) for name in names]


def example_text(name: str, card: Mapping[str, Any]) -> str:
    """The sentences of a set, one per line, in the form that the card's model reads."""
    own = [" ".join(str(text).split()) for text in card["examples"]]
    if name == SEVERAL_MASKS:
        sentences = [" ".join(own[place : place + 2]) for place in range(0, len(own) - 1, 2)]
    else:
        sentences = list(UNRELATED[name]) if name in UNRELATED else own
    return "\n".join(fitting(sentences, card["objective"]))


def first_sentences(card: Mapping[str, Any]) -> str:
    return "\n".join(fitting([str(text) for text in card["examples"]], card["objective"])[:FIRST_EXAMPLES])


def fitting(sentences: Sequence[str], objective: str) -> list[str]:
    """The same sentences; for next-token models only what stands left of the mask, where something does."""
    if objective not in NEXT_TOKEN:
        return list(sentences)
    return [left for text in sentences if (left := text.partition(MASK)[0].rstrip())]


def continued_tokens(objective: str) -> int:
    """How many tokens a model of this objective is asked to go on for; 0 for masked models."""
    return CONTINUED_TOKENS if objective.startswith(CONTINUING) else 0
