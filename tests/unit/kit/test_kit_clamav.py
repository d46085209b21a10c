"""What a scanner that misbehaves is believed."""

import io
import socket
import threading

import pytest

from kit.errors import Unavailable
from kit.scan.clamav import ClamAddress, ClamScanner


def test_clean_is_believed_of_what_was_sent_whole_alone() -> None:
    """This one says OK to a stream of which it saw the beginning."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(64 << 10)
            connection.sendall(b"1: stream: OK\0")
            while connection.recv(1 << 20):
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    data = bytes(50 << 20)
    with (
        ClamScanner(ClamAddress("127.0.0.1", listener.getsockname()[1])) as scanner,
        pytest.raises(Unavailable),
    ):
        scanner.scan(io.BytesIO(data), len(data))
    thread.join()
    listener.close()
