"""Work on bytes that runs in helper processes: headers rewritten, encodings changed."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kit.dicom.elements import Span
from kit.dicom.pack import PackEntry
from kit.errors import AnteroomError
from kit.objects.port import Objects
from schemas.shapes import Demographics, Order
from services.forward.models import Delivery


class CantConvert(AnteroomError):
    """The instance can't be brought into that transfer syntax."""


@dataclass(frozen=True)
class Identity:
    """What is put into the headers."""

    target: Demographics | None
    order: Order | None
    decided_at: datetime
    site: str

    @classmethod
    def of(cls, delivery: Delivery, site: str) -> "Identity | None":
        """None: the study goes on as it came."""
        if delivery.target is None and delivery.order is None:
            return None
        return cls(delivery.target, delivery.order, delivery.decided_at, site)


def reconciled(
    objects: Objects, key: str, entries: list[PackEntry], identity: Identity
) -> list[list[bytes | Span]]:
    """The data sets of several instances of one pack, as bytes and ranges of the pack."""
    raise NotImplementedError


def convert(
    objects: Objects, key: str, entry: PackEntry, syntax: str, identity: Identity | None, target: Path
) -> bytes:
    raise NotImplementedError
