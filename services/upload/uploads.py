"""tus uploads: one batch each, stored in parts as it comes, registered when it is whole."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from kit import acts
from kit.clock import Clock
from kit.documents.port import Documents
from kit.errors import Gone, NoSpace, NotFound, Refused, TooLarge, VersionConflict
from kit.identity import Principal, Role
from kit.ids import random_id
from kit.metrics import RECEIVED_BYTES
from kit.objects.port import Objects
from kit.spool import Spool
from schemas.shapes import ObjectPart
from services.upload import ordinals, rules
from services.upload.body import Body
from services.upload.documents import UPLOADS, Part, UploadDoc, batch_prefix, part_key
from services.upload.form import FormBody
from services.upload.parts import ALGORITHMS, Digest, PartWriter
from services.upload.refusals import BrokenOff, Busy, ChecksumMismatch, Conflict, Locked, TooSlow
from services.upload.settings import UploadSettings
from services.upload.submissions import LOOKS_EVERY_S, Batch, Submissions

_MOST_PARTS = 10_000
_REST_WORTH_KEEPING = 64 << 10
_BACKLOG, _LEAST_BACKLOG, _ALL_BACKLOGS = 4 << 20, 256 << 10, 32 << 20
"""Bytes that wait in memory: for one upload alone, for one of very many, for all together."""
_TAKE_OVER_AFTER_S = 3.0
_TAKE_OVER_WAIT_S = 10.0
_FINISH_AFTER = timedelta(seconds=30)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Checksum:
    """Upload-Checksum: what the bytes of one request must add up to."""

    algorithm: str
    expected: bytes

    def start(self) -> Digest:
        return ALGORITHMS[self.algorithm]()


@dataclass
class _Transfer:
    body: Body | FormBody | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Uploads:
    def __init__(
        self,
        documents: Documents,
        objects: Objects,
        submissions: Submissions,
        room: Spool,
        clock: Clock,
        settings: UploadSettings,
        exclusive: bool,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._wake = wake
        self._documents = documents
        self._objects = objects
        self._submissions = submissions
        self._room = room
        self._clock = clock
        self._settings = settings
        self._exclusive = exclusive
        self._transfers: dict[str, _Transfer] = {}

    async def create(
        self, principal: Principal, submission_id: str, ranges: ordinals.Ranges, length: int
    ) -> UploadDoc:
        """Raises Refused when this batch could not be taken in whole."""
        rules.check_batch_shape(ranges, length, self._settings)
        submission = await self._submissions.get(submission_id)
        if submission.account_id != principal.account.id:
            raise NotFound("no-submission", "There is no such submission. Check its id.")
        rules.check_batch(submission, ranges, length, self._settings)
        await self._replace_abandoned(submission_id, ranges)
        most = self._settings.max_open_uploads
        if (
            await self._documents.count(UPLOADS, {"submission_id": submission_id, "state": "open"}, cap=most)
            == most
        ):
            raise Conflict(
                "too-many-uploads", "Too many uploads of this submission are open. Finish or end some."
            )
        self._room.check_room(length)
        now = self._clock()
        expires = now + timedelta(seconds=self._settings.upload_expires_s)
        upload = UploadDoc(
            id=random_id(),
            account_id=principal.account.id,
            submission_id=submission_id,
            length=length,
            ordinals=ranges,
            expires_at=expires,
            active_at=now,
            due_at=expires,
        )
        await self._documents.save(UPLOADS, upload)
        if self._settings.upload_expires_s < LOOKS_EVERY_S:
            self._wake()
        return upload

    async def _replace_abandoned(self, submission_id: str, ranges: ordinals.Ranges) -> None:
        """A sender whose creating request broke off never learned the upload's address: when it
        announces the same files again, what it began before makes way."""
        page = await self._documents.find(
            UPLOADS, {"submission_id": submission_id, "state": "open"}, limit=self._settings.max_open_uploads
        )
        silence = timedelta(seconds=0 if self._exclusive else self._settings.body_timeout_s)
        for upload in page.items:
            idle = upload.id not in self._transfers and upload.active_at + silence <= self._clock()
            if upload.ordinals == ranges and idle:
                with suppress(VersionConflict):
                    await self._remove(upload)

    async def get(self, principal: Principal, upload_id: str) -> UploadDoc:
        """Raises NotFound (also for somebody else's), Gone when it expired."""
        upload = await self._documents.get(UPLOADS, upload_id)
        if upload is None or not (upload.account_id == principal.account.id or principal.may(Role.ADMIN)):
            raise NotFound("no-upload", "There is no such upload. Ask for the ordinals and create a new one.")
        acts.follow(upload.submission_id)
        if upload.state == "open" and upload.expires_at <= self._clock():
            raise Gone(
                "upload-expired", "This upload has expired. Ask for the ordinals and create a new one."
            )
        return upload

    async def settled(self, principal: Principal, upload_id: str) -> UploadDoc:
        """The upload with all that is known to have come: a transfer that has gone silent is ended
        first, a batch that is whole but not registered yet is registered. Raises like get."""
        upload = await self.get(principal, upload_id)
        if upload.state == "open" and await self._take_over(upload_id):
            upload = await self.get(principal, upload_id)
        if upload.state == "complete":
            upload = await self._register(upload)
        return upload

    async def receive(
        self,
        principal: Principal,
        upload_id: str,
        offset: int,
        body: Body | FormBody,
        checksum: Checksum | None = None,
    ) -> UploadDoc:
        """Take the body in from `offset`. When a sender breaks off, what came is kept and BrokenOff
        is raised; with a checksum, a body counts whole or not at all. Raises Locked, Conflict,
        ChecksumMismatch, TooLarge, NoSpace, TooSlow, Busy."""
        await self.get(principal, upload_id)
        await self._take_over(upload_id)
        if len(self._transfers) >= self._settings.max_transfers:
            raise Busy("many-uploads", "Very many uploads are under way here. Please try again in a minute.")
        async with self._only_one(upload_id) as transfer:
            upload = await self.get(principal, upload_id)
            if offset != upload.offset:
                raise Conflict(
                    "wrong-offset", f"This upload continues at byte {upload.offset}, not {offset}."
                )
            if upload.state == "open":
                self._check_length(upload, body)
                transfer.body = body
                await self._take_in(upload, body, checksum)
            if upload.state == "complete":
                upload = await self._register(upload)
            return upload

    def _check_length(self, upload: UploadDoc, body: Body | FormBody) -> None:
        left = upload.length - upload.offset
        if isinstance(body, FormBody):
            body.check_room(left)
            self._room.check_room(left)
        if body.declared is not None:
            if body.declared > left:
                raise Refused(
                    "too-long", f"Only {left} bytes of this upload are outstanding; more were sent."
                )
            self._room.check_room(body.declared)
        if len(upload.parts) >= _MOST_PARTS:
            raise TooLarge(
                "too-many-pieces", "This upload came in too many pieces. End it and create a new one."
            )

    async def _take_in(self, upload: UploadDoc, body: Body | FormBody, checksum: Checksum | None) -> None:
        digest = checksum.start() if checksum else None
        upload.checksummed = upload.checksummed or checksum is not None
        tag = "" if self._exclusive else f"-{random_id()[:8]}"
        unproved: list[Part] = []

        def name_of(number: int) -> str:
            """Where several processes serve uploads, none may write over what another has stored."""
            return f"{number:05d}{tag}"

        async def keep(number: int, size: int) -> None:
            part = Part(name=name_of(number), size=size)
            if digest is None:
                await self._save_parts(upload, [part])
            else:
                unproved.append(part)

        writer = PartWriter(
            self._objects,
            lambda number: part_key(upload.submission_id, upload.id, name_of(number)),
            len(upload.parts),
            self._settings.part_bytes,
            keep,
            digest,
            lambda: min(_BACKLOG, max(_LEAST_BACKLOG, _ALL_BACKLOGS // len(self._transfers))),
        )
        left = upload.length - upload.offset
        try:
            while chunk := await body.read():
                left -= len(chunk)
                if left < 0:
                    raise Refused("too-long", "More bytes were sent than this upload's length.")
                await writer.feed(chunk)
            await writer.finish()
            if digest is not None and checksum is not None:
                if not hmac.compare_digest(digest.digest(), checksum.expected):
                    raise ChecksumMismatch(
                        "checksum", "The bytes differ from their checksum. Send this piece again."
                    )
                await self._save_parts(upload, unproved)
        except (BrokenOff, TooSlow):
            if digest is None:
                await writer.finish(1 if left == 0 else _REST_WORTH_KEEPING)
            else:
                await self._drop(writer, upload, unproved)
            raise
        except BaseException:
            await self._drop(writer, upload, unproved)
            raise

    async def _drop(self, writer: PartWriter, upload: UploadDoc, unproved: list[Part]) -> None:
        await writer.drop()
        for part in unproved:
            if part not in upload.parts:
                key = part_key(upload.submission_id, upload.id, part.name)
                await asyncio.to_thread(self._objects.delete, key)

    async def _save_parts(self, upload: UploadDoc, parts: list[Part]) -> None:
        """One save makes parts that are durable count. Raises Locked when another process did."""
        now = self._clock()
        upload.parts.extend(parts)
        upload.offset += sum(part.size for part in parts)
        upload.active_at = now
        if upload.offset == upload.length:
            upload.state = "complete"
            upload.due_at = now + _FINISH_AFTER
        else:
            upload.due_at = upload.expires_at = now + timedelta(seconds=self._settings.upload_expires_s)
        try:
            await self._documents.save(UPLOADS, upload)
        except VersionConflict:
            raise _locked() from None
        RECEIVED_BYTES.labels("tus").inc(sum(part.size for part in parts))

    async def _register(self, upload: UploadDoc) -> UploadDoc:
        """The whole batch becomes part of its submission. Refused: the upload is deleted."""
        batch = Batch(upload.id, upload.ordinals, tuple(self._parts(upload)))
        if upload.checksummed or not self._exclusive:
            known = {part.key for part in batch.parts}
            await asyncio.to_thread(self._delete_objects, upload, known)
        try:
            await self._submissions.register(upload.submission_id, batch)
        except Refused:
            with suppress(VersionConflict):
                await self._remove(upload)
            raise
        now = self._clock()
        upload.state = "registered"
        upload.expires_at = upload.due_at = now + timedelta(seconds=self._settings.upload_expires_s)
        try:
            await self._documents.save(UPLOADS, upload)
        except VersionConflict:
            upload = await self._documents.get(UPLOADS, upload.id) or upload
        return upload

    async def terminate(self, principal: Principal, upload_id: str) -> None:
        """tus termination: the upload and its bytes go. Raises Conflict once it is a batch."""
        await self.get(principal, upload_id)
        await self._take_over(upload_id)
        async with self._only_one(upload_id):
            upload = await self.get(principal, upload_id)
            if upload.state != "open":
                raise Conflict(
                    "upload-complete", "This upload is part of its submission and can't be taken back."
                )
            await self._remove(upload)

    async def work(self, upload: UploadDoc) -> None:
        """The task of an upload that is due: expire it, finish what a crash interrupted, forget it."""
        if upload.id in self._transfers:
            upload.due_at = self._clock() + _FINISH_AFTER
            upload.lease_until = None
            await self._documents.save(UPLOADS, upload)
        elif upload.state == "complete":
            try:
                await self._register(upload)
            except Refused:
                return
        elif upload.state == "registered":
            await self._documents.delete(UPLOADS, upload)
        else:
            await self._remove(upload)

    async def give_up(self, upload: UploadDoc, reason: str) -> None:
        """An upload that could not be finished or removed stays for the operator to see."""
        upload.due_at = self._clock() + timedelta(hours=1)
        upload.lease_until = None
        await self._documents.save(UPLOADS, upload)

    async def _remove(self, upload: UploadDoc) -> None:
        """Expired by any clock first, so that nobody adds to it while its bytes go. Raises VersionConflict
        when somebody just did: then it stays."""
        upload.state, upload.expires_at = "open", _LONG_AGO
        upload.due_at = self._clock() + _FINISH_AFTER
        try:
            await self._documents.save(UPLOADS, upload)
        except NoSpace:
            if not self._exclusive:
                raise
            # nobody else can add to it, and what it holds may be the room that is missing
        await asyncio.to_thread(self._delete_objects, upload, set())
        await self._documents.delete(UPLOADS, upload)

    def _parts(self, upload: UploadDoc) -> list[ObjectPart]:
        return [
            ObjectPart(key=part_key(upload.submission_id, upload.id, part.name), size=part.size)
            for part in upload.parts
        ]

    def _delete_objects(self, upload: UploadDoc, kept: set[str]) -> None:
        """All but the kept: what a crash left between a part and its save never counted."""
        for stat in list(self._objects.list(batch_prefix(upload.submission_id, upload.id))):
            if stat.key not in kept:
                self._objects.delete(stat.key)

    async def _take_over(self, upload_id: str) -> bool:
        """End a transfer whose sender has gone silent (its connection is dead, the sender is back on
        another). Returns whether there was one. Raises Locked when one is alive."""
        transfer = self._transfers.get(upload_id)
        if transfer is None:
            return False
        silent = 0.0
        if transfer.body is not None:
            silent = asyncio.get_running_loop().time() - transfer.body.last
        if transfer.body is None or silent < _TAKE_OVER_AFTER_S:
            return False
        transfer.body.abandon()
        try:
            await asyncio.wait_for(transfer.ended.wait(), _TAKE_OVER_WAIT_S)
        except TimeoutError:
            raise _locked() from None
        return True

    @asynccontextmanager
    async def _only_one(self, upload_id: str) -> AsyncIterator[_Transfer]:
        if upload_id in self._transfers:
            raise _locked()
        transfer = self._transfers[upload_id] = _Transfer()
        try:
            yield transfer
        finally:
            del self._transfers[upload_id]
            transfer.ended.set()


def _locked() -> Locked:
    return Locked("upload-busy", "Another request is writing to this upload. Wait a moment and try again.")
