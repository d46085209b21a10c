"""The process is killed again and again while it tells: everybody hears, nobody more than twice."""

import asyncio
import random
import signal
import sys
from collections import Counter
from pathlib import Path

from anteroom.embedded import open_embedded
from kit.identity import ACCOUNTS, Account
from kit.service import Site
from services.notify.models import NOTICES, State
from tests.component.notify.test_notify_service import forward_failed, forwarded, opened
from tests.neighbours.mail import MailServer

_STUDIES = 25
_KILLS = 8
_AT_ONCE = 4
"""Notices under way side by side."""


async def test_killed_at_random_moments(tmp_path: Path, mail_server: MailServer) -> None:
    data = tmp_path / "data"
    embedded = open_embedded(data, Site())
    account = Account(id="clinic", name="Clinic", email="clinic@example.org")
    await embedded.kit.documents.save(ACCOUNTS, account)
    events = [opened()]
    for number in range(_STUDIES):
        for event in (forwarded(f"x{number}", f"d{number}"), forward_failed(f"y{number}")):
            study = f"{number:032x}"
            events.append(event.model_copy(update={"study_id": study, "key": study}))  # type: ignore[arg-type]
    await embedded.kit.bus.publish(events)
    await embedded.close()

    expected = _STUDIES * 5
    chance = random.Random(7)
    for _ in range(_KILLS):
        child = await _start(data, mail_server.port)
        before = len(mail_server.received)
        await asyncio.sleep(1.0)
        # Somewhere in the middle of telling, once those interrupted the last time have come: one that is
        # interrupted twice before it leaves is given up, and the ledger says so.
        wait = chance.randint(_AT_ONCE, _AT_ONCE + 15)
        for _ in range(3000):
            if len(mail_server.received) >= min(before + wait, expected):
                break
            await asyncio.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        await child.wait()
    child = await _start(data, mail_server.port)
    async with asyncio.timeout(120):
        while len({r.message["message-id"] for r in mail_server.received}) < expected:
            await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)
    child.send_signal(signal.SIGKILL)
    await child.wait()

    counts = Counter(received.message["message-id"] for received in mail_server.received)
    assert len(counts) == expected
    assert max(counts.values()) <= 2
    embedded = open_embedded(data, Site())
    notices = (await embedded.kit.documents.find(NOTICES, limit=500)).items
    await embedded.close()
    assert len(notices) == expected
    twice = {key for key, count in counts.items() if count == 2}
    for notice in notices:
        assert notice.state is State.SENT or notice.possible == 2
        if f"<{notice.id}@example.org>" in twice:
            # What came twice is said in the ledger.
            assert notice.possible >= 1


async def _start(data: Path, port: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.component.notify.child", str(data), str(port)
    )
