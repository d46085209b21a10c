"""A small PACS for machines without Orthanc, a process of its own:

    python -m anteroom.demo.pacs --port 4242 --folder pacs --report-to 127.0.0.1:11112:ANTEROOM

C-ECHO, C-STORE of every storage class and transfer syntax, C-FIND at STUDY, SERIES and IMAGE level
(study root), and storage commitment, reported on an association of its own (PS3.4 J.3.3) to the
requester's entry in the table that --report-to makes. Files get names of our own: nothing from
outside becomes a path. For demonstrations: no access control, loopback only.
"""

import argparse
import fnmatch
import hashlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import config as pydicom_config
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import (
    AE,
    AllStoragePresentationContexts,
    build_role,
    evt,
)
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

SUCCESS = 0x0000
PENDING = 0xFF00
CANNOT_UNDERSTAND = 0xC000
OUT_OF_RESOURCES = 0xA700
PROCESSING_FAILURE = 0x0110
NO_SUCH_INSTANCE = 0x0112
ALL_COMMITTED, SOME_FAILED = 1, 2

_REPORT_TRIES = 6
_LEVEL_KEYS = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
_TRANSFER_SYNTAXES = [
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.5",
    *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 100, 101, 102, 103, 104, 105)),
    *(f"1.2.840.10008.1.2.4.{n}" for n in (106, 107, 108, 201, 202, 203)),
]


@dataclass(frozen=True)
class Peer:
    """Where storage commitment is reported to, by AE title."""

    host: str
    port: int
    ae_title: str


class Archive:
    """Instances in a folder, and their headers in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._headers: dict[str, Dataset] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob("*.dcm")):
            self._remember(dcmread(path, stop_before_pixels=True, force=True))

    def keep(self, content: bytes, header: Dataset) -> None:
        """Durable on return; the same instance again replaces itself."""
        name = hashlib.sha256(str(header.SOPInstanceUID).encode()).hexdigest()[:32]
        temporary = self._folder / f"{name}.{threading.get_ident()}.part"
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._folder / f"{name}.dcm")
        self._remember(header)

    def holds(self, sop_class_uid: str, sop_instance_uid: str) -> bool:
        with self._lock:
            header = self._headers.get(sop_instance_uid)
        return header is not None and str(header.get("SOPClassUID", "")) == sop_class_uid

    def find(self, level: str, query: Dataset) -> Iterator[Dataset]:
        """One answer per entity of that level that fits the query's keys."""
        with self._lock:
            headers = list(self._headers.values())
        fitting = [header for header in headers if _fits(header, query)]
        groups: dict[str, list[Dataset]] = {}
        for header in fitting:
            groups.setdefault(str(header.get(_LEVEL_KEYS[level], "")), []).append(header)
        for group in groups.values():
            yield _answer(level, query, group)

    def _remember(self, header: Dataset) -> None:
        uid = header.get("SOPInstanceUID")
        if uid:
            kept = Dataset()
            for element in header:
                if element.tag.group in (0x0008, 0x0010, 0x0020) and element.VR != "SQ":
                    kept.add(element)
            with self._lock:
                self._headers[str(uid)] = kept


def _fits(header: Dataset, query: Dataset) -> bool:
    for element in query:
        if element.keyword in ("QueryRetrieveLevel", "SpecificCharacterSet") or element.is_empty:
            continue
        stored = header.get(element.tag)
        value = "" if stored is None else str(stored.value)
        if element.VR == "UI":
            wanted = [element.value] if isinstance(element.value, str) else list(element.value)
            if value not in [str(UID(item)) for item in wanted]:
                return False
        elif not fnmatch.fnmatchcase(value.lower(), str(element.value).lower()):
            return False
    return True


def _answer(level: str, query: Dataset, group: list[Dataset]) -> Dataset:
    answer = Dataset()
    counts = {
        "NumberOfStudyRelatedInstances": len(group),
        "NumberOfSeriesRelatedInstances": len(group),
        "NumberOfStudyRelatedSeries": len({str(header.get("SeriesInstanceUID", "")) for header in group}),
    }
    for element in query:
        if element.keyword in counts:
            setattr(answer, element.keyword, counts[element.keyword])
        elif element.tag in group[0]:
            answer.add(group[0][element.tag])
        elif element.VR != "SQ":
            answer.add_new(element.tag, element.VR, "" if element.VR not in ("US", "UL") else None)
    if "SpecificCharacterSet" in group[0]:
        answer.SpecificCharacterSet = group[0].SpecificCharacterSet
    answer.QueryRetrieveLevel = level
    answer.RetrieveAETitle = "DEMOPACS"
    return answer


