"""Finding the studies, series and instances somebody may see, and the indexes of their packs."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from kit.dicom.pack import PackEntry, PackIndex, read_index
from kit.documents.port import Documents
from kit.errors import NotFound
from kit.identity import Principal, Role
from kit.objects.port import Objects
from schemas.shapes import PackRef
from services.view.models import STUDIES, ViewStudy


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
    def __init__(self, documents: Documents, indexes: Indexes) -> None:
        self._documents = documents
        self._indexes = indexes

    async def studies(self, who: Principal, study_uid: str) -> Sequence[ViewStudy]:
        """The studies of that UID the caller may see: one an origin, oldest documents first.

        Raises NotFound, with the same words for one that is another's.
        """
        conditions = {"study_instance_uid": study_uid, **scope(who)}
        page = await self._documents.find(STUDIES, conditions, limit=50)
        if not page.items:
            raise NotFound("no-study", "There is no such study here, or this account may not see it.")
        return page.items

    async def instances(
        self, who: Principal, study_uid: str, series_uid: str | None = None, sop_uid: str | None = None
    ) -> list[Located]:
        """Instances in the order they are stored in. The same SOP Instance UID from two origins appears
        once, the first one. Raises NotFound."""
        found: list[Located] = []
        seen: set[str] = set()
        for study in await self.studies(who, study_uid):
            for pack in study.packs:
                skipped = set(pack.skipped)
                index = await self._indexes.get(pack)
                if sop_uid is not None and sop_uid not in index.by_uid:
                    continue
                for entry in index.entries:
                    if (
                        entry.position in skipped
                        or (series_uid is not None and entry.series_instance_uid != series_uid)
                        or (sop_uid is not None and entry.sop_instance_uid != sop_uid)
                        or entry.sop_instance_uid in seen
                    ):
                        continue
                    seen.add(entry.sop_instance_uid)
                    found.append(Located(pack, index, entry))
        if not found:
            raise NotFound("no-instance", "There are no such images here.")
        return found

    async def instance(self, who: Principal, study_uid: str, series_uid: str, sop_uid: str) -> Located:
        return (await self.instances(who, study_uid, series_uid, sop_uid))[0]


def scope(who: Principal) -> dict[str, str]:
    """Conditions that keep a search to what the caller may see. Raises Forbidden."""
    if who.may(Role.VIEW) or who.may(Role.APPROVE):
        return {}
    who.require(Role.SEND)
    return {"origin": who.account.origin or who.account.id}
