"""Finding the studies, series and instances somebody may see, and the indexes of their packs."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kit.clock import Clock
from kit.dicom.pack import PackEntry, PackIndex, read_index
from kit.documents.port import Documents
from kit.errors import NotFound, Refused
from kit.objects.port import Objects
from schemas.shapes import PackRef
from services.view.models import STUDIES, ViewStudy
from services.view.scopes import Scope, may_see, not_here

_KEPT_FOR = timedelta(seconds=2)
_KEPT = 64
_MOST = 50


class SeveralOrigins(Refused):
    """The same Study Instance UID came from several senders: they are never mixed."""

    status = 409

    def __init__(self) -> None:
        super().__init__(
            "several-origins",
            "This study came from more than one sender. Search for it, and use the addresses of the results.",
        )

    def __reduce__(self) -> tuple[type["SeveralOrigins"], tuple[()]]:  # type: ignore[override]
        return type(self), ()


@dataclass(frozen=True)
class Located:
    """One instance and the pack it lies in."""

    pack: PackRef
    index: PackIndex
    entry: PackEntry


class Indexes:
    """Pack indexes, which never change, kept up to a number of instances, least recently used out."""

    def __init__(self, objects: Objects, most: int) -> None:
        self._objects = objects
        self._most = most
        self._kept: OrderedDict[str, PackIndex] = OrderedDict()
        self._count = 0

    async def get(self, pack: PackRef) -> PackIndex:
        known = self._kept.get(pack.index_key)
        if known is not None:
            self._kept.move_to_end(pack.index_key)
            return known
        index = await asyncio.to_thread(read_index, self._objects, pack.index_key)
        if pack.index_key not in self._kept:
            self._kept[pack.index_key] = index
            self._count += len(index.entries)
        while self._count > self._most and self._kept:
            _, dropped = self._kept.popitem(last=False)
            self._count -= len(dropped.entries)
        return index


class Library:
    def __init__(self, documents: Documents, indexes: Indexes, clock: Clock) -> None:
        self._documents = documents
        self._indexes = indexes
        self._clock = clock
        self._recent: OrderedDict[str, tuple[datetime, list[ViewStudy]]] = OrderedDict()

    async def studies(self, scope: Scope, study_uid: str) -> Sequence[ViewStudy]:
        """The studies of that UID below the root, one an origin. Raises NotFound."""
        return await self._allowed(scope, await self._of_uid(study_uid))

    async def study(self, scope: Scope, study_uid: str) -> ViewStudy:
        """The one study of that UID below the root. Raises NotFound and SeveralOrigins."""
        return _only(await self.studies(scope, study_uid))

    async def instances(
        self, study: ViewStudy, series_uid: str | None = None, sop_uid: str | None = None
    ) -> list[Located]:
        """Instances in the order they are stored in, each SOP Instance UID once. Raises NotFound."""
        found: dict[str, Located] = {}
        for pack in study.packs:
            index = await self._indexes.get(pack)
            skipped = frozenset(pack.skipped)
            entries: Sequence[PackEntry] = index.entries
            if sop_uid is not None:
                entries = [index.by_uid[sop_uid]] if sop_uid in index.by_uid else []
            for entry in entries:
                if entry.position not in skipped and series_uid in (None, entry.series_instance_uid):
                    found.setdefault(entry.sop_instance_uid, Located(pack, index, entry))
        if not found:
            raise NotFound("no-instance", "There are no such images here.")
        return list(found.values())

    async def instance(
        self, scope: Scope, study_uid: str, series_uid: str, sop_uid: str
    ) -> tuple[ViewStudy, Located]:
        """One image. What is known of its study may be two seconds old, except where the image is not
        in that. Raises NotFound and SeveralOrigins."""
        now = self._clock()
        known = self._recent.get(study_uid)
        if known is not None and timedelta() <= now - known[0] < _KEPT_FOR:
            try:
                study = _only(await self._allowed(scope, known[1]))
                return study, (await self.instances(study, series_uid, sop_uid))[0]
            except NotFound:
                self._recent.pop(study_uid, None)
        stored = await self._of_uid(study_uid)
        self._recent[study_uid] = (now, stored)
        while len(self._recent) > _KEPT:
            self._recent.popitem(last=False)
        study = _only(await self._allowed(scope, stored))
        return study, (await self.instances(study, series_uid, sop_uid))[0]

    async def _of_uid(self, study_uid: str) -> list[ViewStudy]:
        page = await self._documents.find(STUDIES, {"study_instance_uid": study_uid}, limit=_MOST)
        return page.items

    async def _allowed(self, scope: Scope, studies: Sequence[ViewStudy]) -> list[ViewStudy]:
        seen = [study for study in studies if await may_see(self._documents, scope, study.id)]
        if not seen:
            raise not_here()
        return seen


def _only(studies: Sequence[ViewStudy]) -> ViewStudy:
    if len(studies) > 1:
        raise SeveralOrigins
    return studies[0]
