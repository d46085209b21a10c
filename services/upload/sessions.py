"""Senders that never say "done" (STOW-RS, DICOM): their files join one open submission and go into
spool batches, which end by size, count or silence. The submission closes when the sender is quiet.

A file is durable in the spool when add() (or sync()) returns; everything after that — sealing,
storing, registering the batch — happens in the background and is tried until it succeeds, in the
next process if need be.
"""

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count

from kit import acts
from kit.errors import NotFound, Refused, TransientError
from kit.objects.port import Objects
from kit.spool import Chunk, Spool, SpoolFile
from kit.spool_tar import Member, member_name, whole_members
from schemas.shapes import ObjectPart, Sender
from services.upload import ordinals
from services.upload.documents import part_key
from services.upload.settings import UploadSettings
from services.upload.submissions import Batch, Opening, Submissions

_log = logging.getLogger(__name__)
_RETRY_S = 5.0

Keep = Callable[[str], Awaitable[None]]
KIND = "session"
"""Marks spool files of sessions in their owner record."""


class Session:
    """What one sender under one label sends until it is quiet: one submission."""

    def __init__(self, sender: Sender, label: str, submission_id: str, now: float) -> None:
        self.sender = sender
        self.label = label
        self.submission_id = submission_id
        self.began = now
        self.next_ordinal = 0
        self.writers = 0
        """Writers in somebody's hands."""
        self.idle: list[tuple[SpoolFile, float]] = []
        """Batches in the making that nobody writes to, and since when."""


class BatchWriter:
    """Adds files to the session's batches. Belongs to one user at a time: see Sessions.writer."""

    def __init__(self, sessions: "Sessions", session: Session, settings: UploadSettings) -> None:
        self._sessions = sessions
        self._settings = settings
        self.session = session
        self.file: SpoolFile | None = None

    async def add(self, path: str, chunks: AsyncIterable[Chunk], *, sync: bool = True) -> Member:
        """Spool one file (`path` is what the sender calls it); durable on return unless `sync` is
        False. Raises NoSpace, TooLarge, Unavailable, or what `chunks` raises: nothing of it is kept."""
        if self.file is None:
            self.file = await self._sessions.take_file(self.session)
        ordinal = self.session.next_ordinal
        self.session.next_ordinal += 1
        member = await self.file.append(
            member_name(ordinal, path), chunks, limit=self._settings.max_file_bytes, sync=sync
        )
        if self._full(self.file):
            if not sync:
                await self.file.sync()
            full, self.file = self.file, None
            self._sessions.finish(full)
        return member

    async def sync(self) -> None:
        """Make durable what was added with sync=False. Raises NoSpace, Unavailable."""
        if self.file is not None:
            await self.file.sync()

    def _full(self, file: SpoolFile) -> bool:
        return file.size >= self._settings.batch_bytes or len(file.members) >= self._settings.batch_files


