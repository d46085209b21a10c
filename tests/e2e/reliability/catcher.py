"""The mail server of the run: takes every message at once, and counts them by Message-ID."""

import threading
from collections import Counter
from email import message_from_bytes
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.neighbours.process import free_port


class Catcher:
    def __init__(self) -> None:
        self.port = free_port()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._server: Any = Controller(self, "127.0.0.1", self.port, server_hostname="mail.test")

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def counts(self) -> dict[str, int]:
        """How often each message came, by the id of its notice."""
        with self._lock:
            return dict(self._counts)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        message_id = str(message_from_bytes(content)["Message-ID"])
        with self._lock:
            self._counts[message_id.strip("<>").partition("@")[0]] += 1
        return "250 OK"
