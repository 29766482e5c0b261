"""Trying a stranger's tokenizer before the worker meets it: whole, with its own words, quick, and no longer than texts.

What a worker pays to read it is bounded twice: by counts that no model's tokenizer reaches, and by what one reading
costs here. Runs in the confined process (see `taken_in`), where time and memory are limited. Knows the library; no
model.
"""

from __future__ import annotations

import heapq
import math
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gradiend_ui.engine.errors import BadBase, TooLarge
from gradiend_ui.engine.files.json_files import read_json
from gradiend_ui.engine.uploads.clean_model import SPECIAL_TOKENS, TOKEN_LISTS, check_tokenizer
from gradiend_ui.engine.uploads.tokenizer_steps import MOST_TABLE_TEXT, check_steps

MAX_TOKENIZER_BYTES, MAX_TOKENIZER_VALUES = 128 * 1024 * 1024, 6_000_000
PATTERNS, MAX_PATTERN, MOST_PATTERNS, MOST_CHARACTERS = ("Regex", "String", "content", "prepend"), 2000, 200, 400
TRIAL_CHARACTERS, MOST_GROWTH, MOST_REPLACED, SPARE_TOKENS = 400, 16, 64, 64
"""Texts that a tokenizer is tried with, and how many times longer it may make them: a letter is at most a few bytes."""
MOST_WORDS, MOST_WORD_BYTES, MOST_MERGES = 300_000, 6 * 2**20, 700_000
"""Of a stranger's vocabulary. Gemma 3 has 262,144 words and 515,000 merges, XLM-RoBERTa 2.8 MB of words."""
MOST_ADDED, MOST_ADDED_BYTES = 10_000, 256 * 1024
"""Of a stranger's added tokens: each is looked for in every text. Gemma 3 has 6,415 in 80 kB."""
MOST_LISTED, MOST_NAMED = 1000, 64
"""Special tokens in a list (umT5 has 300) and by a role: transformers compares each with all others."""
STRIPPING = ("lstrip", "rstrip", "single_word")
SPARE_IDS = 1024
"""Added tokens that a model was not grown for, and that its texts never use."""
MOST_SECONDS, MOST_MEMORY = 5.0, 2**30
"""Processor time and memory of one reading: Gemma 3's takes 0.7 s and 250 MB, XLM-RoBERTa's 0.7 s and 500 MB."""
MOST_WORD, MOST_PIECE = 1000, 256
"""Characters of one word, and of one piece of a unigram model, which looks at each place for all that begin there."""
LONG_TEXTS = (2000, 20_000)
"""Characters of the texts that a stranger's tokenizer is timed with; the last is the longest that is read anywhere."""
MOST_TEXT_SECONDS, MOST_TRIAL_SECONDS = 1.0, 20.0
"""Processor time of one such text, and of all."""
KNOWN_SLOW, TIMES_SLOWER = r"\s+$", 2.5
"""The slowest expression of a known tokenizer (DeepSeek's): where a machine needs longer for it, so may others."""
MOST_SAMPLES = 24


