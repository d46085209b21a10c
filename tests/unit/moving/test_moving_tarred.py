"""A backup in a single file."""

import tarfile
from pathlib import Path

import pytest

from anteroom.moving import backups, embedded_restore, tarred
from anteroom.moving.embedded_backup import back_up
from anteroom.moving.manifest import NAME
from anteroom.moving.progress import silent
from anteroom.moving.tarred import TarVault
from anteroom.moving.trouble import MoveError
from kit.clock import utc_now
from tests.unit.moving.house import furnish


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    await furnish(tmp_path / "data")
    save(tmp_path, tmp_path / "one.tar")
    return tmp_path / "one.tar"


def save(folder: Path, file: Path) -> None:
    back_up(folder / "data", TarVault(file), None, 1, utc_now, silent())


def bring(file: Path, data: Path) -> embedded_restore.Restored:
    with backups.opened(file, None, silent()) as backup:
        assert backups.damaged(backup, silent()) == 0
        return embedded_restore.restore(backup, data, None, over=False, progress=silent())


async def test_it_comes_back_whole_and_its_manifest_stands_first(file: Path, tmp_path: Path) -> None:
    assert bring(file, tmp_path / "new").differences == ()
    with tarfile.open(file) as tar:
        names = tar.getnames()
    assert names[0] == NAME
    assert sum(name.startswith("objects/") for name in names) == 31
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "new", "one.tar"]
    assert file.stat().st_mode & 0o077 == 0


async def test_what_exists_is_not_written_over(file: Path, tmp_path: Path) -> None:
    with pytest.raises(MoveError, match="exists already"):
        save(tmp_path, file)
    with pytest.raises(MoveError, match="leave --at away"), backups.opened(file, "x", silent()):
        pass


@pytest.mark.parametrize("part", [0.999, 0.9, 0.5, 0.01])
async def test_a_file_that_is_cut_off_is_found_out(file: Path, tmp_path: Path, part: float) -> None:
    content = file.read_bytes()
    end = content.rindex(b"\x1d" * 1000) + 500
    file.write_bytes(content[: int(end * part)])
    with pytest.raises(MoveError, match="damaged"):
        bring(file, tmp_path / "new")


async def test_a_foreign_tar_is_no_backup(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    with tarfile.open(tmp_path / "foreign.tar", "w") as tar:
        tar.add(tmp_path / "x", "../x")
    with pytest.raises(MoveError, match="no backup"):
        bring(tmp_path / "foreign.tar", tmp_path / "new")
    (tmp_path / "empty.tar").write_bytes(b"")
    with pytest.raises(MoveError, match="damaged"):
        bring(tmp_path / "empty.tar", tmp_path / "new")


async def test_a_member_that_nobody_listed_is_refused(file: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil.tar"
    with tarfile.open(file) as old, tarfile.open(evil, "w") as new:
        for member in old:
            new.addfile(member, old.extractfile(member))
            if member.name == NAME:
                other = tarfile.TarInfo("spool/../../escaped")
                new.addfile(other)
    with pytest.raises(MoveError, match="damaged"), tarred.opened(evil):
        pass
    assert not (tmp_path / "escaped").exists()
