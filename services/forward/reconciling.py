"""Headers rewritten for a decision: work on bytes that runs in helper processes."""

from dataclasses import dataclass
from datetime import datetime
from io import BufferedReader, BytesIO
from typing import BinaryIO

from kit.dicom.elements import Span
from kit.dicom.errors import BrokenDicom
from kit.dicom.pack import InstanceFile, PackEntry
from kit.dicom.reconcile import reconcile
from kit.objects.port import Objects
from schemas.shapes import Demographics, Order
from services.forward.models import Delivery

_WHOLE_HEADER = 4 << 20


@dataclass(frozen=True)
class Identity:
    """What is put into the headers, and who says so."""

    target: Demographics
    order: Order | None
    decided_at: datetime
    source: str
    system: str

    @classmethod
    def of(cls, delivery: Delivery, system: str) -> "Identity | None":
        """None: the study goes on as it came."""
        if delivery.target is None:
            return None
        return cls(delivery.target, delivery.order, delivery.decided_at, delivery.sender.name, system)


def reconciled(
    objects: Objects, key: str, entries: list[PackEntry], identity: Identity
) -> list[list[bytes | Span] | None]:
    """The data sets of several instances of one pack, as bytes and ranges of the pack; None for one
    whose header can't be rewritten."""
    with objects.open(key) as pack:
        return [_reconciled(objects, key, pack, entry, identity) for entry in entries]


def _reconciled(
    objects: Objects, key: str, pack: BinaryIO, entry: PackEntry, identity: Identity
) -> list[bytes | Span] | None:
    file: BinaryIO
    if entry.header_end <= _WHOLE_HEADER and entry.pixel_end == entry.length:
        pack.seek(entry.offset)
        file = BytesIO(pack.read(entry.header_end))
    else:
        file = BufferedReader(InstanceFile(objects, key, entry), 1 << 16)
    with file:
        try:
            pieces = with_identity(file, entry, identity)
        except BrokenDicom:
            return None
    return [
        Span(entry.offset + piece.offset, piece.length) if isinstance(piece, Span) else piece
        for piece in pieces
    ]


def with_identity(file: BinaryIO, entry: PackEntry, identity: Identity | None) -> list[bytes | Span]:
    """The data set to send, as bytes and ranges of `file`. Raises BrokenDicom."""
    if identity is None:
        return [Span(entry.dataset_offset, entry.length - entry.dataset_offset)]
    return reconcile(
        file,
        entry,
        target=identity.target,
        order=identity.order,
        decided_at=identity.decided_at,
        source=identity.source,
        modifying_system=identity.system,
    )
