"""The model card of an export: what was changed, what it did, how to make it again, what it is for and what it is not.

Plain Markdown from plain values; knows no disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from gradiend_ui.engine.answers.run import Degenerate
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.sweep.provenance import lines_of, versions
from gradiend_ui.engine.values import Cell, Part, exact

DTYPES: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float64": torch.float64,
}
KEPT_IN_QUOTES = {'"': '\\"', "'": "'"}
FACTS = {
    "chosen_for": "chosen for",
    "data": "data",
    "neutral_set": "neutral set",
    "split": "split",
    "precision": "scores measured in",
}


@dataclass(frozen=True)
class Rewrite:
    """What an export is made of: the cell, the part, and what is known of it (scores, data) for card and recipe.

    facts: may hold "scores" (rows of [what, base, rewritten]), "chosen_for", "data", "neutral_set", "split",
    "precision", "data_fingerprint", "made_by" (see `engine.sweep.provenance`) and "degenerate": what a broken model
    says nearly everywhere, None for one that is not, or where it is not known.
    latent_point: the feature factors of a GRADIEND with several latents, in place of the cell's single one.
    dtype: a name of `DTYPES` that the weights are converted to; None leaves the one they are loaded in. as_stored: each
    weight that the base model's files hold gets the format that it has there.
    """

    cell: Cell
    part: Part
    facts: Mapping[str, Any]
    latent_point: tuple[float, ...] | None = None
    dtype: str | None = None
    as_stored: bool = False

    @property
    def feature_factor(self) -> float | list[float]:
        """The cell's number, or the latent point as a list."""
        return self.cell.feature_factor if self.latent_point is None else list(self.latent_point)


_TEMPLATE = """---
library_name: transformers
tags:
- gradiend
- model-rewrite
---

# {base}, rewritten by GRADIEND

{broken}The weights of this model are `base + learning_rate * update`: a feature direction learned from gradients was
added to **{base}** once, for good. {changed:,} of {total:,} weights were mapped ({share:.1%}).

## What was changed

| | |
|---|---|
| base model | {base} |
| GRADIEND | {gradiend} (source {source}) |
| part | {part} |
| feature factor | {feature_factors} |
{direction}| strength (learning rate) | {learning_rate} |
| weights stored as | {dtype} |
{facts}{scores}
## Use

```python
from transformers import {auto_class}, AutoTokenizer

model = {auto_class}.from_pretrained("path/to/this/folder", dtype="{dtype}")
tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
```

## How it was made

```python
{script}
```

`rewrite.json` holds the same as data; `manifest.json` the checksums of the files.

## Versions and hashes

| | |
|---|---|
{versions}| base weights and GRADIEND, sha256 | `{fingerprint}` |
{data_hash}{made}
## Intended use

Made to study what a feature direction does inside a language model, and to compare it with the base model.

## Limits

The scores were measured on the data named above and say nothing about other texts. A rewrite also changes predictions
it was not meant to change: the language-modelling score (LMS) above tells how much on average, not where. A shifted
prediction does not remove a bias. The licence of the base model applies.
"""
_SCRIPT = """from gradiend_ui import ModelWithGradiend

folder = {folder}
gradiend = ModelWithGradiend.from_pretrained({source})
model = gradiend.rewrite_base_model(
    learning_rate={learning_rate!r}, feature_factor={feature_factor!r}, part={part}
)
{convert}model.save_pretrained(folder)
gradiend.tokenizer.save_pretrained(folder)"""


