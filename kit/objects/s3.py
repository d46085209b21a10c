"""Objects on MinIO or any S3 server, through the minio SDK, whose calls block: run them in threads."""

import io
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast
from xml.etree.ElementTree import ParseError

from minio import Minio
from minio.commonconfig import ComposeSource, CopySource
from minio.error import MinioException, S3Error
from minio.sse import SseS3
from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from kit.errors import NoSpace, NotFound, StoreAway, Unavailable
from kit.objects.keys import checked
from kit.objects.port import ObjectStat
from kit.objects.s3_words import why
from kit.seekable import Seekable

_BLOCK = 1 << 20
_READ_MAX = 64 << 20
_PART = 8 << 20
_PARTS = 10_000
"""Of one object, at most."""
_IN_MEMORY = 256 << 10
"""Of each open writer; hundreds may be open."""
_WINDOW = 1 << 20
_COPY = 256 << 20
"""What the server copies in one request: it is silent while it does, and takes 5 GiB at most."""


@dataclass(frozen=True)
class S3Settings:
    endpoint: str
    access_key: str
    secret_key: str
    bucket: str = "anteroom"
    secure: bool = True
    region: str = ""
    encrypt: bool = False
    """Ask the server to encrypt what it keeps (SSE-S3)."""
    ca_file: str = ""
    """Whom to believe the server's certificate; the system's authorities by default."""
    pool: int = 32
    """Connections kept open: as many reads can go on side by side."""
    timeout_s: float = 30.0
    """How long the server may be silent."""
    scratch: Path | None = None
    """Where what is being written waits; the system's temporary folder by default."""


