"""Visitors take turns in the queue; everybody's own sweeps keep their order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gradiend_ui.engine.store.queue import Waiting, fair_order
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.values import Cell

CELLS = [Cell(1.0, 0.1)]


def test_one_persons_sweeps_keep_their_order() -> None:
    waiting = [Waiting("b", "", 2.0), Waiting("a", "", 1.0), Waiting("c", "", 3.0)]
    assert fair_order(waiting, {"": 9.0}) == ["a", "b", "c"]


def test_many_sweeps_of_one_visitor_do_not_hold_up_another() -> None:
    waiting = [*(Waiting(f"a{n}", "anna", float(n)) for n in range(5)), Waiting("b0", "ben", 9.0)]
    assert fair_order(waiting, {}) == ["a0", "b0", "a1", "a2", "a3", "a4"]
    assert fair_order(waiting, {"anna": 8.0})[0] == "b0"


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 100)), max_size=12),
    st.dictionaries(st.sampled_from("abc"), st.floats(0, 100)),
)
def test_nobody_waits_for_the_second_sweep_of_somebody_else(items, served) -> None:
    waiting = [Waiting(f"{n}", visitor, since) for n, (visitor, since) in enumerate(items)]
    order = fair_order(waiting, served)
    assert sorted(order) == sorted(item.run for item in waiting)
    whose = {item.run: item.visitor for item in waiting}
    since = {item.run: item.since for item in waiting}
    turns = [whose[run] for run in order]
    ranks = [turns[:place].count(visitor) for place, visitor in enumerate(turns)]
    assert ranks == sorted(ranks)
    for visitor in set(turns):
        own = [since[run] for run in order if whose[run] == visitor]
        assert own == sorted(own)


def test_the_store_takes_turns_and_tells_positions(tmp_path) -> None:
    store = Store(tmp_path / "runs.sqlite")
    first, second, third = (store.create_run("ck", {}, {}, CELLS, "anna") for _ in range(3))
    other = store.create_run("ck", {}, {}, CELLS, "ben")
    assert [store.position(run) for run in (first, other, second, third)] == [0, 1, 2, 3]
    assert store.active_runs("anna") == 3 and store.active_runs("ben") == 1 and store.active_runs() == 4

    assert store.next_queued() == first
    store.set_state(first, "running", only_from=("queued",))
    assert store.next_queued() == other and store.position(other) == 1 and store.position(second) == 2
    store.set_state(first, "finished", only_from=("running",))
    assert store.next_queued() == other, "who was never served comes before who just was"
    store.set_state(other, "running", only_from=("queued",))
    store.set_state(other, "finished", only_from=("running",))
    assert store.next_queued() == second and store.active_runs() == 2
    assert store.visitor(second) == "anna"
    store.delete_run(second)
    assert store.visitor(second) == "" and store.next_queued() == third
    store.close()
