"""Backup and restore of a data folder: whole, new objects only, and never a half one."""

import asyncio
import json
from pathlib import Path

import pytest

from anteroom.embedded import NotToBeStarted, open_embedded
from anteroom.moving import backups, embedded_restore
from anteroom.moving.embedded_backup import Done, back_up
from anteroom.moving.manifest import NAME, OBJECTS, listed
from anteroom.moving.progress import silent
from anteroom.moving.trouble import MoveError
from anteroom.moving.vault import Vault
from kit.clock import utc_now
from kit.identity import ACCOUNTS, Account
from kit.service import Site
from services.portal.models import SAVED_VIEWS
from tests.unit.moving.house import furnish, notice, opened, ticking, work_off


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    await furnish(tmp_path / "data")
    return tmp_path / "data"


def save(data: Path, target: Path, keep: int = 7, clock=utc_now, key_file: Path | None = None) -> Done:
    return back_up(data, Vault(target), key_file, keep, clock, silent())


def bring(
    source: Path, data: Path, key_file: Path | None = None, over: bool = False, stamp: str | None = None
) -> embedded_restore.Restored:
    with backups.opened(source, stamp, silent()) as backup:
        return embedded_restore.restore(backup, data, key_file, over=over, progress=silent())


async def test_what_was_saved_while_the_server_ran_is_there_again(data: Path, tmp_path: Path) -> None:
    async with opened(data) as embedded:
        done = await asyncio.to_thread(save, data, tmp_path / "backups")
        assert await embedded.kit.documents.count(ACCOUNTS) == 250
    assert (done.manifest.objects, done.manifest.events.count, done.copied) == (31, 5, 31)
    assert done.manifest.documents["accounts"].count == 250
    (tmp_path / "new/lost+found").mkdir(parents=True)
    restored = bring(tmp_path / "backups", tmp_path / "new")
    assert restored.differences == ()
    assert (tmp_path / "new/site.key").read_bytes() == (data / "site.key").read_bytes()
    assert not (tmp_path / "new/admin.token").exists()
    async with opened(tmp_path / "new") as embedded:
        account = await embedded.kit.documents.get(ACCOUNTS, "a0001")
        assert (account.version, account.ae_titles) == (2, ["ÖST", "東"])
        assert embedded.kit.objects.read("studies/s1/p001.dcm") == b"\1" * 1001
        assert len(list(embedded.kit.objects.list(""))) == 31


async def test_events_that_waited_are_delivered_after_the_restore_and_known_ones_change_nothing(
    data: Path, tmp_path: Path
) -> None:
    save(data, tmp_path / "backups")
    rest = await work_off(data, 2)
    bring(tmp_path / "backups", tmp_path / "new")
    again = await work_off(tmp_path / "new", 2)
    assert set(again) >= set(rest) == {notice(number).id for number in (3, 4)}
    async with opened(tmp_path / "new") as embedded:
        assert await embedded.kit.documents.count(SAVED_VIEWS) == 5


async def test_a_further_backup_copies_what_is_new_and_keeps_what_older_ones_need(
    data: Path, tmp_path: Path
) -> None:
    clock, place = ticking(), tmp_path / "backups"
    first = save(data, place, 2, clock)
    async with opened(data) as embedded:
        embedded.kit.objects.put("studies/new.dcm", [b"new"])
        embedded.kit.objects.delete("studies/s0/p000.dcm")
    second = save(data, place, 2, clock)
    assert (second.copied, second.removed, second.manifest.objects) == (1, 0, 31)
    assert bring(place, tmp_path / "old", stamp=first.stamp).differences == ()
    assert (tmp_path / "old/objects/studies/s0/p000.dcm").exists()
    third = save(data, place, 2, clock)
    assert (third.copied, third.removed) == (0, 1)
    assert Vault(place).stamps() == [second.stamp, third.stamp]
    assert not (place / "objects/studies/s0/p000.dcm").exists()
    assert bring(place, tmp_path / "new").differences == ()


async def test_everything_a_document_refers_to_is_there_however_busy_it_is(tmp_path: Path) -> None:
    data, place = tmp_path / "data", tmp_path / "backups"
    async with opened(data) as embedded:
        kit, stop = embedded.kit, asyncio.Event()

        async def busy() -> None:
            number, living = 0, []
            while not stop.is_set():
                number += 1
                name = f"b{number:06}"
                await asyncio.to_thread(kit.objects.put, f"incoming/s/{name}/00000", [name.encode()])
                living.append(await kit.documents.save(ACCOUNTS, Account(id=name, name=name)))
                if len(living) == 3:
                    oldest = living.pop(0)
                    await kit.documents.delete(ACCOUNTS, oldest)
                    await asyncio.to_thread(kit.objects.delete, f"incoming/s/{oldest.id}/00000")

        workers = [asyncio.create_task(busy())]
        referred = 0
        for number in range(12):
            await asyncio.to_thread(save, data, place, 1, ticking(utc_now().replace(year=2030 + number)))
            with backups.opened(place, None, silent()) as backup:
                names = {item.key.split("/")[2] for item in listed(backup.folder / OBJECTS)}
                bring(place, tmp_path / f"new-{number}")
            async with opened(tmp_path / f"new-{number}") as restored:
                found = await restored.kit.documents.find(ACCOUNTS, limit=100)
                referred += len(found.items)
                assert {item.id for item in found.items} <= names
        stop.set()
        await asyncio.gather(*workers)
    assert referred > 0


