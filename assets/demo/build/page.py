"""The demo's page in the documentation, written from the figures of the build. Knows words, measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Figures = Mapping[str, Any]
CLASS_WORDS = {"M": "he", "F": "she", "SG": "one", "PL": "many"}
GOALS = {"accuracy": 0.44, "right": 0.85, "correlation": 0.99, "probability": 0.5, "kept": 0.98}
SHOWN_OCCUPATIONS = 12
README_MARKS = ("<!-- demo figures -->", "<!-- end of demo figures -->")


def demo_page(figures: Figures) -> str:
    """Markdown."""
    parts = [
        _opening(figures), _quality(figures), _seeds(figures), _neutral(figures), _occupations(figures),
        _predictions(figures), _dense(figures), _number(figures), _making(figures),
    ]  # fmt: skip
    return "\n\n".join(part.strip() for part in parts) + "\n"


def readme_part(figures: Figures) -> str:
    """What the README says of the demo, between `README_MARKS`."""
    sweep, counted = figures["sweeps"]["pronoun"]["sets"], figures["neutral"]
    told = []
    for name, of in sweep.items():
        she, he = of["chosen"]["F"], of["chosen"]["M"]
        base = of["base"]["probabilities"]
        told.append(
            f"On the neutral set `{name}` ({counted[name]['masked']:,} masked tokens, base LMS "
            f"{number(of['base']['lms'])}) the cell {cell_name(she)} is chosen for F: P(she) on rows with he goes from "
            f"{number(base['M']['F'])} to {number(she['probability'])}, LMS {number(she['kept'])} of the base; and "
            f"{cell_name(he)} for M: P(he) on rows with she from {number(base['F']['M'])} to "
            f"{number(he['probability'])}, LMS {number(he['kept'])}."
        )
    link = "Every figure, how it was made and what it costs: [the demo's page](assets/docs/demo.md)."
    return "\n\n".join([*told, link])


def with_readme_part(readme: str, figures: Figures) -> str:
    """The README with what lies between its marks written anew. Raises ValueError where they are missing."""
    start, end = README_MARKS
    before, after = readme.index(start) + len(start), readme.index(end)
    return f"{readme[:before]}\n{readme_part(figures)}\n{readme[after:]}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table; the first column is left, the others right."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def number(value: float) -> str:
    return f"{value:.3f}"


def percent(share: float) -> str:
    return f"{100 * share:g} %"


def cell_name(cell: Figures) -> str:
    """(−1, 0.2), or a dash where no cell was found."""
    if cell["feature_factor"] is None:
        return "–"
    return f"({cell['feature_factor']:+g}, {cell['learning_rate']:g})".replace("-", "−")


def _opening(figures: Figures) -> str:
    base, total = figures["base"], sum(file["bytes"] for file in figures["files"].values())
    return f"""
# The bundled demo, measured

A masked language model of {base["parameters"] / 1e6:.1f} M weights and two GRADIENDs on it: he / she, and one / many.
{total / 1e6:.1f} MB together, of which the model takes {base["bytes"] / 1e6:.2f} MB. This page is written by
`python -m assets.demo.build`; every number in its tables was measured by that build and lies in
[figures.json](../demo/figures.json). Sources and licences: [assets/demo](../demo/README.md).

