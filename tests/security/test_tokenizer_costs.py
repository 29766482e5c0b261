"""What the steps of a stranger's tokenizer cost a text: published ones are read, those that could stall it are not."""

from __future__ import annotations

import base64
import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import TokenizersBackend
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES, tokenizer_class_from_name

from gradiend_ui.engine.base import rebuilding
from gradiend_ui.engine.data import rows
from gradiend_ui.engine.errors import BadBase, GradiendUIError, TooLarge
from gradiend_ui.engine.files.json_files import MAX_TEXT, parse_json, read_json, reading_at_most
from gradiend_ui.engine.uploads import tokenizer as tokenizer_check
from gradiend_ui.engine.uploads import tokenizer_patterns, tokenizer_steps
from gradiend_ui.engine.uploads.clean_model import clean_config, clean_tokenizer_config
from gradiend_ui.engine.uploads.settings import TOKENIZER_CLASSES
from gradiend_ui.engine.uploads.tokenizer import check_words
from gradiend_ui.engine.uploads.tokenizer_classes import check_tokenizer_class
from gradiend_ui.engine.uploads.tokenizer_patterns import read_pattern
from gradiend_ui.engine.uploads.tokenizer_steps import MOST_BYTES, MOST_REPLACEMENT, check_steps, read_charsmap
from gradiend_ui.engine.uploads.trust import ARCHITECTURES
from tests.support.charsmaps import charsmap, real_charsmap, trie
from tests.support.known_tokenizers import KNOWN, bytes_of, cut, one_after_another, replaced, table, with_tables
from tests.support.tiny_architectures import save_tiny

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine is too slow for what is let through."""
    monkeypatch.setattr(tokenizer_check, "MOST_TEXT_SECONDS", 1e9)
    monkeypatch.setattr(tokenizer_check, "MOST_TRIAL_SECONDS", 1e9)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The tokenizer.json of a kind: bytes, word pieces, unigram pieces."""
    folder = tmp_path_factory.mktemp("kinds")
    kinds = {"BPE": "llama", "WordPiece": "bert", "Unigram": "t5"}
    return {name: json.loads((save_tiny(kind, folder / kind) / "tokenizer.json").read_text())
            for name, kind in kinds.items()}  # fmt: skip


def check(content: dict[str, Any], tmp_path: Path, *, strangers: bool = True) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    check_words(tmp_path / "tokenizer.json", "tokenizer.json", strangers=strangers)


# --- what is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN)
def test_published_tokenizers_are_read(tokenizers: Any, tmp_path: Path, patient: None, name: str) -> None:
    kind = "WordPiece" if name.startswith("BERT") else "BPE"
    check({**tokenizers[kind], **KNOWN[name]}, tmp_path)


@pytest.mark.parametrize("name", ["XLM-RoBERTa, mT5", "T5, umT5", "ALBERT", "DeBERTa 3"])
@pytest.mark.parametrize("strangers", [True, False])
def test_published_tokenizers_with_a_table_are_read(
    tokenizers: Any, tmp_path: Path, patient: None, name: str, strangers: bool
) -> None:
    """Their tables are texts longer than any other file may hold."""
    assert len(real_charsmap()) > 2 * MAX_TEXT
    check({**tokenizers["Unigram"], **with_tables()[name]}, tmp_path, strangers=strangers)


def test_no_other_file_holds_such_texts(tmp_path: Path) -> None:
    long = json.dumps({"a": "x" * (MAX_TEXT + 1)}).encode()
    with pytest.raises(ValueError, match="at most 100,000 are read"):
        parse_json(long)
    (tmp_path / "a.json").write_bytes(long)
    with reading_at_most(100):
        assert read_json(tmp_path / "a.json", max_text=2 * MAX_TEXT)
        with pytest.raises(ValueError, match="at most 100,000 are read"):
            read_json(tmp_path / "a.json")


# --- expressions ------------------------------------------------------------------------------------------------------

