"""Multipart bodies cut anywhere give the same parts; headers of any kind are borne."""

import asyncio
from contextlib import suppress

import pytest
from fastapi import Request
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.errors import Refused
from services.upload.body import Body
from services.upload.multipart import Multipart, header_parameters


def body_of(pieces: list[bytes]) -> Body:
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict:
        return messages.pop(0)

    return Body(Request({"type": "http", "headers": []}, receive), timeout=5, min_rate=0)


async def read(pieces: list[bytes], boundary: str = "b") -> list[tuple[dict, bytes]]:
    form = Multipart(body_of(pieces), f'multipart/form-data; boundary="{boundary}"')
    found = []
    async for part in form.parts():
        content = b"".join([bytes(chunk) async for chunk in part.chunks()])
        found.append((part.headers, content))
    return found


PARTS = [b"plain", b"", b"\r\n--", b"\r\n--x\r\n\r\n--", b"\r" * 40, bytes(range(256))]
WHOLE = (
    b"".join(
        b"--b\r\nX-Number: %d\r\nContent-Type: a/b\r\n\r\n" % n + part + b"\r\n"
        for n, part in enumerate(PARTS)
    )
    + b"--b--\r\n"
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
async def test_cuts_change_nothing(size: int):
    found = await read([WHOLE[at : at + size] for at in range(0, len(WHOLE), size)])
    assert [content for _, content in found] == PARTS
    assert [headers["x-number"] for headers, _ in found] == [str(n) for n in range(len(PARTS))]


async def test_every_truncation_is_noticed():
    for end in range(1, len(WHOLE) - 4):
        with pytest.raises(Refused):
            await read([WHOLE[:end]])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([b"--b", b"\r\n", b"--", b": "]))))
def test_rubbish_is_refused_not_crashed_on(pieces: list[bytes]):
    with suppress(Refused):
        asyncio.run(read([piece for piece in pieces if piece]))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80))
def test_any_header_is_borne(text: str):
    kind, parameters = header_parameters(f"form-data; name=x; filename={text}")
    assert isinstance(kind, str)
    assert all(isinstance(value, str) for value in parameters.values())


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('form-data; name="file"; filename="a b;c.dcm"', "a b;c.dcm"),
        ("form-data; name=file; filename=x", "x"),
        ('form-data; filename="Größe.dcm"', "Größe.dcm"),
        ("attachment; filename*=UTF-8''Gr%C3%B6%C3%9Fe.dcm", "Größe.dcm"),
        ('form-data; filename=""', ""),
    ],
)
def test_file_names(header: str, expected: str):
    assert header_parameters(header)[1]["filename"] == expected
