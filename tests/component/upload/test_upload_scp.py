"""The DICOM door with real senders: what they were told is stored is in a batch, once, unchanged."""

import asyncio
import io
import logging
import tarfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role

from kit.destinations import DESTINATIONS, Destination
from kit.dicom.network import (
    COMMITMENT_CLASS,
    PLAIN,
    VERIFICATION,
    Association,
    Context,
    NotNegotiated,
    Rejected,
    associate,
    client_context,
    commands,
)
from kit.errors import NoSpace
from kit.identity import ACCOUNTS, Account, Role
from kit.objects.port import Objects
from kit.service import Kit
from services.upload.app import build
from services.upload.scp import DoorClosed
from services.upload.settings import UploadSettings
from tests.component.dicom_network.part10 import made_up, one_of_each_syntax, read
from tests.component.dicom_network.raw_peer import ABORT, RawPeer, data_pdu, store_command
from tests.neighbours.certificates import Authority, Pair
from tests.neighbours.process import binary, free_port

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
_WELL_KNOWN = "1.2.840.10008.1.20.1.1"
SENDERS = ["CTSCANNER", "DCMSEND", "STORESCU", "PYNET"]
CT_CONTEXT = [Context(CT, (EXPLICIT,))]


class Door:
    def __init__(self, kit: Kit, port: int) -> None:
        self.kit = kit
        self.port = port

    async def events(self, topic: str) -> list[Any]:
        return [event for _, event in await self.kit.bus.read(after=0, topics=[topic], limit=10_000)]

    async def files(self, count: int) -> dict[str, bytes]:
        """SOP Instance UID to stored file, once `count` have arrived in batches."""
        async with asyncio.timeout(60):
            while sum(len(event.ordinals) for event in await self.events("batch-received")) < count:
                await asyncio.sleep(0.05)
        found: list[tuple[str, bytes]] = []
        for event in await self.events("batch-received"):
            members = _members(self.kit.objects, event.parts[0].key)
            assert [int(name.partition("/")[0]) for name, _ in members] == list(event.ordinals)
            found += [(name.partition("/")[2].removesuffix(".dcm"), data) for name, data in members]
        assert len(found) == count
        return dict(found)

    async def associate(
        self, contexts: list[Context], calling: str = "CTSCANNER", **more: Any
    ) -> Association:
        return await Association.request(
            "127.0.0.1", self.port, called_ae="ANTEROOM", calling_ae=calling, contexts=contexts, **more
        )


def _members(objects: Objects, key: str) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(objects.read(key))) as tar:
        return [(each.name, tar.extractfile(each).read()) for each in tar.getmembers()]


@asynccontextmanager
async def opened(kit: Kit, **settings: Any) -> AsyncIterator[Door]:
    await kit.documents.save(
        ACCOUNTS,
        Account(
            id="clinic",
            name="Clinic",
            roles=[Role.SEND],
            ae_titles=SENDERS,
        ),
    )
    await kit.documents.save(
        DESTINATIONS, Destination(id="pacs", host="127.0.0.1", port=104, called_ae="ARCHIVE")
    )
    port = free_port()
    values = {"dicom_port": port, "reserve_bytes": 0, "idle_s": 0.1, "quiet_s": 1, **settings}
    service = build(kit, UploadSettings(**values))
    await kit.bus.start()
    for start in service.start:
        await start()
    try:
        assert await service.checks["dicom-door"]() is None
        yield Door(kit, port)
    finally:
        for stop in service.stop:
            await stop()
    assert await service.checks["dicom-door"]() is not None


@pytest.fixture
async def door(kit_env: Kit) -> AsyncIterator[Door]:
    async with opened(kit_env) as door:
        yield door


