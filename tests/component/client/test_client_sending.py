"""The client against a real upload service on loopback: breaks, changes, refusals."""

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from anteroom.client import submission as sending
from anteroom.client.api import Api, ApiError, Unreachable
from anteroom.client.files import select
from anteroom.client.submission import Interrupted, Sent, Wishes, send
from anteroom.client.unfinished import Unfinished
from kit.identity import Role
from kit.service import Kit
from tests.component.upload.conftest import SECRET, Running, add_account, serving, settings_of, stored_files
from tests.neighbours.certificates import Authority

QUIET = Wishes()


class Count:
    """A watcher that adds up."""

    def __init__(self) -> None:
        self.bytes = 0
        self.files = 0
        self.reasons: list[str] = []
        self.lock = threading.Lock()

    def sent(self, size: int) -> None:
        with self.lock:
            self.bytes += size

    def files_done(self, count: int) -> None:
        with self.lock:
            self.files += count

    def waiting(self, reason: str) -> None:
        self.reasons.append(reason)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")


@pytest.fixture
async def upload(kit_env: Kit) -> AsyncIterator[Running]:
    await add_account(kit_env, "clinic", SECRET, Role.SEND)
    async with serving(kit_env, settings_of(batch_bytes=100_000, batch_files=10)) as running:
        yield running


def folder(tmp_path: Path, count: int, size: int = 5000) -> Path:
    made = tmp_path / "disc"
    made.mkdir()
    for n in range(count):
        (made / f"IM{n:04}").write_bytes(bytes([n % 256]) * (size + n))
    return made


async def run(url: str, path: Path, count: Count | None = None, **options: object) -> Sent:
    def work() -> Sent:
        with Api(url, SECRET, timeout=20) as api:
            return send(api, select([path]), QUIET, count or Count(), sleep=lambda _: None, **options)

    return await asyncio.to_thread(work)


async def received(running: Running) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for event in await running.events("batch-received"):
        files |= stored_files(running.kit, event)
    return files


async def test_everything_arrives_byte_for_byte(upload: Running, tmp_path: Path):
    made = folder(tmp_path, 57)
    (made / "empty").write_bytes(b"")
    (made / "Größe — 日本").write_bytes(os.urandom(250_000))
    count = Count()
    sent = await run(upload.url, made, count)
    assert (sent.state, sent.left_out, sent.before) == ("closed", [], False)
    files = await received(upload)
    expected = {f"{f.ordinal}/{f.path}": Path(f.source).read_bytes() for f in select([made]).files}
    assert files == expected
    assert count.files == len(expected)
    assert len(await upload.events("submission-closed")) == 1


async def test_the_same_command_again_sends_nothing(upload: Running, tmp_path: Path):
    made = folder(tmp_path, 25)
    first = await run(upload.url, made)
    again = await run(upload.url, made)
    assert (again.submission_id, again.before) == (first.submission_id, True)
    assert len(await upload.events("submission-opened")) == 1


