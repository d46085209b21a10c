"""The DICOMweb door: Store Instances (PS3.18 10.5), every part spooled as it comes."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from kit.errors import NoSpace, Refused, TooLarge, TransientError, Unsupported
from kit.identity import Principal, Role
from kit.metrics import RECEIVED_BYTES
from kit.service import Caller
from kit.spool import Chunk
from schemas.shapes import Sender
from services.upload.addressing import check_no_link
from services.upload.body import Body
from services.upload.multipart import Multipart, Part, header_parameters
from services.upload.peek import HEAD, Glance, glance
from services.upload.sessions import BatchWriter, Sessions
from services.upload.settings import UploadSettings

OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
PROCESSING_FAILURE = 0x0110
"""Failure Reasons (0008,1197), PS3.18 table I.2-2 and PS3.4 B.2.3."""

JSON, XML = "application/dicom+json", "application/dicom+xml"
_MOST_PARTS = 10_000


@dataclass
class Stored:
    """What became of the parts of one request."""

    taken: list[Glance] = field(default_factory=list)
    failed: list[tuple[Glance, int]] = field(default_factory=list)
    full: NoSpace | None = None

    @property
    def status(self) -> int:
        """PS3.18 table 10.5.3-1: 200 all, 202 some, 409 none."""
        if not self.failed:
            return 200
        return 202 if self.taken else 409


async def store(
    form: Multipart, sessions: Sessions, sender: Sender, settings: UploadSettings, study_uid: str | None
) -> Stored:
    """Spool every part; what is in `taken` is durable on return. Raises Refused for a malformed
    request, NoSpace when nothing at all could be kept."""
    outcome = Stored()
    async with sessions.writer(sender) as writer:
        async for part in form.parts():
            if len(outcome.taken) + len(outcome.failed) >= _MOST_PARTS:
                raise TooLarge("too-many-parts", f"A request may hold {_MOST_PARTS:,} instances. Split it.")
            await _store_part(part, writer, outcome, study_uid)
        await writer.sync()
    if outcome.full is not None and not outcome.taken:
        raise outcome.full
    if not outcome.taken and not outcome.failed:
        raise Refused("no-instances", "The request holds no instance. Send each as a part of its own.")
    return outcome


async def _store_part(part: Part, writer: BatchWriter, outcome: Stored, study_uid: str | None) -> None:
    content_type, _ = header_parameters(part.headers.get("content-type", ""))
    chunks = part.chunks()
    head = bytearray()
    async for chunk in chunks:
        head += chunk
        if len(head) >= HEAD:
            break
    claimed = glance(bytes(head[:HEAD])) if content_type in ("application/dicom", "") else None
    reason: int | None = None
    if claimed is None:
        claimed, reason = Glance(), CANNOT_UNDERSTAND
    elif study_uid and claimed.study_instance_uid and claimed.study_instance_uid != study_uid:
        reason = DOES_NOT_MATCH
    else:
        try:
            await writer.add(claimed.sop_instance_uid, _joined(bytes(head), chunks), sync=False)
        except NoSpace as error:
            outcome.full, reason = error, OUT_OF_RESOURCES
        except TooLarge:
            reason = PROCESSING_FAILURE
        except TransientError:
            reason = OUT_OF_RESOURCES
    if reason is None:
        outcome.taken.append(claimed)
    else:
        outcome.failed.append((claimed, reason))
        async for _ in chunks:
            continue


async def _joined(head: bytes, rest: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    yield head
    async for chunk in rest:
        yield chunk


def build_router(
    sessions: Sessions, settings: UploadSettings, base_url: str, route_class: type[APIRoute]
) -> APIRouter:
    router = APIRouter(tags=["dicomweb"], route_class=route_class)

    @router.post("/dicomweb/studies")
    async def store_instances(request: Request, caller: Principal = Caller) -> Response:
        """Store Instances: multipart/related of application/dicom."""
        return await answered(request, caller, None)

    @router.post("/dicomweb/studies/{study_uid}")
    async def store_in_study(request: Request, study_uid: str, caller: Principal = Caller) -> Response:
        """Store Instances of one study; others are refused part by part."""
        return await answered(request, caller, study_uid)

    async def answered(request: Request, caller: Principal, study_uid: str | None) -> Response:
        caller.require(Role.SEND)
        check_no_link(caller)
        content_type = request.headers.get("content-type", "")
        kind, parameters = header_parameters(content_type)
        if kind != "multipart/related" or parameters.get("type", "application/dicom") != "application/dicom":
            raise Unsupported(
                "wrong-type", 'Send multipart/related; type="application/dicom", an instance in each part.'
            )
        body = Body(
            request,
            timeout=settings.body_timeout_s,
            min_rate=settings.min_rate,
            limit=settings.max_submission_bytes,
        )
        outcome = await store(
            Multipart(body, content_type), sessions, caller.sender("stow"), settings, study_uid
        )
        RECEIVED_BYTES.labels("stow").inc(body.received)
        return _response(outcome, study_uid, base_url, request.headers.get("accept", ""))

    return router


def _response(outcome: Stored, study_uid: str | None, base_url: str, accept: str) -> Response:
    dataset = response_dataset(outcome, study_uid, f"{base_url.rstrip('/')}/dicomweb/studies")
    if XML in accept and JSON not in accept:
        return Response(native_xml(dataset), status_code=outcome.status, media_type=XML)
    return Response(orjson.dumps(dataset), status_code=outcome.status, media_type=JSON)


Dataset = dict[str, dict[str, Any]]


def response_dataset(outcome: Stored, study_uid: str | None, studies_url: str) -> Dataset:
    """The Store Instances Response Module in the DICOM JSON Model (PS3.18 I.2)."""
    found: Dataset = {}
    studies = {study_uid} if study_uid else {item.study_instance_uid for item in outcome.taken}
    study = next(iter(studies)) if len(studies) == 1 else ""
    if study:
        found["00081190"] = _value("UR", f"{studies_url}/{study}")
    if outcome.taken:
        found["00081199"] = _sequence(_reference(item) for item in outcome.taken)
    named = [(item, reason) for item, reason in outcome.failed if item.sop_instance_uid]
    if named:
        found["00081198"] = _sequence(
            {**_reference(item), "00081197": _value("US", reason)} for item, reason in named
        )
    unnamed = [reason for item, reason in outcome.failed if not item.sop_instance_uid]
    if unnamed:
        found["0008119A"] = _sequence({"00081197": _value("US", reason)} for reason in unnamed)
    return dict(sorted(found.items()))


def _reference(item: Glance) -> Dataset:
    reference = {}
    if item.sop_class_uid:
        reference["00081150"] = _value("UI", item.sop_class_uid)
    if item.sop_instance_uid:
        reference["00081155"] = _value("UI", item.sop_instance_uid)
    return reference


def _value(vr: str, value: str | int) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}


def _sequence(items: Iterable[Dataset]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": list(items)}


_KEYWORDS = {
    "00081150": "ReferencedSOPClassUID",
    "00081155": "ReferencedSOPInstanceUID",
    "00081190": "RetrieveURL",
    "00081197": "FailureReason",
    "00081198": "FailedSOPSequence",
    "00081199": "ReferencedSOPSequence",
    "0008119A": "OtherFailuresSequence",
}


def native_xml(dataset: Dataset) -> str:
    """The same in the Native DICOM Model (PS3.19 A.1)."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel>{_attributes(dataset)}</NativeDicomModel>'
    )


def _attributes(dataset: Dataset) -> str:
    pieces = []
    for tag, element in dataset.items():
        inner = []
        for number, value in enumerate(element["Value"], 1):
            if element["vr"] == "SQ":
                inner.append(f'<Item number="{number}">{_attributes(value)}</Item>')
            else:
                inner.append(f'<Value number="{number}">{escape(str(value))}</Value>')
        opening = f"tag={quoteattr(tag)} vr={quoteattr(element['vr'])} keyword={quoteattr(_KEYWORDS[tag])}"
        pieces.append(f"<DicomAttribute {opening}>{''.join(inner)}</DicomAttribute>")
    return "".join(pieces)
