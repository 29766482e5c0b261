"""The model card of an export: what was changed, what it did, what it is for and what it is not.

Plain Markdown from plain values; knows no disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.values import Cell

_TEMPLATE = """---
library_name: transformers
tags:
- gradiend
- model-rewrite
---

# {base}, rewritten by GRADIEND

The weights of this model are `base + learning_rate * update`: a feature direction learned from gradients was added
to **{base}** once, for good. {changed:,} of {total:,} weights were mapped ({share:.1%}).

| | |
|---|---|
| base model | {base} |
| GRADIEND | {gradiend} (source {source}) |
| part | {part} |
| feature factor | {feature_factors} |
| strength (learning rate) | {learning_rate:g} |
{score_rows}
## Use

```python
from transformers import {auto_class}, AutoTokenizer

model = {auto_class}.from_pretrained("path/to/this/folder")
tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
```

## How it was made

```python
from gradiend_ui import ModelWithGradiend

gradiend = ModelWithGradiend.from_pretrained("path/to/{gradiend}")
model = gradiend.rewrite_base_model(
    learning_rate={learning_rate!r}, feature_factor={feature_factor!r}, part={part!r}
)
```

`rewrite.json` holds the same as data; `manifest.json` the checksums of the files.

## Intended use and limits

Made to study what a feature direction does inside a language model. The scores were measured on the data named above
and say nothing about other texts. A rewrite also changes predictions it was not meant to change: the
language-modelling score (LMS) above tells how much on average, not where. A shifted prediction does not remove a bias.
The licence of the base model applies.
"""


def model_card(
    model: ModelWithGradiend,
    cell: Cell,
    part: str,
    facts: Mapping[str, Any],
    feature_factor: float | Sequence[float] | None = None,
) -> str:
    """The card. `facts` may hold "scores" (rows of [what, base, rewritten]), "data" and "neutral_set".

    feature_factor: that of several latents, in place of the cell's.
    """
    factor = cell.feature_factor if feature_factor is None else feature_factor
    rows = "".join(f"| {_plain(k)} | {_plain(facts[k])} |\n" for k in ("data", "neutral_set", "split") if facts.get(k))
    scores = facts.get("scores") or []
    if scores:
        rows += "\n## Scores\n\n| | base | rewritten |\n|---|---|---|\n"
        rows += "".join(f"| {_plain(what)} | {before:.4g} | {after:.4g} |\n" for what, before, after in scores)
    return _TEMPLATE.format(
        base=_plain(model.base.name),
        gradiend=_plain(model.checkpoint.folder.name),
        source=model.source,
        changed=model.checkpoint.mapped_weights,
        total=model.base.parameters,
        share=model.checkpoint.mapped_weights / model.base.parameters,
        part=part,
        feature_factor=factor,
        feature_factors=", ".join(f"{number:g}" for number in ([factor] if isinstance(factor, float) else factor)),
        learning_rate=cell.learning_rate,
        auto_class=model.base.auto_class,
        score_rows=rows,
    )


def _plain(text: object) -> str:
    """Text that cannot leave its table cell or become markup."""
    return "".join(c if c.isprintable() and c not in "|<>`[]\\\"'" else " " for c in str(text))[:200]
