"""Destinations that speak DICOMweb: STOW-RS (PS3.18 10.5) to store, QIDO-RS (PS3.18 10.6) to ask."""

import json
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx

from kit.destinations import Destination
from kit.errors import PermanentError, Unavailable
from kit.ids import random_id
from kit.saying import say
from services.forward.kinds.port import (
    Answer,
    Buffer,
    Found,
    Kind,
    Link,
    NotOffered,
    Outgoing,
    Wanted,
    ca_unreadable,
)
from services.forward.rules import statuses
from services.forward.rules.contexts import Pair
from services.forward.rules.proof import Filed
from services.forward.settings import ForwardSettings

# Their lines hold addresses, and ours hold UIDs.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

_JSON = "application/dicom+json"
_ANSWER_LIMIT = 32 << 20
_PAGE = 5000
_MOST_PAGES = 200
_REFERENCED, _FAILED = "00081199", "00081198"
_INSTANCE, _FAILURE, _WARNING = "00081155", "00081197", "00081196"
_SOP_INSTANCE, _PATIENT_ID, _ACCESSION = "00080018", "00100020", "00080050"


@asynccontextmanager
async def _client(destination: Destination, settings: ForwardSettings) -> AsyncIterator[httpx.AsyncClient]:
    """Turns what httpx raises into our errors."""
    verify: ssl.SSLContext | bool = True
    if destination.tls_ca:
        try:
            verify = ssl.create_default_context(cafile=destination.tls_ca)
        except (OSError, ssl.SSLError):
            raise PermanentError(ca_unreadable(destination)) from None
    timeout = httpx.Timeout(settings.answer_timeout_s, connect=settings.connect_timeout_s)
    try:
        async with httpx.AsyncClient(
            base_url=destination.url.rstrip("/") + "/", timeout=timeout, verify=verify, trust_env=False
        ) as client:
            yield client
    except httpx.InvalidURL:
        raise PermanentError(
            say(
                "address-invalid",
                "The address of destination %(destination)s is not valid. "
                "Correct the destination's settings, then retry.",
                destination=destination.id,
            )
        ) from None
    except httpx.TimeoutException:
        raise Unavailable(destination.id, say("no-answer-in-time", "it did not answer in time")) from None
    except httpx.HTTPError as error:
        raise Unavailable(
            destination.id,
            say("connection-failed", "the connection failed (%(reason)s)", reason=type(error).__name__),
        ) from None


async def _answer(destination: Destination, response: httpx.Response) -> bytes:
    """The body, within bounds. Raises what concerns the whole conversation."""
    status = response.status_code
    if 300 <= status < 400:
        raise PermanentError(
            say(
                "address-moved",
                "The address of destination %(destination)s has moved (HTTP %(status)s). "
                "Correct the destination's settings, then retry.",
                destination=destination.id,
                status=status,
            )
        )
    if status in (401, 403):
        raise PermanentError(
            say(
                "we-not-accepted",
                "Destination %(destination)s does not accept us (HTTP %(status)s).",
                destination=destination.id,
                status=status,
            )
        )
    if status in (408, 425, 429) or (status >= 500 and status != 501):
        raise Unavailable(
            destination.id, say("http-answer", "it answered with HTTP %(status)s", status=status)
        )
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _ANSWER_LIMIT:
            raise Unavailable(destination.id, say("answer-too-long", "its answer is too long to be one"))
    return bytes(body)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _value(item: Any, tag: str) -> Any:
    """The first value of an attribute in the DICOM JSON model (PS3.18 F.2), or None."""
    if not isinstance(item, dict) or not isinstance(item.get(tag), dict):
        return None
    values = item[tag].get("Value")
    return values[0] if isinstance(values, list) and values else None


def _items(answer: Any, tag: str) -> list[Any]:
    if not isinstance(answer, dict) or not isinstance(answer.get(tag), dict):
        return []
    values = answer[tag].get("Value")
    return values if isinstance(values, list) else []


def read_answer(status: int, body: bytes) -> dict[str, int] | None:
    """DIMSE-like status by SOP Instance UID (PS3.18 10.5.3); None: it speaks of no instance."""
    answer = _json(body)
    kept, failed = _items(answer, _REFERENCED), _items(answer, _FAILED)
    if not kept and not failed:
        return {} if status == 200 else None
    found: dict[str, int] = {}
    for items, tag, default in (
        (kept, _WARNING, statuses.SUCCESS),
        (failed, _FAILURE, statuses.PROCESSING_FAILURE),
    ):
        for item in items:
            reason = _value(item, tag)
            found[str(_value(item, _INSTANCE))] = reason if isinstance(reason, int) else default
    return found


