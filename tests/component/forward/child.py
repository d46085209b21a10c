"""The forward service alone in a process of its own, to be killed: python -m … DATA_FOLDER."""

import asyncio
import sys
from pathlib import Path

from anteroom.embedded import open_embedded
from kit.service import Site
from tests.component.forward.studies import QUICK, forwarding


async def main(data: Path) -> None:
    embedded = open_embedded(data, Site(), workers=1)
    async with forwarding(embedded.kit, QUICK):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
