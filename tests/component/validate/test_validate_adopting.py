"""A batch that is nothing but one clean study becomes its pack as it is; any other is written anew."""

import tarfile

import pytest

from kit.dicom.pack import read_index
from tests.component.validate.conftest import House
from tests.component.validate.files import dicom

JUNK = b"MZ" + b"program" * 50


async def stored(house: House, submission: str) -> tuple[bytes, list[bytes]]:
    """The whole object of the study's one pack, and each instance as the index finds it there."""
    (study,) = await house.studies(submission)
    (pack,) = study.study.packs
    whole = house.kit.objects.read(pack.key)
    assert len(whole) == pack.bytes
    entries = read_index(house.kit.objects, pack.index_key).entries
    return whole, [whole[entry.offset : entry.offset + entry.length] for entry in entries]


async def test_a_pure_batch_is_the_pack(house: House) -> None:
    files = [dicom(number=n) for n in range(1, 4)]
    whole, instances = await stored(house, await house.send([(str(n), data) for n, data in enumerate(files)]))
    assert instances == files
    assert len(whole) > sum(map(len, files)), "the tar's headers lie between"
    assert not list(house.kit.objects.list("incoming/")), "the pack stays when the batch goes"


@pytest.mark.parametrize(
    "beside",
    [JUNK, b"%PDF-1.4\n%%EOF\n", b"", b"MZ" + b"\0" * 126 + dicom(number=9)[128:]],
    ids=["program", "document", "empty", "preamble"],
)
async def test_what_else_came_is_not_in_the_pack(house: House, beside: bytes) -> None:
    files = [dicom(number=n) for n in (1, 2)]
    submission = await house.send([("a", files[0]), ("x", beside), ("b", files[1])])
    whole, instances = await stored(house, submission)
    assert [data for data in instances if data in files] == files
    assert whole == b"".join(instances)
    assert not beside or beside not in whole


async def test_two_studies_of_one_batch_are_apart(house: House) -> None:
    submission = await house.send([("a", dicom(study="1.2.3")), ("b", dicom(study="1.2.4"))])
    for study in await house.studies(submission):
        (pack,) = study.study.packs
        whole = house.kit.objects.read(pack.key)
        assert whole in (dicom(study="1.2.3"), dicom(study="1.2.4"))


HIDDEN = b"MZ hidden where no member is" * 400


def _header(name: str, size: int, kind: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.USTAR_FORMAT)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


@pytest.mark.parametrize("place", ["folder", "folder-like", "long-names", "behind-the-end"])
async def test_what_hides_between_members_is_not_in_the_pack(house: House, place: str) -> None:
    files = [dicom(number=1), dicom(number=2)]
    before, after = b"", b""
    if place == "folder":
        before = _header("x", len(HIDDEN), tarfile.DIRTYPE) + _padded(HIDDEN)
    elif place == "folder-like":
        before = _header("x/", len(HIDDEN), tarfile.REGTYPE) + _padded(HIDDEN)
    elif place == "long-names":
        before = _header("x", len(HIDDEN), tarfile.GNUTYPE_LONGLINK) + _padded(HIDDEN)
    else:
        after = bytes(1024) + HIDDEN
    members = b"".join(
        _header(f"{number}/IM{number}", len(data), tarfile.REGTYPE) + _padded(data)
        for number, data in enumerate(files)
    )
    submission = await house.open(declared=2)
    await house.batch(submission, 1, before + members + (after or bytes(1024)), range(2))
    await house.close(submission, files=2, batches=1)
    await house.validated(submission)
    whole, instances = await stored(house, submission)
    assert instances == files
    assert whole == b"".join(files)
