"""What journeys have in common: a hospital on a server of its own, and Chromium. A module that wants its
hospital furnished takes `house` and returns it under the same name; one that wants another builds it under
the name `built`."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e.browsing import chromium
from tests.e2e.staging import House


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("house"))


@pytest.fixture(scope="module")
def house(built: House) -> Iterator[House]:
    built.open()
    yield built
    built.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made
