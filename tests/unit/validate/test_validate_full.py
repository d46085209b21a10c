"""A full disk is no file's fault: nothing is decided, and the batch waits."""

import errno
import os
from pathlib import Path

import pytest

from kit.errors import NoSpace
from kit.objects.files import FileObjects
from services.validate import reading
from services.validate.jobs import BatchJob
from services.validate.settings import ArchiveLimits
from tests.component.validate.files import batch_tar, dicom


def _job(objects: FileObjects, progress: Path) -> BatchJob:
    tar = batch_tar([(0, "a", dicom())])
    objects.put("incoming/s/b/00000", [tar])
    return BatchJob(
        submission_id="s",
        batch_id="b",
        parts=(("incoming/s/b/00000", len(tar)),),
        ordinals=(0,),
        container="",
        depth=0,
        allowance=None,
        origin="o",
        site_key=bytes(32),
        clam=None,
        archives=ArchiveLimits(),
        max_document_bytes=1 << 20,
        batch_bytes=1 << 20,
        batch_files=10,
        suspects=frozenset(),
        progress=str(progress),
    )


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("step", ["read_instance", "write_pack"])
def test_no_room_for_a_copy_or_a_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    objects = FileObjects(tmp_path / "objects")
    job = _job(objects, tmp_path / "progress")
    assert len(reading.read_batch(objects, job).files) == 1
    monkeypatch.setattr(reading, step, _full)
    result = reading.read_batch(objects, job)
    assert (result.unavailable, result.files) == ("storage-full", [])


def test_no_room_for_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = FileObjects(tmp_path / "objects")
    monkeypatch.setattr(Path, "open", _full)
    with pytest.raises(NoSpace):
        objects.writer("a/b")


def test_what_goes_away_while_it_is_listed_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = FileObjects(tmp_path / "objects")
    for name in ("a", "b"):
        objects.put(f"x/{name}", [b"1"])
    stat = Path.stat

    def gone(self: Path, **options: bool) -> os.stat_result:
        if self.name == "a":
            raise FileNotFoundError
        return stat(self, **options)

    monkeypatch.setattr(Path, "stat", gone)
    assert [found.key for found in objects.list("x/")] == ["x/b"]
