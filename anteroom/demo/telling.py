"""How the demo speaks: one line a stage, with the time since the start."""

import time
from pathlib import Path
from typing import TextIO


class Teller:
    """Lines go out at once, also through a pipe."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._start = time.monotonic()

    def title(self, text: str) -> None:
        self._say(f"\n{text}\n{'=' * len(text)}")

    def stage(self, name: str, text: str) -> None:
        self._say(f"{time.monotonic() - self._start:7.1f} s  {name:<11} {text}")

    def failed(self, text: str) -> None:
        self.stage("failed", text)

    def looking_around(self, url: str, data: Path, pacs: str, mail: Path) -> None:
        server = f"--server {url} --token-file {data}/admin.token"
        first = data / "welcome.link"
        pages = f"{first.read_text()}  (makes the first administrator)" if first.exists() else url
        self._say(
            "\nIt stays up until Ctrl-C. Look around (in another terminal, with .venv/bin on the PATH):\n"
            f"  the pages       {pages}\n"
            f"  anteroom ls     {server}\n"
            f"  anteroom send FOLDER {server}\n"
            f"  the PACS        {pacs}\n"
            f"  mail            {mail}\n"
            f"  the HTTP API    {url}/api/openapi.json"
        )

    def _say(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()
