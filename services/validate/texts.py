"""What is said about a file, in words a file clerk understands. No PHI, no paths."""

from typing import Literal

from schemas.shapes import Finding

Severity = Literal["info", "warning", "error"]
Action = Literal["kept", "repaired", "quarantined", "refused"]

TEXTS: dict[str, tuple[Severity, Action, str]] = {
    # what a file is
    "empty": ("warning", "refused", "The file is empty. Please check the source and send it again."),
    "disc-junk": (
        "info",
        "refused",
        "A helper file of the disc or the computer, not an image. Nothing is missing.",
    ),
    "program": (
        "info",
        "refused",
        "A program or script, such as the viewer on a disc. Programs are not taken; images are.",
    ),
    "web-page": ("info", "refused", "A web page, such as those of a disc's viewer. Web pages are not taken."),
    "office-file": (
        "warning",
        "refused",
        "An Office file of a kind that is not taken. Please save it as PDF and send that.",
    ),
    "document-with-macros": (
        "warning",
        "refused",
        "The document contains macros. Please save it as PDF and send that.",
    ),
    "document-with-objects": (
        "warning",
        "refused",
        "The document has other files inside. Please save it as PDF and send that.",
    ),
    "document-too-large": (
        "warning",
        "refused",
        "The document is too large to be checked. Please send it in smaller parts.",
    ),
    "xml-with-entities": (
        "warning",
        "refused",
        "The XML document has a document type, which can be used for attacks. Please send it without.",
    ),
    "unknown-kind": (
        "warning",
        "refused",
        "Not a medical image and no document of a kind that is taken (PDF, photo, video, report).",
    ),
    "not-dicom": ("warning", "refused", "It looks like a DICOM file at its start but is none further on."),
    "disc-index": ("info", "kept", "The index of a disc (DICOMDIR), used to check that all its images came."),
    "disc-index-unreadable": (
        "warning",
        "kept",
        "The index of the disc (DICOMDIR) can't be read, so it can't be said whether all its images came.",
    ),
    "active-pdf": (
        "warning",
        "kept",
        "The PDF contains scripts or attachments. It is kept as it is; open it with care.",
    ),
    # scanning
    "infected": ("error", "quarantined", "The virus scanner found something in this file. It was put aside."),
    "scanned-in-part": (
        "warning",
        "kept",
        "The file is too large for the virus scanner, so a person must approve it.",
    ),
    "antivirus-away": (
        "warning",
        "kept",
        "The virus scanner can't be reached. The files wait and go on by themselves when it is back.",
    ),
    "storage-full": (
        "warning",
        "kept",
        "The storage is full. The files wait and go on by themselves when there is room.",
    ),
    "queued": ("info", "kept", "Waits to be checked."),
    "merging": ("info", "kept", "Checked; being added to its study."),
    # batches and archives
    "announced-but-missing": ("error", "refused", "It was announced but did not come. Please send it again."),
    "not-announced": ("warning", "refused", "Files came that had not been announced. They were not kept."),
    "batch-damaged": (
        "error",
        "refused",
        "What came is damaged from some place on. Please send the missing files again.",
    ),
    "not-a-file": (
        "info",
        "refused",
        "Links and device entries are no files and were left out.",
    ),
    "archive-damaged": (
        "error",
        "refused",
        "The archive is damaged or incomplete and can't be opened. Please make it again and send it.",
    ),
    "archive-cut-short": (
        "error",
        "kept",
        "An archive is damaged: its first files were read, the others could not be. Please send those again.",
    ),
    "archive-encrypted": (
        "error",
        "refused",
        "The archive is protected by a password. Please send it without one; the connection is encrypted.",
    ),
    "archive-unsupported": (
        "error",
        "refused",
        "An archive of a kind that can't be opened here. Please send a ZIP or the files themselves.",
    ),
    "archive-lies": (
        "error",
        "refused",
        "The archive contradicts itself about what it holds, as attacks do. Please make it again.",
    ),
    "archive-too-many": (
        "error",
        "refused",
        "The archive holds more files than are taken at once. Please send it in smaller parts.",
    ),
    "archive-bomb": (
        "error",
        "refused",
        "The archive would grow far beyond its size when opened, as attacks do. Nothing of it was kept.",
    ),
    "archive-too-large": (
        "error",
        "refused",
        "The archive is larger when opened than is taken at once. Please send it in smaller parts.",
    ),
    "archive-too-deep": (
        "warning",
        "refused",
        "An archive in an archive in an archive. Please send the inner files directly.",
    ),
    "archive-empty": ("warning", "refused", "The archive holds no files."),
    "member-encrypted": (
        "error",
        "refused",
        "A file in an archive is protected by a password. Please send it without one.",
    ),
    "member-damaged": (
        "error",
        "refused",
        "A file in an archive is damaged or incomplete. Please send it again.",
    ),
    "member-unsupported": (
        "error",
        "refused",
        "A file in an archive is packed in a way that can't be read here. Please make a plain ZIP.",
    ),
    "member-lies": (
        "error",
        "refused",
        "A file in an archive is larger than the archive says, as in attacks.",
    ),
    # accidents
    "crashed-reader": (
        "error",
        "quarantined",
        "Reading this file broke the reading program. It was put aside for the administrator.",
    ),
    "not-processed": (
        "error",
        "quarantined",
        "An internal error kept these files from being checked. They were put aside, nothing is lost.",
    ),
    # studies
    "same-uid-other-content": (
        "error",
        "quarantined",
        "An image came again with other content. The first is kept, this one was put aside.",
    ),
    "several-patients-in-study": (
        "error",
        "kept",
        "Images of one study name different patients. A person must decide whose study it is.",
    ),
}


def finding(code: str, count: int = 1) -> Finding:
    severity, action, text = TEXTS[code]
    return Finding(code=code, severity=severity, action=action, text=text, count=count)


def text_of(code: str) -> str:
    return TEXTS[code][2]
