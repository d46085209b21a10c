"""Streams become parts: every byte, in order, of bounded size."""

import hashlib
import os
import random
from pathlib import Path

import pytest

from kit.objects.files import FileObjects
from services.upload.parts import PartWriter


@pytest.mark.parametrize("part_bytes", [10_000, 65_536, 3_000_000])
async def test_parts_follow_each_other(tmp_path: Path, part_bytes: int):
    objects = FileObjects(tmp_path)
    content = os.urandom(7_654_321)
    kept: list[tuple[int, int]] = []

    async def done(number: int, size: int) -> None:
        kept.append((number, size))

    digest = hashlib.sha256()
    writer = PartWriter(objects, lambda number: f"p/{number:05d}", 3, part_bytes, done, digest)
    random.seed(5)
    at = 0
    while at < len(content):
        size = random.choice([1, 1000, 65_536, 500_000])
        await writer.feed(content[at : at + size])
        at += size
    await writer.finish()
    assert [number for number, _ in kept] == list(range(3, 3 + len(kept)))
    assert {size for _, size in kept[:-1]} <= {part_bytes}
    assert b"".join(objects.read(f"p/{number:05d}") for number, _ in kept) == content
    assert digest.digest() == hashlib.sha256(content).digest()


async def test_a_small_rest_is_not_worth_a_part(tmp_path: Path):
    objects = FileObjects(tmp_path)
    kept: list[int] = []

    async def done(_: int, size: int) -> None:
        kept.append(size)

    writer = PartWriter(objects, lambda number: f"p/{number}", 0, 1000, done)
    await writer.feed(b"x" * 2500)
    await writer.finish(keep_rest_from=501)
    assert kept == [1000, 1000]
    assert list((tmp_path / ".tmp").iterdir()) == []


async def test_dropping_leaves_no_half_part(tmp_path: Path):
    objects = FileObjects(tmp_path)

    async def done(_: int, __: int) -> None:
        return

    writer = PartWriter(objects, lambda number: f"p/{number}", 0, 5_000_000, done)
    await writer.feed(b"x" * 1_500_000)
    await writer.drop()
    assert list(objects.list("p/")) == []
    assert list((tmp_path / ".tmp").iterdir()) == []
