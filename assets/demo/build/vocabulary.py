"""The word pieces the demo keeps of the first model's, and the tokenizer made of them. Knows no weights."""

from __future__ import annotations

import json
import string
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from assets.demo.build.corpus import Document
from assets.demo.build.words import (
    FEMALE_CUES,
    FEMALE_NAMES,
    GENDERED,
    MALE_CUES,
    MALE_NAMES,
    MODERN,
    OCCUPATIONS,
    PRONOUNS,
)

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WEIGHTS: Mapping[str, int] = {"austen": 2, "melville": 1, "wordnet": 3, "templates": 1}
"""How much a source's word pieces count when the most frequent are kept: sentences of today before those of books."""


def plain_tokenizer(file: Path) -> Tokenizer:
    """The tokenizer in `file` without padding and truncation."""
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def known_names(tokenizer: Tokenizer) -> tuple[list[str], list[str]]:
    """(female, male) first names that are one word piece."""
    vocabulary = tokenizer.get_vocab()
    return [name for name in FEMALE_NAMES if name in vocabulary], [name for name in MALE_NAMES if name in vocabulary]


def kept_pieces(documents: Iterable[Document], tokenizer: Tokenizer, size: int) -> tuple[list[str], float]:
    """(`size` word pieces, the share of the text they cover). Single characters, names and listed words always stay."""
    counts: Counter[str] = Counter()
    for document in documents:
        for encoding in tokenizer.encode_batch(list(document.sentences), add_special_tokens=False):
            for piece in encoding.tokens:
                counts[piece] += WEIGHTS[document.source]
    vocabulary = tokenizer.get_vocab()
    characters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    continued = [f"##{letter}" for letter in string.ascii_lowercase + string.digits]
    listed = sorted(GENDERED | PRONOUNS | MALE_CUES | FEMALE_CUES | set(OCCUPATIONS) | set(MODERN))
    always = [piece for piece in (*SPECIAL, *characters, *continued, *listed) if piece in vocabulary]
    by_count = sorted(counts, key=lambda piece: (-counts[piece], vocabulary[piece]))
    kept = list(dict.fromkeys((*always, *by_count)))[:size]
    return kept, sum(counts[piece] for piece in kept) / sum(counts.values())


def write_tokenizer(first: Path, kept: list[str], positions: int, folder: Path) -> Tokenizer:
    """Save the first model's tokenizer with the kept word pieces only into `folder`, as transformers reads it."""
    content = json.loads(first.read_text(encoding="utf-8"))
    ids = {piece: number for number, piece in enumerate(kept)}
    content["model"]["vocab"] = ids
    content["truncation"] = content["padding"] = None
    for added in content["added_tokens"]:
        added["id"] = ids[added["content"]]
    processor = content["post_processor"]
    for special in processor.get("special_tokens", {}).values():
        special["ids"] = [ids[token] for token in special["tokens"]]
    for key in ("sep", "cls"):
        if key in processor:
            processor[key][1] = ids[processor[key][0]]
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    named = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_file=str(file), model_max_length=positions, **named).save_pretrained(folder)
    return plain_tokenizer(file)