async def test_it_goes_on_where_it_broke_off(
    upload: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = folder(tmp_path, 60)
    whole = sending.Uploader.send
    taken: list[int] = []

    def some(self: sending.Uploader, batch, location, keep) -> None:
        if len(taken) >= 2:
            raise Unreachable("away.")
        taken.append(len(batch.files))
        whole(self, batch, location, keep)

    monkeypatch.setattr(sending.Uploader, "send", some)
    with pytest.raises(Interrupted, match="same command"):
        await run(upload.url, made, connections=1, patience=0)
    monkeypatch.setattr(sending.Uploader, "send", whole)
    count = Count()
    sent = await run(upload.url, made, count)
    assert sent.resumed == sum(taken) > 0
    assert (sent.state, count.files) == ("closed", 60)
    assert len(await received(upload)) == 60


class Cutting:
    """A TCP relay that cuts connections after so many bytes, a number of times."""

    def __init__(self, port: int, after: int, cuts: int) -> None:
        self.port, self.after, self.cuts = port, after, cuts

    async def pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limited: bool) -> None:
        passed = 0
        while data := await reader.read(65536):
            passed += len(data)
            if limited and self.cuts > 0 and passed > self.after:
                self.cuts -= 1
                break
            writer.write(data)
            await writer.drain()
        writer.close()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        ways = [
            asyncio.create_task(self.pipe(reader, back, True)),
            asyncio.create_task(self.pipe(there, writer, False)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        back.close()
        writer.close()
        await asyncio.gather(*ways, return_exceptions=True)


async def test_broken_connections_are_mended(upload: Running, tmp_path: Path):
    made = folder(tmp_path, 80)
    relay = Cutting(int(upload.url.rpartition(":")[2]), after=40_000, cuts=12)
    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        count = Count()
        sent = await run(f"http://127.0.0.1:{port}", made, count)
    assert sent.state == "closed"
    assert relay.cuts == 0
    files = await received(upload)
    expected = {f"{f.ordinal}/{f.path}": Path(f.source).read_bytes() for f in select([made]).files}
    assert files == expected
    assert count.files == 80


async def test_a_large_file_goes_on_in_its_middle(upload: Running, tmp_path: Path):
    big = tmp_path / "big.iso"
    big.write_bytes(os.urandom(90 << 20))
    relay = Cutting(int(upload.url.rpartition(":")[2]), after=30 << 20, cuts=2)
    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        count = Count()
        sent = await run(f"http://127.0.0.1:{port}", big, count)
    assert sent.state == "closed"
    assert (await received(upload))["0/big.iso"] == big.read_bytes()
    batches = await upload.events("batch-received")
    assert len(batches) == 1
    assert count.bytes < (90 << 20) + 10_000


async def test_files_that_vanish_or_change_are_told_and_harm_nobody(
    upload: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = folder(tmp_path, 30)
    selection = select([made])
    (made / "IM0003").unlink()
    (made / "IM0012").write_bytes(b"grown " * 3000)
    whole = sending.Uploader.send

    def restless(self: sending.Uploader, batch, location, keep) -> None:
        if any(file.ordinal == 21 for file in batch.files):
            os.utime(made / "IM0021", ns=(0, int.from_bytes(os.urandom(5))))
        whole(self, batch, location, keep)

    monkeypatch.setattr(sending.Uploader, "send", restless)

    def work() -> Sent:
        with Api(upload.url, SECRET) as api:
            return send(api, selection, QUIET, Count(), sleep=lambda _: None)

    sent = await asyncio.to_thread(work)
    assert sorted((left.path, left.code) for left in sent.left_out) == [
        ("disc/IM0003", "unreadable"),
        ("disc/IM0021", "changed"),
    ]
    assert sent.state == "closed"
    files = await received(upload)
    assert len(files) == 28
    assert files["12/disc/IM0012"] == b"grown " * 3000


async def test_refusals_come_as_sentences(upload: Running, tmp_path: Path):
    made = folder(tmp_path, 3)

    def wrong_token() -> None:
        with Api(upload.url, "no") as api:
            send(api, select([made]), QUIET, Count())

    with pytest.raises(ApiError) as caught:
        await asyncio.to_thread(wrong_token)
    assert caught.value.status == 401
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
    with pytest.raises(Interrupted, match="can't be reached"):
        await run(f"http://127.0.0.1:{port}", made, patience=0)


async def test_a_file_over_the_limit_is_left_out_alone(kit_env: Kit, tmp_path: Path):
    await add_account(kit_env, "clinic", SECRET, Role.SEND)
    async with serving(kit_env, settings_of(max_file_bytes=200_000, batch_bytes=100_000)) as running:
        made = folder(tmp_path, 5)
        (made / "huge").write_bytes(bytes(300_000))
        sent = await run(running.url, made)
        assert [(left.path, left.text.endswith(".")) for left in sent.left_out] == [("disc/huge", True)]
        assert len(await received(running)) == 5


def test_what_is_unfinished_is_only_a_hint(tmp_path: Path):
    batch = sending.plan(select([folder(tmp_path, 1)]).files, 1000, 10)[0]
    with Unfinished("c", "http://x", tmp_path) as notes:
        notes.keep(batch, "/api/uploads/1")
    with Unfinished("c", "http://x", tmp_path) as notes:
        assert notes.location(batch) == "/api/uploads/1"
        next(tmp_path.glob("*.json")).write_text("[broken")
    with Unfinished("c", "http://x", tmp_path) as notes:
        assert notes.location(batch) is None
    with Unfinished("c", "http://x", Path("/proc/no")) as notes:
        notes.keep(batch, "x")
        notes.forget_all()


async def test_over_tls_with_the_hospitals_own_authority(
    upload: Running, tmp_path: Path, authority: Authority
):
    pair = authority.issue("server")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    made = folder(tmp_path, 30)
    (made / "large").write_bytes(os.urandom(3 << 20))
    relay = Cutting(int(upload.url.rpartition(":")[2]), after=0, cuts=0)

    def work(ca_file: str | None) -> Sent:
        with Api(f"https://127.0.0.1:{port}", SECRET, ca_file=ca_file) as api:
            return send(api, select([made]), QUIET, Count(), patience=0, sleep=lambda _: None)

    async with await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Interrupted, match="--ca"):
            await asyncio.to_thread(work, None)
        sent = await asyncio.to_thread(work, str(authority.certificate))
    assert sent.state == "closed"
    files = await received(upload)
    assert len(files) == 31
    assert next(v for k, v in files.items() if k.endswith("/large")) == (made / "large").read_bytes()