The model has read a few novels and a dictionary. It is there to make a rewrite visible within seconds, not to be
believed.
"""


def _quality(figures: Figures) -> str:
    base, said = figures["base"], figures["said"]
    rows = [
        ("held-out accuracy (1)", f"≥ {GOALS['accuracy']}", number(base["accuracy"])),
        ("held-out accuracy, every asked token masked", "", number(base["accuracy_all_masked"])),
    ]
    rows += [(f"(1) on {name} alone", "", number(value)) for name, value in base["accuracy_by_source"].items()]
    for where, least in (("books", f"≥ {GOALS['right']}"), ("templates", "")):
        for name, share in said["right"][where].items():
            rows.append((f"right pronoun, held-out {where}, rows with {CLASS_WORDS[name]}", least, number(share)))
    correlation = _shipped(figures, "pronoun")["correlation"]
    rows.append(("encoder correlation he / she, test rows", f"≥ {GOALS['correlation']}", f"{correlation:.4f}"))
    for name, cell in figures["goal"].items():
        rows.append(
            (
                f"P({CLASS_WORDS[name]}) at {cell_name(cell)}, test rows (2)",
                f"≥ {GOALS['probability']}",
                number(cell["probability"]),
            )
        )
        for set_name, kept in zip(figures["sweeps"]["pronoun"]["sets"], cell["kept"], strict=True):
            rows.append((f"… LMS / base there, {set_name}", f"≥ {GOALS['kept']}", number(kept)))
    return "## Quality\n\n" + table(("", "goal", "measured"), rows) + "\n\n" + _split_words(figures)


def _split_words(figures: Figures) -> str:
    counts, base = figures["rows"]["pronoun"], figures["base"]
    said = ", ".join(f"{split} {sum(of.values())}" for split, of in sorted(counts.items()))
    return (
        "(1) The measure of BERT's own training: of the 15 % of the tokens that are asked for, 80 % are masked, 10 % "
        "replaced, 10 % left. (2) The cell was chosen on validation rows; the neutral texts are the same.\n\n"
        f"The base model was trained on {base['train_tokens']:,} tokens; {base['held_out_tokens']:,} were held out by "
        f"paragraph. Rows of he / she: {said}; in every split half are from books and half from templates. The books' "
        "test rows are held-out text; the templates' test rows have sentence patterns that neither the base model nor "
        f"the GRADIEND has seen. {figures['identity_rows']} rows of other pronouns, each its own alternative, stand "
        "in the training of he / she."
    )


def _seeds(figures: Figures) -> str:
    rows = []
    for feature in ("pronoun", "number"):
        training = figures["training"][feature]
        for found in training["seeds"]:
            cells = [f"{number(cell['probability'])} at {cell_name(cell)}" for cell in found["reached"].values()]
            mark = " (shipped)" if found["seed"] == training["shipped"] else ""
            rows.append((f"{feature} {found['seed']}{mark}", f"{found['correlation']:.4f}", *cells))
        spreads = [
            _spread([found["reached"][name]["probability"] for found in training["seeds"]])
            for name in training["seeds"][0]["reached"]
        ]
        correlations = [found["correlation"] for found in training["seeds"]]
        rows.append((f"{feature}, from – to", f"{min(correlations):.4f} – {max(correlations):.4f}", *spreads))
    return f"""
## Seeds

Every GRADIEND was trained {len(figures["training"]["pronoun"]["seeds"])} times. *Reached* is the largest probability
on validation rows, among cells that keep {percent(GOALS["kept"])} of the LMS on each of the feature's neutral sets. The
seed is shipped whose smaller of the two is the largest; the test rows decide nothing.

{table(("seed", "correlation (test)", "he, or one, reached", "she, or many, reached"), rows)}
"""


def _spread(values: Sequence[float]) -> str:
    return f"{number(min(values))} – {number(max(values))}"


def _neutral(figures: Figures) -> str:
    sweep = figures["sweeps"]["pronoun"]
    first, second = sweep["sets"]
    rows = []
    for left, right in zip(sweep["sets"][first]["cells"], sweep["sets"][second]["cells"], strict=True):
        if 0.01 <= left["learning_rate"] <= 2:
            rows.append((cell_name(left), *map(number, (left["F"], left["M"], left["kept"], right["kept"]))))
    chosen = [
        (f"P({CLASS_WORDS[name]})", *(_chosen(of["chosen"][name]) for of in sweep["sets"].values()))
        for name in ("F", "M")
    ]
    counted = " and ".join(
        f"`{name}` {figures['neutral'][name]['masked']:,} masked tokens in {figures['neutral'][name]['texts']} texts "
        f"(base LMS {number(of['base']['lms'])})"
        for name, of in sweep["sets"].items()
    )
    return f"""
## Two neutral sets, side by side

What a rewrite may cost depends on the texts its LMS is measured on: `gender-free` leaves out gendered words,
`pronoun-free` every personal pronoun, too. Sizes: {counted}. One percent of the LMS is a handful of tokens: where two
cells are that close, the choice hangs on them.

