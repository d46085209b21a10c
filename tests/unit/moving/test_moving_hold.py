"""While a backup holds a folder, nothing is deleted there for good."""

import subprocess
import sys
from pathlib import Path

import pytest

from kit.hold import AlreadyHeld, hold
from kit.objects.files import FileObjects
from kit.spool import Spool

HOLDER = """
import sys, time
from pathlib import Path
from kit.hold import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_what_is_deleted_is_put_aside_until_the_end(tmp_path: Path) -> None:
    objects = FileObjects(tmp_path)
    objects.put("incoming/a/b/00000", [b"bytes"])
    with hold(tmp_path) as aside:
        objects.delete("incoming/a/b/00000")
        objects.delete("incoming/a/b/absent")
        assert objects.stat("incoming/a/b/00000") is None
        assert list(objects.list("")) == []
        assert (aside / "incoming/a/b/00000").read_bytes() == b"bytes"
        objects.put("incoming/a/b/00000", [b"again"])
        objects.delete("incoming/a/b/00000")
        assert objects.stat("incoming/a/b/00000") is None
    assert not aside.exists()
    objects.put("k", [b"x"])
    objects.delete("k")
    assert not list(tmp_path.rglob("k"))


def test_a_second_name_of_the_same_bytes_goes_too(tmp_path: Path) -> None:
    objects = FileObjects(tmp_path)
    objects.put("a", [b"bytes"])
    with hold(tmp_path) as aside:
        (aside / "a").hardlink_to(tmp_path / "a")
        objects.delete("a")
        assert objects.stat("a") is None


def test_two_backups_do_not_meet(tmp_path: Path) -> None:
    with hold(tmp_path), pytest.raises(AlreadyHeld, match="Another backup"), hold(tmp_path):
        pass


def test_a_holder_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    objects = FileObjects(tmp_path)
    objects.put("a", [b"1"])
    objects.put("b", [b"2"])
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    objects.delete("a")
    process.kill()
    process.wait()
    process.stdout.close()
    assert len(list(tmp_path.glob(".held/*/a"))) == 1
    objects.delete("b")
    assert not list(tmp_path.rglob("b"))
    objects.discard_unfinished()
    assert not (tmp_path / ".held").exists()


async def test_the_record_of_a_spool_file_stays_while_it_is_held(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    file = await spool.open({"kind": "session"})
    with hold(tmp_path) as aside:
        await file.forget()
        assert [path.name for path in aside.iterdir()] == [f"{file.id}.json"]
        assert await spool.recover() == []