class _StowLink:
    def __init__(
        self, client: httpx.AsyncClient, destination: Destination, settings: ForwardSettings
    ) -> None:
        self._client = client
        self._destination = destination
        self._settings = settings

    def syntax_for(self, sop_class: str, stored: str) -> str | None:
        return stored

    async def store(self, items: AsyncIterator[Outgoing]) -> AsyncGenerator[Answer, None]:
        batch: list[Outgoing] = []
        size = 0
        async for item in items:
            if batch and (
                len(batch) >= self._settings.stow_instances or size + item.size > self._settings.stow_bytes
            ):
                async for answer in self._post(batch):
                    yield answer
                batch, size = [], 0
            batch.append(item)
            size += item.size
        if batch:
            async for answer in self._post(batch):
                yield answer

    async def _post(self, batch: list[Outgoing]) -> AsyncGenerator[Answer, None]:
        """One request. A server that refuses it whole without saying why gets the instances one by one."""
        status, body = await self._request(batch)
        if status == 404:
            raise PermanentError(
                say(
                    "no-stow-there",
                    "Destination %(destination)s has no STOW-RS service at its address. "
                    "Correct the destination's settings, then retry.",
                    destination=self._destination.id,
                )
            )
        by_uid = read_answer(status, body) if status in (200, 202, 409) else None
        if by_uid is not None:
            missing = statuses.SUCCESS if status == 200 else statuses.PROCESSING_FAILURE
            for item in batch:
                yield Answer(item, by_uid.get(item.sop_instance, missing))
        elif len(batch) == 1:
            reason = statuses.SYNTAX_NOT_SUPPORTED if status == 415 else statuses.PROCESSING_FAILURE
            yield Answer(batch[0], reason)
        else:
            for item in batch:
                async for answer in self._post([item]):
                    yield answer

    async def _request(self, batch: list[Outgoing]) -> tuple[int, bytes]:
        boundary = random_id()
        head = f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        end = f"\r\n--{boundary}--\r\n".encode()
        files = [await item.head() for item in batch]
        length = sum(
            len(head) + len(file) + item.size for file, item in zip(files, batch, strict=True)
        ) + len(end)

        async def body() -> AsyncIterator[bytes]:
            for file, item in zip(files, batch, strict=True):
                yield head + file
                async for piece in item.dataset():
                    yield _as_bytes(piece)
            yield end

        async with self._client.stream(
            "POST",
            "studies",
            content=body(),
            headers={
                "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
                "Content-Length": str(length),
                "Accept": _JSON,
            },
        ) as response:
            return response.status_code, await _answer(self._destination, response)


def _as_bytes(piece: Buffer) -> bytes:
    return piece if isinstance(piece, bytes) else bytes(piece)


@asynccontextmanager
async def connect(
    destination: Destination, pairs: Sequence[Pair], settings: ForwardSettings
) -> AsyncIterator[Link]:
    async with _client(destination, settings) as client:
        yield _StowLink(client, destination, settings)


def groups(pairs: Sequence[Pair]) -> list[list[Pair]]:
    return [list(pairs)] if pairs else []


async def echo(destination: Destination, settings: ForwardSettings) -> None:
    async with (
        _client(destination, settings) as client,
        client.stream("GET", "studies", params={"limit": "1"}, headers={"Accept": _JSON}) as response,
    ):
        if response.status_code not in (200, 204):
            raise Unavailable(
                destination.id,
                say("query-http", "it answered a query with HTTP %(status)s", status=response.status_code),
            )


async def find(destination: Destination, wanted: Wanted, settings: ForwardSettings) -> Found:
    """QIDO-RS for the instances of each series, page by page (PS3.18 10.6.1)."""
    found: Found = {}
    async with _client(destination, settings) as client:
        for series, instances in wanted.series.items():
            seen: set[str] = set()
            read = 0
            path = f"studies/{quote(wanted.study_instance_uid, '')}/series/{quote(series, '')}/instances"
            for _ in range(_MOST_PAGES):
                rows = await _page(client, destination, path, read)
                read += len(rows)
                uids = {str(_value(row, _SOP_INSTANCE)) for row in rows}
                for row in rows:
                    uid = str(_value(row, _SOP_INSTANCE))
                    if uid in instances:
                        filed = Filed(str(_value(row, _PATIENT_ID) or ""), str(_value(row, _ACCESSION) or ""))
                        found.setdefault(uid, set()).add(filed)
                if uids <= seen:
                    break
                seen |= uids
    return found


async def _page(
    client: httpx.AsyncClient, destination: Destination, path: str, offset: int
) -> list[dict[str, Any]]:
    params = {"limit": str(_PAGE), "offset": str(offset), "includefield": f"{_PATIENT_ID},{_ACCESSION}"}
    async with client.stream("GET", path, params=params, headers={"Accept": _JSON}) as response:
        body = await _answer(destination, response)
        if response.status_code in (204, 404):
            return []
        rows = _json(body)
        if response.status_code != 200 or not isinstance(rows, list):
            raise NotOffered(
                say(
                    "no-image-queries-http",
                    "it can't answer a query for images (HTTP %(status)s)",
                    status=response.status_code,
                )
            )
        return [row for row in rows if isinstance(row, dict)]


STOW = Kind(groups=groups, connect=connect, find=find, echo=echo, commit=None)
