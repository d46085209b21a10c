"""What reading a DICOM file can notice, in words a file clerk understands. No PHI in any text."""

from typing import Literal

from schemas.shapes import Finding

_Severity = Literal["info", "warning", "error"]
_Action = Literal["kept", "repaired"]

_FINDINGS: dict[str, tuple[_Severity, _Action, str]] = {
    "preamble-executable": (
        "warning",
        "repaired",
        "The file began with the bytes of a program or another document. They were erased.",
    ),
    "preamble-tiff": ("info", "repaired", "A TIFF header before the DICOM data was erased."),
    "preamble-cleared": ("info", "repaired", "Unused bytes before the DICOM data were erased."),
    "preamble-missing": ("info", "repaired", "The file lacked the usual DICOM beginning; it was added."),
    "meta-rebuilt": (
        "info",
        "repaired",
        "The technical header of the file was missing or wrong; it was written anew.",
    ),
    "syntax-wrong": (
        "warning",
        "repaired",
        "The file says it is encoded in another way than it is; this was put right.",
    ),
    "syntax-guessed": ("info", "repaired", "The file does not say how it is encoded; it was recognised."),
    "deflated": ("info", "repaired", "The file was compressed as a whole; it was unpacked without loss."),
    "big-endian": (
        "info",
        "repaired",
        "The file uses a retired byte order; it was converted without loss.",
    ),
    "group-length": ("info", "repaired", "Wrong group lengths were put right."),
    "odd-length": ("info", "repaired", "Values of odd length were evened out by a fill byte."),
    "vr-missing": ("info", "repaired", "Values without their type were given it."),
    "vr-unknown": ("info", "kept", "The file holds values of a type we do not know."),
    "vr-mixed": ("warning", "kept", "Parts of the file's header are encoded in a way of their own."),
    "delimiter-missing": ("info", "repaired", "The end mark of the image data was missing; it was added."),
    "elements-disordered": (
        "info",
        "repaired",
        "The values of the file's header stood in the wrong order; they were put in order.",
    ),
    "elements-repeated": (
        "warning",
        "repaired",
        "The file's header held values twice; the first of each was kept. Check the patient's identity.",
    ),
    "stray-elements": (
        "info",
        "repaired",
        "Technical values that belong elsewhere stood among the image's data; they were left out.",
    ),
    "trailing-bytes": ("info", "repaired", "Left-over bytes behind the DICOM data were dropped."),
    "charset-missing": (
        "info",
        "kept",
        "The file does not say which alphabet its text is in; it was guessed. Check the patient's name.",
    ),
    "charset-unknown": (
        "info",
        "kept",
        "The file names an unknown alphabet for its text; it was guessed. Check the patient's name.",
    ),
    "charset-broken": (
        "warning",
        "kept",
        "Some text of the file does not fit the alphabet it names. Check the patient's name.",
    ),
    "uid-invalid": (
        "warning",
        "kept",
        "An identifier (UID) of the file breaks the rules of DICOM; it was kept as it is.",
    ),
    "uid-zeros": (
        "info",
        "kept",
        "An identifier (UID) of the file has needless zeros; it was kept as it is.",
    ),
    "uid-padding": ("info", "repaired", "Blanks within an identifier (UID) were removed."),
    "uid-from-meta": (
        "info",
        "repaired",
        "The file's identifier stood in its technical header alone; it was copied into the data.",
    ),
    "uid-differs": (
        "warning",
        "repaired",
        "The file's technical header named another image than its data; the data were believed.",
    ),
    "frames-unclear": (
        "warning",
        "kept",
        "The single images of this file can't be told apart; it was kept as it is.",
    ),
    "pixel-data-missing": (
        "warning",
        "kept",
        "The file announces an image and holds none. Copy it again from the source.",
    ),
    "pixel-data-short": (
        "warning",
        "kept",
        "The file holds less image data than its header announces. Copy it again from the source.",
    ),
}

NEEDS_PERSON = frozenset(
    {
        "elements-repeated",
        "pixel-data-missing",
        "pixel-data-short",
        "preamble-executable",
        "uid-invalid",
    }
)
"""Codes that bar automatic approval."""


def finding(code: str) -> Finding:
    severity, action, text = _FINDINGS[code]
    return Finding(code=code, severity=severity, action=action, text=text)
