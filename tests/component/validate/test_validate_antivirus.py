"""A real clamd: infected files are put aside, nothing passes unscanned while it is away."""

import asyncio
import io
from dataclasses import replace

import pytest

from kit.errors import Unavailable
from kit.scan.clamav import ClamAddress, ClamScanner
from kit.service import Kit
from kit.workers import Workers
from schemas.shapes import FileState
from schemas.validate import FileQuarantined
from services.validate.settings import ValidateSettings
from tests.component.validate.conftest import House, start
from tests.component.validate.files import dicom
from tests.component.validate.test_validate_archives import zipped
from tests.neighbours.antivirus import EICAR, Clamd
from tests.neighbours.process import free_port


@pytest.fixture
def settings(clamd: Clamd) -> ValidateSettings:
    return ValidateSettings(clamav_host=clamd.host, clamav_port=clamd.port, waiting_notice_s=0)


def scan(address: ClamAddress, data: bytes) -> tuple[str, str]:
    with ClamScanner(address) as scanner:
        verdict = scanner.scan(io.BytesIO(data), len(data))
        return verdict.kind, verdict.text


def test_one_connection_serves_many_files(clamd: Clamd) -> None:
    with ClamScanner(ClamAddress(clamd.host, clamd.port)) as scanner:
        for number in range(50):
            data = EICAR if number % 10 == 0 else bytes([number]) * (number * 5000 + 1)
            verdict = scanner.scan(io.BytesIO(data), len(data))
            assert (verdict.kind == "infected") == (number % 10 == 0)
            assert verdict.text == ("Test.Eicar.UNOFFICIAL" if verdict.kind == "infected" else "")


def test_what_clamd_will_not_take_whole_is_said(clamd: Clamd) -> None:
    """Its StreamMaxLength is 64 MB here, and we believe it were more."""
    large = bytes(70 << 20)
    assert scan(ClamAddress(clamd.host, clamd.port, 1 << 30), large)[0] == "not-whole"
    assert scan(ClamAddress(clamd.host, clamd.port, 1 << 20), bytes(2 << 20))[0] == "not-whole"
    with ClamScanner(ClamAddress(clamd.host, clamd.port, 1 << 30)) as scanner:
        assert scanner.scan(io.BytesIO(large), len(large)).kind == "not-whole"
        assert scanner.scan(io.BytesIO(EICAR), len(EICAR)).kind == "infected"


def test_nobody_there() -> None:
    with pytest.raises(Unavailable):
        scan(ClamAddress("127.0.0.1", free_port()), b"x")


def test_a_connection_that_was_dropped_meanwhile_is_made_anew(clamd: Clamd) -> None:
    with ClamScanner(ClamAddress(clamd.host, clamd.port)) as scanner:
        assert scanner.scan(io.BytesIO(b"x"), 1).kind == "clean"
        clamd.process.stop()
        clamd.start()
        assert scanner.scan(io.BytesIO(EICAR), len(EICAR)).kind == "infected"


async def test_infected_files_are_put_aside(house: House) -> None:
    submission = await house.send(
        [
            ("a.dcm", dicom(number=1)),
            ("eicar.com", EICAR),
            ("b.zip", zipped({"c.dcm": dicom(number=2), "eicar.txt": EICAR})),
        ]
    )
    tally = await house.tally(submission)
    assert (tally.tally.stored, tally.tally.quarantined, tally.tally.sent) == (2, 2, 4)
    files = await house.files(submission)
    assert files["1"].state is FileState.QUARANTINED
    assert files["2.2"].code == "infected"
    events = await house.events(FileQuarantined)
    assert {event.file for event in events} == {"1", "2.2"}  # type: ignore[attr-defined]
    for event in events:
        assert house.kit.objects.read(event.quarantine_key) == EICAR  # type: ignore[attr-defined]


async def test_while_the_antivirus_is_away_files_wait(house: House, clamd: Clamd) -> None:
    clamd.process.stop()
    submission = await house.send([("a", dicom(number=1)), ("b", EICAR)], wait=False)
    tally = await house.validated(submission, waiting=True)
    assert (tally.tally.sent, tally.tally.waiting) == (2, 2)
    assert "antivirus-away" in [finding.code for finding in tally.findings]
    assert not list(house.kit.objects.list("studies/"))
    assert not list(house.kit.objects.list("documents/"))
    clamd.start()
    tally = await house.validated(submission)
    assert (tally.tally.stored, tally.tally.quarantined, tally.tally.waiting) == (1, 1, 0)
    assert [event.revision for event in await house.validations(submission)] == [1, 2]
    assert "antivirus-away" not in [finding.code for finding in tally.findings]


async def test_a_scanner_that_hangs_lets_nothing_pass(house: House, clamd: Clamd) -> None:
    clamd.process.pause()
    submission = await house.send([("a", dicom(number=1))], wait=False)
    await asyncio.sleep(1)
    assert not list(house.kit.objects.list("studies/"))
    clamd.process.go_on()
    tally = await house.validated(submission)
    assert tally.tally.stored == 1


async def test_too_large_for_the_scanner_needs_a_person(
    kit_env: Kit, helpers: Workers, settings: ValidateSettings
) -> None:
    small = settings.model_copy(update={"clamav_max_bytes": 3000})
    house = await start(replace(kit_env, workers=helpers), small)
    submission = await house.send(
        [
            ("a", dicom(pixels=bytes(4000), Rows=20, Columns=100)),
            ("b", dicom("1.2.4")),
            ("c.pdf", b"%PDF-1.7" + bytes(4000)),
        ]
    )
    tally = await house.tally(submission)
    assert (tally.tally.stored, tally.tally.document) == (2, 1)
    assert [f.count for f in tally.findings if f.code == "scanned-in-part"] == [2]
    needs = {
        study.study.study_instance_uid: study.study.needs_person for study in await house.studies(submission)
    }
    assert needs == {"1.2.3": True, "1.2.4": False}
    for step in house.service.stop:
        await step()
