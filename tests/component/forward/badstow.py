"""A STOW-RS and QIDO-RS server with scripted answers, on a bare socket."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pydicom

Stored = list[pydicom.FileDataset]


@dataclass
class ScriptedStow:
    """`answer(datasets)` gives HTTP status and JSON for one POST; what 200 and 202 answers do not
    list as failed is kept. `page` caps what one query returns, as servers do."""

    answer: Callable[[Stored], tuple[int, Any]] = lambda datasets: (200, {})
    query_status: int = 200
    page: int = 2
    kept: dict[str, pydicom.FileDataset] = field(default_factory=dict)
    posts: list[int] = field(default_factory=list)
    port: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ScriptedStow"]:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, limit=1 << 24)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    def destination(self) -> dict[str, Any]:
        return {"id": "pacs", "kind": "stow", "url": f"http://127.0.0.1:{self.port}/dicom-web"}

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"content-length: (\d+)", head, re.I)
                body = await reader.readexactly(int(length[1])) if length else b""
                status, content = self._post(head, body) if head.startswith(b"POST") else self._query(head)
                data = b"" if content is None else json.dumps(content).encode()
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Type: application/dicom+json\r\n"
                    f"Content-Length: {len(data)}\r\n\r\n".encode()
                    + data
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _post(self, head: bytes, body: bytes) -> tuple[int, Any]:
        boundary = re.search(rb"boundary=(\S+)", head)
        assert boundary
        parts = body.split(b"--" + boundary[1])[1:-1]
        datasets = [pydicom.dcmread(BytesIO(part.split(b"\r\n\r\n", 1)[1][:-2])) for part in parts]
        self.posts.append(len(datasets))
        status, content = self.answer(datasets)
        failed = json.dumps((content or {}).get("00081198", ""))
        if status in (200, 202):
            self.kept |= {str(d.SOPInstanceUID): d for d in datasets if d.SOPInstanceUID not in failed}
        return status, content

    def _query(self, head: bytes) -> tuple[int, Any]:
        if self.query_status != 200:
            return self.query_status, None
        offset = re.search(rb"offset=(\d+)", head)
        start = int(offset[1]) if offset else 0
        rows = [
            {
                "00080018": {"vr": "UI", "Value": [uid]},
                "00100020": {"vr": "LO", "Value": [dataset.PatientID]},
            }
            for uid, dataset in sorted(self.kept.items())
            if str(dataset.SeriesInstanceUID).encode() in head
        ]
        return 200, rows[start : start + self.page]


def references(tag: str, reason_tag: str, items: dict[str, int]) -> dict[str, Any]:
    """Referenced or Failed SOP Sequence (PS3.18 table 10.5.3-1)."""
    return {
        tag: {
            "vr": "SQ",
            "Value": [
                {
                    "00081155": {"vr": "UI", "Value": [uid]},
                    **({reason_tag: {"vr": "US", "Value": [reason]}} if reason else {}),
                }
                for uid, reason in items.items()
            ],
        }
    }
