"""Pictures made ready when a study arrives: thumbnails, and where pixels are compressed the first image of
the quick look. A task a study, which looks at every series."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from kit.clock import Clock
from kit.documents.port import Collection, Documents
from kit.errors import NotFound, NotYet, VersionConflict
from kit.tasks import TaskDoc
from schemas.validate import StudyArrived, StudyUpdated
from services.view.library import Library, Located
from services.view.models import STUDIES, ViewStudy
from services.view.pictures import Pictures
from services.view.quicklook import DRAWN, Lists
from services.view.rules.accept import VIDEO, NotAcceptable
from services.view.rules.choosing import middle_frame, middle_of
from services.view.rules.looking import NATIVE
from services.view.rules.looks import look_of

_SOON, _LATER = timedelta(seconds=1), timedelta(seconds=4)
"""More of a study is often on its way: which image is in the middle is seen when it has been quiet."""


class Preparation(TaskDoc):
    """`id` is the study's; `revision` the one that is to be prepared."""

    revision: int
    correlation_id: str = ""
    cause: str = ""

    def goes_back_to(self) -> tuple[str, str]:
        return self.correlation_id, self.cause


PREPARATIONS = Collection("view-preparations", Preparation, fields=("due_at",))


async def study_changed(
    documents: Documents, clock: Clock, wake: Callable[[], None], event: StudyArrived | StudyUpdated
) -> None:
    while True:
        known = await documents.get(PREPARATIONS, event.study.id)
        if known is not None and known.revision >= event.study.revision:
            return
        task = known or Preparation(id=event.study.id, revision=0)
        task.revision = event.study.revision
        task.correlation_id, task.cause = event.correlation_id, event.id
        task.due_at = clock() + (_SOON if isinstance(event, StudyArrived) else _LATER)
        task.attempts = 0
        try:
            await documents.save(PREPARATIONS, task)
        except VersionConflict:
            continue
        wake()
        return


class Preparing:
    def __init__(
        self, documents: Documents, library: Library, lists: Lists, pictures: Pictures, sides: Sequence[int]
    ) -> None:
        self._documents = documents
        self._lists = lists
        self._library = library
        self._pictures = pictures
        self._sides = sides

    async def work(self, task: Preparation) -> None:
        """A series that has no picture is no reason to try again: a request gets a tile instead.
        Raises TransientError while the study's list of images is behind."""
        study = await self._documents.get(STUDIES, task.id)
        if study is None or study.revision < task.revision:
            raise NotYet("the study")
        for series_uid, images in (await self._by_series(study)).items():
            chosen = middle_of(images)
            if chosen.entry.frames.count and chosen.entry.transfer_syntax not in VIDEO:
                await self._prepare(task.id, chosen)
                if chosen.entry.transfer_syntax not in NATIVE:
                    await self._prepare_look(study, series_uid)
        task.due_at = None
        task.lease_until = None
        await self._documents.save(PREPARATIONS, task)

    async def give_up(self, task: Preparation, reason: str) -> None:
        task.due_at = None
        task.last_error = reason
        await self._documents.save(PREPARATIONS, task)

    async def _prepare(self, study_id: str, chosen: Located) -> None:
        looks = [
            look_of({"viewport": f"{side},{side}"}, "image/jpeg", thumbnail=True) for side in self._sides
        ]
        try:
            await self._pictures.prepare(study_id, chosen, middle_frame(chosen.entry), looks)
        except NotAcceptable:
            return

    async def _prepare_look(self, study: ViewStudy, series_uid: str) -> None:
        listed = await self._lists.get(study, series_uid)
        if listed.middle is not None and not listed.raw:
            with suppress(NotAcceptable):
                await self._pictures.prepare(study.id, listed.middle, listed.frame, [DRAWN])

    async def _by_series(self, study: ViewStudy) -> dict[str, list[Located]]:
        found: dict[str, list[Located]] = {}
        try:
            for one in await self._library.instances(study):
                found.setdefault(one.entry.series_instance_uid, []).append(one)
        except NotFound:
            return {}
        return found
