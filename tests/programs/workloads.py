"""The models, rows and texts that the sweep is timed on: the demo, and three shapes with random weights.

Random weights are fine for speed; parity is checked on trained ones. Built once into a folder and read from there by
every measurement. Knows no clock.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from gradiend_ui.engine.checkpoint.config import Architecture
from gradiend_ui.engine.checkpoint.writing import save_checkpoint

DEMO = Path(__file__).parents[2] / "assets" / "demo"
RATES = (0.001, 0.01, 0.1)
UPDATE = 1e-3
LEAST_WORDS, MOST_WORDS = 12, 32
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class Workload:
    """What one sweep is given. rates: None for the default grid; kind: "mlm" or "clm"."""

    name: str
    checkpoint: Path
    base: Path
    rows: Path
    neutral: Path
    rates: tuple[float, ...] | None
    kind: str

    @property
    def table(self) -> pd.DataFrame:
        return pd.read_csv(self.rows).drop(columns=["source"], errors="ignore")

    @property
    def texts(self) -> list[str]:
        return [str(text) for text in pd.read_csv(self.neutral)["text"]]


def build(name: str, folder: Path) -> Workload:
    """The workload of that name, built below `folder` where it is not there yet."""
    return BUILDERS[name](folder / name)


def _demo(folder: Path) -> Workload:
    """The bundled demo; its checkpoint is copied, so that its base model has an absolute path, as the peer needs."""
    checkpoint = folder / "gradiend"
    if not checkpoint.is_dir():
        checkpoint.mkdir(parents=True)
        for file in (DEMO / "gradiend").iterdir():
            (checkpoint / file.name).write_bytes(file.read_bytes())
        config = json.loads((checkpoint / "config.json").read_text())
        config["metadata"]["base_model"] = str(DEMO / "base")
        (checkpoint / "config.json").write_text(json.dumps(config))
    neutral = DEMO / "neutral_pronoun_free.csv"
    return Workload("demo", checkpoint, DEMO / "base", DEMO / "eval.csv", neutral, None, "mlm")


def _bert(name: str, layers: int, hidden: int, rows: int, rates: tuple[float, ...]) -> Callable[[Path], Workload]:
    def build_bert(folder: Path) -> Workload:
        from transformers import BertConfig, BertForMaskedLM

        base = folder / "base"
        if not base.is_dir():
            vocabulary = 30_522
            torch.manual_seed(1)
            config = BertConfig(
                vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=layers,
                num_attention_heads=hidden // 64 if hidden > 400 else 12, intermediate_size=4 * hidden,
            )  # fmt: skip
            BertForMaskedLM(config).save_pretrained(base)
            _word_tokenizer(vocabulary, "mlm").save_pretrained(base)
        return _finished(folder, Workload(name, folder / "gradiend", base, *_data(folder, rows), rates, "mlm"), 1.0)

    return build_bert


def _llama(name: str, rows: int, rates: tuple[float, ...]) -> Callable[[Path], Workload]:
    def build_llama(folder: Path) -> Workload:
        from transformers import LlamaConfig, LlamaForCausalLM

        base = folder / "base"
        if not base.is_dir():
            torch.manual_seed(1)
            config = LlamaConfig(
                vocab_size=49_152, hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
                intermediate_size=1536, max_position_embeddings=512, tie_word_embeddings=True, pad_token_id=0,
                bos_token_id=2, eos_token_id=3,
            )  # fmt: skip
            LlamaForCausalLM(config).save_pretrained(base)
            _word_tokenizer(49_152, "clm").save_pretrained(base)
        return _finished(folder, Workload(name, folder / "gradiend", base, *_data(folder, rows), rates, "clm"), 0.01)

    return build_llama


def _word_tokenizer(size: int, kind: str) -> Any:
    """One token a word: he, she and numbered words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    words = [*SPECIAL, "he", "she", "."]
    vocabulary = {word: k for k, word in enumerate([*words, *(f"w{k}" for k in range(size - len(words)))])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    if kind == "mlm":
        ends = [("[CLS]", 2), ("[SEP]", 3)]
        tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
        named |= {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    else:
        named |= {"bos_token": "[CLS]", "eos_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **named)


def _data(folder: Path, count: int) -> tuple[Path, Path]:
    """`count` rows, half of each class, and as many neutral texts, about 25 tokens each."""
    rows, neutral = folder / "rows.csv", folder / "neutral.csv"
    if not rows.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        draw = random.Random(7)

        def text(mask: bool) -> str:
            words = [f"w{draw.randrange(20_000)}" for _ in range(draw.randint(LEAST_WORDS, MOST_WORDS))]
            if mask:
                words[draw.randrange(3, len(words) - 3)] = "[MASK]"
            return " ".join(words)

        sides = (("he", "M", "she", "F"), ("she", "F", "he", "M"))
        columns = ["masked", "label", "label_class", "alternative", "alternative_class", "split"]
        made = [(text(True), *sides[k % 2], "test") for k in range(count)]
        pd.DataFrame(made, columns=columns).to_csv(rows, index=False)
        pd.DataFrame({"text": [text(False) for _ in range(count)]}).to_csv(neutral, index=False)
    return rows, neutral


def _finished(folder: Path, workload: Workload, share: float) -> Workload:
    """The workload with a random GRADIEND that maps `share` of every backbone parameter."""
    if workload.checkpoint.is_dir():
        return workload
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    kind = AutoModelForMaskedLM if workload.kind == "mlm" else AutoModelForCausalLM
    model = kind.from_pretrained(workload.base)
    prefix = model.base_model_prefix + "."
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if name.startswith(prefix)}
    generator = torch.Generator().manual_seed(3)
    positions = {}
    if share < 1:
        for name, shape in shapes.items():
            size = int(torch.tensor(shape).prod())
            chosen = torch.rand(size, generator=generator) < share
            chosen[0] = True
            positions[name] = chosen.nonzero().flatten()
    count = sum(len(positions[n]) if n in positions else int(torch.tensor(s).prod()) for n, s in shapes.items())
    weights = {
        "encoder.0.linear.weight": torch.randn(1, count, generator=generator) * UPDATE,
        "encoder.0.linear.bias": torch.zeros(1),
        "decoder.0.linear.weight": torch.randn(count, 1, generator=generator) * UPDATE,
        "decoder.0.linear.bias": torch.zeros(count),
    }
    save_checkpoint(
        workload.checkpoint,
        architecture=Architecture(count, 1, "tanh", "id", True, "float32"),
        weights=weights,
        shapes=shapes,
        positions=positions,
        metadata={"base_model": str(workload.base)},
        context={
            "source": "alternative",
            "target": "diff",
            "feature_class_encoding_direction": {"M": 1.0, "F": -1.0},
        },  # fmt: skip
        training={"training_args": {"source": "alternative", "target": "diff"}},
    )
    return workload


BUILDERS: dict[str, Callable[[Path], Workload]] = {
    "demo": _demo,
    "mini": _bert("mini", 6, 384, 400, RATES),
    "base": _bert("base", 12, 768, 100, RATES[:2]),
    "causal": _llama("causal", 200, RATES[:2]),
}
