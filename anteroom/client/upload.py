"""Sending one batch by tus 1.0 (core, creation, creation-with-upload): bytes go from file to socket."""

import base64
import errno
import http.client
import os
import socket
import ssl
from collections.abc import Callable
from typing import BinaryIO

from anteroom.client.api import Api, ApiError, Unreachable, checked
from anteroom.client.batches import END, Batch
from anteroom.client.files import LocalFile

TUS = {"Tus-Resumable": "1.0.0"}
_STREAM = {"Content-Type": "application/offset+octet-stream"}
_CHUNK = 1 << 20
_SMALL = 64 << 10
_HELD = 60
"""Pieces gathered before they are sent: at most a third of them are small files."""
_ONE_REQUEST = 64 << 20
"""Batches up to this size go in one request; larger ones can be resumed in the middle."""
_DISC_ERRORS = {errno.EIO, errno.ENXIO, errno.ESTALE, errno.ENODATA}
"""What a scratched disc or a share that went away answers; a socket never does."""

Told = Callable[[int], None]
"""Is told of bytes as they leave; negative when they have to be sent again."""


class FileChanged(Exception):
    """A file is not what it was when the batch was laid out; nothing of the batch has been registered."""

    def __init__(self, file: LocalFile, error: OSError | None = None) -> None:
        super().__init__("a file changed while it was being read")
        self.file = file
        self.error = error


class Uploader:
    """Sends batches of one submission over one connection."""

    def __init__(self, api: Api, submission_id: str, told: Told) -> None:
        self._api = api
        self._submission_id = submission_id
        self._told = told

    def send(self, batch: Batch, location: str | None, keep: Callable[[str], None]) -> None:
        """One try; returns when the batch is durable. Raises Unreachable, ApiError, FileChanged.

        `location` is an upload begun earlier; `keep` is told the location of a new one that can be
        resumed.
        """
        size = batch.size()
        if size <= _ONE_REQUEST:
            self._transfer("POST", "/api/uploads", batch, 0, self._creation(batch, size), size)
            return
        offset = 0
        if location is not None:
            offset = self._offset(location)
        else:
            location = self._create(batch, size)
            keep(location)
        if offset < size:
            self._told(offset)
            extra = {"Upload-Offset": str(offset)}
            try:
                self._transfer("PATCH", location, batch, offset, extra, size)
            except (Unreachable, ApiError, FileChanged):
                self._told(-offset)
                raise

    def discard(self, location: str) -> None:
        """Tell the server that an upload will not be finished (tus termination)."""
        try:
            self._request("DELETE", location, {})
        except (ApiError, Unreachable):
            return  # it expires by itself

    def _creation(self, batch: Batch, size: int) -> dict[str, str]:
        fields = {"submission_id": self._submission_id, "ordinals": batch.ordinals}
        encoded = ",".join(
            f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in fields.items()
        )
        return {"Upload-Length": str(size), "Upload-Metadata": encoded}

    def _create(self, batch: Batch, size: int) -> str:
        headers = self._request("POST", "/api/uploads", self._creation(batch, size))
        return headers["Location"]

    def _offset(self, location: str) -> int:
        return int(self._request("HEAD", location, {})["Upload-Offset"])

    def _request(self, method: str, path: str, headers: dict[str, str]) -> http.client.HTTPMessage:
        api = self._api
        connection = api.connect()
        try:
            connection.request(method, api.target(path), headers={**api.headers(), **TUS, **headers})
            status, answered, content = api.answer()
        except (OSError, http.client.HTTPException) as error:
            api.close()
            raise api.unreachable(error) from error
        checked(status, content)
        return answered

    def _transfer(
        self, method: str, path: str, batch: Batch, offset: int, extra: dict[str, str], size: int
    ) -> None:
        api = self._api
        connection = api.connect()
        left = _Left(self._told)
        broke: OSError | None = None
        try:
            connection.putrequest(method, api.target(path))
            for name, value in {**api.headers(), **TUS, **_STREAM, **extra}.items():
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(size - offset))
            connection.endheaders()
            try:
                _send_pieces(connection.sock, batch, offset, left)
            except OSError as error:
                broke = error  # the server may have answered before it closed: that says why
            status, headers, content = api.answer()
        except FileChanged:
            left.take_back()
            api.close()
            raise
        except (OSError, http.client.HTTPException) as error:
            left.take_back()
            api.close()
            raise api.unreachable(broke or error) from error
        if broke is not None:
            api.close()
        try:
            checked(status, content)
        except ApiError:
            left.take_back()
            raise
        if int(headers.get("Upload-Offset", "-1")) != size:
            left.take_back()
            api.close()
            raise Unreachable(f"{api.server} did not take a batch whole.")


