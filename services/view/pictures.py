"""Pictures of frames: made in helper processes, kept on local disk up to a size, least recently used out.

A picture is made once however many ask for it at the same time. What is kept lies in a folder for each
study, so that it goes when the study's images are removed: in every process that hears of it, and at the
start of one that did not.
"""

import asyncio
import os
import shutil
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from kit.dicom.errors import BrokenDicom
from kit.dicom.look import Look
from kit.dicom.rendering import placeholder, render
from kit.documents.port import Documents
from kit.ids import derived_id, random_id
from kit.objects.port import Objects
from kit.workers import WorkerDied, Workers, WorkerTimeout
from schemas.validate import StudyRemoved
from services.view.library import Located
from services.view.models import REMOVED
from services.view.rules.accept import NotAcceptable

_TIME_S = 60.0
_REMEMBERED = 20_000
_UNDECODABLE = (BrokenDicom, WorkerDied, WorkerTimeout)


class Pictures:
    def __init__(self, objects: Objects, workers: Workers, folder: Path, most_bytes: int) -> None:
        self._objects = objects
        self._workers = workers
        self._folder = folder
        self._most = most_bytes
        self._kept: OrderedDict[str, int] = OrderedDict()
        self._size = 0
        self._making: dict[str, asyncio.Task[list[bytes]]] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()
        """Packs that were removed; pictures of theirs that are being made are not kept."""
        self._forgetting: set[asyncio.Task[None]] = set()

    async def start(self, documents: Documents) -> None:
        """Learn what is kept from before, and forget what was removed meanwhile."""
        found = await asyncio.to_thread(_kept_in, self._folder)
        self._kept.update(found)
        self._size = sum(found.values())
        for study_id in {name.partition("/")[0] for name in found}:
            if await documents.get(REMOVED, study_id) is not None:
                await self.forget(study_id)

    async def stop(self) -> None:
        await asyncio.gather(*self._forgetting)

    async def removed(self, event: StudyRemoved) -> None:
        """Forget a study's pictures, those that are being made among them."""
        self._mark(event)
        await self.forget(event.study_id)

    def heard(self, event: StudyRemoved) -> None:
        """The same, for an event that another process handles."""
        self._mark(event)
        task = asyncio.create_task(self.forget(event.study_id))
        self._forgetting.add(task)
        task.add_done_callback(self._forgetting.discard)

    def _mark(self, event: StudyRemoved) -> None:
        self._gone.update(dict.fromkeys(event.packs))
        while len(self._gone) > _REMEMBERED:
            self._gone.popitem(last=False)

    async def get(self, study_id: str, found: Located, frame: int, look: Look) -> bytes:
        """Raises NotAcceptable where the image can't be shown as a picture."""
        name = _name(study_id, found, frame, look)
        kept = await self._read(name)
        if kept is not None:
            return kept
        return (await self._made(study_id, found, frame, [look]))[0]

    async def prepare(self, study_id: str, found: Located, frame: int, looks: Sequence[Look]) -> None:
        """Make those that are not kept yet. Raises NotAcceptable."""
        missing = [look for look in looks if _name(study_id, found, frame, look) not in self._kept]
        if missing:
            await self._made(study_id, found, frame, missing)

    async def tile(self, text: str, look: Look) -> bytes:
        """A plain tile with a word on it."""
        name = f"tiles/{derived_id(text, repr(look))}"
        kept = await self._read(name)
        if kept is None:
            kept = await self._workers.run(_TIME_S, placeholder, text, look)
            await self._keep(name, kept)
        return kept

    async def forget(self, study_id: str) -> None:
        for name in [name for name in self._kept if name.startswith(f"{study_id}/")]:
            self._size -= self._kept.pop(name)
        await asyncio.to_thread(shutil.rmtree, self._folder / study_id, ignore_errors=True)

    async def _made(self, study_id: str, found: Located, frame: int, looks: Sequence[Look]) -> list[bytes]:
        """Whoever asks for the same meanwhile waits for the one that is being made."""
        key = "|".join(_name(study_id, found, frame, look) for look in looks)
        task = self._making.get(key)
        if task is None:
            task = asyncio.create_task(self._make(study_id, found, frame, looks))
            self._making[key] = task
            task.add_done_callback(lambda _: self._making.pop(key, None))
        return await asyncio.shield(task)

    async def _make(self, study_id: str, found: Located, frame: int, looks: Sequence[Look]) -> list[bytes]:
        place = (self._objects, found.pack.key, found.index.index_key, found.entry, frame)
        try:
            made = await self._workers.run(_TIME_S, render, *place, looks)
        except _UNDECODABLE as error:
            text = "This image can't be shown as a picture: it is damaged, or its compression is unknown."
            raise NotAcceptable(text) from error
        if found.pack.id in self._gone:
            return made
        for look, picture in zip(looks, made, strict=True):
            await self._keep(_name(study_id, found, frame, look), picture)
        if found.pack.id in self._gone:
            await self.forget(study_id)
        return made

    async def _read(self, name: str) -> bytes | None:
        if name not in self._kept:
            return None
        try:
            content = await asyncio.to_thread((self._folder / name).read_bytes)
        except FileNotFoundError:
            self._size -= self._kept.pop(name, 0)
            return None
        if name in self._kept:
            self._kept.move_to_end(name)
        return content

    async def _keep(self, name: str, content: bytes) -> None:
        """A full disk is no reason to show nothing."""
        if len(content) > self._most // 8:
            return
        try:
            await asyncio.to_thread(_write, self._folder / name, content)
        except OSError:
            return
        self._size += len(content) - self._kept.get(name, 0)
        self._kept[name] = len(content)
        while self._size > self._most:
            oldest, size = self._kept.popitem(last=False)
            self._size -= size
            await asyncio.to_thread((self._folder / oldest).unlink, missing_ok=True)


def _name(study_id: str, found: Located, frame: int, look: Look) -> str:
    return (
        f"{study_id}/{derived_id(found.entry.sha256, found.entry.sop_instance_uid, str(frame), repr(look))}"
    )


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"new-{random_id()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    temporary.rename(path)


def _kept_in(folder: Path) -> dict[str, int]:
    """Names and sizes, oldest first; what was being written when the process died is removed."""
    found: list[tuple[float, str, int]] = []
    for path in folder.rglob("*"):
        if path.name.startswith("new-"):
            path.unlink(missing_ok=True)
        elif path.is_file():
            stat = path.stat()
            found.append((stat.st_mtime, path.relative_to(folder).as_posix(), stat.st_size))
    return {name: size for _, name, size in sorted(found)}