def check_words(path: Path, where: str, *, strangers: bool = True, known: object = None) -> None:
    """Raises BadBase or TooLarge unless the file is a whole tokenizer that tokenizes odd texts in time.

    strangers: whether it must also be as cheap to read as a model's. known: how many tokens its model has, if known.
    """
    if path.stat().st_size > MAX_TOKENIZER_BYTES:
        raise TooLarge(f"{where} is larger than {MAX_TOKENIZER_BYTES // 2**20} MB.")
    try:
        content = read_json(
            path, max_bytes=MAX_TOKENIZER_BYTES, max_values=MAX_TOKENIZER_VALUES, max_text=MOST_TABLE_TEXT
        )
    except ValueError as error:
        raise BadBase(f"{where} is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise BadBase(f"{where} must hold a JSON object.")
    check_tokenizer(content, where)
    if strangers:
        _check_vocabulary(content, where, known)
    patterns = _patterns(content, where)
    long_texts = [*_long_texts(content, check_steps(content, where))] if strangers else []
    del content
    try:
        tokenizer = _read(path, where, MOST_SECONDS if strangers else math.inf)
        for text in _trial_texts(patterns):
            spelled = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
            if max(len(spelled), len(tokenizer.encode(text).ids)) > MOST_GROWTH * len(text) + SPARE_TOKENS:
                raise TooLarge(
                    f"{where} makes {len(spelled):,} characters of {len(text):,}: that is no tokenizer's work."
                )
        _try_long(tokenizer, long_texts, where)
    except TooLarge:
        raise
    except BaseException as error:  # the library panics where a file contradicts itself
        if isinstance(error, (MemoryError, KeyboardInterrupt, SystemExit)):
            raise
        raise BadBase(f"{where} cannot be read by the tokenizers library: {str(error)[:200]}.") from error


def _read(path: Path, where: str, most_seconds: float) -> Any:
    """The tokenizer, read once as the worker will. Raises TooLarge where that costs more than a model's tokenizer may,
    and whatever the library raises."""
    from tokenizers import Tokenizer

    before, began = _peak_bytes(), time.process_time()
    tokenizer = Tokenizer.from_file(str(path))
    seconds, memory = time.process_time() - began, _peak_bytes() - before
    if seconds > most_seconds or (memory > MOST_MEMORY and most_seconds < math.inf):
        raise TooLarge(
            f"{where} takes {seconds:.1f} s and {max(0, memory) // 2**20:,} MB to read once; at most "
            f"{MOST_SECONDS:.0f} s and {MOST_MEMORY // 2**20:,} MB are given here: take one with fewer words."
        )
    return tokenizer


def _peak_bytes() -> int:
    """The most memory that this process has had; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _check_vocabulary(content: Mapping[str, Any], where: str, known: object) -> None:
    """Raises TooLarge or BadBase for more words, merges or added tokens than tokenizers of models have, and for words
    beyond those of its own model."""
    vocabulary, merges = content["model"]["vocab"], content["model"].get("merges") or ()
    words = list(vocabulary) if isinstance(vocabulary, Mapping) else [word for word, _ in vocabulary]
    if len(words) > MOST_WORDS or len(merges) > MOST_MERGES:
        raise TooLarge(
            f"{where} holds {len(words):,} words and {len(merges):,} merges; at most {MOST_WORDS:,} and "
            f"{MOST_MERGES:,} are read here: take a model with a smaller vocabulary."
        )
    _check_bytes(words, f"{where}: the words of model.vocab", MOST_WORD_BYTES)
    longest, most = max(map(len, words), default=0), MOST_WORD if isinstance(vocabulary, Mapping) else MOST_PIECE
    if longest > most:
        raise TooLarge(
            f"{where} holds a word of {longest:,} characters; at most {most:,} are read here: take out those that no "
            "text needs."
        )
    added = content.get("added_tokens") or []
    check_added([token["content"] for token in added], f"{where}: added_tokens")
    ids = vocabulary.values() if isinstance(vocabulary, Mapping) else (len(words) - 1,)
    highest = max([*ids, *(token.get("id", 0) for token in added)], default=-1) + 1
    if type(known) is int and highest > known + SPARE_IDS:
        raise BadBase(
            f"{where} belongs to another model: it knows {highest:,} tokens, and vocab_size in config.json beside it "
            f"is {known:,}: give the base model with its own tokenizer."
        )


def check_added_files(files: Mapping[str, Mapping[str, Any]], where: str) -> None:
    """Raises TooLarge where the settings beside a stranger's tokenizer add more tokens than those of models do.

    files: {name: what it holds}, made plain already.
    """
    every: set[str] = set()
    for name, content in files.items():
        place, texts = f"{name} in {where}", list[str]()
        numbered = content.get("added_tokens_decoder") if name == "tokenizer_config.json" else None
        texts += [_text_of(token) for token in (numbered or {}).values()]
        texts += list(content) if name == "added_tokens.json" else ()
        check_added(texts, f"{place}: the added tokens")
        listed = [_text_of(token) for field in TOKEN_LISTS for token in _items(content.get(field))]
        named = [_text_of(value) for field, value in content.items() if _is_role(field) and value is not None]
        named = [] if name == "added_tokens.json" else named
        if len(listed) > MOST_LISTED or len(named) > MOST_NAMED:
            raise TooLarge(
                f"{place} lists {len(listed):,} special tokens and names {len(named):,} by their roles; at most "
                f"{MOST_LISTED:,} and {MOST_NAMED} are read here: take out those that no text needs."
            )
        every.update(texts, listed, named)
    check_added(every, f"The files of the tokenizer in {where} together: the added tokens")


def check_added(texts: Collection[str], place: str) -> None:
    """Raises TooLarge for more added tokens, or longer ones, than tokenizers of models have."""
    if len(texts) > MOST_ADDED:
        raise TooLarge(
            f"{place} are {len(texts):,}; at most {MOST_ADDED:,} are read here: take out those that no text needs."
        )
    _check_bytes(texts, place, MOST_ADDED_BYTES)


def _check_bytes(texts: Collection[str], place: str, most: int) -> None:
    size = sum(len(text.encode()) for text in texts)
    if size > most:
        raise TooLarge(
            f"{place} take {size // 1024:,} kB; at most {most // 1024:,} kB are read here: take out what no text needs."
        )


def _is_role(field: str) -> bool:
    return field in SPECIAL_TOKENS or field.endswith("_token")


def _items(tokens: object) -> Collection[object]:
    """The tokens of a list, or of an object that names them."""
    return tokens.values() if isinstance(tokens, Mapping) else tokens if isinstance(tokens, list) else ()


def _text_of(token: object) -> str:
    text = token.get("content") if isinstance(token, Mapping) else token
    return text if isinstance(text, str) else ""


def _patterns(value: object, where: str) -> list[str]:
    """What a tokenizer.json looks for and what it puts in its place. Raises TooLarge where that makes texts longer."""
    waiting, found, growth = [value], dict[str, None](), 1.0
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            texts = [item[name] for name in PATTERNS if isinstance(item.get(name), str) and item[name]]
            found.update(dict.fromkeys(text[:MAX_PATTERN] for text in texts))
            growth *= max(1.0, _growth(item))
            waiting.extend(inside for name, inside in item.items() if name not in ("vocab", "merges", "added_tokens"))
        elif isinstance(item, list):
            waiting.extend(item)
    if len(found) > MOST_PATTERNS or growth > MOST_REPLACED:
        raise TooLarge(f"{where} replaces texts by ever longer ones, or many of them: that is no tokenizer's work.")
    return list(found)


def _growth(step: Mapping[str, Any]) -> float:
    """How many times longer a replacing step may make a text."""
    pattern, content = step.get("pattern"), step.get("content")
    if not isinstance(pattern, Mapping) or not isinstance(content, str):
        return 1.0
    sought = pattern.get("String")
    return len(content) / max(1, len(sought)) if isinstance(sought, str) else float(len(content))


def _trial_texts(patterns: Sequence[str]) -> Iterator[str]:
    """Long runs of each pattern and of each character of one, with an end that does not fit: what takes exponential
    time or grows with every step is found here, where time and memory are limited, and not in the worker."""
    characters = dict.fromkeys(character for pattern in patterns for character in pattern if character.isprintable())
    for piece in dict.fromkeys([*" a1.\n", *list(characters)[:MOST_CHARACTERS], *patterns]):
        yield piece * (TRIAL_CHARACTERS // len(piece) + 1) + "\u2603!"


def _long_texts(content: Mapping[str, Any], samples: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """(what to repeat, whether to look for its tokens, too): of the expressions, alone and in turns; then what the
    vocabulary and the added tokens take longest for."""
    picked = samples[:MOST_SAMPLES]
    turns = [first + second for first, second in zip(picked, [*picked[1:], *picked[:1]], strict=True)]
    yield from ((text, False) for text in dict.fromkeys([*picked, *turns, "".join(picked)]) if text)
    model = content["model"]
    words = list(model["vocab"] if isinstance(model["vocab"], Mapping) else (word for word, _ in model["vocab"]))
    added = [token for token in content.get("added_tokens") or [] if token["content"]]
    stripping = [token["content"] for token in added if any(token.get(flag) for flag in STRIPPING)]
    plain = [token["content"] for token in added]
    yield from ((text, True) for text in ("a", " a1.\n", "\u4e2d", *_longest_words(model)))
    yield from ((text, True) for text in {*heapq.nlargest(2, filter(None, words), key=len), *stripping[:2], *plain[:1]})
    yield from ((f"{text} ", True) for text in stripping[:2])


def _longest_words(model: Mapping[str, Any]) -> list[str]:
    """A word that a word-piece model takes longest for: as long as it reads them, of a letter that it always finds."""
    limit, vocabulary = model.get("max_input_chars_per_word"), model["vocab"]
    if type(limit) is not int or not isinstance(vocabulary, Mapping):
        return []
    prefix = str(model.get("continuing_subword_prefix") or "")
    letters = [word for word in vocabulary if len(word) == 1 and prefix + word in vocabulary]
    return [max(letters, key=lambda letter: len(letter.encode()), default="a") * limit + " "]


def _try_long(tokenizer: Any, texts: Sequence[tuple[str, bool]], where: str) -> None:
    """Raises TooLarge where a text of the greatest length takes much longer than with any known tokenizer."""
    spent = 0.0
    end = "\u2603!" + "".join(piece for piece, with_tokens in texts if len(piece) == 1 and not with_tokens)
    for length in LONG_TEXTS:
        for piece, with_tokens in texts:
            text = (piece * (length // len(piece) + 1))[: length - len(end)] + end  # what is absent is not looked for
            began = time.process_time()
            if with_tokens:
                tokenizer.encode(text)
            else:
                spelled = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
                if tokenizer.pre_tokenizer:
                    tokenizer.pre_tokenizer.pre_tokenize_str(spelled)
            seconds = time.process_time() - began
            spent += seconds
            if (seconds > MOST_TEXT_SECONDS and seconds > _slowest_known()) or spent > MOST_TRIAL_SECONDS:
                raise TooLarge(
                    f"{where} takes {max(seconds, spent):.1f} s for {length:,} characters such as {piece[:20]!r}: take "
                    "the tokenizer of a published model, or simpler expressions."
                )


def _slowest_known() -> float:
    """Seconds that this machine may take for a text, as it takes some for the slowest known expression."""
    from tokenizers import Regex, pre_tokenizers

    slow, began = pre_tokenizers.Split(Regex(KNOWN_SLOW), "isolated"), time.process_time()
    slow.pre_tokenize_str(" " * LONG_TEXTS[-1] + "!")
    return TIMES_SLOWER * (time.process_time() - began)
