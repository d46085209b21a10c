"""A request's head is bounded in time and size."""

import asyncio
import hashlib
import socket

import pytest
import uvicorn

from kit import http_protocol
from kit.http_protocol import BoundedHttpProtocol


async def _answer(scope, receive, send) -> None:
    digest, more = hashlib.sha256(), True
    while more:
        message = await receive()
        digest.update(message.get("body", b""))
        more = message.get("more_body", False)
    headers = [(b"content-length", b"2"), (b"x-digest", digest.hexdigest().encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.3)
    config = uvicorn.Config(_answer, http=BoundedHttpProtocol, lifespan="off", ws="none", log_config=None)
    server = uvicorn.Server(config)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    task = asyncio.create_task(server.serve([listener]))
    yield listener.getsockname()[1]
    server.should_exit = True
    await task


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        return await reader.read(-1)


async def test_a_connection_that_says_nothing_is_closed(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await _read_all(reader) == b""
    writer.close()


async def test_a_head_that_never_ends_is_closed(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ")
    assert await _read_all(reader) == b""
    writer.close()


async def test_a_huge_head_is_closed(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nx-big: " + b"a" * 200_000)
    assert b"200" not in await _read_all(reader)
    writer.close()


async def test_a_slow_body_and_a_second_request_are_served(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab")
    await asyncio.sleep(0.5)
    writer.write(b"cd")
    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_pieces_that_follow_fast_come_whole_and_in_order(port: int) -> None:
    body = bytes(range(256)) * 8192
    for _ in range(2):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(f"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode())
            for at in range(0, len(body), 16384):
                writer.write(body[at : at + 16384])
                await writer.drain()
            answer = await reader.readuntil(b"ok")
            assert answer.startswith(b"HTTP/1.1 200")
            assert hashlib.sha256(body).hexdigest().encode() in answer
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\n\r\n" + body[:100_000])
        writer.close()
        await writer.wait_closed()
