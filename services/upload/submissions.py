"""Opening, filling and closing submissions: each step one save with its event."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, Field

from kit import acts
from kit.clock import Clock
from kit.documents.port import Documents, In
from kit.errors import NotFound, VersionConflict
from kit.ids import derived_id, random_id
from schemas.envelope import Event
from schemas.shapes import ObjectPart, Person, Sender
from services.upload import ordinals, rules
from services.upload.documents import MANIFESTS, SUBMISSIONS, UPLOADS, Announced, ManifestDoc, SubmissionDoc
from services.upload.refusals import Conflict, Incomplete, too_many_files
from services.upload.settings import UploadSettings

_CHUNK = 1000
LOOKS_EVERY_S = 30
"""How often a task runner looks without being told."""


class Opening(BaseModel):
    """What a sender says when it opens a submission. The place in `files` is the ordinal."""

    client_id: str = Field(default="", max_length=200)
    recipients: tuple[Person, ...] = Field(default=(), max_length=50)
    purpose: str = Field(default="", max_length=500)
    urgency: Literal["routine", "urgent"] = "routine"
    note: str = Field(default="", max_length=4000)
    declared_files: int | None = Field(default=None, ge=0)
    files: Annotated[list[Announced] | None, Field(fail_fast=True)] = None


@dataclass(frozen=True)
class Batch:
    """A durable tar: its parts follow each other in the object store."""

    id: str
    ranges: ordinals.Ranges
    parts: tuple[ObjectPart, ...]
    numbered_here: bool = False
    """Its ordinals were not chosen by the sender."""

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)


class Submissions:
    def __init__(
        self,
        documents: Documents,
        clock: Clock,
        settings: UploadSettings,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """`wake` tells the task runner that a submission falls due sooner than it looks by itself."""
        self._wake = wake
        self._documents = documents
        self._clock = clock
        self._settings = settings
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    def draft(
        self,
        sender: Sender,
        opening: Opening,
        *,
        submission_id: str | None = None,
        quiet_s: int | None = None,
        kept: bool = False,
    ) -> SubmissionDoc:
        """A submission that is not saved yet. `quiet_s` None: the long time of clients that close. `kept`:
        this process closes it (services.upload.keeping)."""
        now = self._clock()
        quiet = self._settings.submission_expires_s if quiet_s is None else quiet_s
        declared = opening.declared_files if opening.files is None else len(opening.files)
        if declared is not None and declared > self._settings.max_files:
            raise too_many_files(self._settings.max_files)
        submission = SubmissionDoc(
            id=submission_id or random_id(),
            account_id=sender.id,
            sender=sender,
            recipients=opening.recipients,
            purpose=opening.purpose,
            urgency=opening.urgency,
            note=opening.note,
            manifest_digest=_digest(opening.files),
            declared_files=declared,
            declared_bytes=None if opening.files is None else sum(file.size for file in opening.files),
            quiet_s=quiet,
            kept=kept,
            opened_at=now,
            active_at=now,
        )
        submission.due_at = rules.due(submission, now, self._settings)
        return submission

    async def open(
        self, sender: Sender, opening: Opening, *, quiet_s: int | None = None, kept: bool = False
    ) -> tuple[SubmissionDoc, bool]:
        """The submission and whether it is new. The same client_id finds the same one, also when a
        crash came in between. Raises Refused (409) when its files are others."""
        known = derived_id("submission", sender.id, opening.client_id) if opening.client_id else None
        submission = self.draft(sender, opening, submission_id=known, quiet_s=quiet_s, kept=kept)
        new = True
        try:
            await self._documents.save(SUBMISSIONS, submission, [rules.opened(submission)])
        except VersionConflict:
            earlier = await self.get(submission.id)
            if (earlier.manifest_digest, earlier.declared_files) != (
                submission.manifest_digest,
                submission.declared_files,
            ):
                raise Conflict(
                    "client-id-reused",
                    "This client_id belongs to a submission of other files. Use a new one.",
                ) from None
            submission, new = earlier, False
        if submission.quiet_s < LOOKS_EVERY_S:
            self._wake()
        if opening.files:
            await self._documents.insert_many(MANIFESTS, _chunks(submission.id, opening.files))
        return submission, new

    async def get(self, submission_id: str) -> SubmissionDoc:
        """Raises NotFound."""
        found = await self.find(submission_id)
        if found is None:
            raise NotFound("no-submission", "There is no such submission. Check its id.")
        return found

    async def find(self, submission_id: str) -> SubmissionDoc | None:
        found = await self._documents.get(SUBMISSIONS, submission_id)
        if found is not None:
            acts.follow(found.id)
        return found

    async def register(self, submission_id: str, batch: Batch) -> int:
        """Make a durable batch part of its submission; returns its sequence. Again: the same number.

        Raises Refused when the submission is closed, its limits are reached, or some of the
        ordinals came in another batch.
        """
        async with self._only_one(submission_id):
            while True:
                submission = await self.get(submission_id)
                if batch.id in submission.batches:
                    return submission.batches.index(batch.id) + 1
                rules.check_batch(
                    submission,
                    batch.ranges,
                    batch.size,
                    self._settings,
                    numbered_here=batch.numbered_here,
                )
                event = rules.add_batch(
                    submission, batch.id, batch.ranges, batch.parts, self._clock(), self._settings
                )
                try:
                    await self._documents.save(SUBMISSIONS, submission, [event])
                except VersionConflict:
                    continue
                if submission.quiet_s < LOOKS_EVERY_S:
                    self._wake()
                return event.sequence

    async def save_whole(self, submission: SubmissionDoc, batches: Sequence[Batch]) -> None:
        """Opened, filled and closed in one save: all of it happened, or nothing.
        Raises VersionConflict when the submission exists already, Refused for limits."""
        now = self._clock()
        events: list[Event] = [rules.opened(submission)]
        for batch in batches:
            rules.check_batch(submission, batch.ranges, batch.size, self._settings)
            events.append(
                rules.add_batch(submission, batch.id, batch.ranges, batch.parts, now, self._settings)
            )
        events.append(rules.close(submission, "sender", now))
        await self._documents.save(SUBMISSIONS, submission, events)

    async def close(self, submission_id: str, *, incomplete: bool = False) -> SubmissionDoc:
        """The sender has sent all. Raises Incomplete when announced files or running uploads are
        outstanding and `incomplete` does not give them up. Closing again changes nothing."""
        async with self._only_one(submission_id):
            while True:
                submission = await self.get(submission_id)
                if submission.state == "closed":
                    return submission
                if not incomplete:
                    await self._check_complete(submission)
                event = rules.close(submission, "sender", self._clock())
                try:
                    return await self._documents.save(SUBMISSIONS, submission, [event])
                except VersionConflict:
                    continue

    async def _check_complete(self, submission: SubmissionDoc) -> None:
        if submission.declared_files is not None:
            missing = ordinals.missing(submission.received, submission.declared_files)
            if missing:
                raise Incomplete(ordinals.render(missing))
        elif await self._documents.count(
            UPLOADS, {"submission_id": submission.id, "state": In(("open", "complete"))}, cap=1
        ):
            raise Conflict("uploads-open", "Uploads of this submission are still under way. End them first.")

    async def close_when_due(self, submission: SubmissionDoc, is_live: Callable[[str], bool]) -> None:
        """A due submission: close it, or look again later when it is live or has uploads moving.
        Raises VersionConflict when something came at the same moment."""
        submission.lease_until = None
        submission.attempts = 0
        again = None
        if submission.state == "open":
            again = await self.close_if_silent(submission, is_live)
            if again is None:
                return
        submission.due_at = again
        await self._documents.save(SUBMISSIONS, submission)

    async def close_if_silent(
        self, submission: SubmissionDoc, is_live: Callable[[str], bool]
    ) -> datetime | None:
        """An open submission: None once it is closed, else when it may have been silent for long enough.
        Raises VersionConflict when something came at the same moment."""
        now, span = self._clock(), timedelta(seconds=submission.quiet_s)
        last = max(submission.active_at, await self._last_upload(submission))
        if last + span > now:
            return last + span
        if is_live(submission.id):
            return now + span
        reason = "expired" if submission.sender.door in ("portal", "api") else "quiet"
        await self._documents.save(SUBMISSIONS, submission, [rules.close(submission, reason, now)])
        return None

    async def say_it_lives(self, submission: SubmissionDoc) -> None:
        """Of a kept submission: its process is there. Saved when others would otherwise come before long."""
        due = rules.due(submission, self._clock(), self._settings)
        if submission.due_at is None or due - submission.due_at > timedelta(
            seconds=self._settings.abandoned_s / 2
        ):
            submission.due_at = due
            await self._documents.save(SUBMISSIONS, submission)

    async def let_go(self, submission_id: str) -> None:
        """Nothing of it is in this process any more: whoever looks first may close it."""
        submission = await self.find(submission_id)
        if submission is not None and submission.state == "open":
            submission.kept = False
            submission.due_at = rules.due(submission, submission.active_at, self._settings)
            await self._documents.save(SUBMISSIONS, submission)

    async def give_up(self, submission: SubmissionDoc, _reason: str) -> None:
        """Looking at a due submission failed for long: look again later, it must not stay open."""
        submission.due_at = self._clock() + timedelta(hours=1)
        submission.attempts = 0
        await self._documents.save(SUBMISSIONS, submission)

    async def _last_upload(self, submission: SubmissionDoc) -> datetime:
        page = await self._documents.find(
            UPLOADS, {"submission_id": submission.id, "state": In(("open", "complete"))}, limit=1000
        )
        return max((upload.active_at for upload in page.items), default=submission.active_at)

    @asynccontextmanager
    async def _only_one(self, submission_id: str) -> AsyncIterator[None]:
        """Saves of one submission wait for each other instead of meeting as conflicts. Other
        processes are held off by versions."""
        lock, users = self._locks.get(submission_id, (asyncio.Lock(), 0))
        self._locks[submission_id] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(submission_id)
            if users > 1:
                self._locks[submission_id] = (lock, users - 1)


def _digest(files: list[Announced] | None) -> str:
    if files is None:
        return ""
    return hashlib.sha256(orjson.dumps([(file.path, file.size) for file in files])).hexdigest()


def _chunks(submission_id: str, files: list[Announced]) -> list[ManifestDoc]:
    return [
        ManifestDoc(
            id=f"{submission_id}-{start:06d}",
            submission_id=submission_id,
            start=start,
            files=files[start : start + _CHUNK],
        )
        for start in range(0, len(files), _CHUNK)
    ]