class S3Objects:
    """Picklable: helper processes make a client of their own on first use."""

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._made: Minio | None = None

    def __getstate__(self) -> S3Settings:
        return self._settings

    def __setstate__(self, settings: S3Settings) -> None:
        self.__init__(settings)  # type: ignore[misc]

    def ping(self) -> None:
        """Raises Unavailable when the store does not answer or has no such bucket for us."""
        with _errors():
            if not self._client.bucket_exists(self._settings.bucket):
                raise Unavailable(
                    "object store",
                    f"there is no bucket {self._settings.bucket}: make it, or correct s3.bucket",
                )

    def ensure_bucket(self) -> None:
        """Make the bucket when it is not there (idempotent)."""
        with _errors():
            if not self._client.bucket_exists(self._settings.bucket):
                self._client.make_bucket(self._settings.bucket)

    def put(self, key: str, chunks: Iterable[bytes | bytearray | memoryview]) -> ObjectStat:
        with self.writer(key) as writer:
            for chunk in chunks:
                writer.write(chunk)
            return writer.commit()

    def writer(self, key: str) -> "S3Writer":
        return S3Writer(self, checked(key), self._settings.scratch)

    def adopt(self, key: str, path: Path) -> ObjectStat:
        size = path.stat().st_size
        with path.open("rb") as file:
            self.upload(checked(key), file, size)
        path.unlink()
        return ObjectStat(key, size)

    def upload(self, key: str, file: BinaryIO, size: int) -> None:
        """Store `size` bytes of the file: atomic, multipart when large, durable on return. Three parts are on
        their way at once while the next one is read: 40 MB of memory at most for a file below 80 GB."""
        with _errors():
            self._client.put_object(
                self._settings.bucket,
                key,
                file,
                size,
                part_size=max(_PART, -(-size // _PARTS)),
                sse=SseS3() if self._settings.encrypt else None,
            )

    def copy(self, source: str, key: str) -> ObjectStat:
        size = self._size(source)
        bucket = self._settings.bucket
        sse = SseS3() if self._settings.encrypt else None
        with _errors():
            try:
                if size <= _COPY:
                    origin = CopySource(bucket, checked(source))
                    self._client.copy_object(bucket, checked(key), origin, sse=sse)
                else:
                    pieces = [
                        ComposeSource(bucket, checked(source), offset=at, length=min(_COPY, size - at))
                        for at in range(0, size, _COPY)
                    ]
                    self._client.compose_object(bucket, checked(key), pieces, sse=sse)
            except (ValueError, ParseError) as error:
                # a copy may fail after its answer began: what follows the 200 is then no result
                raise Unavailable("object store", "it could not copy an object") from error
        return ObjectStat(key, size)

    @contextmanager
    def view(self, key: str) -> Iterator[memoryview]:
        memory = bytearray(self._size(key))
        done = 0
        for block in self.stream(key):
            memory[done : done + len(block)] = block
            done += len(block)
        yield memoryview(memory)[:done]

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        if length is None:
            length = max(0, self._size(key) - start)
        if length > _READ_MAX:
            raise ValueError("ranges over 64 MiB are streamed")
        return b"".join(self.stream(key, start, length))

    def stream(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if length is not None and length <= 0:
            self._size(key)
            return
        with _errors():
            try:
                answer = self._client.get_object(
                    self._settings.bucket, checked(key), offset=start, length=length or 0
                )
            except S3Error as error:
                if error.code == "InvalidRange":  # it starts at or behind the end
                    return
                raise
            try:
                left = int(answer.headers["content-length"])
                if answer.status == 200 and start:
                    # a server that ignores ranges sends everything: skip what was not asked for
                    _skip(answer, start)
                    left = max(0, left - start)
                left = left if length is None else min(left, length)
                while left > 0 and (block := answer.read(min(left, _BLOCK))):
                    left -= len(block)
                    yield block
            finally:
                answer.close()
                answer.release_conn()
        if left:
            raise StoreAway("object store", "it broke off in the middle of an object")

    def open(self, key: str) -> BinaryIO:
        return cast(BinaryIO, io.BufferedReader(_Reader(self, key, self._size(key)), _WINDOW))

    def stat(self, key: str) -> ObjectStat | None:
        try:
            return ObjectStat(key, self._size(key))
        except NotFound:
            return None

    def list(self, prefix: str) -> Iterator[ObjectStat]:
        with _errors():
            for found in self._client.list_objects(self._settings.bucket, prefix=prefix, recursive=True):
                yield ObjectStat(found.object_name, found.size)

    def delete(self, key: str) -> None:
        with _errors():
            self._client.remove_object(self._settings.bucket, checked(key))

    def _size(self, key: str) -> int:
        with _errors():
            found = self._client.stat_object(self._settings.bucket, checked(key))
        return int(found.size or 0)

    @property
    def _client(self) -> Minio:
        if self._made is None:
            chosen = self._settings
            self._made = Minio(
                chosen.endpoint,
                access_key=chosen.access_key,
                secret_key=chosen.secret_key,
                secure=chosen.secure,
                region=chosen.region or None,
                http_client=PoolManager(
                    num_pools=4,
                    maxsize=chosen.pool,
                    timeout=Timeout(connect=5.0, read=chosen.timeout_s),
                    retries=Retry(total=3, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
                    ca_certs=chosen.ca_file or None,
                    cert_reqs="CERT_REQUIRED",
                ),
            )
        return self._made


class S3Writer:
    """Gathers a little in memory, then in an unnamed file in `scratch`; the object exists after commit()."""

    def __init__(self, objects: S3Objects, key: str, scratch: Path | None = None) -> None:
        self._objects = objects
        self._key = key
        self._size = 0
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed by __exit__
            max_size=_IN_MEMORY, dir=None if scratch is None else str(scratch)
        )

    def write(self, data: bytes | bytearray | memoryview) -> None:
        try:
            self._file.write(bytes(data) if isinstance(data, memoryview) and not data.contiguous else data)
        except OSError as error:
            raise NoSpace("The storage is full. Please send it again later.") from error
        self._size += len(data)

    def tell(self) -> int:
        return self._size

    def commit(self) -> ObjectStat:
        self._file.seek(0, os.SEEK_SET)
        self._objects.upload(self._key, cast(BinaryIO, self._file), self._size)
        return ObjectStat(self._key, self._size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


class _Reader(Seekable):
    """Seekable reading by ranges; io.BufferedReader asks for a window at a time."""

    def __init__(self, objects: S3Objects, key: str, size: int) -> None:
        super().__init__(size)
        self._objects = objects
        self._key = key

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        wanted = min(len(buffer), max(0, self._size - self._position))
        done = 0
        for block in self._objects.stream(self._key, self._position, wanted) if wanted else ():
            buffer[done : done + len(block)] = block
            done += len(block)
        self._position += done
        return done


def _skip(answer: "BaseHTTPResponse", count: int) -> None:
    while count > 0 and (block := answer.read(min(count, _BLOCK))):
        count -= len(block)


@contextmanager
def _errors() -> Iterator[None]:
    """The SDK's errors as ours."""
    try:
        yield
    except S3Error as error:
        if error.code in ("NoSuchKey", "NoSuchObject", "ResourceNotFound"):
            raise NotFound("no-object", "That content is no longer here.") from error
        if error.code in ("XMinioStorageFull", "QuotaExceeded"):
            raise NoSpace("The storage is full. Please send it again later.") from error
        raise Unavailable("object store", why(error, str(error.code))) from error
    except (MinioException, HTTPError, OSError) as error:
        raise StoreAway("object store", why(error)) from error
