"""Archives become further batches; hostile ones are refused and leave their neighbours alone."""

import bz2
import gzip
import io
import lzma
import os
import random
import tarfile
import zipfile

import pycdlib
import pytest

from schemas.shapes import FileState
from services.validate.settings import ArchiveLimits, ValidateSettings
from tests.component.validate.conftest import House
from tests.component.validate.files import dicom


@pytest.fixture
def settings() -> ValidateSettings:
    """Small limits, so that small samples reach them."""
    return ValidateSettings(
        archives=ArchiveLimits(files=60, free_bytes=2_000_000, ratio=20, total_bytes=20_000_000),
        batch_bytes=400_000,
        batch_files=10,
    )


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def iso(files: dict[str, bytes], **kinds: object) -> bytes:
    image = pycdlib.PyCdlib()
    image.new(**kinds)
    for number, data in enumerate(files.values()):
        image.add_fp(io.BytesIO(data), len(data), f"/IM{number:05d}.;1")
    out = io.BytesIO()
    image.write_fp(out)
    image.close()
    return out.getvalue()


IMAGES = {f"DICOM/IM{n:04d}": dicom(number=n) for n in range(1, 26)}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.zip", zipped(IMAGES)),
        ("stored.zip", zipped(IMAGES, zipfile.ZIP_STORED)),
        ("b.zip", zipped(IMAGES, zipfile.ZIP_BZIP2)),
        ("a.tar", tarred(IMAGES)),
        ("a.tar.gz", tarred(IMAGES, "w:gz")),
        ("a.tar.bz2", tarred(IMAGES, "w:bz2")),
        ("a.tar.xz", tarred(IMAGES, "w:xz")),
        ("a.iso", iso(IMAGES)),
        ("nested.zip", zipped({"x/inner.zip": zipped(IMAGES)})),
        ("nested.tgz", gzip.compress(tarred({"in.iso": iso(IMAGES)}))),
    ],
)
async def test_archives_are_opened(house: House, name: str, data: bytes) -> None:
    submission = await house.send([("one.dcm", dicom(number=99)), (name, data)])
    tally = (await house.tally(submission)).tally
    assert (tally.sent, tally.stored) == (26, 26), tally
    (study,) = await house.studies(submission)
    assert study.study.instances == 26
    files = await house.files(submission)
    assert "1" not in files, "the container is not counted"
    assert any(file.path.endswith("IM0001") for file in files.values()) or "iso" in name or "nested" in name
    assert not list(house.kit.objects.list("incoming/"))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("i.dcm.gz", gzip.compress(dicom())),
        ("i.dcm.bz2", bz2.compress(dicom())),
        ("i.dcm.xz", lzma.compress(dicom())),
    ],
)
async def test_one_compressed_file(house: House, name: str, data: bytes) -> None:
    submission = await house.send([(name, data)])
    files = await house.files(submission)
    assert [(file.id, file.path, file.state) for file in files.values()] == [
        ("0.1", f"{name}/i.dcm", FileState.STORED)
    ] or files["0.1"].path.endswith("i.dcm")


async def test_a_large_member_is_a_batch_of_its_own(house: House) -> None:
    pixels = os.urandom(1_200_000)
    image = dicom(pixels=pixels, Rows=600, Columns=1000)
    submission = await house.send(
        [("a.zip", zipped({"a": dicom(number=2), "b": image, "c": dicom(number=3)}))]
    )
    assert (await house.tally(submission)).tally.stored == 3
    gz = await house.send([("b.gz", gzip.compress(dicom(number=5, pixels=pixels, Rows=600, Columns=1000)))])
    assert (await house.tally(gz)).tally.stored == 1


def bomb() -> bytes:
    return zipped({"zeros": bytes(30_000_000)})


def encrypted() -> bytes:
    """A ZIP whose members carry the flag of encryption, and twelve bytes of its header."""
    data = bytearray(zipped({"a.dcm": dicom()}))
    data[6] |= 1
    at = data.rfind(b"PK\x01\x02")
    data[at + 8] |= 1
    return bytes(data)


def lying() -> bytes:
    """The directory promises ten bytes where there are many."""
    plain = dicom()
    data = bytearray(zipped({"a.dcm": plain}))
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    return bytes(data)


def overlapping() -> bytes:
    """Two members share their bytes (as in zbsm.zip)."""
    data = zipped({"a": bytes(1000)})
    at = data.rfind(b"PK\x01\x02")
    end = data.rfind(b"PK\x05\x06")
    entry = data[at:end]
    directory = entry + entry
    tail = bytearray(data[end:])
    tail[8:12] = (2).to_bytes(2, "little") * 2
    tail[12:16] = len(directory).to_bytes(4, "little")
    return data[:at] + directory + bytes(tail)


