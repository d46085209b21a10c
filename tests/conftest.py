"""Fixtures for all tests: a real Kit on the embedded adapters, and the folder of shared test data."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from anteroom.embedded import open_embedded
from kit.service import Kit, Site

# Started in the background of a shell the suite would hand on that it ignores Ctrl-C, and so would the
# programs it starts and interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = [
    "tests.neighbours.antivirus",
    "tests.neighbours.certificates",
    "tests.neighbours.mail",
    "tests.neighbours.pacs",
    "tests.neighbours.twilio",
]


@pytest.fixture
async def kit_env(tmp_path: Path) -> AsyncIterator[Kit]:
    """A Kit on a fresh data folder. Subscribe (app.build), then `await kit_env.bus.start()`."""
    site = Site(default_issuer="HOSPITAL", zone="Europe/Vienna", hosts=("here", "test"))
    embedded = open_embedded(tmp_path / "data", site)
    yield embedded.kit
    await embedded.close()


async def settle(kit: Kit, timeout: float = 60) -> None:
    """Wait until every group has handled every event."""
    async with asyncio.timeout(timeout):
        while any((await kit.bus.lag()).values()):
            await asyncio.sleep(0.01)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real DICOM, HL7 and documents beside a developer's checkout."""
    folder = Path(os.environ.get("ANTEROOM_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "INDEX.md").exists():
        pytest.skip("the shared test data is not beside this checkout (set ANTEROOM_TEST_DATA to its folder)")
    return folder