async def run(program: str, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        binary(program, "dcmtk"),
        *arguments,
        env={"TCP_NODELAY": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode or 0, output.decode(errors="replace")


def _same(path: Path, stored: bytes) -> bool:
    """The data set is byte for byte the sender's; around it a preamble of zeros and a new meta header."""
    sample = read(path)
    return (
        stored[:132] == bytes(128) + b"DICM"
        and stored.endswith(sample.dataset + bytes(len(sample.dataset) % 2))
        and sample.transfer_syntax.encode() in stored[:1000]
    )


async def test_dcmtk_senders_fill_one_submission_that_closes_when_quiet(door: Door, tmp_path: Path) -> None:
    paths = made_up(tmp_path / "in", 20)
    for program in ("dcmsend", "storescu"):
        status, output = await run(program, "127.0.0.1", str(door.port), *map(str, paths[:10]))
        assert status == 0, output
        paths = paths[10:]
    files = await door.files(20)
    for path in sorted((tmp_path / "in").iterdir()):
        assert _same(path, files[read(path).sop_instance])
    async with asyncio.timeout(30):
        while len(await door.events("submission-closed")) < 2:
            await asyncio.sleep(0.05)
    closed = await door.events("submission-closed")
    assert [event.reason for event in closed] == ["quiet", "quiet"]
    assert Counter(event.files for event in closed) == {10: 2}
    opened_events = await door.events("submission-opened")
    assert {event.sender.door for event in opened_events} == {"dicom"}
    assert {event.sender.origin for event in opened_events} == {"clinic"}


async def test_every_transfer_syntax_is_taken_unchanged(door: Door, shared_data: Path) -> None:
    samples = one_of_each_syntax(shared_data)
    assert len(samples) >= 14
    contexts = [sample.context for sample in samples.values()]
    async with await door.associate(contexts) as association:
        assert association.accepted == {(each.sop_class, each.transfer_syntax) for each in samples.values()}
        for sample in samples.values():
            status = await association.c_store(
                sample.sop_class, sample.sop_instance, sample.transfer_syntax, [sample.dataset]
            )
            assert status.code == 0, sample.path.name
    files = await door.files(len(samples))
    for sample in samples.values():
        assert _same(sample.path, files[sample.sop_instance]), sample.path.name


async def test_dcmsend_sends_a_folder_of_compressed_images(door: Door, shared_data: Path) -> None:
    paths = sorted((shared_data / "nema-wg04").rglob("*"))
    paths = [path for path in paths if path.is_file() and path.read_bytes()[128:132] == b"DICM"][::4]
    status, output = await run("dcmsend", "--decompress-never", "127.0.0.1", str(door.port), *map(str, paths))
    assert status == 0, output
    files = await door.files(len(paths))
    for path in paths:
        # dcmsend writes the elements before the pixel data anew
        sent, stored = dcmread(path), dcmread(io.BytesIO(files[read(path).sop_instance]))
        assert stored.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
        assert stored.PixelData == sent.PixelData


async def test_eight_associations_at_once(door: Door, tmp_path: Path) -> None:
    folders = [made_up(tmp_path / str(n), 12, study=f"1.2.826.0.1.3680043.8.498.{n}") for n in range(1, 9)]
    results = await asyncio.gather(
        *(run("dcmsend", "127.0.0.1", str(door.port), *map(str, paths)) for paths in folders)
    )
    assert [status for status, _ in results] == [0] * 8
    files = await door.files(96)
    assert all(_same(path, files[read(path).sop_instance]) for paths in folders for path in paths)
    assert len({event.submission_id for event in await door.events("batch-received")}) == 1


async def test_batches_end_by_count_and_size_and_silence(kit_env: Kit, tmp_path: Path) -> None:
    async with opened(kit_env, batch_files=4, batch_bytes=300_000, idle_s=0.3) as door:
        paths = made_up(tmp_path / "in", 9, pixels=1000)
        big = made_up(tmp_path / "big", 3, pixels=200_000, study="1.2.826.0.1.3680043.8.498.7")
        async with await door.associate(CT_CONTEXT) as association:
            for path in [*paths, *big]:
                sample = read(path)
                assert (await association.c_store(CT, sample.sop_instance, EXPLICIT, [sample.dataset])).ok
        await door.files(12)
        batches = await door.events("batch-received")
        assert [len(event.ordinals) for event in batches] == [4, 4, 3, 1]
        assert [event.sequence for event in batches] == [1, 2, 3, 4]


async def test_pynetdicom_as_a_sender(door: Door, tmp_path: Path) -> None:
    path = made_up(tmp_path / "in", 1)[0]

    def send() -> int:
        ae = AE(ae_title="PYNET")
        ae.add_requested_context(CT, [EXPLICIT])
        ae.add_requested_context(VERIFICATION)
        association = ae.associate("127.0.0.1", door.port)
        assert association.is_established
        assert association.send_c_echo().Status == 0
        status = int(association.send_c_store(path).Status)
        association.release()
        return status

    assert await asyncio.to_thread(send) == 0
    assert len(await door.files(1)) == 1


async def test_echo_and_strangers(door: Door) -> None:
    assert (await run("echoscu", "-aet", "CTSCANNER", "127.0.0.1", str(door.port)))[0] == 0
    status, output = await run("echoscu", "-aet", "STRANGER", "127.0.0.1", str(door.port))
    assert status != 0
    assert "Calling AE Title Not Recognized" in output
    with pytest.raises(Rejected, match="calling AE title"):
        await door.associate(CT_CONTEXT, calling="STRANGER")


async def test_the_called_ae_title_is_checked_when_the_settings_say_so(kit_env: Kit) -> None:
    async with opened(kit_env, dicom_called_ae="FRONTDOOR") as door:
        with pytest.raises(Rejected, match="called AE title"):
            await door.associate(CT_CONTEXT)


async def test_a_sender_taken_away_may_not_store_any_more(door: Door) -> None:
    async with await door.associate(CT_CONTEXT) as association:
        assert (await association.c_store(CT, "1.2.1", EXPLICIT, [b"\x08\0\x05\0CS\0\0"])).ok
        account = await door.kit.documents.get(ACCOUNTS, "clinic")
        assert account is not None
        account.disabled = True
        await door.kit.documents.save(ACCOUNTS, account)
        async with asyncio.timeout(20):
            while (await association.c_store(CT, "1.2.2", EXPLICIT, [b"\x08\0\x05\0CS\0\0"])).code != 0x0124:
                await asyncio.sleep(0.2)


async def test_an_account_bound_to_an_address_is_not_let_in_from_another(door: Door) -> None:
    account = await door.kit.documents.get(ACCOUNTS, "clinic")
    assert account is not None
    account.addresses = ["192.0.2.0/24"]
    await door.kit.documents.save(ACCOUNTS, account)
    with pytest.raises(Rejected):
        await door.associate(CT_CONTEXT)


async def test_an_empty_instance_is_not_called_stored(door: Door) -> None:
    async with await door.associate(CT_CONTEXT) as association:
        assert (await association.c_store(CT, "1.2.1", EXPLICIT, [])).code == 0xC000
        assert (await association.c_store(CT, "1.2.2", EXPLICIT, [b"\x08\0\x05\0CS\0\0"])).ok
    assert set(await door.files(1)) == {"1.2.2"}


@pytest.mark.parametrize("ending", ["abort", "reset"])
async def test_an_instance_broken_off_leaves_nothing_and_earlier_ones_stay(door: Door, ending: str) -> None:
    peer = await RawPeer.connect(door.port)
    peer.send(associate.encode_request("ANTEROOM", "CTSCANNER", CT_CONTEXT))
    assert (await peer.pdu())[0] == 2
    peer.send(store_command("1.2.1") + data_pdu(1, 2, bytes(3000)))
    assert (await peer.response()).number(commands.STATUS) == 0
    peer.send(store_command("1.2.2", message=2) + data_pdu(1, 0, bytes(100_000)) * 20)
    await asyncio.sleep(0.1)
    if ending == "abort":
        peer.send(ABORT)
        await peer.end()
    else:
        peer.writer.transport.abort()
    await peer.close()
    assert set(await door.files(1)) == {"1.2.1"}
    await asyncio.sleep(0.3)
    assert set(await door.files(1)) == {"1.2.1"}


async def test_the_reserve_turns_instances_away(kit_env: Kit, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "services.upload")
    async with opened(kit_env, reserve_bytes=1 << 60) as door:
        association = await door.associate(CT_CONTEXT)
        async with association:
            assert (await association.c_store(CT, "1.2.1", EXPLICIT, [bytes(3_000_000)])).code == 0xA700
            assert (await association.c_store(CT, "1.2.2", EXPLICIT, [bytes(10)])).code == 0xA700
        assert await door.events("batch-received") == []
    told = [
        record.getMessage() for record in caplog.records if "receiving disk is full" in record.getMessage()
    ]
    assert [one.partition(":")[0] for one in told] == [
        "the DICOM door turns instances away",
        "2 instances were turned away",
    ]


async def test_a_full_object_store_delays_batches_and_loses_none(
    kit_env: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = True
    adopt = kit_env.objects.adopt

    def sometimes(key: str, path: Path) -> Any:
        if full:
            raise NoSpace("full")
        return adopt(key, path)

    monkeypatch.setattr(kit_env.objects, "adopt", sometimes)
    monkeypatch.setattr("services.upload.sessions._RETRY_S", 0.1)
    async with opened(kit_env) as door:
        async with await door.associate(CT_CONTEXT) as association:
            assert (await association.c_store(CT, "1.2.1", EXPLICIT, [bytes(100)])).ok
        await asyncio.sleep(0.5)
        assert await door.events("batch-received") == []
        full = False
        assert set(await door.files(1)) == {"1.2.1"}


async def test_an_instance_over_the_limit_is_turned_away_and_the_association_stands(kit_env: Kit) -> None:
    async with opened(kit_env, max_file_bytes=100_000) as door:
        async with await door.associate(CT_CONTEXT) as association:
            assert (await association.c_store(CT, "1.2.1", EXPLICIT, [bytes(150_000)])).code == 0xC000
            assert (await association.c_store(CT, "1.2.2", EXPLICIT, [bytes(50_000)])).ok
        assert set(await door.files(1)) == {"1.2.2"}


def _report(calling: str, port: int, *, failed: bool = False) -> int | None:
    """An archive that opens an association to report, as SCP of the commitment service."""
    ae = AE(ae_title=calling)
    ae.add_requested_context(COMMITMENT_CLASS, list(PLAIN))
    role = build_role(COMMITMENT_CLASS, scp_role=True)
    association = ae.associate("127.0.0.1", port, ext_neg=[role])
    if not association.is_established:
        return None
    if not association.accepted_contexts:
        association.release()
        return None
    item, other = Dataset(), Dataset()
    item.ReferencedSOPClassUID = other.ReferencedSOPClassUID = CT
    item.ReferencedSOPInstanceUID, other.ReferencedSOPInstanceUID = "1.2.1", "1.2.2"
    result = Dataset()
    result.TransactionUID = "2.25.42"
    result.ReferencedSOPSequence = [item]
    if failed:
        other.FailureReason = 0x0112
        result.FailedSOPSequence = [other]
    answer, _ = association.send_n_event_report(result, 2 if failed else 1, COMMITMENT_CLASS, _WELL_KNOWN)
    association.release()
    return int(answer.Status)


async def test_an_archives_commitment_report_becomes_an_event(door: Door) -> None:
    for _ in range(2):
        assert await asyncio.to_thread(_report, "ARCHIVE", door.port) == 0
    assert await asyncio.to_thread(_report, "ARCHIVE", door.port, failed=True) == 0
    events = await door.events("commitment-reported")
    assert len({event.id for event in events}) == 2
    assert {event.key for event in events} == {"2.25.42"}
    assert events[0].committed == ("1.2.1",)
    assert events[-1].failed == (("1.2.2", 0x0112),)
    assert {event.calling_ae for event in events} == {"ARCHIVE"}


async def test_reports_of_others_are_not_taken_and_archives_may_not_store(door: Door) -> None:
    assert await asyncio.to_thread(_report, "CTSCANNER", door.port) is None
    assert await asyncio.to_thread(_report, "STRANGER", door.port) is None
    assert await door.events("commitment-reported") == []
    async with await door.associate(
        [*CT_CONTEXT, Context(VERIFICATION, PLAIN)], calling="ARCHIVE"
    ) as association:
        assert (await association.c_echo()).code == 0
        with pytest.raises(NotNegotiated):
            await association.c_store(CT, "1.2.1", EXPLICIT, [b""])


async def test_an_archive_at_another_address_is_a_stranger(door: Door) -> None:
    pacs = await door.kit.documents.get(DESTINATIONS, "pacs")
    assert pacs is not None
    pacs.host = "192.0.2.7"
    await door.kit.documents.save(DESTINATIONS, pacs)
    assert await asyncio.to_thread(_report, "ARCHIVE", door.port) is None
    pacs.host = "localhost"
    await door.kit.documents.save(DESTINATIONS, pacs)
    assert await asyncio.to_thread(_report, "ARCHIVE", door.port) == 0


async def test_mutual_tls_with_dcmtk(
    kit_env: Kit, authority: Authority, server_certificate: Pair, tmp_path: Path
) -> None:
    modality, stranger = authority.issue("modality-7"), authority.issue("stranger")
    path = made_up(tmp_path / "in", 1)[0]
    tls = {
        "dicom_tls_cert": str(server_certificate.certificate),
        "dicom_tls_key": str(server_certificate.key),
        "dicom_tls_ca": str(authority.certificate),
        "require_client_certificate": True,
    }
    async with opened(kit_env, **tls) as door:
        account = await kit_env.documents.get(ACCOUNTS, "clinic")
        assert account is not None
        account.certificates = ["modality-7"]
        await kit_env.documents.save(ACCOUNTS, account)

        async def storescu(*options: str) -> int:
            status, _ = await run("storescu", *options, "127.0.0.1", str(door.port), str(path))
            return status

        trust = ("+cf", str(authority.certificate))
        assert await storescu("+tls", str(modality.key), str(modality.certificate), *trust) == 0
        assert await storescu("+tls", str(stranger.key), str(stranger.certificate), *trust) != 0
        assert await storescu("+tla", *trust) != 0
        assert await storescu() != 0
        association = await door.associate(
            CT_CONTEXT,
            tls=client_context(authority.certificate, certificate=modality.certificate, key=modality.key),
        )
        async with association:
            assert (await association.c_store(CT, "1.2.9", EXPLICIT, [bytes(700_000)])).ok
        assert len(await door.files(2)) == 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"require_client_certificate": True}, "Client certificates need TLS"),
        ({"dicom_tls_cert": "/nowhere.pem"}, "TLS files"),
        ({"dicom_host": "192.0.2.1"}, "can't be opened"),
    ],
)
async def test_a_door_that_can_not_open_says_why(kit_env: Kit, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(DoorClosed, match=words):
        async with opened(kit_env, **settings):
            pass


async def test_without_a_port_there_is_no_door(kit_env: Kit) -> None:
    service = build(kit_env, UploadSettings(dicom_port=-1))
    assert "dicom-door" not in service.checks
