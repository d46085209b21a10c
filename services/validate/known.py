"""Which instances a study has, by SOP Instance UID: a bounded cache over the index objects of its packs."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from kit.dicom.pack import PackIndex, read_index
from kit.objects.port import Objects
from schemas.shapes import PackRef, Study
from services.validate.rules.merging import digest

_INSTANCES_MAX = 100_000


@dataclass
class Known:
    packs: set[str] = field(default_factory=set)
    hashes: dict[str, bytes] = field(default_factory=dict)


class KnownInstances:
    """Grows with each merged pack, so that merging reads every index once. Least recently used
    studies go when more than 100,000 instances are held; the study at work always stays."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._studies: OrderedDict[str, Known] = OrderedDict()

    async def index(self, pack: PackRef) -> PackIndex:
        return await asyncio.to_thread(read_index, self._objects, pack.index_key)

    async def of(self, study: Study | None, study_id: str) -> Known:
        """All instances of the study's packs. Raises NotFound when an index is gone."""
        known = self._studies.get(study_id, Known())
        packs = {} if study is None else {pack.id: pack for pack in study.packs}
        if not known.packs <= packs.keys():
            known = Known()
        for pack in packs.values():
            if pack.id not in known.packs:
                skipped = set(pack.skipped)
                for entry in (await self.index(pack)).entries:
                    if entry.position not in skipped:
                        known.hashes[entry.sop_instance_uid] = digest(entry.sha256)
                known.packs.add(pack.id)
        self._keep(study_id, known)
        return known

    def learn(self, study_id: str, pack_id: str, hashes: dict[str, bytes]) -> None:
        """After the study was saved with this pack in it."""
        known = self._studies.get(study_id)
        if known is not None:
            known.packs.add(pack_id)
            known.hashes.update(hashes)
            self._keep(study_id, known)

    def _keep(self, study_id: str, known: Known) -> None:
        self._studies[study_id] = known
        self._studies.move_to_end(study_id)
        held = sum(len(one.hashes) for one in self._studies.values())
        while held > _INSTANCES_MAX and len(self._studies) > 1:
            _, gone = self._studies.popitem(last=False)
            held -= len(gone.hashes)
