"""One act of sending: open a submission, send its batches side by side, go on after a break, close it."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from anteroom.client.api import Api, ApiError, ClientError, Unreachable
from anteroom.client.batches import Batch, even_share, plan, without
from anteroom.client.files import LeftOut, LocalFile, Selection, again, changed, unreadable
from anteroom.client.unfinished import Unfinished
from anteroom.client.upload import FileChanged, Uploader

_DELAYS = (0.2, 0.5, 1, 2, 4, 8, 15)
_TRIES_OF_A_CHANGING_FILE = 3
_TRIES_OF_A_REFUSED_BATCH = 20


class Interrupted(ClientError):
    """The server stayed away longer than we wait. What it took is kept: the same command goes on."""


@dataclass(frozen=True)
class Wishes:
    """What a sender may say beside its files."""

    note: str = ""
    purpose: str = ""
    urgent: bool = False
    recipients: tuple[str, ...] = ()
    client_id: str = ""

    def fields(self) -> dict[str, Any]:
        return {
            "note": self.note,
            "purpose": self.purpose,
            "urgency": "urgent" if self.urgent else "routine",
            "recipients": [{"email": address} for address in self.recipients],
        }


class Watcher(Protocol):
    """Is told how sending goes; its methods are called from several threads."""

    def sent(self, size: int) -> None:
        """Bytes that left; negative when they must be sent again."""
        ...

    def files_done(self, count: int) -> None: ...

    def waiting(self, reason: str) -> None:
        """The server is away or busy and is tried again."""
        ...


@dataclass
class Sent:
    """What sending came to. `resumed` counts the files that an earlier run had brought; `before` says
    that the submission had been closed already, so that nothing was sent now."""

    submission_id: str
    state: str
    resumed: int
    left_out: list[LeftOut] = field(default_factory=list)
    before: bool = False


def send(
    api: Api,
    selection: Selection,
    wishes: Wishes,
    watcher: Watcher,
    *,
    connections: int = 4,
    patience: float = 120,
    sleep: Callable[[float], None] = time.sleep,
) -> Sent:
    """Send all; on return the submission is closed and every byte durable. Files that can't be read
    are in `left_out`. Raises ApiError for what the server refuses, Interrupted when it stays away
    for `patience` seconds."""
    retry = _Retry(patience, watcher, sleep)
    client_id = wishes.client_id or selection.client_id()
    body = {
        "client_id": client_id,
        **wishes.fields(),
        "files": [{"path": file.path, "size": file.size} for file in selection.files],
    }
    opened = retry.until_done(lambda: api.post("/api/submissions", body))
    submission_id = str(opened["id"])
    received = retry.until_done(lambda: api.get(f"/api/submissions/{submission_id}/ordinals"))["ordinals"]
    missing = without(selection.files, received)
    there = len(selection.files) - len(missing)
    result = Sent(submission_id, str(opened["state"]), there, list(selection.left_out))
    if result.state != "open":
        result.before = True
        return result
    watcher.sent(selection.bytes - sum(file.size for file in missing))
    watcher.files_done(there)
    most = min(int(opened["batch_bytes"]), even_share(missing))
    batches = plan(missing, most, int(opened["batch_files"]))
    with Unfinished(client_id, api.server) as unfinished:
        crew = _Crew(api, submission_id, batches, watcher, retry, unfinished)
        result.left_out += crew.work(min(connections, len(batches)))
        unfinished.forget_all()
    closing = {"incomplete": True} if len(result.left_out) > len(selection.left_out) else None
    closed = retry.until_done(lambda: api.post(f"/api/submissions/{submission_id}/close", closing))
    result.state = str(closed["state"])
    return result


class _Retry:
    """Tries again with growing delays, as long as something was achieved within `patience` seconds."""

    def __init__(self, patience: float, watcher: Watcher, sleep: Callable[[float], None]) -> None:
        self._patience = patience
        self._watcher = watcher
        self._sleep = sleep
        self._achieved = time.monotonic()
        self._lock = threading.Lock()

    def achieved(self) -> None:
        with self._lock:
            self._achieved = time.monotonic()

    def until_done(self, step: Callable[[], Any]) -> Any:
        self.achieved()
        tries = 0
        while True:
            try:
                answer = step()
            except (Unreachable, ApiError) as error:
                self.pause(error, tries)
                tries += 1
            else:
                self.achieved()
                return answer

    def pause(self, error: Unreachable | ApiError, tries: int) -> None:
        """Raises the error when another try can't help, Interrupted when it took too long."""
        if isinstance(error, ApiError) and not error.passing:
            raise error
        with self._lock:
            waited = time.monotonic() - self._achieved
        if waited > self._patience:
            raise Interrupted(f"{error} Nothing is lost: run the same command again to go on.") from error
        self._watcher.waiting(str(error))
        self._sleep(_DELAYS[min(tries, len(_DELAYS) - 1)])


