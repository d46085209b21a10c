"""A server of the upload service as a process of its own, to be killed: `python -m … DATA [part_bytes]`."""

import asyncio
import sys
from pathlib import Path

from anteroom.embedded import open_embedded
from kit.identity import ACCOUNTS, Role
from kit.service import Site
from tests.component.upload.conftest import SECRET, add_account, serving, settings_of


async def main() -> None:
    embedded = open_embedded(Path(sys.argv[1]), Site())
    if await embedded.kit.documents.get(ACCOUNTS, "clinic") is None:
        await add_account(embedded.kit, "clinic", SECRET, Role.SEND)
    changes = {"part_bytes": int(sys.argv[2]), "batch_bytes": 300_000, "idle_s": 0.3, "quiet_s": 2}
    async with serving(embedded.kit, settings_of(**changes)) as running:
        print(running.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
