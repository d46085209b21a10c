"""Holding what a PACS received against what came in."""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from schemas.shapes import Demographics
from tests.component.forward.studies import TARGET

COERCED = {
    0x00080005,  # the character set, where the new name needs another
    0x00080050,
    0x00080051,
    0x00100010,
    0x00100020,
    0x00100021,
    0x00100024,
    0x00100030,
    0x00100040,
    0x00321060,
    0x00400275,
    0x00401001,
    0x04000561,
}


def plain(dataset: Dataset, tag: BaseTag) -> object:
    """Text decoded, so that another character set of the same text is the same."""
    element = dataset[tag]
    if element.VR == "SQ":
        return [
            {inner: plain(item, inner) for inner in sorted(item.keys()) if inner != 0x00080005}
            for item in element.value
        ]
    value = element.value
    return str(value) if element.VR in ("PN", "LO", "SH", "LT", "ST", "UT", "UC") else value


def assert_same_but_for_identity(
    sent: Dataset, got: Dataset, target: Demographics = TARGET, *, encoding_too: bool = True
) -> None:
    if encoding_too:
        assert got.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
    kept = [tag for tag in sorted(sent.keys()) if tag not in COERCED and tag.element != 0]
    there = {tag for tag in sorted(got.keys()) if tag not in COERCED and tag.element != 0}
    assert {*kept} == there, {*kept} ^ there
    for tag in kept:
        if tag == 0x7FE00010:
            pixels = bytes(sent[tag].value or b"")
            if not sent.original_encoding[1] and sent.BitsAllocated == 16:
                pixels = np.frombuffer(pixels, "<u2").byteswap().tobytes()  # big endian as it came
            # An odd length is padded on the way in.
            assert bytes(got[tag].value or b"") == pixels + b"\0" * (len(pixels) % 2)
        else:
            assert plain(got, tag) == plain(sent, tag), tag
    assert str(got.PatientName) == target.name
    assert got.PatientID == target.patient_id
    assert got.IssuerOfPatientID == target.issuer
    assert got.OriginalAttributesSequence[-1].ReasonForTheAttributeModification == "COERCE"