class _Crew:
    """Threads that share the batches of one submission."""

    def __init__(
        self,
        api: Api,
        submission_id: str,
        batches: list[Batch],
        watcher: Watcher,
        retry: _Retry,
        unfinished: Unfinished,
    ) -> None:
        self._api = api
        self._submission_id = submission_id
        self._todo = deque(batches)
        self._watcher = watcher
        self._retry = retry
        self._unfinished = unfinished
        self._left_out: list[LeftOut] = []
        self._failure: BaseException | None = None

    def work(self, hands: int) -> list[LeftOut]:
        threads = [threading.Thread(target=self._hand, daemon=True) for _ in range(hands)]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.5)  # in slices, so that Ctrl-C is heard
        if self._failure is not None:
            raise self._failure
        return self._left_out

    def _hand(self) -> None:
        with self._api.copy() as api:
            uploader = Uploader(api, self._submission_id, self._watcher.sent)
            while self._failure is None:
                try:
                    batch = self._todo.popleft()
                except IndexError:
                    return
                try:
                    self._deliver(api, uploader, batch)
                except Exception as error:  # noqa: BLE001 - the thread's edge: handed to the caller
                    self._failure = self._failure or error

    def _deliver(self, api: Api, uploader: Uploader, batch: Batch) -> None:
        """Send the batch, less and less of it where its files refuse to be read."""
        tries = 0
        changes: dict[int, int] = {}
        while batch.files and self._failure is None:
            ordinals = batch.ordinals
            try:
                location = self._unfinished.location(batch)
                uploader.send(batch, location, partial(self._unfinished.keep, batch))
            except FileChanged as change:
                batch = self._adapt(uploader, batch, change, changes)
            except ApiError as error:
                rest = self._after_refusal(api, batch, error) if tries < _TRIES_OF_A_REFUSED_BATCH else None
                if rest is None:
                    self._retry.pause(error, tries)
                else:
                    batch = rest
                tries += 1
            except Unreachable as error:
                self._retry.pause(error, tries)
                tries += 1
            else:
                self._retry.achieved()
                self._unfinished.forget(ordinals)
                self._watcher.files_done(len(batch.files))
                return

    def _after_refusal(self, api: Api, batch: Batch, error: ApiError) -> Batch | None:
        """What is still to be sent after an answer that says something of this batch; None: try later."""
        if error.status == 413 and len(batch.files) == 1:
            self._left_out.append(LeftOut(batch.files[0].path, error.code, str(error)))
            return Batch(())
        if error.status == 409 and error.code == "ordinals-received":
            received = self._retry.until_done(
                lambda: api.get(f"/api/submissions/{self._submission_id}/ordinals")
            )["ordinals"]
            rest = without(batch.files, received)
            self._watcher.files_done(len(batch.files) - len(rest))
            return Batch(tuple(rest))
        if self._unfinished.location(batch) is None:
            return None
        if error.status in {404, 410}:
            self._unfinished.forget(batch.ordinals)
            return batch
        return batch if error.status == 409 and error.code in {"wrong-offset", "http"} else None

    def _adapt(self, uploader: Uploader, batch: Batch, change: FileChanged, changes: dict[int, int]) -> Batch:
        """The batch without the file that can't be read, or with it as it is now."""
        location = self._unfinished.location(batch)
        if location is not None:
            uploader.discard(location)
            self._unfinished.forget(batch.ordinals)
        ordinal = change.file.ordinal
        changes[ordinal] = changes.get(ordinal, 0) + 1
        files: list[LocalFile] = []
        for file in batch.files:
            now: LocalFile | LeftOut = again(file)
            if file.ordinal == ordinal and change.error is not None:
                now = unreadable(file, change.error)
            elif file.ordinal == ordinal and changes[ordinal] >= _TRIES_OF_A_CHANGING_FILE:
                now = changed(file)
            if isinstance(now, LeftOut):
                self._left_out.append(now)
            else:
                files.append(now)
        return Batch(tuple(files))
