"""A match service in a process of its own, to be killed.

python -m tests.component.match.serve DATA PORT_FILE
"""

import asyncio
import sys
from pathlib import Path

from anteroom.embedded import open_embedded
from kit.service import Site
from services.match import app
from services.match.settings import MatchSettings
from tests.component.match.conftest import port_of


async def serve(data: Path, port_file: Path) -> None:
    embedded = open_embedded(data, Site(default_issuer="HOSPITAL", zone="Europe/Vienna"))
    service = app.build(embedded.kit, MatchSettings(hl7_host="127.0.0.1", hl7_port=0))
    await embedded.kit.bus.start()
    for start in service.start:
        await start()
    temporary = port_file.with_suffix(".new")
    temporary.write_text(str(port_of(service)))
    temporary.rename(port_file)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
