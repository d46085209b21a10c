"""Backups are made while everybody sends; each, brought back, holds all that was acknowledged before it."""

import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from anteroom.client.api import Api, ApiError
from bench.images import make_series
from tests.component.cli.server import ANTEROOM, run
from tests.e2e.server import Server

SENDERS = 3
BACKUPS = 3
IMAGES = 4
CONFIG = '[notify]\noff = true\n[match]\nhl7_host = "127.0.0.1"\n'

pytestmark = pytest.mark.slow


@dataclass
class Sent:
    ids: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)


def keep_sending(server: Server, folder: Path, sent: Sent) -> None:
    """Four images and what is refused, each time as one request, all or nothing."""
    number = 0
    headers = {"authorization": f"Bearer {server.token}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=60, trust_env=False) as client:
        while not sent.stop.is_set():
            number += 1
            series = make_series(folder / str(number), IMAGES, side=64, patient=f"{folder.name}{number}")
            files = [("file", (path.name, path.read_bytes())) for path in series.files]
            answer = client.post("/api/send", files=[*files, ("file", ("x.exe", b"MZ" + bytes(300)))])
            with sent.lock:
                if answer.status_code == 201:
                    sent.ids.append(answer.json()["submission"])
                else:
                    sent.problems.append(answer.text)
            shutil.rmtree(folder / str(number))


def test_every_backup_under_load_is_whole(tmp_path: Path) -> None:
    server, sent = Server(tmp_path / "first", CONFIG), Sent()
    server.start()
    threads = [
        threading.Thread(target=keep_sending, args=(server, tmp_path / f"s{number}", sent))
        for number in range(SENDERS)
    ]
    for thread in threads:
        thread.start()
    before: dict[str, list[str]] = {}
    try:
        for number in range(BACKUPS):
            wait(lambda number=number: len(sent.ids) >= 15 * (number + 1))
            acknowledged = list(sent.ids)
            command = [*ANTEROOM, "backup", "--data", str(server.data), "--to", str(tmp_path / "b"), "--json"]
            answer = run(command)
            assert answer.status == 0, answer.err
            before[answer.json["backup"]] = acknowledged
    finally:
        sent.stop.set()
        for thread in threads:
            thread.join()
        server.kill()
    assert sent.problems == []
    for stamp, acknowledged in before.items():
        check(tmp_path, stamp, acknowledged, sent.ids)


def check(folder: Path, stamp: str, acknowledged: list[str], everything: list[str]) -> None:
    server = Server(folder / stamp, CONFIG)
    command = [*ANTEROOM, "restore", "--from", str(folder / "b"), "--at", stamp, "--data", str(server.data)]
    answer = run(command)
    assert answer.status == 0, answer.err
    server.start()
    try:
        with server.api() as api:
            for submission in everything:
                path = f"/api/submissions/{submission}/outcome"
                if submission not in acknowledged and not known(api, path):
                    continue
                wait(lambda path=path: api.get(path)["state"] == "validated")
                outcome = api.get(path)
                assert (outcome["sent"], outcome["stored"], outcome["refused"]) == (IMAGES + 1, IMAGES, 1)
            assert api.get("/api/dead-letters") == []
    finally:
        server.stop()


def known(api: Api, path: str) -> bool:
    """False for a submission that came after the backup."""
    try:
        api.get(path)
    except ApiError as error:
        return error.status != 404
    return True


def wait(condition, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not settle in time"
        time.sleep(0.05)
