"""Neutral rows for the encoder: texts in which a word that has nothing to do with the classes is masked.

Such a row has label 0; an encoder that encodes the classes only gives it a value near 0. The draw is seeded and
private. Knows a tokenizer; no model. Rule of which tokens may be masked: `gradiend` 0.2.3.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from gradiend_ui.engine.base_model import CAUSAL, BaseModel
from gradiend_ui.engine.eval_data import MASK, EvalRow
from gradiend_ui.engine.training.batches import Example

NEUTRAL = "neutral"
LEAST_PREFIX = 5
"""Tokens that a causal model sees at least before the one it is asked for."""


def neutral_examples(base: BaseModel, texts: Sequence[str], excluded: Iterable[str], seed: int) -> list[Example]:
    """One example per text that has a token to mask, in order; both words of a row are that token.

    excluded: words that must not occur in the masked token, whatever their case.
    """
    generator = random.Random(seed)
    never = sorted({word.lower() for word in excluded if word})
    found: list[Example] = []
    for number, text in enumerate(texts):
        drawn = _masked(base, text, never, generator)
        if drawn is not None:
            masked, token = drawn
            found.append(Example(EvalRow(number, masked, token, NEUTRAL, token, NEUTRAL, ""), 0, 0))
    return found


def filled_in(examples: Iterable[Example]) -> list[str]:
    """The examples' texts with their factual words in place."""
    return [example.row.masked.replace(MASK, example.row.label) for example in examples]


def _masked(base: BaseModel, text: str, never: Sequence[str], generator: random.Random) -> tuple[str, str] | None:
    """(masked text, masked token); None when no token may be masked. For a causal model the text ends at the mask."""
    tokenizer = base.tokenizer
    tokens: list[str] = tokenizer.tokenize(text)
    causal = base.kind == CAUSAL or tokenizer.mask_token is None
    places = [
        place for place in range(LEAST_PREFIX if causal else 0, len(tokens)) if _may_be_masked(tokens[place], never)
    ]
    if not places:
        return None
    place = generator.choice(places)
    token = tokens[place]
    if not causal:
        return tokenizer.convert_tokens_to_string([*tokens[:place], MASK, *tokens[place + 1 :]]), token
    prefix = tokenizer.convert_tokens_to_string(tokens[:place])
    spaced = tokenizer.convert_tokens_to_string([token])[:1] in (" ", "\t", "\u2581")
    return f"{prefix} {MASK}" if spaced else f"{prefix}{MASK}", token


def _may_be_masked(token: str, never: Sequence[str]) -> bool:
    bare = token.strip().lstrip("#").lstrip("Ġ").lstrip("\u2581").strip()
    special = token.startswith("[") and token.endswith("]")
    return bool(bare) and not special and not any(word in token.lower() for word in never)
