"""The local spool: whole members only, whatever happens."""

import asyncio
import errno
import os
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.errors import NoSpace, TooLarge, Unavailable
from kit.spool import Spool
from kit.spool_tar import BLOCK, completed, header_of, member_name, whole_members

NAMES = ["0/a", "1/" + "/long" * 60, "2/Größe/ünï", "3/with\nnewline", "4/" + "日本" * 90]


async def pieces(content: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


async def filled(spool: Spool, contents: dict[str, bytes]):
    file = await spool.open({"submission_id": "s"})
    for name, content in contents.items():
        member = await file.append(name, pieces(content))
        assert (member.name, member.size) == (name, len(content))
    return file


def unpacked(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}


async def test_a_sealed_spool_is_a_tar_any_program_reads(tmp_path: Path):
    contents = {name: os.urandom(size) for name, size in zip(NAMES, (0, 1, 511, 512, 3_000_000), strict=True)}
    file = await filled(Spool(tmp_path), contents)
    path = await file.seal()
    assert await file.seal() == path
    assert unpacked(path) == contents
    assert path.stat().st_size % BLOCK == 0


async def test_recovery_keeps_whole_members_at_every_cut(tmp_path: Path):
    contents = {name: os.urandom(size) for name, size in zip(NAMES, (0, 1, 511, 512, 3000), strict=True)}
    file = await filled(Spool(tmp_path), contents)
    await file.release()
    whole = file.path.read_bytes()
    ends = [member.offset + member.size for member in file.members]
    for cut in [*range(0, len(whole), 97), len(whole), *ends, *(end - 1 for end in ends if end)]:
        file.path.write_bytes(whole[:cut])
        (found,) = await Spool(tmp_path).recover()
        expected = [name for name, end in zip(contents, ends, strict=True) if end <= cut and cut > 0]
        assert [member.name for member in found.members] == expected, cut
        assert found.owner == {"submission_id": "s"}
        kept = dict(list(contents.items())[: len(found.members)])
        # what was recovered goes on growing and seals well
        await found.append("9/more", pieces(b"more"))
        assert unpacked(await found.seal()) == {**kept, "9/more": b"more"}


async def test_recovery_drops_a_member_whose_bytes_were_lost(tmp_path: Path):
    """The header reached the disk before the data did: a power cut, not a kill."""
    file = await filled(Spool(tmp_path), {"0/a": b"a" * 5000, "1/b": b"b" * 5000})
    last = file.members[-1]
    await file.release()
    with file.path.open("r+b") as tar:
        tar.seek(last.offset + 1000)
        tar.write(bytes(600))
    (found,) = await Spool(tmp_path).recover()
    assert [member.name for member in found.members] == ["0/a"]


async def test_recovery_tidies_and_recognises_adopted_files(tmp_path: Path):
    spool = Spool(tmp_path)
    file = await filled(spool, {"0/a": b"a"})
    (await file.seal()).unlink()
    (tmp_path / "stray.tar").write_bytes(b"x")
    (tmp_path / "half.tmp").write_bytes(b"x")
    (found,) = await spool.recover()
    assert (found.adopted, found.members) == (True, [])
    await found.forget()
    assert list(tmp_path.iterdir()) == []


async def test_an_append_that_fails_leaves_the_file_as_it_was(tmp_path: Path):
    async def breaking() -> AsyncIterator[bytes]:
        yield b"x" * 3_000_000
        raise ConnectionError

    async def hanging() -> AsyncIterator[bytes]:
        yield b"x" * 3_000_000
        await asyncio.sleep(60)

    file = await filled(Spool(tmp_path), {"0/a": b"a" * 1000})
    before = file.path.read_bytes()
    with pytest.raises(ConnectionError):
        await file.append("1/b", breaking())
    with pytest.raises(TooLarge):
        await file.append("1/b", pieces(b"x" * 3_000_000), limit=2_999_999)
    task = asyncio.create_task(file.append("1/b", hanging()))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert file.path.read_bytes() == before
    await file.append("1/b", pieces(b"b"), limit=1)
    assert unpacked(await file.seal()) == {"0/a": b"a" * 1000, "1/b": b"b"}


async def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = await filled(Spool(tmp_path), {"0/a": b"a"})

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwritev", full)
    with pytest.raises(NoSpace):
        await file.append("1/b", pieces(b"b" * 2_000_000))
    monkeypatch.undo()
    await file.append("1/b", pieces(b"b"))
    assert unpacked(await file.seal()) == {"0/a": b"a", "1/b": b"b"}


async def test_a_disk_that_reports_errors_is_not_trusted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = await filled(Spool(tmp_path), {"0/a": b"a"})

    def failing(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", failing)
    with pytest.raises(Unavailable):
        await file.append("1/b", pieces(b"b"))
    monkeypatch.undo()
    with pytest.raises(Unavailable):
        await file.append("1/b", pieces(b"b"))
    assert unpacked(await file.seal()) == {"0/a": b"a"}


async def test_the_reserve_is_left_alone(tmp_path: Path):
    spool = Spool(tmp_path / "not yet there", reserve=1 << 60)
    assert not spool.has_room()
    with pytest.raises(NoSpace):
        await spool.open({})


async def test_appends_wait_for_each_other(tmp_path: Path):
    file = await Spool(tmp_path).open({})
    contents = {f"{n}/x": os.urandom(50_000) for n in range(20)}
    await asyncio.gather(
        *(file.append(name, pieces(content), sync=False) for name, content in contents.items())
    )
    await file.sync()
    assert unpacked(await file.seal()) == contents


def test_sizes_beyond_eight_gib_are_written_and_read():
    size = (9 << 30) + 5
    info = tarfile.TarInfo.frombuf(completed(header_of("0/x"), size, 0), "utf-8", "strict")
    assert info.size == size


def test_names_are_shown_not_trusted():
    assert member_name(3, "") == "3/unnamed"
    assert member_name(3, "a\0b/") == "3/a_b"
    assert member_name(3, "u\u0308") == "3/ü"
    assert member_name(3, "\udcff") == "3/?"
    assert len(member_name(3, "x" * 5000)) == 1026


@pytest.mark.parametrize("content", [b"", b"\0" * 1024, b"garbage" * 500])
def test_no_tar_has_no_members(tmp_path: Path, content: bytes):
    path = tmp_path / "x"
    path.write_bytes(content)
    with path.open("rb") as file:
        assert list(whole_members(file)) == []


async def test_an_unreadable_owner_record_hinders_nobody(tmp_path: Path):
    spool = Spool(tmp_path)
    good = await spool.open({"kind": "session"})
    await good.append("0/a", pieces(b"a"))
    await good.release()
    other = await spool.open({"kind": "request"})
    await other.release()
    bad = await spool.open({})
    await bad.release()
    bad.path.with_suffix(".json").write_bytes(b"{")
    found = {file.id: file for file in await Spool(tmp_path).recover("session")}
    assert found.keys() == {good.id, other.id}
    assert [member.name for member in found[good.id].members] == ["0/a"]
    await found[other.id].forget()
    assert bad.path.exists()
    assert not other.path.exists()


async def test_the_oldest_of_a_kind_counts_once_a_member_is_whole(tmp_path: Path):
    spool = Spool(tmp_path)
    coming, go_on = asyncio.Event(), asyncio.Event()

    async def slowly():
        yield b"a" * 70_000
        coming.set()
        await go_on.wait()
        yield b"b"

    file = await spool.open({"kind": "session"})
    appending = asyncio.create_task(file.append("slow", slowly()))
    await coming.wait()
    assert spool.oldest("session") is None
    go_on.set()
    await appending
    assert spool.oldest("session") is not None
    assert spool.oldest("request") is None
    await file.forget()
    assert spool.oldest("session") is None
