"""Trusted sender, certain match: the study reaches a real PACS without a person, and not otherwise."""

import asyncio
import time
from pathlib import Path

import pytest

from anteroom.demo import study
from anteroom.demo.feed import announce
from anteroom.demo.orthanc import Orthanc
from tests.component.cli.server import ANTEROOM, Server, run


def wait_for(server: Server, state: str) -> dict:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        rows = run(server.command("ls", "--json")).json
        if rows and all(row["state"] == state for row in rows):
            return rows[0]
        time.sleep(0.3)
    raise AssertionError(run(server.command("show", rows[0]["id"])).out if rows else "no study")


def test_late_images_follow_by_policy_and_review_waits(tmp_path: Path, orthanc: Orthanc):
    server = Server(tmp_path / "server")
    server.folder.mkdir()
    server.start()
    try:
        asyncio.run(announce("127.0.0.1", server.hl7_port, study.demographics(), study.order()))
        added = run(
            server.group(
                *("destination", "add", "pacs", "--host", "127.0.0.1", "--port", orthanc.dicom_port),
                *("--ae", "ORTHANC", "--no-commitment"),
            )
        )
        assert "answers" in added.out, added.out + added.err
        run(server.group("account", "add", "Clinic", "--role", "send", "--policy", "review"))
        secret = run(server.group("account", "token", "Clinic")).out.strip()
        env = {"ANTEROOM_TOKEN": secret, "ANTEROOM_SERVER": f"http://127.0.0.1:{server.port}"}
        files = [str(path) for path in study.files()]
        assert run([*ANTEROOM, "send", *files[:8]], env=env).status == 0
        row = wait_for(server, "review")
        assert run(server.command("approve", row["id"])).status == 0
        wait_for(server, "in-pacs")
        assert run(server.group("account", "change", "Clinic", "--policy", "forward-certain")).status == 0
        assert run([*ANTEROOM, "send", *files[8:]], env=env).status == 0
        row = wait_for(server, "in-pacs")
        assert row["instances"] == len(files)
        detail = run(server.command("show", row["id"], "--json")).json
        assert [d["by"]["kind"] for d in detail["decisions"]] == ["person", "policy"]
        assert detail["decisions"][1]["target"] == detail["decisions"][0]["target"]
        shown = run(server.command("show", row["id"])).out
        assert "proved by" in shown
        hidden = run([*ANTEROOM, "show", row["id"]], env=env).out
        assert study.demographics().patient_id not in hidden
        assert run([*ANTEROOM, "send", *files, "--again"], env=env).status == 0
        assert wait_for(server, "in-pacs")["instances"] == len(files), "the same images again change nothing"
    finally:
        server.stop()


@pytest.mark.parametrize("option", [["--patient", "nobody"], ["--patient", "x", "--as-sent"]])
def test_a_wrong_patient_is_refused(tmp_path: Path, option: list[str]):
    answer = run([*ANTEROOM, "approve", "abc", *option, "--token", "x", "--server", "http://127.0.0.1:1"])
    assert answer.status in {1, 2}
