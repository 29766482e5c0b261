"""Every objective beside the reference's, on GRADIENDs it trained on tiny models of each kind; half-precision bases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from tests.parity.comparison import assert_same_result, evaluate_ours
from tests.parity.reference import Reference
from tests.parity.rewrites import CELLS, different, named_tensors

CLASSES = ["M", "F"]
STRENGTHEN: dict[str, Any] = {"lrs": [0.5, 5]}
WEAKEN: dict[str, Any] = {**STRENGTHEN, "increase_target_probabilities": False}
TRAINING = {"max_steps": 8, "eval_steps": 8}
TEST_ROWS = 16
WINDOW = "decoder_sequence_cloze_rhs_window"


@dataclass(frozen=True)
class Case:
    """A base by fixture name, how the reference trains and scores on it, and which scoring modes are compared.

    row_wise: only where the vocabulary holds one spelling of each token; elsewhere the reference takes any of them.
    """

    base: str
    objective: str = "auto"
    settings: Mapping[str, Any] = field(default_factory=dict)
    row_wise: bool = False
    calls: tuple[Mapping[str, Any], ...] = (STRENGTHEN,)

    def __str__(self) -> str:
        return "-".join([self.base.removeprefix("tiny_"), self.objective, *map(str, self.settings.values())])


CASES = [
    Case("tiny_t5", row_wise=True, calls=(STRENGTHEN, WEAKEN)),
    Case("tiny_bart"),
    Case("tiny_roberta"),
    Case("tiny_gpt2", "clm_sequence_cloze", row_wise=True),
    Case("tiny_llama", "clm_sequence_cloze", {WINDOW: 2}, row_wise=True, calls=(STRENGTHEN, WEAKEN)),
    Case("tiny_llama", "clm_next_token"),
    Case("tiny_gpt2", "clm_mlm_head", {"decoder_mlm_head_epochs": 1}),
    Case("tiny_t5", "seq2seq_decoder", row_wise=True),
    Case("tiny_t5", "seq2seq_decoder_sequence_cloze", {WINDOW: 3}, row_wise=True),
    Case("tiny_bart", "seq2seq_decoder_sequence_cloze"),
    Case("tiny_instruct", "clm_next_token"),
]


@pytest.fixture(scope="module")
def trained(
    reference: Reference, model_folder: Path, rows: pd.DataFrame, request: pytest.FixtureRequest
) -> Mapping[str, Path]:
    """{case: checkpoint}, each trained when it is first asked for."""

    class Trained(dict[str, Path]):
        def __missing__(self, name: str) -> Path:
            case = next(case for case in CASES if str(case) == name)
            answer = reference.ask(
                "train",
                base=str(request.getfixturevalue(case.base)),
                out=str(model_folder / f"run-{name}"),
                rows=rows.to_dict("records"),
                prediction_objective=case.objective,
                **{**TRAINING, **case.settings},
            )
            self[name] = Path(answer["checkpoint"])
            return self[name]

    return Trained()


@pytest.fixture(scope="module")
def few_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """All training rows and some test rows: the reference scores a cloze one candidate at a time."""
    tests = rows[rows["split"] == "test"].head(TEST_ROWS)
    return pd.concat([rows[rows["split"] != "test"], tests], ignore_index=True)


def scoring_arguments(case: Case) -> dict[str, Any]:
    """What the reference has to be told again when it scores; ours reads it in the checkpoint. A mask head is only
    needed for training: without an experiment_dir the reference scores its causal model by itself."""
    if case.objective == "clm_mlm_head":
        return {}
    return {"prediction_objective": case.objective, **case.settings}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_static_targets(
    case: Case,
    reference: Reference,
    trained: Mapping[str, Path],
    few_rows: pd.DataFrame,
    neutral_texts: list[str],
    tmp_path: Path,
) -> None:
    data = (trained[str(case)], few_rows, neutral_texts, case.calls)
    theirs = reference.evaluate(*data, arguments=scoring_arguments(case), target_classes=CLASSES)
    for mine, wanted in zip(evaluate_ours(*data, tmp_path, target_classes=CLASSES), theirs, strict=True):
        assert_same_result(mine, wanted)
    values = [by_class for cell in theirs[0]["grid"].values() for by_class in cell["probs_by_dataset"].values()]
    for name in CLASSES:
        of_class = [by_class[name] for by_class in values]
        assert max(of_class) > 1e-3, "probabilities below the tolerance compare nothing"
        assert max(of_class) - min(of_class) > 1e-4, "a grid that changes nothing compares nothing"


@pytest.mark.parametrize("case", [case for case in CASES if case.row_wise], ids=str)
def test_row_wise_without_neutral_texts(
    case: Case, reference: Reference, trained: Mapping[str, Path], few_rows: pd.DataFrame, tmp_path: Path
) -> None:
    data = (trained[str(case)], few_rows, None, [STRENGTHEN])
    shared = {"target_classes": CLASSES, "decoder_eval_targets": "label"}
    (theirs,) = reference.evaluate(*data, arguments=scoring_arguments(case), **shared)
    (ours,) = evaluate_ours(*data, tmp_path, **shared)
    assert_same_result(ours, theirs, row_wise=True)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["bert-mixed", "bert-mask", "gpt2-all"])
def test_half_precision_rewrites_are_bit_identical(
    name: str, dtype: str, checkpoints: dict[str, Path], reference: Reference, tmp_path: Path
) -> None:
    from gradiend_ui import ModelWithGradiend

    reference.ask("rewrite", checkpoint=str(checkpoints[name]), cells=CELLS, out=str(tmp_path), torch_dtype=dtype)
    model = ModelWithGradiend.from_pretrained(str(checkpoints[name]), torch_dtype=getattr(torch, dtype))
    workspace = model.workspace()
    for number, cell in enumerate(CELLS):
        wanted = torch.load(tmp_path / f"{number}.pt", weights_only=True)
        assert {tensor.dtype for tensor in wanted.values()} == {getattr(torch, dtype)}
        assert different(named_tensors(model.rewrite_base_model(**cell)), wanted) == [], f"{cell}"
        update = model.update_vector(cell.get("part", "decoder"), cell["feature_factor"])
        twin = workspace.rewritten(update, cell["learning_rate"])
        assert different(named_tensors(twin), wanted) == [], f"{cell} in a sweep"
