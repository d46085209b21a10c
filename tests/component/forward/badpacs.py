"""PACSs that misbehave: a pynetdicom one with scripted answers, and raw sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from tests.component.forward.studies import CT

ALL = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")


@dataclass
class ScriptedPacs:
    """`status(uid, times)` answers the n-th C-STORE of an instance; what was answered with success or
    a warning is kept. `action` answers N-ACTION; `transactions` are what was asked to commit."""

    status: Callable[[str, int], int] = lambda uid, times: 0
    queries: bool = True
    commitment: bool = False
    action: int = 0
    syntaxes: tuple[str, ...] = ALL
    forgets: set[str] = field(default_factory=set)
    kept: dict[str, Dataset] = field(default_factory=dict)
    stores: list[str] = field(default_factory=list)
    transactions: list[tuple[str, list[str]]] = field(default_factory=list)
    before_answer: Callable[[str], None] = lambda uid: None
    port: int = 0

    def destination(self, **more: Any) -> dict[str, Any]:
        return {"id": "pacs", "host": "127.0.0.1", "port": self.port, "called_ae": "PACS", **more}

    def store(self, event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.stores.append(uid)
        status = self.status(uid, self.stores.count(uid))
        if status == 0 or status >> 12 == 0xB:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            self.kept[uid] = dataset
        self.before_answer(uid)
        return status

    def find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        for uid, dataset in self.kept.items():
            if uid in self.forgets or (asked.SOPInstanceUID and asked.SOPInstanceUID != uid):
                continue
            if dataset.SeriesInstanceUID == asked.SeriesInstanceUID:
                match = Dataset()
                match.QueryRetrieveLevel = "IMAGE"
                match.SOPInstanceUID = uid
                match.PatientID = dataset.PatientID
                yield 0xFF00, match

    def commit(self, event: evt.Event) -> tuple[int, None]:
        asked = event.action_information
        uids = [str(item.ReferencedSOPInstanceUID) for item in asked.ReferencedSOPSequence]
        self.transactions.append((str(asked.TransactionUID), uids))
        return self.action, None

    @contextmanager
    def running(self) -> Iterator["ScriptedPacs"]:
        ae = AE("PACS")
        ae.maximum_pdu_size = 0
        ae.add_supported_context(Verification)
        ae.add_supported_context(CT, list(self.syntaxes))
        if self.queries:
            ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        if self.commitment:
            ae.add_supported_context(StorageCommitmentPushModel)
        server = ae.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[
                (evt.EVT_C_STORE, self.store),
                (evt.EVT_C_FIND, self.find),
                (evt.EVT_N_ACTION, self.commit),
                (evt.EVT_C_ECHO, lambda event: 0),
            ],
        )
        assert server is not None
        self.port = server.socket.getsockname()[1]
        try:
            yield self
        finally:
            server.shutdown()


@asynccontextmanager
async def raw_pacs(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any],
) -> AsyncIterator[int]:
    """`talk` handles every connection; yields the port."""
    tasks: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
