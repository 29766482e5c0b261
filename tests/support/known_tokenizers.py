"""The steps of published tokenizers, as their tokenizer.json files have them: what changes a text and what cuts it.

Each entry is {"normalizer", "pre_tokenizer"}; a table of characters stands for what `charsmaps` makes.
"""

from __future__ import annotations

from typing import Any

from tests.support.charsmaps import real_charsmap

Step = dict[str, Any]
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
LLAMA_3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN_2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN_3_NEXT = (
    CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
O200K = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTIONS}?|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTIONS}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK_3 = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BLOOM = " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"
DEEPSEEK_LETTERS = "\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0370-\u0373]+"
DEEPSEEK_MARKS = "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"
THREES = r"\d{1,3}(?=(?:\d{3})*\b)"
EURO = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def cut(expression: str, behavior: str = "Isolated", *, invert: bool = False) -> Step:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": behavior, "invert": invert}


def bytes_of(*, use_regex: bool = False) -> Step:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def one_after_another(*steps: Step, kind: str = "pretokenizers") -> Step:
    return {"type": "Sequence", kind: list(steps)}


def replaced(by: str, **pattern: str) -> Step:
    return {"type": "Replace", "pattern": pattern, "content": by}


def table() -> Step:
    return {"type": "Precompiled", "precompiled_charsmap": real_charsmap()}


DIGITS = {"type": "Digits", "individual_digits": True}
PIECES = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
WORDS_OF_PIECES = one_after_another({"type": "WhitespaceSplit"}, PIECES)
ONLY_CUT: dict[str, Step] = {
    "GPT-2, RoBERTa, OPT": bytes_of(use_regex=True),
    "GPT-2, spelled out": one_after_another(cut(GPT_2), bytes_of()),
    "Llama 3, SmolLM3": one_after_another(cut(LLAMA_3), bytes_of()),
    "Phi-4": one_after_another(cut(CL100K, "Removed", invert=True), bytes_of()),
    "OLMo 2, GPT-4": one_after_another(cut(CL100K), bytes_of()),
    "GPT-4o, Phi-4-mini": one_after_another(cut(O200K, "Removed", invert=True), bytes_of()),
    "Mistral Tekken": one_after_another(cut(TEKKEN), bytes_of()),
    "EuroBERT": one_after_another(cut(EURO), bytes_of()),
    "Bloom": one_after_another(cut(BLOOM), bytes_of()),
    "Falcon": one_after_another(
        {"type": "Punctuation", "behavior": "Contiguous"}, bytes_of(use_regex=True),
        {"type": "Digits", "individual_digits": False}, cut("[0-9][0-9][0-9]"),
    ),
    "StarCoder, SmolLM, Granite": one_after_another(DIGITS, bytes_of(use_regex=True)),
    "DeepSeek 3": one_after_another(
        cut(r"\p{N}{1,3}"), cut("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"), cut(DEEPSEEK_3), bytes_of()
    ),
    "DeepSeek": one_after_another(
        cut(r"[\r\n]"), cut(DEEPSEEK_LETTERS), cut(DEEPSEEK_MARKS), cut(r"\s+$"),
        cut("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"), DIGITS, bytes_of(),
    ),
    "digits in threes": one_after_another(cut(THREES), cut(LLAMA_3), bytes_of()),
}  # fmt: skip
KNOWN: dict[str, dict[str, Step | None]] = {
    **{name: {"normalizer": None, "pre_tokenizer": step} for name, step in ONLY_CUT.items()},
    "GPT-NeoX, Pythia, OLMo, ModernBERT": {"normalizer": {"type": "NFC"}, "pre_tokenizer": bytes_of(use_regex=True)},
    "Qwen 2, Qwen 3": {"normalizer": {"type": "NFC"}, "pre_tokenizer": one_after_another(cut(QWEN_2), bytes_of())},
    "Qwen 3 Next": {"normalizer": {"type": "NFC"}, "pre_tokenizer": one_after_another(cut(QWEN_3_NEXT), bytes_of())},
    "Cohere": {
        "normalizer": {"type": "NFC"}, "pre_tokenizer": one_after_another(DIGITS, bytes_of(use_regex=True)),
    },
    "Llama 2, Mistral, Phi-3": {
        "normalizer": one_after_another(
            {"type": "Prepend", "prepend": "\u2581"}, replaced("\u2581", String=" "), kind="normalizers"
        ),
        "pre_tokenizer": None,
    },
    "Gemma": {
        "normalizer": replaced("\u2581", String=" "),
        "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious",
                          "invert": False},
    },
    "BERT, ELECTRA": {
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
    },
}  # fmt: skip


def with_tables() -> dict[str, dict[str, Step | None]]:
    """Those with a table of characters, which is made when they are asked for."""
    spaces = one_after_another(table(), replaced("\u2581", Regex=" {2,}"), kind="normalizers")
    albert = one_after_another(
        replaced('"', String="``"), replaced('"', String="''"), {"type": "NFKD"}, {"type": "StripAccents"},
        {"type": "Lowercase"}, table(), kind="normalizers",
    )  # fmt: skip
    stripped = one_after_another(
        {"type": "Strip", "strip_left": True, "strip_right": True}, table(), replaced(" ", Regex=" {2,}"),
        kind="normalizers",
    )  # fmt: skip
    return {
        "XLM-RoBERTa, mT5": {"normalizer": table(), "pre_tokenizer": WORDS_OF_PIECES},
        "T5, umT5": {"normalizer": spaces, "pre_tokenizer": PIECES},
        "ALBERT": {"normalizer": albert, "pre_tokenizer": WORDS_OF_PIECES},
        "DeBERTa 3": {"normalizer": stripped, "pre_tokenizer": PIECES},
    }
