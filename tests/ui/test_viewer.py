"""What is known of the open pages: who follows a run beside a page, and what a page is to its run."""

from __future__ import annotations

from contextlib import ExitStack

from gradiend_ui.engine.answers.run import SelectOptions
from gradiend_ui.server.door.visitors import OpenPages
from gradiend_ui.ui.kit.viewer import View, Viewers


def test_other_pages_that_follow_the_run_are_counted_once() -> None:
    viewers = Viewers()
    with ExitStack() as followed:
        for page, run in (("mine", "r"), ("anna", "r"), ("anna", "r"), ("ben", "r"), ("cleo", "other")):
            followed.enter_context(viewers.following(page, run))
        assert viewers.watching_beside("mine", "r") == 2, "anna's second follower is the same page"
        assert viewers.watching_beside("cleo", "r") == 3 and viewers.watching_beside("mine", "other") == 1
        assert viewers.watching_beside("mine", "nobody") == 0
        assert viewers.crowd == 2.5
        for page in ("mine", "ben"):
            viewers.change(page, owner=True)
        assert viewers.watching_beside("mine", "r") == 1, "the owner's own second page is nobody else"
        assert viewers.watching_beside("anna", "r") == 2
    assert viewers.watching_beside("mine", "r") == 0 and viewers.crowd == 1.0


def test_a_role_belongs_to_one_run_and_the_owner_to_the_page() -> None:
    viewers = Viewers()
    view = viewers.change("p", run="a", role="holder")
    assert view.controls and viewers.change("p", shows="all").controls
    assert not viewers.change("p", run="b").controls
    assert viewers.change("p", run="c", role="holder").controls
    viewers.begin_to_follow("p", "c")
    assert viewers.get("p").controls
    viewers.begin_to_follow("p", "d")
    assert not viewers.get("p").controls
    assert viewers.change("p", owner=True).controls and viewers.change("p", run="e").controls
    for role in ("", "watcher", "keyless", "anything"):
        assert not View(role=role).controls
    viewers.forget("p")
    assert not viewers.get("p").controls


def test_a_newer_view_has_a_larger_version_even_where_the_server_has_forgotten_the_page() -> None:
    viewers = Viewers()
    first = viewers.change("p", run="a")
    assert viewers.change("p", run="a").version == first.version, "nothing has changed"
    second = viewers.change("p", shows="all")
    third = viewers.choose("p", 5, (1.0, 0.5))
    assert third is not None and first.version < second.version < third.version
    assert viewers.begin_to_follow("p", "a") == 1 and viewers.get("p").version > third.version
    last = viewers.get("p")
    viewers.forget("p")
    assert viewers.get("p").version == 0
    found = viewers.known("p")
    assert found.version > last.version and found.opened > last.opened and viewers.known("p") == found
    viewers.forget("p")
    assert viewers.change("p", run="").version > found.version


def test_opening_the_same_again_is_newer_than_what_was_asked_before() -> None:
    viewers, question = Viewers(), SelectOptions(target_class="F")
    first = viewers.open("p", "a", question)
    assert viewers.change("p", shows="all").opened == first.opened
    viewers.change("p", compared=("asked", True), chosen=(1.0, 0.5))
    again = viewers.open("p", "a", question)
    assert again.opened > first.opened and again.version > first.version
    assert again.compared is None and again.chosen is None and again.shows == "all"


def test_a_follower_that_outlives_its_page_is_nobody() -> None:
    open_pages = OpenPages()
    viewers = Viewers(open_pages)
    with viewers.following("mine", "r"), viewers.following("gone", "r"):
        assert viewers.watching_beside("mine", "r") == 0
        with open_pages.held("gone"), open_pages.held("other"):
            assert viewers.watching_beside("mine", "r") == 1
            with open_pages.held("gone"):  # a connection made again before the old one has ended
                pass
            assert viewers.watching_beside("mine", "r") == 1
        assert viewers.watching_beside("mine", "r") == 0 and "gone" not in open_pages
