"""The demo's mail catcher: an SMTP server on loopback that keeps what it gets and delivers nothing."""

import asyncio
from collections import deque
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

from aiosmtpd.smtp import SMTP, Envelope, Session

_MESSAGE_LIMIT = 4 * 1024 * 1024
_KEPT = 1000


class MailCatcher:
    """Keeps messages as `0001.eml`, … in its folder and the last thousand in memory.

    `tell` gets one line for each: "clinic@example.org: Your submission … is in the archive".
    """

    def __init__(self, folder: Path, *, port: int = 0, tell: Callable[[str], None] = lambda _: None) -> None:
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = port
        self.messages: deque[EmailMessage] = deque(maxlen=_KEPT)
        self._tell = tell
        self._server: asyncio.Server | None = None
        self._doors: set[SMTP] = set()
        self._number = 0

    async def start(self) -> None:
        """Listen; `port` 0 becomes the port that was free."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._number = max((int(p.stem) for p in self.folder.glob("*.eml") if p.stem.isdigit()), default=0)
        loop = asyncio.get_running_loop()

        def door() -> SMTP:
            # With a name given it asks no resolver for its own.
            smtp = SMTP(self, hostname="localhost", data_size_limit=_MESSAGE_LIMIT, timeout=60, loop=loop)
            self._doors.add(smtp)
            return smtp

        self._server = await loop.create_server(door, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for door in self._doors:
            if door.transport is not None:
                door.transport.close()
        self._doors.clear()
        self._server = None
        await asyncio.sleep(0)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = cast(bytes, envelope.content)
        message = message_from_bytes(content, policy=policy.default)
        self._number += 1
        await asyncio.to_thread((self.folder / f"{self._number:04d}.eml").write_bytes, content)
        self.messages.append(message)
        self._doors = {door for door in self._doors if door.transport is not None}
        self._tell(f"{', '.join(envelope.rcpt_tos)}: {message.get('subject', '(no subject)')}")
        return "250 OK"
