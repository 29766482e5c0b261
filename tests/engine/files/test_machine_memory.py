"""Memory of the machine: what its files tell, limits of containers, what a sweep needs."""

from __future__ import annotations

from pathlib import Path

from gradiend_ui.engine.files.machine_memory import Sizes, available_bytes, batch_bytes
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.worker.health_card import sizes_of

MEMINFO = "MemTotal:       24684084 kB\nMemFree:        1000 kB\nMemAvailable:   2048 kB\n"


def proc(folder: Path, text: str = MEMINFO) -> Path:
    path = folder / "meminfo"
    path.write_text(text)
    return path


def group(folder: Path, limit: str, use: str) -> Path:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{use}\n")
    return folder


def test_the_system_says_what_is_available(tmp_path: Path) -> None:
    assert available_bytes(proc(tmp_path), tmp_path / "none") == 2048 * 1024


def test_a_container_may_allow_less(tmp_path: Path) -> None:
    assert available_bytes(proc(tmp_path), group(tmp_path, "1000", "400")) == 600
    assert available_bytes(proc(tmp_path), group(tmp_path, "max", "400")) == 2048 * 1024
    assert available_bytes(proc(tmp_path), group(tmp_path, "1000", "1400")) == 0


def test_nothing_is_invented_where_nothing_is_told(tmp_path: Path) -> None:
    assert available_bytes(proc(tmp_path, "MemTotal: 5 kB\n"), tmp_path / "none") is None


def test_what_a_sweep_needs(model: ModelWithGradiend) -> None:
    sizes = sizes_of(model)
    parameters = dict(model.base_model.named_parameters())
    assert sizes.base == 4 * sum(parameter.numel() for parameter in parameters.values())
    assert sizes.touched == 4 * sum(parameters[part.name].numel() for part in model.mapped)
    assert 0 < sizes.mapped < sizes.touched
    assert sizes.gradiend >= 4 * 3 * len(model), "encoder, decoder and its bias"
    assert sizes.update == 4 * len(model) and sizes.rounded == 0
    assert sizes_of(model, precision="bfloat16").rounded == sizes.base // 2
    assert Sizes(1, 2, 3, 4, 5, 6, 7).needed == 28 and Sizes(1, 2, 3, 4, 5, 6, 7).beyond_loaded == 25
    assert batch_bytes(tokens=2, hidden=3, vocabulary=5, reads=7, item=4) == 4 * (14 * 6 + 2 * 35)