ENDLESS = [
    "((ab)*(ab)*)*c", "(?:(?:ab)+)+(?:(?:ab)+)+c", "(k+)+$", "(a|a)*b", "(?:a|ab)+c", "(?:a*b?)*", "(?:.*,){11}P",
    "(?:aa|a){0,64}b", "(a?){64}a{64}", "(?:a{0,60}){0,60}b", "(?:[ab]|b)+c",
    "(?:[ab]a*){3}",
]  # fmt: skip
POWERS = [
    "a*a*b", r"\s*\s*\s*x", ".*.*=.*", "a+a+$", "(?=a*a*b)a", "(?:a*)(?:a*)b", "a*(?:a*b|c)", "(?:a*b)?a*a*c",
    r"\p{L}+\p{Lu}*\p{L}+!", "(?=a*)a*b", "a*+a*+b",
    "a*?a*?b", "(?:ab)+(?:ab)+c", "a{2,}a{2,}b", "(?!a*a*b)", "a*(?=a*b)c",
]  # fmt: skip
NUMEROUS = ["a{0,64}a{0,64}b", "a{65}", "a{0,1000}b", "(?:a{64}){64}", "a{2,1}", "(?:a|b|ab|c){4}d", "a{1,999999}"]
UNREAD = [
    r"(a)\1", r"(?<n>a)\k<n>", r"\g<0>", "(?<n>a|b\\g<n>)", "(?(1)a|b)", "(?~ab)", "(?x) a", "(?<=a*)b", "(?<=a{1,3})b",
    "(*FAIL)", "(?{x})", r"\Xa", r"a\Kb", "(?#a)b", "a**", "a{2}{3}", "a{2}+", "*a", "(a", "a)", "[a", "[]a]", "\\",
    r"\pL", r"\Qa\E", r"\x{41 42}", "(" * 14 + "a" + ")" * 14, "a" * 1001, "(?L:a)", r"\c", r"\ud800",
    "^*a", "(?=a)*",
]  # fmt: skip
FOLDED = ["(?i)[\u00dfs]*x", "(?i:[\u00dfs])*x", "(?i)[\u00dfs]{0,30}x", "a(?i)[\u00dfs]+|b+x", "(?i:(?:s)+)x"]
"""Where case is ignored, one character may stand for two."""


@pytest.mark.parametrize("expression", ENDLESS + POWERS + NUMEROUS + UNREAD + FOLDED)
@pytest.mark.parametrize("place", ["pre_tokenizer", "normalizer", "decoder"])
def test_an_expression_that_may_stall_is_refused_before_the_library_has_it(
    tokenizers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expression: str, place: str
) -> None:
    monkeypatch.setattr("tokenizers.Tokenizer", None)
    step = cut(expression) if place == "pre_tokenizer" else replaced("x", Regex=expression)
    inside = {"type": "Sequence", "pretokenizers" if place == "pre_tokenizer" else f"{place}s": [step]}
    with pytest.raises(BadBase, match=f"tokenizer.json: {place}: the regular expression") as told:
        check({**tokenizers["BPE"], place: inside}, tmp_path)
    assert repr(expression)[1:20] in str(told.value) and "published model" in str(told.value)
    assert len(str(told.value)) < 400


@pytest.mark.parametrize(
    ("expression", "scans", "nothing"),
    [(r"\s+$", 1, False), (r"\s*[\r\n]+|\s+(?!\S)|\s+", 2, False), (" ?a+b*", 0, False), ("a*", 0, True),
     (r"(?:\d{3})+(?!\d)", 1, False), ("(?:a|b|c)+d", 1, False), ("a?b?[cd]*e", 4, False),
     ("[a[b-c]&&[^x]]+", 0, False),
     ("a{2}?", 0, True), (r"[[:alpha:]\]\-]+", 0, False), ("(a*|b)", 0, True), (r"\R+", 0, False)],
)  # fmt: skip
def test_what_an_expression_costs_is_told(expression: str, scans: int, nothing: bool) -> None:
    if expression == r"\R+":
        with pytest.raises(BadBase, match="repeats a group"):
            read_pattern(expression, "x")
        return
    known = read_pattern(expression, "x")
    assert (known.scans, known.matches_nothing) == (scans, nothing)