REFUSED = {
    "bomb.zip": (bomb(), "archive-bomb"),
    "bomb.gz": (gzip.compress(bytes(30_000_000)), "archive-bomb"),
    "nested-bomb.zip": (zipped({"x.zip": bomb()}), ""),
    "encrypted.zip": (encrypted(), "archive-encrypted"),
    "overlap.zip": (overlapping(), "archive-lies"),
    "empty.zip": (zipped({}), "archive-empty"),
    "random.zip": (b"PK\x03\x04" + random.Random(3).randbytes(5000), "archive-damaged"),
    "many.zip": (zipped({str(n): b"x" for n in range(70)}), "archive-too-many"),
    "many.tar": (tarred({str(n): b"x" for n in range(70)}), "archive-too-many"),
    "a.7z": (b"7z\xbc\xaf\x27\x1c" + bytes(100), "archive-unsupported"),
    "cut.iso": (iso(IMAGES)[:45_000], "archive-damaged"),
    "cut.xz": (lzma.compress(random.Random(3).randbytes(5000))[:40], "archive-damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_hostile_archives_are_refused_and_leave_neighbours_alone(house: House, name: str) -> None:
    data, code = REFUSED[name]
    submission = await house.send([("a", dicom(number=1)), (name, data), ("b", dicom(number=2))])
    tally = await house.tally(submission)
    assert tally.tally.stored == 2
    assert tally.tally.sent == 3
    files = await house.files(submission)
    if code:
        assert files["1"].code == code
    assert tally.tally.refused == 1
    assert not list(house.kit.objects.list("incoming/"))
    assert (await house.studies(submission))[0].study.instances == 2


async def test_a_member_that_lies_about_its_size_is_refused_alone(house: House) -> None:
    submission = await house.send([("a.zip", lying())])
    files = await house.files(submission)
    assert files["0.1"].code == "member-lies"


async def test_too_deep(house: House) -> None:
    data = zipped({"i.dcm": dicom()})
    for depth in range(3):
        data = zipped({f"{depth}.zip": data})
    submission = await house.send([("a.zip", data)])
    files = await house.files(submission)
    assert [file.code for file in files.values()] == ["archive-too-deep"]


async def test_nested_archives_share_what_the_outermost_may_grow_to(house: House) -> None:
    """Each alone is within its limit; together they are not."""
    inner = zipped({"zeros": bytes(1_500_000)})
    submission = await house.send([("a.zip", zipped({f"{n}.zip": inner for n in range(10)}))])
    files = await house.files(submission)
    assert {file.code for file in files.values()} == {"archive-bomb"}


async def test_a_damaged_member_costs_no_neighbour(house: House) -> None:
    data = bytearray(
        zipped({"a": dicom(number=1), "b": dicom(number=2), "c": dicom(number=3)}, zipfile.ZIP_STORED)
    )
    at = data.find(b"Doe^Jane", data.find(b"Doe^Jane") + 10)
    data[at : at + 3] = b"Roe"
    submission = await house.send([("a.zip", bytes(data))])
    tally = (await house.tally(submission)).tally
    assert (tally.sent, tally.stored, tally.refused) == (3, 2, 1)
    assert (await house.files(submission))["0.2"].code == "member-damaged"


async def test_a_zip_cut_short_gives_what_it_has(house: House) -> None:
    data = zipped(IMAGES, zipfile.ZIP_STORED)
    submission = await house.send([("a.zip", data[: len(data) // 2])])
    tally = await house.tally(submission)
    assert tally.tally.stored >= 10
    assert "archive-cut-short" in [finding.code for finding in tally.findings]


async def test_paths_of_members_are_text_alone(house: House) -> None:
    names = [
        "../../etc/passwd.dcm",
        "/abs.dcm",
        "C:\\windows\\x.dcm",
        "a\0b.dcm",
        "x" * 3000 + ".dcm",
        "ünï.dcm",
    ]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for number, name in enumerate(names, start=1):
            data = dicom(number=number)
            info = tarfile.TarInfo(name.replace("\0", "_"))
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link")
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc/passwd"
        archive.addfile(link)
        device = tarfile.TarInfo("device")
        device.type = tarfile.CHRTYPE
        archive.addfile(device)
    submission = await house.send([("a.tar", out.getvalue())])
    tally = await house.tally(submission)
    assert (tally.tally.sent, tally.tally.stored) == (6, 6)
    assert [f.count for f in tally.findings if f.code == "not-a-file"] == [2]
    assert all(len(file.path) <= 501 for file in (await house.files(submission)).values())


async def test_office_documents_are_no_archives(house: House) -> None:
    plain = {"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w/>"}
    submission = await house.send(
        [
            ("a.docx", zipped(plain)),
            ("b.docx", zipped({**plain, "word/vbaProject.bin": b"x"})),
            ("c.xlsx", zipped({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<w/>"})),
        ]
    )
    files = await house.files(submission)
    assert files["0"].state is FileState.DOCUMENT
    assert [files[n].code for n in "12"] == ["document-with-macros", "office-file"]


async def test_a_crc_of_the_whole_is_checked_before_a_large_member_counts(house: House) -> None:
    data = bytearray(zipped({"big": os.urandom(900_000), "a": dicom()}, zipfile.ZIP_STORED))
    data[500_000] ^= 1
    submission = await house.send([("a.zip", bytes(data))])
    files = await house.files(submission)
    assert files["0.1"].code == "member-damaged"
    assert files["0.2"].state is FileState.STORED
