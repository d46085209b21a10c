"""A helper at work ends when the main process is killed: nobody is left to end it when it hangs."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from kit.workers import Workers


def hang(note: str) -> None:
    Path(note).write_text(str(os.getpid()))
    time.sleep(120)


def main(note: str) -> None:
    asyncio.run(Workers(1).run(300, hang, note))


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_a_helper_does_not_outlive_its_master(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = f"from tests.unit.kit.test_kit_workers_killed import main; main({str(note)!r})"
    guard = f"if __name__ == '__main__':\n    {code}\n"
    program = tmp_path / "program.py"
    program.write_text(guard)
    root = str(Path(__file__).parents[3])
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), env={**os.environ, "PYTHONPATH": root}
    )
    async with asyncio.timeout(60):
        while not (note.exists() and note.read_text()):
            await asyncio.sleep(0.05)
        helper = int(note.read_text())
        assert _alive(helper)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        while _alive(helper):
            await asyncio.sleep(0.05)
