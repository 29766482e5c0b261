"""A session on the bundled demo, with its real worker process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gradiend_ui.server.session import Session


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    opened = Session.open(tmp_path_factory.mktemp("data"))
    yield opened
    opened.close()