The cell that is chosen where {percent(sweep["threshold"])} of the base's LMS must be kept, and its probability on the
test rows:

{table(("", *sweep["sets"]), chosen)}

{table(("cell", "P(she) on he rows", "P(he) on she rows", f"LMS / base, {first}", f"LMS / base, {second}"), rows)}
"""


def _chosen(cell: Figures) -> str:
    if cell["fallback"]:
        return f"none passes; smallest step {cell_name(cell)}"
    return f"{cell_name(cell)}, {number(cell['probability'])}"


def _occupations(figures: Figures) -> str:
    entries = sorted(figures["said"]["occupations"], key=lambda entry: -float(entry["base"]["she"]))
    half = SHOWN_OCCUPATIONS // 2
    rows = [
        (entry["word"], *(number(entry[model]["she"]) for model in ("base", "F", "M")))
        for entry in (*entries[:half], *entries[-half:])
    ]
    shown = figures["said"]["cells"]
    return f"""
## Occupations

P(she) in "the … said that [MASK] was tired.": the {half} likeliest and the {half} least likely occupations of the base
model, and the same after a rewrite with {cell_name(shown["F"])} towards she and with {cell_name(shown["M"])} towards
he, the goal's cells of the first table.

{table(("", "base", "after she", "after he"), rows)}
"""


def _predictions(figures: Figures) -> str:
    rows = []
    for entry in figures["said"]["top"]:
        rows.append((f"`{entry['sentence']}`", *(_tokens(entry[model]) for model in ("base", "F", "M"))))
    return "## Five likeliest tokens, before and after\n\nThe same two rewrites.\n\n" + table(
        ("", "base", "after she", "after he"), rows
    )


def _tokens(found: Sequence[Sequence[Any]]) -> str:
    return ", ".join(f"{_plain(str(word))} {value:.2f}" for word, value in found)


def _plain(word: str) -> str:
    """A token inside a markdown table: signs that mean something there are written out."""
    return {"|": "(bar)", "`": "(backtick)"}.get(word, f"`{word}`")


def _dense(figures: Figures) -> str:
    return f"""
## Every cell

Struck through: less than {percent(figures["sweeps"]["pronoun"]["threshold"])} of the base's LMS is kept (neutral set
`pronoun-free`). Feature factor 0 is the decoder's bias alone. A probability tells nothing without the LMS beside it.

![P(she) over feature factor and learning rate](demo-heatmap-she.svg)

![P(he) over feature factor and learning rate](demo-heatmap-he.svg)

![LMS / base over feature factor and learning rate](demo-heatmap-lms.svg)
"""


def _number(figures: Figures) -> str:
    sweep = figures["sweeps"]["number"]["sets"]["pronoun-free"]
    rows = [
        (
            f"P({CLASS_WORDS[name]}) on rows with {CLASS_WORDS[other]}",
            number(sweep["base"]["probabilities"][other][name]),
            number(sweep["chosen"][name]["probability"]),
            cell_name(sweep["chosen"][name]) + (" (none passes)" if sweep["chosen"][name]["fallback"] else ""),
            number(sweep["chosen"][name]["kept"]),
        )
        for name, other in (("PL", "SG"), ("SG", "PL"))
    ]
    return f"""
## One / many

The second GRADIEND, on the same base model: *one* is he, she, it, him, his or its, *many* is they, them or their.

{table(("", "base", "after", "chosen cell", "LMS / base"), rows)}
"""


def _making(figures: Figures) -> str:
    rows = [(name, f"{seconds:,.0f}") for name, seconds in figures["seconds"].items()]
    return f"""
## Making it again

```
pip install -r assets/demo/build/requirements.txt
python -m assets.demo.build
```

Seconds of each step with {figures["base"]["threads"]} threads; the report itself takes some minutes more:

{table(("step", "seconds"), rows)}

Another number of threads or another processor gives weights that differ in their last digits, and so other figures.
"""


def _shipped(figures: Figures, feature: str) -> Figures:
    training = figures["training"][feature]
    found: Figures = next(seed for seed in training["seeds"] if seed["seed"] == training["shipped"])
    return found