class DemoPacs:
    """`tell` gets one line for each association's worth of news."""

    def __init__(
        self,
        folder: Path,
        port: int,
        peers: list[Peer],
        *,
        ae_title: str = "DEMOPACS",
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._archive = Archive(folder)
        self._port = port
        self._peers = {peer.ae_title: peer for peer in peers}
        self._tell = tell
        self._ae_title = ae_title
        self._ae = AE(ae_title=ae_title)
        self._ae.maximum_pdu_size = 131072
        self._ae.maximum_associations = 16
        self._ae.add_supported_context(Verification)
        self._ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        self._ae.add_supported_context(StorageCommitmentPushModel)
        for context in AllStoragePresentationContexts:
            self._ae.add_supported_context(context.abstract_syntax, _TRANSFER_SYNTAXES)
        self._server: Any = None

    @property
    def port(self) -> int:
        return self._port

    def start(self) -> None:
        handlers = [
            (evt.EVT_CONN_OPEN, _no_delay),
            (evt.EVT_C_ECHO, lambda _: SUCCESS),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_N_ACTION, self._commit),
        ]
        self._server = self._ae.start_server(("127.0.0.1", self._port), block=False, evt_handlers=handlers)
        self._port = self._server.socket.getsockname()[1]

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _store(self, event: Any) -> int:
        try:
            header = event.dataset
            content = event.encoded_dataset()
            if not header.get("SOPInstanceUID"):
                return CANNOT_UNDERSTAND
            self._archive.keep(content, header)
        except OSError:
            return OUT_OF_RESOURCES
        except Exception:  # noqa: BLE001 - whatever pydicom meets in a dataset, the sender gets a status
            return CANNOT_UNDERSTAND
        return SUCCESS

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        query = event.identifier
        level = str(query.get("QueryRetrieveLevel", ""))
        if level not in _LEVEL_KEYS:
            yield 0xA900, None
            return
        for answer in self._archive.find(level, query):
            if event.is_cancelled:
                yield 0xFE00, None
                return
            yield PENDING, answer

    def _commit(self, event: Any) -> tuple[int, Dataset | None]:
        """Answer the request, then report on an association of our own."""
        peer = self._peers.get(event.assoc.requestor.ae_title.strip())
        request = event.action_information
        if peer is None or event.action_type != 1 or "ReferencedSOPSequence" not in request:
            return PROCESSING_FAILURE, None
        report = self._report(request)
        threading.Thread(target=self._send_report, args=(peer, report), daemon=True).start()
        return SUCCESS, None

    def _report(self, request: Dataset) -> Dataset:
        committed, failed = [], []
        for item in request.ReferencedSOPSequence:
            sop_class, sop_instance = str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)
            reference = Dataset()
            reference.ReferencedSOPClassUID = sop_class
            reference.ReferencedSOPInstanceUID = sop_instance
            if self._archive.holds(sop_class, sop_instance):
                committed.append(reference)
            else:
                reference.FailureReason = NO_SUCH_INSTANCE
                failed.append(reference)
        report = Dataset()
        report.TransactionUID = request.TransactionUID
        report.ReferencedSOPSequence = committed
        if failed:
            report.FailedSOPSequence = failed
        return report

    def _send_report(self, peer: Peer, report: Dataset) -> None:
        ae = AE(ae_title=self._ae_title)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = 10
        ae.add_requested_context(StorageCommitmentPushModel)
        # The sender of a report is the SCP of the service, though it asks for the association.
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        for attempt in range(_REPORT_TRIES):
            time.sleep(min(attempt * attempt, 10))
            association = ae.associate(peer.host, peer.port, ae_title=peer.ae_title, ext_neg=[role])
            if not association.is_established:
                continue
            status, _ = association.send_n_event_report(
                report,
                SOME_FAILED if "FailedSOPSequence" in report else ALL_COMMITTED,
                StorageCommitmentPushModel,
                StorageCommitmentPushModelInstance,
            )
            association.release()
            if status and status.Status == SUCCESS:
                self._tell(f"committed {len(report.ReferencedSOPSequence)} instances to {peer.ae_title}")
                return
        self._tell(f"could not report storage commitment to {peer.ae_title}")


def _no_delay(event: Any) -> None:
    # Nagle's algorithm meets the delayed ACK otherwise, 40 ms for each C-STORE.
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _peer(text: str) -> Peer:
    host, port, ae_title = text.rsplit(":", 2)
    return Peer(host, int(port), ae_title)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m anteroom.demo.pacs", description="A small demo PACS.")
    parser.add_argument("--port", type=int, required=True, help="0: any free one, printed when ready")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--ae-title", default="DEMOPACS")
    parser.add_argument("--report-to", type=_peer, action="append", default=[], metavar="HOST:PORT:AE")
    options = parser.parse_args(arguments)
    # An archive takes what it gets: judging values is the senders' business.
    pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE
    pydicom_config.settings.writing_validation_mode = pydicom_config.IGNORE

    pacs = DemoPacs(options.folder, options.port, options.report_to, ae_title=options.ae_title, tell=_say)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    pacs.start()
    _say(f"ready {pacs.port}")
    ended.wait()
    pacs.stop()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
