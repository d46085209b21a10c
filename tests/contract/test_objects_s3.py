"""What only the objects on S3 must do: many parts, reads side by side, a store that is away."""

import os
import secrets
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kit.errors import StoreAway, Unavailable
from kit.objects import s3
from kit.objects.s3 import S3Objects, S3Settings
from scripts.engines.__main__ import ROOT
from scripts.engines.run import start, stop
from tests.neighbours.engines import ACCESS_KEY, SECRET_KEY, engine


def opened(endpoint: str, **more) -> S3Objects:
    bucket = f"contract-{secrets.token_hex(6)}"
    return S3Objects(S3Settings(endpoint, ACCESS_KEY, SECRET_KEY, bucket=bucket, secure=False, **more))


def test_a_large_object_goes_in_parts_and_is_read_in_ranges_side_by_side() -> None:
    objects = opened(engine("s3"), pool=8)
    objects.ensure_bucket()
    content = os.urandom(1 << 20) * 40
    assert objects.put("big", [content[:5], content[5:]]).size == len(content)
    starts = range(0, len(content), 5 << 20)
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda at: objects.read("big", at, 5 << 20), starts))
    assert b"".join(parts) == content
    with objects.open("big") as file:
        file.seek(33_333_333)
        assert file.read(77) == content[33_333_333 : 33_333_333 + 77]


def test_a_large_file_is_never_whole_in_memory(tmp_path: Path) -> None:
    objects = opened(engine("s3"))
    objects.ensure_bucket()
    size = 96 << 20
    with (tmp_path / "large").open("wb") as file:
        file.truncate(size)
    tracemalloc.start()
    try:
        objects.adopt("packs/large", tmp_path / "large")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        objects.delete("packs/large")
    assert peak < 50 << 20


def test_a_large_object_is_copied_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_COPY", 5 << 20)
    objects = opened(engine("s3"))
    objects.ensure_bucket()
    content = os.urandom(1 << 20) * 11 + b"end"
    objects.put("big", [content])
    assert objects.copy("big", "again").size == len(content)
    assert objects.read("again") == content


class _CopiesAndFails(BaseHTTPRequestHandler):
    """Says 200 and then that it failed, as S3 may where a copy takes long (CopyObject, API reference)."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "100")
        self.send_header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b"<?xml version='1.0'?><Error><Code>InternalError</Code></Error>"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_a_copy_that_fails_after_its_answer_began_is_tried_again_later() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _CopiesAndFails)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        objects = S3Objects(
            S3Settings(f"127.0.0.1:{server.server_port}", "k", "s", secure=False, region="us-east-1")
        )
        with pytest.raises(Unavailable):
            objects.copy("a", "b")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_bucket_that_is_missing_is_no_lost_content() -> None:
    objects = opened(engine("s3"))
    with pytest.raises(Unavailable):
        objects.read("k", 0, 5)
    with pytest.raises(Unavailable):
        objects.ping()


def test_a_store_that_is_away_says_so_soon_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    engine("s3")
    (tmp_path / "s3").mkdir()
    (tmp_path / "s3" / "bin").symlink_to(ROOT / "s3" / "bin")
    port = start(tmp_path, "s3")
    try:
        objects = opened(f"127.0.0.1:{port}")
        _until_ready(objects)
        objects.put("k", [b"kept"])
        stop(tmp_path, "s3", kill=True)
        for attempt in (objects.ping, lambda: objects.put("x", [b"lost"]), lambda: objects.read("k")):
            with pytest.raises(StoreAway):
                attempt()
        start(tmp_path, "s3")
        _until_ready(objects)
        assert objects.read("k") == b"kept"
        assert [stat.key for stat in objects.list("")] == ["k"]
    finally:
        stop(tmp_path, "s3")


def _until_ready(objects: S3Objects) -> None:
    for _ in range(200):
        try:
            return objects.ensure_bucket()
        except Unavailable:
            time.sleep(0.1)
    pytest.fail("the store did not come back")
