"""Runs the validate service on a data folder until it is killed, or until its submissions are validated.

`python -m tests.component.validate.running <data folder>`; prints "ready" once it works.
"""

import asyncio
import sys
from pathlib import Path

from anteroom.embedded import open_embedded
from kit.service import Site
from services.validate.models import TALLIES
from services.validate.settings import ValidateSettings
from tests.component.validate.conftest import start


async def main(data: Path) -> None:
    embedded = open_embedded(data, Site())
    house = await start(embedded.kit, ValidateSettings())
    print("ready", flush=True)
    while True:
        page = await embedded.kit.documents.find(TALLIES, limit=100)
        lag = any((await embedded.kit.bus.lag()).values())
        if page.items and not lag and all(doc.state == "validated" for doc in page.items):
            break
        await asyncio.sleep(0.05)
    for step in house.service.stop:
        await step()
    await embedded.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
