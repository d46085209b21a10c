"""The commands that save, bring back and move: their words, and what is left when they are killed."""

import asyncio
import os
import random
import sys
from pathlib import Path

import pytest

from anteroom.embedded import NotToBeStarted, open_embedded
from anteroom.moving import marks
from kit.service import Site
from tests.component.cli.server import command, free_port, killed, run
from tests.unit.moving.house import furnish, opened


@pytest.fixture
def data(tmp_path: Path) -> Path:
    asyncio.run(_fill(tmp_path / "data"))
    return tmp_path / "data"


async def _fill(data: Path) -> None:
    await furnish(data)
    async with opened(data) as embedded:
        for number in range(60):
            embedded.kit.objects.put(f"studies/big/{number:03}", [os.urandom(1 << 20)] * 3)


@pytest.mark.parametrize("name", ["backup", "restore", "migrate"])
def test_help_says_what_it_does_and_what_it_needs(name: str) -> None:
    answer = run(command(name, "--help"))
    assert answer.status == 0
    assert "--data" in answer.out
    assert "--json" in answer.out
    assert run(command(name)).status == 2


def test_what_is_wrong_is_said_in_a_sentence(data: Path, tmp_path: Path) -> None:
    nowhere = run(command("backup", "--data", tmp_path / "nowhere", "--to", tmp_path / "b"))
    assert (nowhere.status, "no data folder of Anteroom" in nowhere.err) == (1, True)
    assert not (tmp_path / "b").exists()
    nothing = run(command("restore", "--from", tmp_path / "nowhere", "--data", tmp_path / "new"))
    assert (nothing.status, "There is no backup at" in nothing.err) == (1, True)
    (tmp_path / "file").write_text("x")
    blocked = run(command("backup", "--data", data, "--to", tmp_path / "file" / "b"))
    assert (blocked.status, "can't be used: Not a directory." in blocked.err) == (1, True)
    proc = run(command("backup", "--data", data, "--to", "/proc/backups"))
    assert proc.status == 1
    assert "/proc/backups" in proc.err
    broken = tmp_path / "broken.toml"
    broken.write_text("[mongo\n")
    assert "not valid TOML" in run(command("migrate", "--data", data, "--to", broken)).err


def test_a_cluster_that_is_away_leaves_the_folder_as_it_was(data: Path, tmp_path: Path) -> None:
    config = tmp_path / "cluster.toml"
    config.write_text(
        f'[process]\ndata = "{tmp_path / "c"}"\n[kafka]\nservers = "127.0.0.1:{free_port()}"\n'
        f'[mongo]\nurl = "mongodb://127.0.0.1:{free_port()}"\ntimeout_s = 1\n'
        f'[s3]\nendpoint = "127.0.0.1:{free_port()}"\naccess_key = "hushaccess"\nsecret_key = "hushsecret"\n'
    )
    answer = run(command("migrate", "--data", data, "--to", config))
    assert answer.status == 1
    assert "Not reachable (document store" in answer.err
    assert "hush" not in answer.err + answer.out
    assert marks.why_not(data) is None
    saving = run(
        command("backup", "--cluster", config, "--key-file", data / "site.key", "--to", tmp_path / "b")
    )
    assert (saving.status, "Not reachable" in saving.err) == (1, True)


def test_whatever_moment_it_is_killed_at_a_backup_is_whole_or_does_not_count(
    data: Path, tmp_path: Path
) -> None:
    place, new = tmp_path / "backups", tmp_path / "new"
    saving = command("backup", "--data", data, "--to", place, "--keep", "2")
    kills = 0
    while killed(saving, random.uniform(0.5, 1.2) + kills * 0.2):
        kills += 1
        checked = run(command("restore", "--from", place, "--check"))
        assert checked.status == 0 or "no" in checked.err
    assert kills >= 2
    again = run([*saving, "--json"])
    assert (again.status, again.json["new_objects"], again.json["objects"]) == (0, 0, 91)
    assert not list((place / "backups").glob("*.part"))
    bringing = command("restore", "--from", place, "--data", new)
    kills = 0
    while killed(bringing, random.uniform(0.5, 1.2) + kills * 0.2):
        kills += 1
        begun = new.exists() and {path.name for path in new.iterdir()} - {"lock"}
        if begun and marks.why_not(new) is None:
            break  # it was killed on its way out
        if begun:
            with pytest.raises(NotToBeStarted, match="not finished"):
                open_embedded(new, Site())
    assert kills >= 2
    asyncio.run(_same(data, new))


def test_an_object_is_never_whole_in_memory(tmp_path: Path) -> None:
    asyncio.run(furnish(tmp_path / "data"))
    with (tmp_path / "data/objects/studies/huge").open("wb") as file:
        file.truncate(600 << 20)
    measured = (
        "import runpy\n"
        "try:\n runpy.run_module('anteroom', run_name='__main__', alter_sys=True)\n"
        # not ru_maxrss: that begins with what the process that started this one held
        "finally: print('KB', open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
    )
    for arguments in (["backup", "--to"], ["restore", "--from"]):
        data = tmp_path / ("data" if arguments[0] == "backup" else "new")
        words = [*arguments, str(tmp_path / "backups"), "--data", str(data)]
        answer = run([sys.executable, "-c", measured, *words])
        assert answer.status == 0, answer.err
        assert int(answer.out.split("KB")[1]) < 300_000
    assert (tmp_path / "new/objects/studies/huge").stat().st_size == 600 << 20


async def _same(data: Path, new: Path) -> None:
    async with opened(data) as one, opened(new) as two:
        stats = [list(side.kit.objects.list("")) for side in (one, two)]
        assert stats[0] == stats[1]
        for stat in stats[0]:
            assert one.kit.objects.read(stat.key) == two.kit.objects.read(stat.key)
