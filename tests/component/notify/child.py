"""A process that runs the notify service until it is killed: `python -m … DATA MAIL_PORT`."""

import asyncio
import sys
from pathlib import Path

from anteroom.embedded import open_embedded
from kit.service import Site
from schemas.shapes import Person
from services.notify.app import build
from services.notify.settings import EmailSettings, NotifySettings


async def main(data: Path, mail_port: int) -> None:
    embedded = open_embedded(data, Site(name="Test Hospital"))
    email = EmailSettings(host="127.0.0.1", port=mail_port, tls="none", sender="noreply@example.org")
    service = build(
        embedded.kit,
        NotifySettings(email=email, staff=(Person(email="staff@example.org"),), combine_s=0, per_hour=1000),
    )
    for start in service.start:
        await start()
    await embedded.kit.bus.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