class _Left:
    """Bytes of the present try, so that they can be taken back from the progress when it fails."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._bytes = 0

    def add(self, count: int) -> None:
        self._bytes += count
        self._told(count)

    def take_back(self) -> None:
        self._told(-self._bytes)
        self._bytes = 0


def _send_pieces(sock: socket.socket, batch: Batch, offset: int, left: _Left) -> None:
    """From `offset` of the tar on. The END blocks leave last, when every file proved unchanged:
    without them the server registers nothing."""
    skip = offset
    held: list[bytes] = []
    for piece in batch.pieces():
        length = piece.size if isinstance(piece, LocalFile) else len(piece)
        if skip >= length:
            skip -= length
            continue
        if isinstance(piece, bytes):
            held.append(piece[skip:])
        elif piece.size <= _SMALL:
            held.append(_read_small(piece)[skip:])
        else:
            _flush(sock, held, left)
            _send_file(sock, piece, skip, left)
        skip = 0
        if len(held) >= _HELD:
            _flush(sock, held, left)
    _flush(sock, held, left)
    sock.sendall(END[skip:])
    left.add(len(END) - skip)


def _flush(sock: socket.socket, held: list[bytes], left: _Left) -> None:
    data = b"".join(held)
    held.clear()
    if data:
        sock.sendall(data)
        left.add(len(data))


def _read_small(file: LocalFile) -> bytes:
    """Small files are gathered, so that thousands of them make few packets."""
    try:
        with open(file.source, "rb", buffering=0) as opened:
            _check_unchanged(opened, file)
            data = opened.read(file.size + 1) or b""
            _check_unchanged(opened, file)
    except OSError as error:
        raise FileChanged(file, error) from error
    if len(data) != file.size:
        raise FileChanged(file)
    return data


def _send_file(sock: socket.socket, file: LocalFile, start: int, left: _Left) -> None:
    try:
        opened: BinaryIO = open(file.source, "rb", buffering=0)  # noqa: SIM115 - closed below
    except OSError as error:
        raise FileChanged(file, error) from error
    with opened:
        _check_unchanged(opened, file)
        position = start
        while position < file.size:
            count = min(_CHUNK * 8, file.size - position)
            sent = _copy(sock, opened, file, position, count)
            if sent == 0:
                raise FileChanged(file)
            left.add(sent)
            position += sent
        _check_unchanged(opened, file)


def _copy(sock: socket.socket, opened: BinaryIO, file: LocalFile, position: int, count: int) -> int:
    """Send up to `count` bytes; the kernel copies them where the connection is plain."""
    if not isinstance(sock, ssl.SSLSocket):
        try:
            return sock.sendfile(opened, position, count)
        except OSError as error:
            if error.errno in _DISC_ERRORS:
                raise FileChanged(file, error) from error
            raise
    try:
        data = os.pread(opened.fileno(), min(count, _CHUNK), position)
    except OSError as error:
        raise FileChanged(file, error) from error
    sock.sendall(data)
    return len(data)


def _check_unchanged(opened: BinaryIO, file: LocalFile) -> None:
    status = os.fstat(opened.fileno())
    if (status.st_size, status.st_mtime_ns) != (file.size, file.mtime_ns):
        raise FileChanged(file)
