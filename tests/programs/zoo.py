"""Which architectures were tried beside the reference, written as a table into assets/docs/models.md.

    python -m tests.programs.zoo                   # all of them: about half an hour on one core
    python -m tests.programs.zoo bert mamba2       # some, printed and not written

For each architecture and each of three ways to train (whole, pruned, parameters by a glob) the reference trains a
GRADIEND for two steps; then every probability, the LMS, the winners, the rewritten tensors and an export are compared.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
import transformers

from tests.parity.reference import Reference
from tests.parity.zoo import WAYS, Outcome, compared
from tests.support.zoo import ZOO

PAGE = Path(__file__).parents[2] / "assets" / "docs" / "models.md"
HEADING = "## Tried"
BEGIN, END = "<!-- zoo: begin -->", "<!-- zoo: end -->"


def lines_of(outcomes: Sequence[Outcome]) -> list[str]:
    """The table in Markdown: a line for each architecture, in the order of the zoo."""
    found = [
        "| architecture | kind | " + " | ".join(WAYS) + " | P | LMS |",
        "|---|---" + "|---" * (len(WAYS) + 2) + "|",
    ]
    by_name: dict[str, dict[str, Outcome]] = {}
    for one in outcomes:
        by_name.setdefault(one.name, {})[one.way] = one
    for name, ways in by_name.items():
        kind = next(iter(ways.values())).kind
        cells = [_cell(ways[way]) if way in ways else "" for way in WAYS]
        scored = [one for one in ways.values() if not one.refused]
        largest = [max((value(one) for one in scored), default=None) for value in (_probability, _lms)]
        shown = ["" if value is None else f"{value:.0e}" for value in largest]
        found.append(f"| {name} | {kind} | {' | '.join([*cells, *shown])} |")
    return found


def _probability(one: Outcome) -> float:
    return one.probability


def _lms(one: Outcome) -> float:
    return one.lms


def _cell(one: Outcome) -> str:
    if one.refused:
        return one.refused.replace("|", "/")
    facts = {"winner": one.winners, "tensors": one.tensors, "export": one.export}
    return (
        "same" if one.same else "other: " + (", ".join(name for name, good in facts.items() if not good) or "numbers")
    )


def write(outcomes: Sequence[Outcome], page: Path = PAGE) -> None:
    """Put the table between its markers below its heading; what else the page says stays."""
    same, names = sum(one.same for one in outcomes), len({one.name for one in outcomes})
    intro = (
        f"Made by `python -m tests.programs.zoo`: {names} tiny random models, each with a tokenizer of its kind and a "
        f"GRADIEND that `gradiend` 0.2.3 trained on it: {same} of {len(outcomes)} cases are the same. "
        "*same*: every probability within 1e-5, the LMS within 1e-6, the same winner, rewritten tensors "
        "bit-equal, the export loads again. P and LMS: the largest differences. "
        "XLM and FlauBERT are masked models here; the reference takes them for causal ones, by the name of their class."
    )
    block = "\n".join([BEGIN, intro, "", *lines_of(outcomes), END])
    text = page.read_text(encoding="utf-8") if page.exists() else "# Models\n"
    if BEGIN in text:
        before, _, rest = text.partition(BEGIN)
        text = before + block + rest.partition(END)[2]
    else:
        text = f"{text.rstrip()}\n\n{HEADING}\n\n{block}\n"
    page.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="architectures; all without any")
    parser.add_argument("--log", type=Path, help="a file of JSON lines: what is in it is not tried again")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    known: dict[tuple[str, str], Outcome] = {}
    if options.log is not None and options.log.exists():
        read = [Outcome(**json.loads(line)) for line in options.log.read_text().splitlines()]
        known = {(one.name, one.way): one for one in read}
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="zoo") as place, Reference(Path(place) / "log") as reference:
        for number, kept in enumerate(ZOO):
            if options.names and str(kept) not in options.names:
                continue
            for way in WAYS:
                done = known.get((str(kept), way))
                one = done or compared(kept, way, reference, Path(place) / str(number))
                outcomes.append(one)
                print(f"{one.name:24} {one.way:8} {_cell(one)}  P {one.probability:.1e}  LMS {one.lms:.1e}", flush=True)
                if options.log is not None and done is None:
                    with options.log.open("a") as log:
                        log.write(json.dumps(asdict(one)) + "\n")
    if not options.names:
        write(outcomes)


if __name__ == "__main__":
    main()