async def test_a_key_that_lies_elsewhere_is_asked_for(data: Path, tmp_path: Path) -> None:
    key = (data / "site.key").rename(tmp_path / "site.key")
    done = save(data, tmp_path / "backups", key_file=key)
    assert not done.manifest.key_included
    assert not list((tmp_path / "backups").rglob("site.key"))
    with pytest.raises(MoveError, match="--key-file"):
        bring(tmp_path / "backups", tmp_path / "new")
    (tmp_path / "other.key").write_text("00" * 32)
    with pytest.raises(MoveError, match="not the site key"):
        bring(tmp_path / "backups", tmp_path / "new", tmp_path / "other.key")
    assert bring(tmp_path / "backups", tmp_path / "new", key).differences == ()


async def test_nothing_is_written_over(data: Path, tmp_path: Path) -> None:
    save(data, tmp_path / "backups")
    with pytest.raises(MoveError, match="not empty"):
        bring(tmp_path / "backups", data)
    async with opened(data):
        with pytest.raises(MoveError, match="in use"):
            bring(tmp_path / "backups", data, over=True)
    (data / "mine.txt").write_text("mine")
    assert bring(tmp_path / "backups", data, over=True).differences == ()
    assert (data / ".before-restore-1/mine.txt").read_text() == "mine"
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(MoveError, match="holds other things"):
        save(data, foreign)
    await furnish(tmp_path / "other", 2)
    with pytest.raises(MoveError, match="another installation"):
        save(tmp_path / "other", tmp_path / "backups")


async def test_a_restore_that_broke_off_can_not_be_started_and_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(data, tmp_path / "backups")
    new = tmp_path / "new"
    with monkeypatch.context() as patched:
        patched.setattr(embedded_restore, "_copy", _broken)
        with pytest.raises(OSError, match="No space"):
            bring(tmp_path / "backups", new)
    with pytest.raises(NotToBeStarted, match="not finished"):
        open_embedded(new, Site())
    restored = bring(tmp_path / "backups", new)
    assert (restored.copied, restored.differences) == (0, ())
    async with opened(new) as embedded:
        assert await embedded.kit.documents.count(ACCOUNTS) == 250


def _broken(source: Path, target: Path) -> None:
    raise OSError(28, "No space left on device")


async def test_a_damaged_backup_is_not_used(data: Path, tmp_path: Path) -> None:
    place = tmp_path / "backups"
    done = save(data, place)
    folder = place / "backups" / done.stamp
    damaged = place / "objects/studies/s1/p001.dcm"
    damaged.write_bytes(b"\2" * 1001)
    with backups.opened(place, None, silent()) as backup:
        assert backups.damaged(backup, silent()) == 1
    with pytest.raises(MoveError, match="is not what it was"):
        bring(place, tmp_path / "one")
    damaged.unlink()
    with pytest.raises(MoveError, match="1 of its objects are missing"):
        bring(place, tmp_path / "two")
    database = folder / "anteroom.db"
    content = bytearray(database.read_bytes())
    content[len(content) // 2] ^= 1
    database.write_bytes(content)
    with pytest.raises(MoveError, match=r"anteroom\.db is missing or changed"):
        bring(place, tmp_path / "three")
    manifest = json.loads((folder / NAME).read_text())
    newer = {**json.loads(manifest["manifest"]), "version": "99.0.0"}
    (folder / NAME).write_text(json.dumps({**manifest, "manifest": json.dumps(newer)}))
    with pytest.raises(MoveError, match=r"manifest .* is damaged"):
        bring(place, tmp_path / "four")
    assert not (tmp_path / "two").exists()


async def test_a_backup_of_a_newer_version_is_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("anteroom.moving.manifest.running", lambda: "99.1.0")
        save(data, tmp_path / "backups")
    with pytest.raises(MoveError, match=r"made by Anteroom 99\.1\.0"):
        bring(tmp_path / "backups", tmp_path / "new")


async def test_a_backup_that_broke_off_does_not_count(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, place = ticking(), tmp_path / "backups"
    with monkeypatch.context() as patched:
        patched.setattr("anteroom.moving.manifest.Manifest.write", lambda *_: _broken(place, place))
        with pytest.raises(OSError, match="No space"):
            save(data, place, clock=clock)
    with pytest.raises(MoveError, match="no finished backup"):
        bring(place, tmp_path / "new")
    done = save(data, place, clock=clock)
    assert done.copied == 0
    assert [path.name for path in (place / "backups").iterdir()] == [done.stamp]
    assert bring(place, tmp_path / "new").differences == ()
    assert list((data / "objects/.held").iterdir()) == []