def model_card(model: ModelWithGradiend, rewrite: Rewrite) -> str:
    """The card as Markdown."""
    facts, factor = rewrite.facts, rewrite.feature_factor
    data_hash = facts.get("data_fingerprint")
    return _TEMPLATE.format(
        broken=_broken(facts.get("degenerate")),
        base=_plain(model.base.name),
        gradiend=_plain(model.checkpoint.folder.name),
        source=model.source,
        changed=model.checkpoint.mapped_weights,
        total=model.base.parameters,
        share=model.checkpoint.mapped_weights / model.base.parameters,
        part=rewrite.part,
        feature_factors=", ".join(map(exact, [factor] if isinstance(factor, float) else factor)),
        direction=_direction(model),
        learning_rate=exact(rewrite.cell.learning_rate),
        dtype=rewrite.dtype or dtype_name(model.base_model.dtype),
        facts="".join(f"| {label} | {_plain(facts[key])} |\n" for key, label in FACTS.items() if facts.get(key)),
        scores=_scores(facts.get("scores") or []),
        auto_class=model.base.auto_class,
        script=script(model, rewrite, f"path/to/{_plain(model.checkpoint.folder.name)}", "rewritten"),
        versions="".join(f"| {name} | {number} |\n" for name, number in versions().items()),
        fingerprint=model.fingerprint,
        made="".join(f"| {name} | {_plain(text)} |\n" for name, text in lines_of(facts.get("made_by"))),
        data_hash=f"| rows, texts and targets, sha256 | `{_plain(data_hash)}` |\n" if data_hash else "",
    )


def script(model: ModelWithGradiend, rewrite: Rewrite, source: str, folder: str, base: str | None = None) -> str:
    """Ten lines of Python that write the same weights to `folder`.

    source: the GRADIEND's folder; base: a base model that was given by hand, None for the checkpoint's own.
    """
    loaded, wanted = dtype_name(model.base_model.dtype), rewrite.dtype
    options = [_quoted(source), *([f"base_model={_quoted(base)}"] if base else [])]
    options += [] if loaded == "float32" else [f"torch_dtype=torch.{loaded}"]
    convert = f"model.to(torch.{wanted})\n" if wanted and wanted != loaded else ""
    lines = _SCRIPT.format(
        folder=_quoted(folder),
        source=", ".join(options),
        learning_rate=rewrite.cell.learning_rate,
        feature_factor=rewrite.feature_factor,
        part=_quoted(rewrite.part),
        convert=convert,
    )
    return f"import torch\n{lines}" if convert or loaded != "float32" else lines


def _direction(model: ModelWithGradiend) -> str:
    """A row where nobody knows which sign pushes towards which class."""
    note = model.checkpoint.direction_note
    return f"| direction of the classes | not known: {_plain(note.why)} |\n" if note and note.is_open else ""


def _broken(found: Degenerate | None) -> str:
    """The first thing that a card says of a model that is broken."""
    if found is None:
        return ""
    token = "".join(c if c.isprintable() and c != "`" else " " for c in found["token"])[:200]
    return f"**This model is broken.** {broken_sentence(found, f'`{token}`')}\n\n"


def broken_sentence(found: Degenerate, token: str) -> str:
    """What a broken model says nearly everywhere, and what its LMS is then, whatever it rises to. token: as it is
    written here."""
    own, base = f"{found['share']:.0%}", f"{found['base_share']:.0%}"
    return (
        f"It says {token} at {own} of the places where the LMS asks it; the base model says what it says "
        f"most at {base}. What is left of its LMS, even where it rises above the base's, is how often that happens to "
        "be right: it tells nothing of language here."
    )


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _scores(rows: list[list[Any]]) -> str:
    """A table; without scores a sentence that there are none."""
    head = "\n## Scores\n\n"
    if not rows:
        return f"{head}Not measured for exactly these weights.\n"
    lines = "".join(f"| {_plain(what)} | {before:.4g} | {after:.4g} |\n" for what, before, after in rows)
    meaning = (
        "P(class) on rows: mean probability of the class's words at the masked place, 0 to 1.\n"
        "LMS: how well neutral words are still predicted, 0 to 1, higher is better.\n"
    )
    return f"{head}| | base | rewritten |\n|---|---|---|\n{lines}\n{meaning}"


def _quoted(text: str) -> str:
    """Text as a literal of Python in double quotes; what is not printable, or turns the text around, is escaped."""
    return '"{}"'.format("".join(KEPT_IN_QUOTES.get(letter) or repr(letter)[1:-1] for letter in text))


def _plain(text: object) -> str:
    """Text that cannot leave its table cell or become markup."""
    return "".join(c if c.isprintable() and c not in '|<>`[]\\"' else " " for c in str(text))[:200]
