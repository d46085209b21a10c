"""The command line against a whole server: send, look, decide, administer."""

import os
import signal
import stat
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from anteroom.demo import study
from tests.component.cli.server import ANTEROOM, Server, free_port, run

STATES = ("stored", "duplicate", "document", "refused", "quarantined", "waiting")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    """Six slices, a PDF, and what else lies on a disc."""
    made = tmp_path / "DISC 1"
    made.mkdir()
    for file in study.files()[:6]:
        (made / file.name).write_bytes(file.read_bytes())
    (made / "report.pdf").write_bytes(b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n")
    (made / "autorun.inf").write_bytes(b"[autorun]\nopen=viewer.exe\n")
    (made / "empty").write_bytes(b"")
    return made


def sums_agree(report) -> bool:
    return report["sent"] == sum(report[state] for state in STATES)


def test_send_tells_what_became_of_every_file(server: Server, disc: Path):
    words = ["--note", "knee", "--purpose", "second opinion", "--recipient", "a@b.example", "--urgent"]
    first = run(server.command("send", disc, "--json", *words))
    assert first.status == 3, first.err
    report = first.json
    assert (report["sent"], report["stored"], report["document"], report["refused"]) == (9, 6, 1, 2)
    assert sums_agree(report)
    states = {file["path"]: file["state"] for file in report["files"]}
    assert states["DISC 1/empty"] == states["DISC 1/autorun.inf"] == "refused"
    assert all(file["text"].endswith(".") for file in report["files"] if file["state"] == "refused")
    again = run(server.command("send", disc))
    assert again.status == 3
    assert "were sent before" in again.err
    assert "sent 9 = 6 stored + 1 document + 2 refused" in again.out
    anew = run(server.command("send", disc, "--again", "--json"))
    assert (anew.json["duplicate"], anew.json["stored"]) == (6, 0)


def test_a_zip_and_what_is_not_there(server: Server, disc: Path, tmp_path: Path):
    packed = tmp_path / "all.zip"
    with zipfile.ZipFile(packed, "w") as made:
        for file in study.files()[6:10]:
            made.write(file, f"CD/{file.name}")
    answer = run(server.command("send", packed, tmp_path / "missing", "--json"))
    assert answer.status == 3
    report = answer.json
    assert (report["sent"], report["stored"], report["not_sent"]) == (4, 4, 1)
    assert report["files"][-1]["state"] == "not-sent"
    good = run(server.command("send", study.files()[11]))
    assert good.status == 0, good.out
    nothing = run(server.command("send", tmp_path / "missing"))
    assert (nothing.status, nothing.out) == (1, "")
    assert "nothing to send" in nothing.err


def test_from_the_inbox_to_a_decision(server: Server, disc: Path):
    run(server.command("send", disc))
    rows = run(server.command("ls", "--json")).json
    row = next(row for row in rows if row["modalities"] == ["MR"])
    short = row["id"][:10]
    shown = run(server.command("show", short)).out
    assert row["id"] in shown
    assert "Next: anteroom approve" in shown
    uncertain = run(server.command("approve", short))
    assert uncertain.status == 1
    assert "--as-sent" in uncertain.err
    nowhere = run(server.command("approve", short, "--as-sent"))
    assert "destination add" in nowhere.err
    made = run(
        server.group("destination", "add", "away", "--host", "127.0.0.1", "--port", free_port(), "--ae", "P")
    )
    assert made.status == 0, made.err
    assert "Made away." in made.out
    assert run(server.group("destination", "echo", "away")).status == 1
    unknown = run(server.command("approve", short, "--as-sent", "--destination", "moon"))
    assert "no destination 'moon'" in unknown.err
    approved = run(server.command("approve", short, "--as-sent", "--destination", "away"))
    assert approved.status == 0, approved.err
    assert "now: approved" in approved.out
    assert "decided before" in run(server.command("approve", short, "--as-sent", "--destination", "away")).out
    shown = run(server.command("show", short)).out
    assert "approve by admin to away" in shown
    declined = run(server.command("decline", short, "--reason", "no"))
    assert (declined.status, "was approved" in declined.err) == (1, True)
    detail = run(server.command("show", short, "--json")).json
    assert detail["decision"]["action"] == "approve"
    assert "study-decided" in run(server.command("events", "--limit", "1000")).out
    assert "every event was handled" in run(server.command("dead-letters")).out
    assert run(server.command("replay", "nothing")).status == 1


def test_accounts_tokens_and_what_a_sender_sees(server: Server, disc: Path, tmp_path: Path):
    assert run(server.group("account", "add", "Clinic", "--role", "send")).status == 0
    token = run(server.group("account", "token", "Clinic", "--label", "box"))
    secret = token.out.strip()
    env = {"ANTEROOM_TOKEN": secret, "ANTEROOM_SERVER": f"http://127.0.0.1:{server.port}"}
    assert run([*ANTEROOM, "ls"], env=env).out == "No studies.\n"
    sent = run([*ANTEROOM, "send", str(disc), "--json"], env=env)
    assert sent.status == 3, sent.err
    assert sent.json["stored"] == 6, "another origin: another study"
    (mine,) = run([*ANTEROOM, "ls", "--json"], env=env).json
    assert run([*ANTEROOM, "show", mine["id"][:8]], env=env).status == 0
    assert "right to approve" in run([*ANTEROOM, "approve", mine["id"], "--as-sent"], env=env).err
    assert "right to admin" in run([*ANTEROOM, "events"], env=env).err
    others = [row["id"] for row in run(server.command("ls", "--json")).json if row["id"] != mine["id"]]
    assert "not yours" in run([*ANTEROOM, "show", others[0]], env=env).err
    assert secret not in run(server.group("account", "tokens")).out
    short = token.err.split()[-1]
    assert run(server.group("account", "revoke", short)).status == 0
    assert "not valid" in run([*ANTEROOM, "ls"], env=env).err
    assert run(server.group("account", "change", "admin", "--disable")).status == 1


def test_events_follow_until_stopped(server: Server):
    following = subprocess.Popen(server.command("events", "--follow", "--limit", "1"), stdout=subprocess.PIPE)
    time.sleep(1)
    assert run(server.command("send", study.files()[15], "--no-wait")).status == 0
    line = b""
    assert following.stdout is not None
    while b"submission-opened" not in line:
        line = following.stdout.readline()
        assert line
    following.send_signal(signal.SIGINT)
    assert following.wait(30) == 0
    following.stdout.close()


def test_doctor_says_what_is_missing(server: Server, tmp_path: Path):
    answer = run(server.command("doctor", "--json"))
    checks = {row["check"]: row["result"] for row in answer.json}
    assert checks["dicom-door"] == "ok"
    assert answer.status == 0, answer.out
    token = server.data / "admin.token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    token.chmod(0o644)
    opened = run(server.command("doctor"))
    token.chmod(0o600)
    assert opened.status == 1
    assert "chmod 600" in opened.out
    lost = run([*ANTEROOM, "doctor", "--data", str(tmp_path)])
    assert lost.status == 1
    assert "anteroom up" in lost.out
    wrong = run([*ANTEROOM, "ls", "--server", "ftp://x", "--token", "x"])
    assert (wrong.status, "not an address" in wrong.err) == (1, True)
    away = run([*ANTEROOM, "ls", "--server", f"http://127.0.0.1:{free_port()}", "--token", "x"])
    assert (away.status, "can't be reached" in away.err) == (1, True)


def test_stopped_by_hand_and_taken_up_again(server: Server, tmp_path: Path):
    made = tmp_path / "many"
    made.mkdir()
    for n in range(60):
        (made / f"{n:03}.bin").write_bytes(os.urandom(2_000_000))
    env = {**os.environ, "HOME": str(tmp_path)}
    process = subprocess.Popen(
        server.command("send", made, "--connections", "1", "--no-wait"), stderr=subprocess.PIPE, env=env
    )
    assert process.stderr is not None
    assert b"60 files" in process.stderr.readline()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert b"Traceback" not in err
    answer = run(server.command("send", made, "--json"), env={"HOME": str(tmp_path)})
    assert (answer.json["sent"], answer.json["refused"]) == (60, 60)
