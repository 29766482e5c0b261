"""Which markers a test carries by its place, and which tests take too long for the quick subset."""

from __future__ import annotations

FOLDERS = ("parity", "browser", "security", "faults", "slow")
"""Tests below a folder of this name carry a marker of the same name."""
NOT_QUICK = ("parity", "browser", "faults", "slow")
LONG = frozenset(
    {
        "demo/test_build.py",
        "engine/worker/test_beside.py",
        "engine/scoring/test_every_parameter.py",
        "engine/base/test_families.py",
        "engine/base/test_kinds.py::test_no_model_of_the_library_is_refused_for_its_settings_on_ones_own_machine",
        "engine/scoring/test_invariance.py",
        "server/test_session.py",
        "engine/training/test_training.py",
        "engine/sweep/test_winner_search.py::test_the_winner_is_that_of_the_whole_grid_on_hundreds_of_grids",
        "security/test_checkpoints.py",
        "security/test_checkpoints_bases.py",
        "security/test_config_ranges.py",
        "security/test_fair_share.py",
        "security/test_file_values.py",
        "security/test_foreign_files.py",
        "security/test_forms.py",
        "security/test_hostile_uploads.py",
        "security/test_hub_copies.py",
        "security/test_local_network.py",
        "security/test_long_values.py",
        "security/test_own_model.py",
        "security/test_public_server.py",
        "security/test_public_uploads.py",
        "security/test_raw_calls.py",
        "security/test_table_memory.py",
        "security/test_taken_in.py",
        "security/test_texts_as_requests.py",
        "security/test_texts_as_values.py",
        "security/test_tokenizer_costs.py",
        "security/test_trust.py",
        "security/test_upload_costs.py",
        "test_docs.py::test_blocks_run",
        "ui/test_plots.py::test_real_kaleido_draws_png_svg_and_pdf",
        "ui/test_unfit_values.py",
    }
)
"""Files, and single tests as `file::test`, below tests/, that take more than a second or two: none of them is quick."""


def markers_of(place: str) -> set[str]:
    """The markers of `folder/file.py::test`, a place below tests/ as pytest writes it, with or without parameters."""
    file, _, test = place.partition("[")[0].partition("::")
    name = f"{file}::{test.rpartition('::')[2]}"
    found = {file.split("/")[0]} & set(FOLDERS)
    return found if found & set(NOT_QUICK) or {file, name} & LONG else found | {"quick"}
