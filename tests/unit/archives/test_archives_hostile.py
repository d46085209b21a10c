"""Whatever the bytes, reading an archive ends in entries, ArchiveError or MemberError; nothing else."""

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import tracemalloc
import zipfile
import zlib

import pycdlib
import pytest

from kit.archives import ArchiveError, MemberError, archive_kind, entries
from kit.archives.kinds import HEAD
from kit.archives.parts import window
from kit.archives.tar import headers
from tests.counting import calls

FILES = {"a.txt": b"hello" * 500, "d/b.bin": bytes(range(256)) * 8, "ü.dcm": b"x", "empty": b""}


def read_all(data: bytes, *, most: int = 100) -> tuple[dict[str, bytes | str], str]:
    """Members by name (content, or the code of their error), and the code of the container's error."""
    kind = archive_kind(data[:HEAD])
    found: dict[str, bytes | str] = {}
    if kind is None:
        return found, "none"
    try:
        for entry in entries(kind, io.BytesIO(data), len(data), "x.dcm.gz", most=most):
            if entry.skipped:
                found[entry.name] = entry.skipped
                continue
            try:
                with entry.open() as file:
                    content = file.read(1 << 20)
                found[entry.name] = content
            except MemberError as error:
                found[entry.name] = error.code
    except ArchiveError as error:
        return found, error.code
    return found, ""


def make_zip(method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return out.getvalue()


def make_tar(mode: str = "w", form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as archive:  # type: ignore[call-overload]
        for name, data in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def make_iso() -> bytes:
    image = pycdlib.PyCdlib()
    image.new(joliet=3)
    for number, (name, data) in enumerate(FILES.items()):
        image.add_fp(io.BytesIO(data), len(data), f"/F{number}.;1", joliet_path="/" + name.replace("/", "_"))
    out = io.BytesIO()
    image.write_fp(out)
    image.close()
    return out.getvalue()


MAKERS = {
    "zip": make_zip,
    "stored": lambda: make_zip(zipfile.ZIP_STORED),
    "bzip2-zip": lambda: make_zip(zipfile.ZIP_BZIP2),
    "pax": make_tar,
    "gnu": lambda: make_tar(form=tarfile.GNU_FORMAT),
    "tgz": lambda: make_tar("w:gz"),
    "tbz": lambda: make_tar("w:bz2"),
    "txz": lambda: make_tar("w:xz"),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_what_was_packed_comes_out(kind: str) -> None:
    assert read_all(MAKERS[kind]()) == (dict(FILES), "")


@pytest.mark.parametrize("kind", [*MAKERS, "iso", "gz", "bz2", "xz"])
def test_damage_never_surprises(kind: str) -> None:
    one = {
        "iso": make_iso,
        "gz": lambda: gzip.compress(b"x" * 5000),
        "bz2": lambda: bz2.compress(b"x" * 5000),
        "xz": lambda: lzma.compress(b"x" * 5000),
    }
    good = (MAKERS | one)[kind]()
    chance = random.Random(kind)
    for _ in range(150 if kind != "iso" else 60):
        data = bytearray(good)
        for _ in range(chance.choice([1, 1, 2, 5, 20])):
            at = (
                chance.randrange(len(data))
                if chance.random() < 0.5
                else chance.randrange(min(len(data), 3000))
            )
            data[at] = chance.choice([0, 0xFF, chance.randrange(256)])
        if chance.random() < 0.3:
            data = data[: chance.randrange(1, len(data))]
        read_all(bytes(data))


def test_a_member_may_not_outgrow_its_promise() -> None:
    data = bytearray(make_zip())
    at = data.rfind(b"PK\x01\x02", 0, data.rfind(b"d/b.bin"))
    data[at + 24 : at + 28] = struct.pack("<L", 5)
    assert read_all(bytes(data))[0]["d/b.bin"] == "member-lies"


def test_directory_entries_beyond_the_limit() -> None:
    assert read_all(make_zip(), most=2)[1] == "archive-too-many"
    assert read_all(make_tar(), most=2)[1] == "archive-too-many"


def test_a_zip_behind_other_bytes() -> None:
    data = b"junk" * 100 + make_zip()
    found = dict.fromkeys(FILES)
    assert [entry.name for entry in entries("zip", io.BytesIO(data), len(data), "", most=10)] == list(found)


def test_zip64_sizes_are_believed_only_with_their_record() -> None:
    data = bytearray(make_zip(zipfile.ZIP_STORED))
    at = data.rfind(b"PK\x01\x02")
    data[at + 20 : at + 24] = b"\xff" * 4
    assert read_all(bytes(data))[1] == "archive-damaged"


def test_a_huge_extended_header_is_not_read() -> None:
    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    info.size = 1 << 40
    with pytest.raises(ArchiveError):
        list(headers(io.BytesIO(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))))


def test_links_devices_and_sparse_files_are_no_files() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for kind in (
            tarfile.SYMTYPE,
            tarfile.LNKTYPE,
            tarfile.CHRTYPE,
            tarfile.FIFOTYPE,
            tarfile.GNUTYPE_SPARSE,
        ):
            info = tarfile.TarInfo(f"n{kind!r}")
            info.type = kind
            archive.addfile(info)
    assert sorted(value for value in read_all(out.getvalue())[0].values()) == [
        "device",
        "device",
        "link",
        "link",
        "sparse",
    ]


def test_a_window_reads_its_ranges_alone() -> None:
    file = io.BytesIO(b"0123456789")
    with window(file, [(2, 3), (8, 2)]) as part:
        assert part.read() == b"23489"
        part.seek(-2, io.SEEK_END)
        assert part.read() == b"89"
    assert not file.closed


def test_what_follows_a_deflated_stream_is_not_gathered() -> None:
    """A member whose packed size covers far more than its stream: reading on would cost its square."""
    packed = zlib.compressobj(wbits=-15)
    stream = packed.compress(b"hello") + packed.flush()
    rest = bytes(64 << 20)
    size = len(stream) + len(rest)
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, zlib.crc32(b"hello"), size, 5, 1, 0) + b"a"
    central = (
        struct.pack(
            "<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, 0, 0, zlib.crc32(b"hello"), size, 5, 1, 0, 0, 0, 0, 0, 0
        )
        + b"a"
    )
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local) + size, 0)
    data = local + stream + rest + central + end
    with calls() as work:
        assert read_all(data) == ({"a": b"hello"}, "")
    assert work.count < 1000


