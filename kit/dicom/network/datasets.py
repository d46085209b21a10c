"""Small data sets of the network services: queries and storage commitment (PS3.4 C.4.1, J.3)."""

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID
from pynetdicom.dsutils import decode as decode_elements
from pynetdicom.dsutils import encode as encode_elements

COMMITMENT_CLASS = "1.2.840.10008.1.20.1"
COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
"""The well-known instance of the Storage Commitment Push Model."""

_NO_REASON = 0x0110


class BadDataset(ValueError):
    """A data set that can't be read. The text holds nothing of its content."""


@dataclass(frozen=True)
class CommitmentReport:
    """What an archive says it took responsibility for (PS3.4 J.3.3)."""

    transaction_uid: str
    committed: tuple[str, ...]
    """SOP Instance UIDs."""
    failed: tuple[tuple[str, int], ...]
    """SOP Instance UID and failure reason."""


def encode(dataset: Dataset, transfer_syntax: str) -> bytes:
    """Raises ValueError when pydicom can't encode it."""
    uid = UID(transfer_syntax)
    encoded = encode_elements(dataset, uid.is_implicit_VR, uid.is_little_endian, uid.is_deflated)
    if encoded is None:
        raise ValueError("a data set can't be encoded")
    return bytes(encoded)


def decode(data: bytes, transfer_syntax: str) -> Dataset:
    """Raises BadDataset."""
    uid = UID(transfer_syntax)
    try:
        return decode_elements(BytesIO(data), uid.is_implicit_VR, uid.is_little_endian, uid.is_deflated)
    except Exception as error:  # bytes from outside in a parser that raises what it likes
        raise BadDataset("a data set can't be read") from error


def commitment_request(transaction_uid: str, references: Iterable[tuple[str, str]]) -> Dataset:
    """`references` are (SOP Class UID, SOP Instance UID)."""
    request = Dataset()
    request.TransactionUID = transaction_uid
    items = []
    for sop_class, sop_instance in references:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class
        item.ReferencedSOPInstanceUID = sop_instance
        items.append(item)
    request.ReferencedSOPSequence = Sequence(items)
    return request


def read_report(data: bytes, transfer_syntax: str) -> CommitmentReport:
    """Raises BadDataset."""
    dataset = decode(data, transfer_syntax)
    try:
        return CommitmentReport(
            transaction_uid=str(dataset.TransactionUID),
            committed=tuple(
                str(item.ReferencedSOPInstanceUID) for item in dataset.get("ReferencedSOPSequence") or ()
            ),
            failed=tuple(
                (str(item.ReferencedSOPInstanceUID), int(item.get("FailureReason") or _NO_REASON))
                for item in dataset.get("FailedSOPSequence") or ()
            ),
        )
    except Exception as error:  # lazily parsed bytes from outside
        raise BadDataset("a storage commitment report can't be read") from error
