"""The service is ended by SIGKILL while four connections pump: what was acknowledged is there afterwards."""

import asyncio
import random
import signal
import sys
from pathlib import Path

from anteroom.embedded import open_embedded
from kit.errors import Unavailable
from kit.hl7.client import MllpClient
from kit.service import Site
from services.match import app
from services.match.documents import PATIENTS
from services.match.rules.facts import patient_key
from services.match.settings import MatchSettings
from tests.component.match.samples import adt
from tests.conftest import settle

_KILLS = 5


async def test_every_acknowledged_patient_survives_kills(tmp_path: Path) -> None:
    chance = random.Random(3)
    acknowledged: list[str] = []
    for round_number in range(_KILLS):
        port_file = tmp_path / f"port{round_number}"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.component.match.serve", str(tmp_path / "data"), str(port_file)
        )
        async with asyncio.timeout(60):
            while not port_file.exists():
                assert process.returncode is None
                await asyncio.sleep(0.02)
        port = int(port_file.read_text())
        pumps = [
            asyncio.create_task(_pump(port, f"{round_number}-{number}", acknowledged)) for number in range(4)
        ]
        await asyncio.sleep(chance.uniform(0.05, 0.8))
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await asyncio.gather(*pumps)
    assert len(acknowledged) > _KILLS

    embedded = open_embedded(tmp_path / "data", Site(default_issuer="HOSPITAL", zone="Europe/Vienna"))
    app.build(embedded.kit, MatchSettings())
    await embedded.kit.bus.start()
    await settle(embedded.kit)
    missing = [
        patient_id
        for patient_id in acknowledged
        if await embedded.kit.documents.get(PATIENTS, patient_key("HOSPITAL", patient_id)) is None
    ]
    letters = await embedded.kit.bus.dead_letters()
    await embedded.close()
    assert missing == []
    assert letters == []


async def _pump(port: int, prefix: str, acknowledged: list[str]) -> None:
    try:
        async with MllpClient("127.0.0.1", port, timeout=10) as client:
            for number in range(100_000):
                patient_id = f"{prefix}-{number}"
                if (await client.send(adt(patient_id=patient_id, name=f"Name{number}^Anna"))).code == "AA":
                    acknowledged.append(patient_id)
    except Unavailable:
        # Killed, as intended.
        return