def test_an_expression_is_tried_with_what_it_repeats() -> None:
    assert {"a", "q"} <= set(read_pattern("q[a-z]*(?=!)", "x").samples)
    assert "ab" in read_pattern("(?:ab)+c", "x").samples
    assert "\U00010400" in read_pattern(r"[\x{10400}-\x{1044F}]*x", "x").samples
    assert read_pattern(" ?a+", "x").samples == ()


def test_few_expressions_may_read_a_text_again(tokenizers: Any, tmp_path: Path) -> None:
    slow = cut("[ab]*c")
    steps = one_after_another(*[slow] * (tokenizer_steps.MOST_SCANS + 1))
    with pytest.raises(TooLarge, match="9 ways of its regular expressions"):
        check({**tokenizers["BPE"], "pre_tokenizer": steps}, tmp_path)
    longer = replaced("aaa", String="a")
    with pytest.raises(TooLarge, match="after making it 3 times as long"):
        check({**tokenizers["BPE"], "normalizer": longer, "pre_tokenizer": slow}, tmp_path)


# --- the trial --------------------------------------------------------------------------------------------------------


def test_texts_of_the_greatest_length_are_timed(
    tokenizers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its parts say: so much may be read, and no more than a known tokenizer takes for it."""
    assert tokenizer_check.LONG_TEXTS[-1] == rows.MAX_TEXT
    seen: list[str] = []
    monkeypatch.setattr(tokenizer_check, "_slowest_known", lambda: seen.append("asked") or -1.0)
    check(tokenizers["BPE"], tmp_path)
    assert not seen, "the reference is worked out where it is needed"
    monkeypatch.setattr(tokenizer_check, "MOST_TEXT_SECONDS", -1.0)
    with pytest.raises(TooLarge, match="for 2,000 characters such as"):
        check(tokenizers["BPE"], tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(tokenizer_check, "MOST_TRIAL_SECONDS", -1.0)
    with pytest.raises(TooLarge, match="for 2,000 characters such as"):
        check(tokenizers["BPE"], tmp_path)
    check(tokenizers["BPE"], tmp_path, strangers=False)


def test_a_power_that_the_reader_lets_through_is_found_by_the_trial(
    tokenizers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the first wall gone: a text of 2,000 takes this expression minutes, and it is stopped at less."""
    monkeypatch.setattr(tokenizer_patterns, "_bounded", lambda cost: cost)
    monkeypatch.setattr(tokenizer_check, "LONG_TEXTS", (1000, 20_000))
    monkeypatch.setattr(tokenizer_check, "MOST_TEXT_SECONDS", 0.0)
    monkeypatch.setattr(tokenizer_check, "_slowest_known", lambda: 0.05)
    with pytest.raises(TooLarge, match="for 1,000 characters such as 'a"):
        check({**tokenizers["BPE"], "pre_tokenizer": cut("a*a*c")}, tmp_path)


def test_each_part_of_a_tokenizer_is_tried(tokenizers: Any) -> None:
    def tried(content: dict[str, Any], samples: tuple[str, ...] = ()) -> dict[str, bool]:
        return dict(tokenizer_check._long_texts(content, samples))

    words = tried(tokenizers["WordPiece"])
    model = {"type": "WordPiece", "max_input_chars_per_word": 9, "continuing_subword_prefix": "##"}
    letters = {"a": 0, "##a": 1, "\u00e9": 2, "##\u00e9": 3, "\u4e2d": 4}
    assert tried({"model": {**model, "vocab": letters}})["\u00e9" * 9 + " "], "words that are just not too long"
    assert words[max(tokenizers["WordPiece"]["model"]["vocab"], key=len)]
    mask = {"id": 4, "content": "<mask>", "lstrip": True, "special": True}
    assert tried({**tokenizers["BPE"], "added_tokens": [mask]}).keys() >= {"<mask>", "<mask> "}
    assert tried(tokenizers["BPE"], ("x", "y", "z")).keys() >= {"x", "y", "xy", "yz", "zx", "xyz"}
    assert not tried(tokenizers["BPE"], ("x",))["x"], "an expression needs no tokens"


# --- tables of characters ---------------------------------------------------------------------------------------------


def packed(units: list[int], replacements: bytes = b"a\x00") -> str:
    size = struct.pack("<I", 4 * len(units))
    return base64.b64encode(size + struct.pack(f"<{len(units)}I", *units) + replacements).decode()


def far(units: list[int]) -> list[int]:
    return [units[0] | 1 << 20 << 10, *units[1:]]


Q = trie({b"q": 0})
TABLES: dict[str, tuple[object, str]] = {
    "a letter becomes 60,000": (charsmap({"q": "z" * 60_000}), "60,000 bytes; at most 64 are read here"),
    "a letter becomes one more than any": (charsmap({"q": "z" * 65}), "65 bytes"),
    "leads out": (packed(far(Q)), "leads out of itself"),
    "goes on and on": (packed(trie({b"a" * 300: 0})), "leads out of itself"),
    "names what is not there": (packed(trie({b"q": 900})), "names a replacement that is not there"),
    "into the middle of a character": (packed(trie({b"q": 1}), "\u00e9\x00".encode()), "names a replacement"),
    "no text": (packed(Q, b"\xff\x00"), "no UTF-8 text"),
    "no end": (packed(Q, b"abc"), "has no end"),
    "no replacements": (packed(Q, b""), "trie should have"),
    "cut off": (packed(Q)[:400], "trie should have"),
    "half a block": (packed(Q[:100]), "trie should have 400 bytes"),
    "nothing": ("", "trie should have 0 bytes"),
    "no base64": ("q\u00e9!", "no base64"),
    "a number": (5, "must be a text"),
    "a list": ([1], "must be a text"),
    "larger than any": ("A" * (4 * MOST_BYTES // 3 + 5), "characters; at most"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_is_not_whole_is_refused_before_the_library_follows_it(
    tokenizers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.setattr("tokenizers.Tokenizer", None)
    value, said = TABLES[case]
    step = {"type": "Precompiled", "precompiled_charsmap": value}
    with pytest.raises((BadBase, TooLarge), match=said):
        check_steps({**tokenizers["Unigram"], "normalizer": one_after_another(step, kind="normalizers")}, "x")
    with pytest.raises(GradiendUIError):
        check({**tokenizers["Unigram"], "normalizer": step}, tmp_path)


def test_a_table_is_read_whole() -> None:
    known = read_charsmap(real_charsmap(), "x")
    assert known.entries > 15_000 and known.longest == "\ufdfa" and known.growth == 18
    assert read_charsmap(charsmap({"q": "z" * MOST_REPLACEMENT, "qa": "b"}), "x").growth == MOST_REPLACEMENT


# --- numbers, and what is put around a text ---------------------------------------------------------------------------


def template(pieces: list[dict[str, Any]], ids: int = 1) -> dict[str, Any]:
    mark = {"id": "[X]", "ids": [0] * ids, "tokens": ["[X]"] * ids}
    return {"type": "TemplateProcessing", "single": pieces, "pair": [], "special_tokens": {"[X]": mark}}


def padding(**fields: Any) -> dict[str, Any]:
    return {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "[PAD]", **fields}  # fmt: skip


def cutting(**fields: Any) -> dict[str, Any]:
    return {"direction": "Right", "max_length": 512, "strategy": "LongestFirst", "stride": 0, **fields}


def put(**parts: Any) -> Change:
    return lambda content: content.update(parts)


def in_model(**settings: Any) -> Change:
    return lambda content: content["model"].update(settings)


def in_turn(*steps: dict[str, Any]) -> dict[str, Any]:
    return one_after_another(*steps, kind="normalizers")


TEXT, MARK = {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[X]", "type_id": 0}}
AGAIN = {"Sequence": {"id": "A", "type_id": 1}}
COSTLY: dict[str, tuple[str, Change, str]] = {
    "long words": ("WordPiece", in_model(max_input_chars_per_word=10**9), "from 1 to 1,000"),
    "words": ("WordPiece", in_model(max_input_chars_per_word=1001), "from 1 to 1,000"),
    "no words": ("WordPiece", in_model(max_input_chars_per_word=0), "from 1 to 1,000"),
    "dropout": ("BPE", in_model(dropout=0.1), "dropout must be 0"),
    "not a number": ("BPE", in_model(dropout=float("nan")), "dropout must be 0"),
    "long prefix": ("BPE", in_model(continuing_subword_prefix="#" * 65), "at most 64"),
    "padded": ("BPE", put(padding=padding(strategy={"Fixed": 10**8})), "from 1 to 32,768"),
    "multiples": ("BPE", put(padding=padding(pad_to_multiple_of=10**7)), "from 1 to 1,024"),
    "stride": ("BPE", put(truncation=cutting(stride=511)), "at most 3/4 of max_length"),
    "negative": ("BPE", put(truncation=cutting(max_length=-1)), "max_length must be a number"),
    "around": ("BPE", put(post_processor=template([TEXT, *[MARK] * 65])), "65 tokens around"),
    "ids": ("BPE", put(post_processor=template([TEXT, MARK], 65)), "65 tokens around"),
    "twice": ("BPE", put(post_processor=template([TEXT, AGAIN])), "repeats the text itself"),
    "more around": (
        "BPE",
        put(post_processor=one_after_another(*[template([TEXT, *[MARK] * 33])] * 2, kind="processors")),
        "66 tokens around",
    ),
    "prepended": ("BPE", put(normalizer={"type": "Prepend", "prepend": "a" * 64}), "260 times"),
    "bytes of bytes": (
        "BPE", put(pre_tokenizer=one_after_another(*[bytes_of()] * 5)), "256 times as long"
    ),
    "pieces of pieces": (
        "BPE",
        put(pre_tokenizer=one_after_another(*[{"type": "Metaspace", "replacement": "_"}] * 8)),
        "128 times as long",
    ),
    "tables of tables": (
        "Unigram", lambda one: one.update(normalizer=in_turn(table(), table())), "648 times"
    ),
    "split up again": (
        "Unigram",
        lambda one: one.update(normalizer=in_turn(table(), {"type": "NFKD"})),
        "648 times",
    ),
    "nested": (
        "BPE",
        put(
            normalizer=one_after_another(
                *[one_after_another(replaced("qqq", String="q"), replaced("qqq", Regex="q"), kind="normalizers")] * 2,
                kind="normalizers",
            )
        ),
        "324 times as long",
    ),
    "between all": ("BPE", put(normalizer=replaced("q" * 64, Regex="x*")), "260 times as long"),
    "a kind unsaid": ("BPE", put(normalizer={"normalizers": [{"prepend": "a"}]}), "without its type"),
    "many steps": (
        "BPE",
        put(normalizer=one_after_another(*[{"type": "NFC"}] * 200, kind="normalizers")),
        "201 steps",
    ),
    "long text": ("BPE", put(normalizer=replaced("a", String="b" * 10_001)), "at most 10,000"),
    "decoded": ("BPE", put(decoder=replaced("b" * 65, String="a")),
                "decoder replaces texts"),
    "stripped": ("BPE", put(decoder={"type": "Strip", "content": " ", "start": 65, "stop": 0}),
                 "from 0 to 64"),
    "a long piece": ("Unigram", lambda one: one["model"]["vocab"].append(["a" * 257, -1.0]), "a word of 257 char"),
    "a long word": ("BPE", lambda one: one["model"]["vocab"].update({"a" * 1001: 1}), "a word of 1,001 characters"),
}  # fmt: skip


@pytest.mark.parametrize("case", COSTLY)
def test_a_step_that_costs_more_than_any_is_refused_before_the_library_has_it(
    tokenizers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.setattr("tokenizers.Tokenizer", None)
    monkeypatch.setattr(tokenizer_check, "_patterns", lambda *_: [])
    kind, change, said = COSTLY[case]
    content = json.loads(json.dumps(tokenizers[kind]))
    change(content)
    with pytest.raises((BadBase, TooLarge), match=said):
        check(content, tmp_path)


def test_what_models_have_is_let_through(tokenizers: Any, tmp_path: Path) -> None:
    pieces = template([MARK, TEXT, MARK])
    pieces["special_tokens"]["[X]"]["ids"] = [250_001]
    own = {
        "padding": padding(strategy={"Fixed": 512}, pad_to_multiple_of=8), "post_processor": pieces,
        "truncation": cutting(max_length=384, stride=256),
    }  # fmt: skip
    check({**tokenizers["BPE"], **own}, tmp_path)
    around = {"type": "RobertaProcessing", "sep": ["</s>", 50_265], "cls": ["<s>", 2], "trim_offsets": True,
              "add_prefix_space": False}  # fmt: skip
    check({**tokenizers["BPE"], "post_processor": around}, tmp_path)


@pytest.mark.parametrize("odd", [5, "x", [1], {"type": 1}, {"type": [1]}, [[{}]], {"type": "x", "pattern": 3}, True])
@pytest.mark.parametrize("part", ["normalizer", "pre_tokenizer", "post_processor", "decoder", "truncation", "padding"])
def test_whatever_stands_for_a_part_ends_in_a_sentence(tokenizers: Any, tmp_path: Path, part: str, odd: object) -> None:
    for value in (odd, {"type": "TemplateProcessing", "single": odd, "special_tokens": odd}, {"stride": odd}):
        with pytest.raises(GradiendUIError):
            check({**tokenizers["BPE"], part: value}, tmp_path)


# --- through the whole door -------------------------------------------------------------------------------------------

STALLING: dict[str, Change] = {
    "words without end": COSTLY["long words"][1],
    "expression": put(pre_tokenizer=cut("((ab)*(ab)*)*c")),
    "replaced": put(normalizer=replaced("x", Regex="(?:(?:ab)+)+(?:(?:ab)+)+c")),
    "table": put(normalizer={"type": "Precompiled", "precompiled_charsmap": TABLES["leads out"][0]}),
}


@pytest.mark.parametrize("case", STALLING)
def test_a_stalling_tokenizer_is_refused_where_the_upload_is_rebuilt(
    tiny_bert: Path, tmp_path: Path, case: str
) -> None:
    base = Path(shutil.copytree(tiny_bert, tmp_path / "base"))
    content = json.loads((base / "tokenizer.json").read_text())
    STALLING[case](content)
    (base / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises((BadBase, TooLarge), match="tokenizer.json in 'base'|tokenizer.json in the upload"):
        rebuilding.build(base, tmp_path / "clean", pickled=False)


# --- tokenizer_config.json --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [("extra_ids", 20_000_000), ("extra_ids", 1001), ("extra_ids", -1), ("extra_ids", 2e7), ("model_max_length", 0),
     ("model_max_length", -5), ("max_len", 0), ("max_length", -1), ("pad_to_multiple_of", 10**9), ("stride", 10**12),
     ("pad_token_type_id", 10**9), ("unk_id", -1), ("add_bos_token", 10**9), ("never_split", [10**9]),
     ("legacy", {"a": [10**9]}), ("never_split", ["a"] * 1001), ("model_input_names", ["input_ids"] * 1001)],
)  # fmt: skip
def test_numbers_of_a_tokenizers_settings_are_those_of_models(field: str, value: object) -> None:
    with pytest.raises(BadBase, match=f"tokenizer_config.json: {field}.*(must be a number|at most 1,000)") as told:
        clean_tokenizer_config({field: value}, "tokenizer_config.json")
    assert len(str(told.value)) < 300


def test_numbers_that_models_have_are_taken_over() -> None:
    plain = {"extra_ids": 100, "model_max_length": 512, "max_length": None, "pad_to_multiple_of": 0, "stride": 128,
             "pad_token_type_id": 3, "unk_id": 2, "legacy": False, "add_prefix_space": True,
             "never_split": ["UNK"], "model_input_names": ["input_ids", "attention_mask"]}  # fmt: skip
    assert clean_tokenizer_config(plain, "x").content == plain
    brackets = clean_tokenizer_config({"never_split": ["[UNK]", "/x"]}, "x")
    assert brackets.left_out == ("never_split",) and not brackets.content
    assert clean_tokenizer_config({"model_max_length": 1e30}, "x").content == {"model_max_length": int(1e30)}


OTHERS = ("CanineTokenizer", "ByT5Tokenizer", "PerceiverTokenizer", "BertJapaneseTokenizer", "AutoTokenizer",
          "MyT5Tokenizer", "BertweetTokenizer", "MistralCommonBackend", "LayoutLMv3TokenizerFast", "DPRReaderTokenizer",
          "Trainer", "pipeline", "utils", ["BertTokenizer"], 5, "", "models.bert", "../x", "a" * 101)  # fmt: skip


NAMES_OF_TABLES = ("ROPE_INIT_FUNCTIONS", "SLOW_TO_FAST_CONVERTERS", "CONFIG_MAPPINGFast")
REFUSES = """
import sys
from gradiend_ui.engine.errors import BadBase
from gradiend_ui.engine.uploads.tokenizer_classes import check_tokenizer_class
for stated in sys.argv[1:]:
    try:
        check_tokenizer_class(stated, "x")
    except BadBase as error:
        assert "reads more than a tokenizer.json" in str(error), error
    else:
        raise SystemExit(f"{stated} passes")
assert "torch" not in sys.modules
"""


def test_a_table_of_transformers_is_no_tokenizer() -> None:
    """Where uploads are built there is no PyTorch, and some tables are empty or nothing at all; the worker has it."""
    done = subprocess.run(
        [sys.executable, "-c", REFUSES, *NAMES_OF_TABLES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    for stated in NAMES_OF_TABLES:
        with pytest.raises(BadBase, match="reads more than a tokenizer"):
            check_tokenizer_class(stated, "x")


@pytest.mark.parametrize("stated", OTHERS)
def test_a_class_that_reads_another_tokenizer_than_the_tried_one_is_refused(stated: object) -> None:
    """Left out, the kind of the model would decide, which may split texts in another way than the stated class."""
    for clean in (clean_tokenizer_config, clean_config):
        with pytest.raises(BadBase, match=r"^x: tokenizer_class is .*(tokenizer's class|PreTrainedTokenizerFast)"):
            clean({"tokenizer_class": stated}, "x")


@pytest.mark.parametrize(
    "stated", ["MyOwnTokenizerFast", "ErnieTokenizer", "MT5TokenizerFast", "PreTrainedTokenizer", None]
)
def test_a_class_that_transformers_reads_the_tried_tokenizer_for_is_kept(stated: object) -> None:
    for clean in (clean_tokenizer_config, clean_config):
        made = clean({"tokenizer_class": stated}, "x")
        assert made.content == {"tokenizer_class": stated} and not made.left_out


def test_the_classes_that_are_taken_over_read_the_tried_tokenizer() -> None:
    """By the installed version of transformers; a class that it does not know yet does no harm."""
    known = {name: tokenizer_class_from_name(name) for name in TOKENIZER_CLASSES}
    assert all(issubclass(one, TokenizersBackend) for one in known.values() if one is not None)
    assert sum(one is not None for one in known.values()) > 50
    for name in TOKENIZER_CLASSES:
        assert clean_tokenizer_config({"tokenizer_class": name}, "x").content == {"tokenizer_class": name}


@pytest.mark.parametrize("model_type", sorted(ARCHITECTURES))
def test_without_a_class_every_listed_model_reads_the_tried_tokenizer(model_type: str) -> None:
    stated = TOKENIZER_MAPPING_NAMES.get(model_type)
    assert stated is None or issubclass(tokenizer_class_from_name(stated), TokenizersBackend)


def test_control_characters_may_be_looked_for() -> None:
    assert read_pattern(r"[\x00-\x1f\x7f]", "x").scans == 0
