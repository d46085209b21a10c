"""The upload service with its DICOM door as a process of its own, to be killed:
python -m tests.component.upload.scp_process DATA PORT"""

import asyncio
import sys
from pathlib import Path

from anteroom.embedded import open_embedded
from kit.identity import ACCOUNTS, Account, Role
from kit.service import Site
from services.upload.app import build
from services.upload.settings import UploadSettings


async def main(data: Path, port: int) -> None:
    embedded = open_embedded(data, Site())
    kit = embedded.kit
    if await kit.documents.get(ACCOUNTS, "modality") is None:
        account = Account(id="modality", name="modality", roles=[Role.SEND], ae_titles=["DCMSEND"])
        await kit.documents.save(ACCOUNTS, account)
    settings = UploadSettings(dicom_port=port, reserve_bytes=0, idle_s=0.1, quiet_s=1, batch_files=7)
    service = build(kit, settings)
    await kit.bus.start()
    for start in service.start:
        await start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