def test_headers_without_end_before_one_member_are_not_gathered() -> None:
    def pax(key: str) -> bytes:
        value = "v" * 900_000
        record = f" {key}={value}\n"
        length = len(record) + 6
        content = f"{length}{record}".encode()
        assert len(content) == length
        info = tarfile.TarInfo("x")
        info.type, info.size = tarfile.XHDTYPE, length
        return info.tobuf() + content + bytes(-length % 512)

    data = b"".join(pax(f"key{number:03}") for number in range(40)) + make_tar()
    tracemalloc.start()
    try:
        found = [header.name for header in headers(io.BytesIO(data))]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "a.txt" in found
    assert peak < 12_000_000


def test_very_many_streams_in_a_row_are_one_file() -> None:
    data = gzip.compress(b"") * 20_000 + gzip.compress(b"x")
    assert read_all(data) == ({"x.dcm": b"x"}, "")


def _with_size(field: bytes, kind: bytes = b"0") -> bytes:
    """A tar of one member whose size field holds just this."""
    block = bytearray(tarfile.TarInfo("0/x").tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = field.ljust(12, b"\0")
    block[156:157] = kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + bytes(1024)


@pytest.mark.parametrize("kind", [b"0", b"5", b"x", b"g", b"L", b"K"])
@pytest.mark.parametrize("field", [b"-0001000", b"-1", b"+7", b"1_0", b"0o7", b"8"])
def test_a_size_in_a_tar_is_octal_digits_and_nothing_else(field: bytes, kind: bytes) -> None:
    with pytest.raises(ArchiveError):
        list(headers(io.BytesIO(_with_size(field, kind))))


def test_sizes_with_room_around_them_are_read() -> None:
    (member,) = headers(io.BytesIO(_with_size(b"      12 \0")))
    assert member.size == 0o12
