"""The server is killed while the command line sends: the same run goes on, and nothing is lost."""

import subprocess
import time
from pathlib import Path

from anteroom.demo import study
from tests.component.cli.server import Server, run


def test_a_server_killed_three_times_in_one_sending(tmp_path: Path):
    made = tmp_path / "disc"
    made.mkdir()
    slices = study.files()
    for file in slices:
        (made / file.name).write_bytes(file.read_bytes())
    for n in range(60):
        (made / f"{n:03}.bin").write_bytes(bytes([n, 255, 0]) * 500_000)
    server = Server(tmp_path)
    server.start()
    try:
        command = server.command("send", made, "--json", "--connections", "2", "--patience", "60")
        sending = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for pause in (0.4, 0.3, 0.5):
            time.sleep(pause)
            server.kill()
            server.start()
        out, err = sending.communicate(timeout=170)
        assert sending.returncode == 3, err
        report = run(server.command("send", made, "--json")).json
        assert (report["sent"], report["stored"], report["refused"]) == (60 + len(slices), len(slices), 60)
        assert len({file["file"] for file in report["files"]}) == report["sent"]
        assert out
    finally:
        server.stop()
