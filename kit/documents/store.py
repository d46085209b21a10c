"""One SQLite file for documents and the log: one writer thread that commits in groups.

WAL, synchronous=FULL, BEGIN IMMEDIATE. While one group is being synced to disk the next one
gathers, so that many concurrent saves share a sync.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from kit.errors import NoSpace, TransientError
from kit.saying import say
from schemas.envelope import Event

R = TypeVar("R")
Appended = Sequence[tuple[int, Event]]

_GROUP = 256


@dataclass
class Transaction:
    """What a write operation gets: the connection, and a list for the events it appended."""

    connection: sqlite3.Connection
    appended: list[tuple[int, Event]] = field(default_factory=list)


@dataclass
class _Write:
    operation: Callable[[Transaction], Any]
    future: "asyncio.Future[Any]"


class Store:
    """Opened by exactly one process (its owner holds a lock on the data folder)."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._reader = self._connect()
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="reads")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._listeners: list[Callable[[Appended], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._write_groups, name="writer", daemon=True)
        self._thread.start()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-8000")
        connection.execute("PRAGMA journal_size_limit=67108864")
        return connection

    def listen(self, listener: Callable[[Appended], None]) -> None:
        """Be told, in the event loop and in log order, of the events of each committed group."""
        self._listeners.append(listener)

    def define(self, script: str) -> None:
        """Run idempotent DDL at start: all of it, or nothing."""
        connection = self._connect()
        try:
            connection.executescript(f"BEGIN IMMEDIATE;\n{script};\nCOMMIT;")
        finally:
            connection.close()

    async def write(self, operation: Callable[[Transaction], R]) -> R:
        """Run the operation in the next group. Durable on return; what it raises undoes it alone.

        Raises NoSpace when the disk is full: then nothing of its group was written.
        """
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = self._loop.create_future()
        self._queue.put(_Write(operation, future))
        return await future

    def read_now(self, operation: Callable[[sqlite3.Connection], R]) -> R:
        """For a look-up by primary key, which costs less than the hop to a thread. Raises TransientError."""
        return _reading(operation, self._reader)

    async def read(self, operation: Callable[[sqlite3.Connection], R]) -> R:
        """Raises TransientError."""

        def run() -> R:
            if not hasattr(self._local, "connection"):
                self._local.connection = self._connect()
                self._connections.append(self._local.connection)
            return _reading(operation, self._local.connection)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def close(self) -> None:
        """Finish queued writes, then close the file."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._readers.shutdown()
        self._reader.close()
        for connection in self._connections:
            connection.close()

    def _write_groups(self) -> None:
        connection = self._connect()
        running = True
        while running:
            group: list[_Write] = []
            item = self._queue.get()
            while item is not None:
                group.append(item)
                if len(group) >= _GROUP or self._queue.empty():
                    break
                item = self._queue.get()
            running = item is not None
            if group:
                self._commit(connection, group)
        connection.close()

    def _commit(self, connection: sqlite3.Connection, group: list[_Write]) -> None:
        outcomes: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        appended: list[tuple[int, Event]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for write in group:
                transaction = Transaction(connection)
                connection.execute("SAVEPOINT one")
                try:
                    result = write.operation(transaction)
                except sqlite3.OperationalError:
                    raise
                except Exception as error:  # noqa: BLE001 - handed to the caller of this operation
                    connection.execute("ROLLBACK TO one")
                    outcomes.append((write.future, None, error))
                else:
                    outcomes.append((write.future, result, None))
                    appended.extend(transaction.appended)
                connection.execute("RELEASE one")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            failure = _named(error)
            appended = []
            outcomes = [(write.future, None, failure) for write in group]
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle, outcomes, appended)

    def _settle(
        self,
        outcomes: list[tuple["asyncio.Future[Any]", Any, BaseException | None]],
        appended: Appended,
    ) -> None:
        for future, result, error in outcomes:
            if future.done():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)
        if appended:
            for listener in self._listeners:
                listener(appended)


def _reading(operation: Callable[[sqlite3.Connection], R], connection: sqlite3.Connection) -> R:
    try:
        return operation(connection)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
            raise  # a statement that is wrong: no trying again helps
        raise _named(error) from error


def _named(error: sqlite3.Error) -> Exception:
    if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
        return NoSpace("The storage is full. Nothing of this was kept; please send it again later.")
    return TransientError(say("database-trouble", "database: %(trouble)s", trouble=error.sqlite_errorname))
