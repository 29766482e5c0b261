"""A tiny GRADIEND, its base and its data in which every text is a payload: names, classes, tokens, files, sentences.

Nothing here is run or shown; the tests beside this file look at what becomes of it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from gradiend_ui.engine.checkpoint.config import (
    DECODER_BIAS,
    DECODER_WEIGHT,
    ENCODER_BIAS,
    ENCODER_WEIGHT,
    Architecture,
)
from gradiend_ui.engine.checkpoint.writing import save_checkpoint

IMAGE = "<img src=x onerror=window.__pwned=1>"
SVG = '"><svg onload=window.__pwned=2>'
SCRIPT = "</script><script>window.__pwned=3</script>"
TEMPLATE = "${window.__pwned=4}{{window.__pwned=4}}{__class__}%{window.__pwned}"
ESCAPED = "\\x3cimg src=x onerror=window.__pwned=5\\x3e\\u003csvg onload=window.__pwned=5\\u003e"
MARKDOWN = "[press](javascript:window.__pwned=6) ![i](http://foreign.example/i.png) `code` **bold** | cell"
LINK = '<a href="javascript:window.__pwned=7">press</a><b>bold</b><br><sup>2</sup>'
ATTRIBUTE = "' onmouseover='window.__pwned=8' x=\" onfocus=window.__pwned=8 autofocus"
TURNED = "\u202egpj.exe\u2066"
EMOJI = "\U0001f9ed" * 2500
PROTO, MAKER = "__proto__", "constructor"
ALL = (IMAGE, SVG, SCRIPT, TEMPLATE, ESCAPED, MARKDOWN, LINK, ATTRIBUTE, TURNED)
PLUS, MINUS = f"{IMAGE}{TEMPLATE}", f"{SVG}{LINK}{MARKDOWN}"
"""The two classes."""
TOKENS = (IMAGE, SVG, SCRIPT, LINK, "${window.__pwned=9}", "javascript:window.__pwned=9", "\u202etoken", "=1+1")
MAPPED = ("bert.encoder.layer.0.attention.self.query.weight", "bert.encoder.layer.1.output.dense.bias")


def file_name(text: str) -> str:
    """The payload as a name that the disk takes."""
    return text.replace("/", "\u2044")[:60]


def save_base(tiny_bert: Path, folder: Path) -> Path:
    """The tiny BERT, its vocabulary with payloads for words that it likes to predict."""
    tokenizer, model = AutoTokenizer.from_pretrained(tiny_bert), AutoModelForMaskedLM.from_pretrained(tiny_bert)
    tokenizer.add_tokens(list(TOKENS))
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with torch.no_grad():
        model.get_output_embeddings().bias[-len(TOKENS) :] = 4.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_gradiend(base: Path, folder: Path, classes: tuple[str, str]) -> Path:
    """A random GRADIEND with these classes; every string of its files is a payload."""
    parameters = dict(AutoModelForMaskedLM.from_pretrained(base).named_parameters())
    shapes = {name: tuple(parameters[name].shape) for name in MAPPED}
    n = sum(parameters[name].numel() for name in MAPPED)
    generator = torch.Generator().manual_seed(5)
    save_checkpoint(
        folder,
        architecture=Architecture(input_dim=n, latent_dim=1),
        weights={
            ENCODER_WEIGHT: torch.randn(1, n, generator=generator) * 0.1,
            ENCODER_BIAS: torch.randn(1, generator=generator),
            DECODER_WEIGHT: torch.randn(n, 1, generator=generator) * 0.1,
            DECODER_BIAS: torch.randn(n, generator=generator) * 0.01,
        },
        shapes=shapes,
        positions={},
        metadata={"base_model": str(base), "prediction_objective": "auto", "tokenizer": None, "note": IMAGE},
        context={
            "source": "alternative",
            "target": "diff",
            "name": SVG,
            "feature_class_encoding_direction": {classes[0]: 1.0, classes[1]: -1.0},
        },
        training={
            "best_score_checkpoint": {"correlation": 0.9, "global_step": 3},
            "convergence": {"reason": IMAGE},
            "training_args": {"source": "alternative", "name": SCRIPT, "pair": list(classes)},
        },
    )
    return folder


def save_data(folder: Path, classes: tuple[str, str], odd: bool = True) -> None:
    """Rows, among them some that cannot be scored, and two neutral sets named by payloads."""
    words = {classes[0]: TOKENS[0] if odd else "he", classes[1]: TOKENS[1] if odd else "she"}
    rows = []
    for place, payload in enumerate((*ALL, EMOJI[:60], "plain")):
        for mine, other in (classes, classes[::-1]):
            sentence = f"{payload} mary said that [MASK] was kind {place} ."
            rows.append([sentence, words[mine], mine, words[other], other, "test"])
    rows += [
        [f"{payload} no mask", words[classes[0]], classes[0], words[classes[1]], classes[1], "test"] for payload in ALL
    ]
    names = ["masked", "label", "label_class", "alternative", "alternative_class", "split"]
    pd.DataFrame(rows, columns=names).to_csv(folder / "eval.csv", index=False)
    texts = [f"the book in the house is kind {place} . {payload}" for place, payload in enumerate((*ALL, "plain"))]
    for name in (IMAGE, f"{SVG}{ATTRIBUTE}"):
        pd.DataFrame({"text": texts}).to_csv(folder / f"neutral_{file_name(name)}.csv", index=False)


def save_run(tiny_bert: Path, folder: Path, classes: tuple[str, str] = (PLUS, MINUS), *, odd: bool = True) -> Path:
    """A run folder: model/, its base and its data beside it. Gives the folder."""
    folder.mkdir(parents=True)
    base = save_base(tiny_bert, folder / file_name(f"{IMAGE}{TEMPLATE}"))
    save_gradiend(base, folder / "model", classes)
    save_data(folder, classes, odd)
    (folder / "README.md").write_text(f"---\nname: {IMAGE}\n---\n{SCRIPT}\n{MARKDOWN}\n", encoding="utf-8")
    (folder / "seeds").mkdir()
    report = {"runs": [{"seed": 3, "output_dir": IMAGE, "eval_correlation": 0.4, "converged": False}], "best_seed": 3}
    (folder / "seeds" / "seed_report.json").write_text(json.dumps(report), encoding="utf-8")
    return folder
