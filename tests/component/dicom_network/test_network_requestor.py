"""The calling side against DCMTK storescp, Orthanc, pynetdicom and peers that do not behave."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from anteroom.demo.orthanc import Modality
from kit.dicom.network import (
    COMMITMENT_CLASS,
    PLAIN,
    STUDY_ROOT_FIND,
    VERIFICATION,
    WORKLIST_FIND,
    Aborted,
    Association,
    AssociationFailed,
    AssociationServer,
    CommitmentReport,
    Context,
    Family,
    NotNegotiated,
    PeerSilent,
    ProtocolError,
    QueryFailed,
    Rejected,
    Status,
    Timeouts,
    Unreachable,
    client_context,
)
from kit.dicom.network.statuses import SUCCESS
from tests.component.dicom_network.part10 import Sample, made_up, one_of_each_syntax, read
from tests.component.dicom_network.raw_peer import Recorder
from tests.neighbours.certificates import Authority, Pair
from tests.neighbours.pacs import StartOrthanc, StartStorescp, Storescp
from tests.neighbours.process import free_port

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
QUICK = Timeouts(connect=1, association=1, idle=1, response=1, progress=1)
ECHO = [Context(VERIFICATION, PLAIN)]


async def _to(
    port: int, contexts: list[Context], *, called: str = "PACS", timeouts: Timeouts = QUICK
) -> Association:
    return await Association.request(
        "127.0.0.1", port, called_ae=called, calling_ae="ANTEROOM", contexts=contexts, timeouts=timeouts
    )


@asynccontextmanager
async def _listener(answer: bytes) -> AsyncIterator[int]:
    """Answers whatever comes with these bytes, then closes."""
    done: asyncio.Queue[None] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(answer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        done.put_nowait(None)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    await done.get()
    server.close()


async def test_every_syntax_reaches_storescp_unchanged(storescp: Storescp, shared_data: Path) -> None:
    samples = one_of_each_syntax(shared_data)
    assert len(samples) >= 14
    association = await _to(
        storescp.port, [sample.context for sample in samples.values()], timeouts=Timeouts()
    )
    taken: list[Sample] = []
    async with association:
        for sample in samples.values():
            if association.accepts(sample.sop_class, sample.transfer_syntax):
                status = await association.c_store(
                    sample.sop_class, sample.sop_instance, sample.transfer_syntax, _in_pieces(sample.dataset)
                )
                assert status.code == SUCCESS, (sample.path.name, str(status))
                taken.append(sample)
    assert len(taken) >= 12
    received = {each.sop_instance: each for each in map(read, storescp.received())}
    for sample in taken:
        copy = received[sample.sop_instance]
        padding = bytes(len(sample.dataset) % 2)
        assert (copy.transfer_syntax, copy.dataset) == (sample.transfer_syntax, sample.dataset + padding)


def _in_pieces(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    sizes = [1, 2, 3, 1000, 70_000, 300_000]
    position = turn = 0
    while position < len(view):
        size = sizes[turn % len(sizes)]
        yield view[position : position + size]
        position, turn = position + size, turn + 1


@pytest.mark.parametrize("size", [0, 2, 16_378, 16_384, 131_066, 131_072, 1_000_000])
async def test_sizes_around_the_pdu_length_arrive_whole(size: int) -> None:
    recorder = Recorder()
    server = AssociationServer("127.0.0.1", 0, recorder.admit)
    await server.start()
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)

    async def later() -> AsyncIterator[bytes]:
        for start in range(0, size, 100_000):
            await asyncio.sleep(0)
            yield data[start : start + 100_000]

    async with await _to(server.port, [Context(CT, (EXPLICIT,))]) as association:
        assert (await association.c_store(CT, "1.2.3", EXPLICIT, later())).ok
        assert (await association.c_store(CT, "1.2.4", EXPLICIT, [data])).ok
    await server.stop()
    assert [content for _, content in recorder.received] == [data, data]


async def test_small_pdus_of_the_peer_are_respected(start_storescp: StartStorescp, tmp_path: Path) -> None:
    scp = start_storescp("-pdu", "4096")
    sample = read(made_up(tmp_path / "in", 1)[0])
    async with await _to(scp.port, [sample.context]) as association:
        assert (await association.c_store(CT, sample.sop_instance, EXPLICIT, [sample.dataset])).ok
    assert read(scp.received()[0]).dataset == sample.dataset


async def test_echo_and_what_was_not_negotiated(storescp: Storescp) -> None:
    async with await _to(storescp.port, [*ECHO, Context("1.2.3.4.5", (EXPLICIT,))]) as association:
        assert (await association.c_echo()).code == SUCCESS
        with pytest.raises(NotNegotiated):
            await association.c_store(CT, "1.2.3", EXPLICIT, [b""])
        assert association.open
        assert (await association.c_echo()).code == SUCCESS


async def test_nobody_there_and_somebody_else_there() -> None:
    with pytest.raises(Unreachable):
        await _to(free_port(), ECHO)

    async with _listener(b"220 mail.example.org ESMTP\r\n") as port:
        with pytest.raises(ProtocolError, match="does not speak DICOM"):
            await _to(port, ECHO)


async def test_a_refusal_an_abort_and_a_lost_connection(
    start_storescp: StartStorescp, tmp_path: Path
) -> None:
    refusing = start_storescp("--refuse")
    with pytest.raises(Rejected) as rejected:
        await _to(refusing.port, ECHO)
    assert "refused the association" in str(rejected.value)
    sample = read(made_up(tmp_path / "in", 1, pixels=3_000_000)[0])
    for option in ("--abort-during", "--abort-after"):
        aborting = start_storescp(option)
        association = await _to(aborting.port, [sample.context])
        with pytest.raises(Aborted):
            await association.c_store(CT, sample.sop_instance, EXPLICIT, [sample.dataset])
        assert not association.open
        with pytest.raises(Aborted):
            await association.c_store(CT, sample.sop_instance, EXPLICIT, [sample.dataset])
        await association.release()


async def test_a_peer_that_hangs_is_given_up(start_storescp: StartStorescp, tmp_path: Path) -> None:
    hanging = start_storescp()
    sample = read(made_up(tmp_path / "in", 1, pixels=20_000_000)[0])
    sending = await _to(hanging.port, [sample.context])
    hanging.process.pause()
    try:
        with pytest.raises(PeerSilent):
            await sending.c_store(CT, sample.sop_instance, EXPLICIT, [sample.dataset])
        await sending.release()
        with pytest.raises(PeerSilent):
            await _to(hanging.port, ECHO)
    finally:
        hanging.process.go_on()


async def test_a_producer_that_fails_aborts_and_nothing_is_stored(storescp: Storescp) -> None:
    def failing() -> Iterator[bytes]:
        yield bytes(300_000)
        raise LookupError("gone")

    association = await _to(storescp.port, [Context(CT, (EXPLICIT,))])
    with pytest.raises(LookupError):
        await association.c_store(CT, "1.2.3", EXPLICIT, failing())
    assert not association.open
    await association.release()
    async with await _to(storescp.port, ECHO) as other:
        await other.c_echo()
    assert storescp.received() == []


@contextmanager
def _pynetdicom(handlers: dict[object, object], contexts: list[str]) -> Iterator[int]:
    ae = AE(ae_title="PYNET")
    for context in contexts:
        ae.add_supported_context(context, list(PLAIN))
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers.items()))
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


@pytest.mark.parametrize(
    ("code", "family"), [(0xB000, Family.WARNING), (0xA700, Family.REFUSED), (0xC123, Family.FAILED)]
)
async def test_statuses_of_the_peer_are_named(code: int, family: Family) -> None:
    with _pynetdicom({evt.EVT_C_STORE: lambda _: code}, [CT]) as port:
        async with await _to(port, [Context(CT, (EXPLICIT,))]) as association:
            status = await association.c_store(CT, "1.2.3", EXPLICIT, [bytes(100)])
    assert (status.code, status.family) == (code, family)


async def test_queries_give_their_matches_and_their_failures() -> None:
    def find(event: "evt.Event") -> Iterator[tuple[int, Dataset | None]]:
        if event.identifier.get("PatientID") == "FAIL":
            yield 0xA700, None
            return
        for number in range(500):
            match = Dataset()
            match.SOPInstanceUID = f"1.2.{number}"
            yield 0xFF00, match

    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID = "1.2.3"
    query.SOPInstanceUID = ""
    with _pynetdicom({evt.EVT_C_FIND: find}, [STUDY_ROOT_FIND]) as port:
        async with await _to(port, [Context(STUDY_ROOT_FIND, PLAIN)]) as association:
            found = [str(match.SOPInstanceUID) async for match in association.c_find(STUDY_ROOT_FIND, query)]
            assert found == [f"1.2.{number}" for number in range(500)]
            query.PatientID = "FAIL"
            with pytest.raises(QueryFailed, match="out of resources"):
                async for _ in association.c_find(STUDY_ROOT_FIND, query):
                    pass
            assert association.open
            with pytest.raises(NotNegotiated):
                async for _ in association.c_find(WORKLIST_FIND, query):
                    pass
        early = await _to(port, [Context(STUDY_ROOT_FIND, PLAIN)])
        query.PatientID = ""
        async with aclosing(early.c_find(STUDY_ROOT_FIND, query)) as matches:
            async for _ in matches:
                break
        assert not early.open
        await early.release()


async def test_orthanc_stores_answers_queries_and_commits(
    start_orthanc: StartOrthanc, tmp_path: Path
) -> None:
    recorder = Recorder(stores=False)
    door = AssociationServer("127.0.0.1", 0, recorder.admit)
    await door.start()
    orthanc = await asyncio.to_thread(start_orthanc, [Modality("ANTEROOM", "127.0.0.1", door.port)])
    samples = [read(path) for path in made_up(tmp_path / "in", 5)]
    contexts = [samples[0].context, Context(STUDY_ROOT_FIND, PLAIN), Context(COMMITMENT_CLASS, PLAIN)]
    references = [(CT, sample.sop_instance) for sample in samples]
    async with await _to(orthanc.dicom_port, contexts, called="ORTHANC", timeouts=Timeouts()) as association:
        for sample in samples:
            assert (await association.c_store(CT, sample.sop_instance, EXPLICIT, [sample.dataset])).ok
        query = Dataset()
        query.QueryRetrieveLevel = "IMAGE"
        query.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.1"
        query.SeriesInstanceUID = ""
        query.SOPInstanceUID = ""
        found = {str(match.SOPInstanceUID) async for match in association.c_find(STUDY_ROOT_FIND, query)}
        assert found == {sample.sop_instance for sample in samples}
        status = await association.n_action_commit("2.25.77", [*references, (CT, "1.2.999")])
        assert status.code == SUCCESS
    async with asyncio.timeout(30):
        while not recorder.reported:
            await asyncio.sleep(0.02)
    report = recorder.reported[0]
    assert report.transaction_uid == "2.25.77"
    assert set(report.committed) == found
    assert [uid for uid, _ in report.failed] == ["1.2.999"]
    assert recorder.peers[0].calling_ae == "ORTHANC"
    await door.stop()


async def test_a_report_on_the_same_association_is_handed_on() -> None:
    def action(event: "evt.Event") -> tuple[int, None]:
        def report() -> None:
            result = Dataset()
            result.TransactionUID = event.action_information.TransactionUID
            result.ReferencedSOPSequence = event.action_information.ReferencedSOPSequence
            answers.append(
                event.assoc.send_n_event_report(result, 1, COMMITMENT_CLASS, "1.2.840.10008.1.20.1.1")[0]
            )

        threading.Timer(0.2, report).start()
        return 0, None

    answers: list[Dataset] = []
    reports: list[CommitmentReport] = []

    async def keep(report: CommitmentReport) -> Status:
        reports.append(report)
        return Status(SUCCESS)

    ae = AE(ae_title="PYNET")
    ae.add_supported_context(COMMITMENT_CLASS, list(PLAIN), scu_role=None, scp_role=None)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_ACTION, action)])
    port = server.socket.getsockname()[1]
    try:
        association = await Association.request(
            "127.0.0.1",
            port,
            called_ae="PYNET",
            calling_ae="ANTEROOM",
            contexts=[Context(COMMITMENT_CLASS, PLAIN)],
            on_report=keep,
        )
        async with association:
            assert (await association.n_action_commit("2.25.5", [(CT, "1.2.3")])).code == SUCCESS
            assert await association.wait_report(10)
            assert not await association.wait_report(0.1)
            assert association.open
        async with asyncio.timeout(10):
            while not answers:
                await asyncio.sleep(0.02)
    finally:
        await asyncio.to_thread(server.shutdown)
    assert reports == [CommitmentReport("2.25.5", ("1.2.3",), ())]
    assert answers[0].Status == 0


@pytest.mark.parametrize("mutual", [False, True])
async def test_tls_to_a_pacs(
    start_storescp: StartStorescp,
    authority: Authority,
    server_certificate: Pair,
    tmp_path: Path,
    mutual: bool,
) -> None:
    arguments = ["+tls", str(server_certificate.key), str(server_certificate.certificate)]
    arguments += ["+cf", str(authority.certificate)] + ([] if mutual else ["-ic"])
    scp = start_storescp(*arguments)
    sample = read(made_up(tmp_path / "in", 1)[0])
    client = authority.issue("anteroom-client")
    tls = client_context(
        authority.certificate,
        certificate=client.certificate if mutual else None,
        key=client.key if mutual else None,
    )
    association = await Association.request(
        "127.0.0.1", scp.port, called_ae="A", calling_ae="B", contexts=[sample.context], tls=tls
    )
    async with association:
        assert (await association.c_store(CT, sample.sop_instance, EXPLICIT, [sample.dataset])).ok
    assert read(scp.received()[0]).dataset == sample.dataset


async def test_a_certificate_nobody_vouches_for_is_refused(
    start_storescp: StartStorescp, server_certificate: Pair
) -> None:
    scp = start_storescp("+tls", str(server_certificate.key), str(server_certificate.certificate), "-ic")
    with pytest.raises(Unreachable, match="TLS"):
        await Association.request(
            "127.0.0.1", scp.port, called_ae="A", calling_ae="B", contexts=ECHO, tls=client_context()
        )


async def test_peers_that_answer_nonsense() -> None:
    answers = [
        b"\x02\0\xff\xff\xff\xff",
        b"\x02\0\0\0\0\x10" + bytes(16),
        b"\x07\0\0\0\0\4\0\0\0\0",
        b"\x04\0\0\0\0\4\0\0\0\0",
        b"\x03\0\0\0\0\x05\0\0\0\0\0",
        b"",
    ]
    for answer in answers:
        async with _listener(answer) as port:
            with pytest.raises(AssociationFailed):
                await _to(port, ECHO)


async def test_a_silent_listener_is_given_up() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        with pytest.raises(PeerSilent):
            await _to(listener.getsockname()[1], ECHO)
