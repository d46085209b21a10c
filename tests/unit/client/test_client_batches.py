"""Batches are tars that any tar program reads, laid out without reading the files."""

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anteroom.client.batches import END, Batch, header, member_size, parse_ranges, plan, ranges, without
from anteroom.client.files import LocalFile, select


def local(ordinal: int, size: int, path: str = "") -> LocalFile:
    return LocalFile(ordinal, path or f"f{ordinal}", "/nowhere", size, 0)


def tar_of(batch: Batch, contents: dict[int, bytes]) -> bytes:
    parts = [p if isinstance(p, bytes) else contents[p.ordinal] for p in batch.pieces()]
    return b"".join([*parts, END])


@pytest.mark.parametrize(
    "name",
    [
        "IM1",
        "x" * 300,
        "Bilder/Müller/ä.dcm",
        "日本語/" + "深" * 120,
        "a b\\c",
        "..",
        "line\nbreak",
        "\ud800",
    ],
)
def test_any_name_survives(name: str):
    content = b"x" * 700
    batch = Batch((local(0, 700, name.encode("utf-8", "replace").decode()), local(1, 0), local(2, 512)))
    made = tar_of(batch, {0: content, 1: b"", 2: b"y" * 512})
    assert len(made) == batch.size()
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        members = tar.getmembers()
        assert [m.name for m in members] == [f"{f.ordinal}/{f.path}" for f in batch.files]
        assert all(m.isreg() for m in members)
        assert tar.extractfile(members[0]).read() == content


def test_sizes_beyond_eight_gib_are_written():
    assert len(header(local(0, 1 << 40))) % 512 == 0


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=60), st.integers(2000, 20_000), st.integers(1, 9))
def test_plans_keep_order_and_limits(sizes: list[int], batch_bytes: int, batch_files: int):
    files = [local(n, size) for n, size in enumerate(sizes)]
    batches = plan(files, batch_bytes, batch_files)
    assert [f for batch in batches for f in batch.files] == files
    for batch in batches:
        assert 1 <= len(batch.files) <= batch_files
        assert len(batch.files) == 1 or batch.size() <= batch_bytes
        assert batch.size() == sum(map(member_size, batch.files)) + len(END)


@given(st.sets(st.integers(0, 300)))
def test_ranges_round_trip(ordinals: set[int]):
    text = ranges(sorted(ordinals))
    assert {n for span in parse_ranges(text) for n in span} == ordinals
    files = [local(n, 1) for n in range(301)]
    assert {f.ordinal for f in without(files, text)} == set(range(301)) - ordinals


def test_walking_leaves_nothing_out_silently(tmp_path: Path):
    disc = tmp_path / "CD"
    (disc / "sub").mkdir(parents=True)
    (disc / ".hidden").write_bytes(b"1")
    (disc / "b").write_bytes(b"22")
    (disc / "sub" / "a").write_bytes(b"")
    (disc / "sub" / "loop").symlink_to(disc)
    (disc / "link").symlink_to(disc / "b")
    (disc / "broken").symlink_to(disc / "gone")
    os.mkfifo(disc / "pipe")
    found = select([disc, tmp_path / "missing", disc / "b"])
    assert [(f.path, f.size) for f in found.files] == [
        ("CD/.hidden", 1),
        ("CD/b", 2),
        ("CD/link", 2),
        ("CD/sub/a", 0),
        ("b", 2),
    ]
    assert [f.ordinal for f in found.files] == list(range(5))
    assert {(left.path, left.code) for left in found.left_out} == {
        ("CD/broken", "unreadable"),
        ("CD/pipe", "not-a-file"),
        ("CD/sub/loop", "link"),
        ("missing", "unreadable"),
    }


def test_the_client_id_tells_the_same_files_from_changed_ones(tmp_path: Path):
    file = tmp_path / "a"
    file.write_bytes(b"1")
    first = select([tmp_path]).client_id()
    assert select([tmp_path]).client_id() == first
    os.utime(file, ns=(1, 1))
    assert select([tmp_path]).client_id() != first


def test_folders_however_deep_are_walked(tmp_path: Path):
    folders = [tmp_path]
    for _ in range(1200):
        folders.append(folders[-1] / "d")
        os.mkdir(folders[-1])
    (folders[-1] / "IM1").write_bytes(b"x")
    try:
        (found,) = select([tmp_path]).files
        assert found.path.endswith("/d/d/IM1")
    finally:
        (folders[-1] / "IM1").unlink()
        for folder in reversed(folders[1:]):
            folder.rmdir()
