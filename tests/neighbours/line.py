"""A network between browser and server: as slow as wanted, and it can be cut."""

import contextlib
import socket
import threading
import time

_PIECE = 32 << 10


class Line:
    """Listens on `port` of loopback and passes everything on to `target`, upwards at most `rate` bytes a
    second for all connections together."""

    def __init__(self, target: int, rate: float) -> None:
        self._target = target
        self.rate = rate
        self._cut = False
        self._open: set[socket.socket] = set()
        self._turn = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Every connection breaks, and no new one is passed on."""
        self._cut = True
        for end in list(self._open):
            self._close(end)

    def mend(self) -> None:
        self._cut = False

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self._cut:
                    raise OSError("cut")
                far = socket.create_connection(("127.0.0.1", self._target), timeout=10)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._open |= {near, far}
            for source, sink, slow in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._pass, args=(source, sink, slow), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, slow: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE):
                if slow and len(data) > 2048:
                    with self._turn:
                        time.sleep(len(data) / self.rate)
                sink.sendall(data)
        self._close(source)
        self._close(sink)

    def _close(self, end: socket.socket) -> None:
        self._open.discard(end)
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
