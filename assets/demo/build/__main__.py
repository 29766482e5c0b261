"""Make the bundled demo from its sources: `python -m assets.demo.build`.

Steps: fetch, base, rows, gradiend, report. A step that is done is not done again; one that was stopped goes on. Needs
pip, apt-get and dpkg-deb, and `assets/demo/build/requirements.txt`; under an hour on two quiet cores.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assets.demo.build.base_step import BASE, BASE_FILES, FETCHED, FIRST_MODEL, build_base, use_cores
from assets.demo.build.features import FEATURES
from assets.demo.build.gradiend_step import build_gradiends, shipped_paths
from assets.demo.build.packages import MODEL_FILES, CannotFetch, fetch
from assets.demo.build.recipe import DEFAULT, Recipe
from assets.demo.build.report_step import build_report, report_paths
from assets.demo.build.row_step import build_rows, row_paths
from assets.demo.build.steps import Place, Say, Step, run_steps

ROOT = Path(__file__).resolve().parents[3]
OUT = ROOT / "assets" / "demo"


def fetch_packages(place: Place, say: Say) -> Mapping[str, Any]:
    return {"sources": [asdict(source) for source in fetch(place.folder(FETCHED), say)]}


STEPS = (
    Step(
        "fetch",
        fetch_packages,
        modules=("packages",),
        made=lambda place: [place.work / FETCHED / FIRST_MODEL / name for name in MODEL_FILES],
    ),
    Step(
        "base",
        build_base,
        settings=(
            "seed",
            "held_out",
            "longest",
            "vocabulary",
            "positions",
            "layers",
            "feed_forward",
            "dropout",
            "steps",
            "step_tokens",
            "warm_up",
            "peak_rate",
            "mask",
            "mask_pronouns",
            "swap_names",
        ),  # fmt: skip
        modules=("base_step", "corpus", "masked_training", "small_bert", "templates", "vocabulary", "words"),
        after=("fetch",),
        made=lambda place: [place.work / BASE / name for name in BASE_FILES],
    ),
    Step(
        "rows",
        build_rows,
        settings=(
            "test_rows",
            "validation_rows",
            "train_rows",
            "neutral_tokens",
            "neutral_words",
            "identity_rows",
            "number_test_rows",
            "number_validation_rows",
            "number_train_rows",
        ),  # fmt: skip
        modules=("row_step", "book_rows", "pronoun_rows", "number_rows", "neutral", "templates", "words"),
        after=("base",),
        made=row_paths,
    ),
    Step(
        "gradiend",
        build_gradiends,
        settings=("gradiend_steps", "gradiend_rate", "gradiend_batch", "kept", "seeds"),
        modules=("gradiend_step", "features"),
        after=("rows",),
        made=shipped_paths,
    ),
    Step(
        "report",
        build_report,
        modules=("report_step", "quality", "page", "heatmap_svg", "features"),
        after=("gradiend",),
        made=report_paths,
    ),
)


def place_of(work: Path, out: Path, again: str | None = None, recipe: Recipe = DEFAULT) -> Place:
    """Docs and README of the project belong to its own demo; another one gets its page beside its files."""
    is_own = out.resolve() == OUT
    docs = ROOT / "assets" / "docs" if is_own else out.resolve() / "docs"
    return Place(work.resolve(), out.resolve(), docs, recipe, ROOT / "README.md" if is_own else None, again)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the build; 0 when it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [step.name for step in STEPS]
    parser.add_argument("--until", choices=names, default=names[-1], help="the last step to run (all)")
    parser.add_argument("--again", choices=names, help="do this step from nothing, and what rests on it")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "demo", help="where it works (build/demo)")
    parser.add_argument("--out", type=Path, default=OUT, help="what it makes (assets/demo)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads (all cores)")
    options = parser.parse_args(arguments)
    if options.again and names.index(options.again) > names.index(options.until):
        parser.error(f"--again {options.again} lies behind --until {options.until}")
    use_cores(options.threads)
    place = place_of(options.work, options.out, options.again)
    try:
        run_steps(STEPS, place, options.until, say=lambda text: print(text, flush=True))
    except CannotFetch as error:
        print(f"The build stopped: {error}", file=sys.stderr)
        return 1
    if options.until == names[-1]:
        print(f"{len(FEATURES)} GRADIENDs on one base model lie in {place.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