class Sessions:
    def __init__(
        self,
        spool: Spool,
        objects: Objects,
        submissions: Submissions,
        settings: UploadSettings,
        keep: Keep | None = None,
    ) -> None:
        """`keep` is told the submissions whose files come here, where other processes might close them."""
        self._keep = keep
        self._spool = spool
        self._objects = objects
        self._submissions = submissions
        self._settings = settings
        self._sessions: dict[tuple[str, str, str], Session] = {}
        self._opening: dict[tuple[str, str, str], asyncio.Lock] = {}
        self._retired: list[Session] = []
        self._finishing: dict[str, asyncio.Task[None]] = {}
        self._ending: dict[str, int] = {}
        """Batches on their way by submission."""
        self._left: set[str] = set()
        """Submissions with batches that the next process will finish."""
        self._ticker: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    @asynccontextmanager
    async def writer(self, sender: Sender, label: str = "") -> AsyncIterator[BatchWriter]:
        """A writer for this sender, for one instance or one request: the session's submission is
        opened when there is none. `label` tells apart what one account sends (a calling AE title)."""
        session = await self._session(sender, label)
        acts.follow(session.submission_id)
        session.writers += 1
        writer = BatchWriter(self, session, self._settings)
        try:
            yield writer
        finally:
            session.writers -= 1
            if writer.file is not None:
                session.idle.append((writer.file, _now()))

    async def _session(self, sender: Sender, label: str) -> Session:
        key = (sender.id, sender.door, label)
        async with self._opening.setdefault(key, asyncio.Lock()):
            session = self._sessions.get(key)
            if session is not None and self._worn(session):
                del self._sessions[key]
                self._retired.append(session)
                session = None
            if session is None:
                self._spool.check_room()
                submission, _ = await self._submissions.open(
                    sender, Opening(), quiet_s=self._settings.quiet_s, kept=self._keep is not None
                )
                if self._keep is not None:
                    await self._keep(submission.id)
                session = Session(sender, label, submission.id, _now())
                self._sessions[key] = session
            return session

    def _worn(self, session: Session) -> bool:
        return (
            _now() - session.began > self._settings.session_max_s
            or session.next_ordinal >= self._settings.max_files * 9 // 10
        )

    async def take_file(self, session: Session) -> SpoolFile:
        """The batch that was written to last, else a new one. Raises NoSpace."""
        if session.idle:
            return session.idle.pop()[0]
        owner = {
            "kind": KIND,
            "submission_id": session.submission_id,
            "sender": session.sender.model_dump(mode="json"),
        }
        return await self._spool.open(owner)

    def finish(self, file: SpoolFile) -> None:
        """Hand a batch over to be stored and registered in the background, for as long as it takes."""
        submission_id = file.owner["submission_id"]
        self._ending[submission_id] = self._ending.get(submission_id, 0) + 1
        task = asyncio.create_task(self._finish(file, submission_id), name="finish-batch")
        self._finishing[file.id] = task

    async def _finish(self, file: SpoolFile, submission_id: str) -> None:
        try:
            with acts.Act("task", "upload", "finish-batch", correlation_id=submission_id) as act:
                await self._store(file, act)
        finally:
            del self._finishing[file.id]
            self._ending[submission_id] -= 1
            if not self._ending[submission_id]:
                del self._ending[submission_id]

    async def _store(self, file: SpoolFile, act: acts.Act) -> None:
        try:
            while True:
                try:
                    await store_session_batch(file, self._objects, self._submissions, self._settings)
                    return
                except (TransientError, OSError) as error:
                    _log.warning("a batch of the spool waits: %s", type(error).__name__)
                    act.failed(error)
                if self._stopping.is_set():
                    self._left.add(file.owner["submission_id"])
                    await file.release()
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), _RETRY_S)
        except Exception as error:  # noqa: BLE001 - the edge of a background task: the file stays in the spool
            _log.exception("a batch of the spool met a defect; it is tried again at the next start")
            act.failed(error)

    def is_live(self, submission_id: str) -> bool:
        """Whether something of this submission is under way here. When not, files to come open a new one."""
        if submission_id in self._ending or submission_id in self._left:
            return True
        for key, session in list(self._sessions.items()):
            if session.submission_id == submission_id:
                if session.writers or session.idle:
                    return True
                del self._sessions[key]
        return any(
            session.writers or session.idle
            for session in self._retired
            if session.submission_id == submission_id
        )

    async def start(self, recovered: list[SpoolFile]) -> None:
        """Finish the batches that an earlier process left, then watch for silence."""
        for file in recovered:
            if file.owner.get("kind") == KIND:
                self.finish(file)
        self._ticker = asyncio.create_task(self._watch(), name="spool-silence")

    async def stop(self) -> None:
        """Finish every batch in the making (the doors are closed already); what can't be finished
        stays in the spool for the next start."""
        self._stopping.set()
        if self._ticker is not None:
            await self._ticker
        self._end_batches(older_than=_now() + 1)
        if self._finishing:
            await asyncio.wait(list(self._finishing.values()), timeout=10)

    async def _watch(self) -> None:
        step = min(0.5, self._settings.idle_s / 2 or 0.05)
        while not self._stopping.is_set():
            self._end_batches(older_than=_now() - self._settings.idle_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), step)

    def _end_batches(self, older_than: float) -> None:
        for session in [*self._sessions.values(), *self._retired]:
            for item in [item for item in session.idle if item[1] <= older_than]:
                session.idle.remove(item)
                self.finish(item[0])
        self._retired = [session for session in self._retired if session.writers or session.idle]


async def store_session_batch(
    file: SpoolFile, objects: Objects, submissions: Submissions, settings: UploadSettings
) -> None:
    """Seal, move to the object store, register, forget. Any step may be a repetition after a crash."""
    submission_id = file.owner["submission_id"]
    key = part_key(submission_id, file.id)
    members = file.members
    if file.adopted:
        try:
            members, size = await asyncio.to_thread(_stored_members, objects, key)
        except NotFound:
            # registered before the crash, and validate has finished with it since
            await file.forget()
            return
    elif members:
        path = await file.seal()
        size = (await asyncio.to_thread(objects.adopt, key, path)).size
        file.adopted = True
    if members:
        ranges = ordinals.of_numbers(int(member.name.partition("/")[0]) for member in members)
        batch = Batch(file.id, ranges, (ObjectPart(key=key, size=size),), numbered_here=True)
        await _register_somewhere(file, submission_id, batch, submissions, settings)
    await file.forget()


async def _register_somewhere(
    file: SpoolFile, submission_id: str, batch: Batch, submissions: Submissions, settings: UploadSettings
) -> None:
    """These files were acknowledged: when their submission closed meanwhile, a further one takes them;
    when that closed too before it got them (a crash came in between), another one."""
    try:
        await submissions.register(submission_id, batch)
        return
    except Refused:
        sender = Sender.model_validate(file.owner["sender"])
    for number in count():
        opening = Opening(client_id=f"late-{file.id}-{number}" if number else f"late-{file.id}")
        late, _ = await submissions.open(sender, opening, quiet_s=settings.quiet_s)
        try:
            await submissions.register(late.id, batch)
            return
        except Refused:
            if (await submissions.get(late.id)).state == "open":
                raise


def _stored_members(objects: Objects, key: str) -> tuple[list[Member], int]:
    with objects.open(key) as tar:
        members = list(whole_members(tar))
        return members, tar.seek(0, 2)


def _now() -> float:
    """Seconds of the loop's clock: silence is measured, not dated."""
    return asyncio.get_running_loop().time()
