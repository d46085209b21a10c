"""What a file is, by its content; its name only tells apart things that look alike."""

import re
from dataclasses import dataclass
from typing import Literal

from kit.archives import ArchiveKind, archive_kind
from kit.archives.kinds import HEAD as ARCHIVE_HEAD
from kit.dicom import looks_like_dicom

HEAD = 64 * 1024
"""Bytes from the start of a file that sorting looks at."""
assert HEAD >= ARCHIVE_HEAD

TEXT_MAX = 4 * 1024 * 1024
WHOLE_MAX = 32 * 1024 * 1024
"""Documents that may hide something further down are read whole, and refused when larger."""


@dataclass(frozen=True)
class Sorted:
    """`dicom` and `archive` go on to their readers; a `document` is kept after `check_whole` where
    that is set; `refuse` ends with the text of `code`. `kind` names a document's or archive's format."""

    what: Literal["dicom", "archive", "document", "refuse"]
    kind: str = ""
    code: str = ""

    @property
    def check_whole(self) -> bool:
        return self.kind in ("pdf", "rtf")


def sort_file(head: bytes, name: str, size: int) -> Sorted:
    """`head` is the file's start (HEAD bytes, less where it is shorter), `name` what the sender called it."""
    if size == 0:
        return _refuse("empty")
    if looks_like_dicom(head):
        return Sorted("dicom")
    if _is_junk_name(name):
        return _refuse("disc-junk")
    for sorter in (_by_signature, _by_archive, _by_text):
        found = sorter(head, name, size)
        if found is not None:
            return found
    return _refuse("unknown-kind")


def archive_of(found: Sorted) -> ArchiveKind:
    kind: ArchiveKind = found.kind  # type: ignore[assignment]
    return kind


def check_whole(kind: str, data: bytes) -> str:
    """Code of a refusal for a whole document, or empty. PDFs are only kept, never run: what is
    active in them is for the finding of `active_content`."""
    if kind == "rtf" and re.search(rb"\\(objdata|objemb|objocx|objlink|objautlink|ddeauto|dde)\b", data):
        return "document-with-objects"
    return ""


def active_content(kind: str, data: bytes) -> bool:
    """A PDF that carries scripts, launches programs or holds other files."""
    return kind == "pdf" and bool(re.search(rb"/(JavaScript|JS|Launch|EmbeddedFile|RichMedia)\b", data))


def office_kind(names: list[str]) -> Sorted | None:
    """What a ZIP is that holds these members: an Office document, or None when it is an archive."""
    if "[Content_Types].xml" in names and any(name.startswith("word/") for name in names):
        if any("vbaproject" in name.lower() or "/activex" in name.lower() for name in names):
            return _refuse("document-with-macros")
        if any("/embeddings/" in name for name in names):
            return _refuse("document-with-objects")
        return Sorted("document", "docx")
    if "[Content_Types].xml" in names or ("mimetype" in names and "META-INF/manifest.xml" in names):
        return _refuse("office-file")
    return None


def _refuse(code: str) -> Sorted:
    return Sorted("refuse", code=code)


_PROGRAMS = (
    b"MZ",
    b"\x7fELF",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"#!",
    b"L\0\0\0\x01\x14\x02\0",
    b"\0asm",
    b"dex\n",
    b"ITSF",
)
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "pdf"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
    (b"{\\rtf", "rtf"),
    (b"\0\0\x01\xba", "mpeg"),
    (b"\0\0\x01\xb3", "mpeg"),
    (b"\x1aE\xdf\xa3", "webm"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wmv"),
)
_BOXES = (b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot")
_RIFF = {b"WEBP": "webp", b"AVI ": "avi"}
_STILL_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif")


def _by_signature(head: bytes, name: str, size: int) -> Sorted | None:
    if head.startswith(_PROGRAMS):
        return _refuse("program")
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _refuse("office-file")
    for mark, kind in _SIGNATURES:
        if head.startswith(mark):
            return Sorted("document", kind)
    if head.startswith(b"RIFF") or head[4:8] == b"ftyp":
        container = _RIFF.get(head[8:12]) if head.startswith(b"RIFF") else _mp4_kind(head[8:12])
        return Sorted("document", container) if container else _refuse("unknown-kind")
    loose = _loose_signature(head, size)
    return Sorted("document", loose) if loose else None


def _mp4_kind(brand: bytes) -> str | None:
    """ISO base media files by their major brand: stills, films; sound alone is not taken."""
    if brand in _STILL_BRANDS:
        return "heic"
    return None if brand in (b"M4A ", b"M4B ", b"crx ") else "mp4"


def _loose_signature(head: bytes, size: int) -> str | None:
    """Formats whose start alone is no proof."""
    if head[4:8] in _BOXES and size > 16:
        return "mov"
    if _is_bmp(head):
        return "bmp"
    if len(head) > 3 * 188 and all(head[at] == 0x47 for at in (0, 188, 376, 564)):
        return "mpeg"
    return "pdf" if b"%PDF-" in head[:1024] and b"\0" not in head[:8] else None


def _by_archive(head: bytes, name: str, size: int) -> Sorted | None:
    kind = archive_kind(head)
    return Sorted("archive", kind) if kind else None


_PROLOG = re.compile(r"\s*(<\?.*?\?>\s*|<!--.*?-->\s*)*", re.DOTALL)
_ROOT = re.compile(r"<([A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)[\s/>]")
_PAGES = ("html", "svg", "stylesheet", "transform", "script", "hta", "job", "package", "xsl")
_CODE = re.compile(
    r"\.(bat|cmd|com|vb[se]|jse?|ws[fh]|hta|psm?1|sh|bash|py|pl|rb|php|inf|ini|reg|css|scr|pif|lnk|url|desktop"
    r"|jar|sql|aspx?|jsp|c|h|cpp|java)$",
    re.IGNORECASE,
)
_PAGE = re.compile(r"\.(x?html?|svg)$", re.IGNORECASE)


def _by_text(head: bytes, name: str, size: int) -> Sorted | None:
    text = _as_text(head)
    if text is None:
        return None
    start = text.lstrip("\ufeff \t\r\n").lower()
    if re.match(r"<(!doctype html|html|head|body|script|svg|iframe|img)\b", start) or "<script" in start:
        return _refuse("web-page")
    if _PAGE.search(name):
        return _refuse("web-page")
    if _CODE.search(name):
        return _refuse("program")
    if start.startswith("<"):
        return _xml(text.lstrip("\ufeff"))
    if start.startswith(("{", "[")):
        return Sorted("document", "fhir-json") if '"resourceType"' in text else _refuse("unknown-kind")
    return Sorted("document", "text") if size <= TEXT_MAX else _refuse("unknown-kind")


def _xml(text: str) -> Sorted:
    """Read up to the root element only. A document type could define entities: refused (no parser
    of this house ever meets one)."""
    prolog = _PROLOG.match(text)
    rest = text[prolog.end() :] if prolog else text
    if rest[:9].upper() == "<!DOCTYPE":
        return _refuse("xml-with-entities")
    root = _ROOT.match(rest)
    if root is None:
        return _refuse("unknown-kind")
    if root[2].lower() in _PAGES:
        return _refuse("web-page")
    return Sorted("document", "cda" if root[2] == "ClinicalDocument" else "xml")


def _as_text(head: bytes) -> str | None:
    """The start of a file as text, or None when it is not text."""
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if head.startswith(mark):
            text = head[2 : len(head) // 2 * 2].decode(encoding, "replace")
            return None if _has_controls(text) else text
    if head.startswith((b"<\0?\0", b"\0<\0?")):
        # XML in UTF-16 without a mark
        text = head[: len(head) // 2 * 2].decode("utf-16-le" if head[0] else "utf-16-be", "replace")
        return None if _has_controls(text) else text
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        # a character may be cut at the end of the head
        cut = error.start >= len(head) - 4 and len(head) >= HEAD
        text = head[: error.start].decode() if cut else head.decode("latin-1")
    return None if _has_controls(text) else text


def _has_controls(text: str) -> bool:
    """C0 and C1 controls do not occur in text (HL7 messages end segments in CR, some files in ^Z or FF)."""
    return re.search(r"[\x00-\x08\x0e-\x19\x1b-\x1f\x7f-\x84\x86-\x9f]", text) is not None


def _is_bmp(head: bytes) -> bool:
    return (
        head.startswith(b"BM")
        and len(head) >= 26
        and int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124)
    )


_JUNK = re.compile(
    r"(^|/)(thumbs\.db|ehthumbs\.db|\.ds_store|desktop\.ini|autorun\.inf|\._[^/]*|\.trashes|\.fseventsd"
    r"|\.spotlight-v100|system volume information)$|(^|/)__macosx/",
    re.IGNORECASE,
)


def _is_junk_name(name: str) -> bool:
    return _JUNK.search(name.replace("\\", "/")) is not None
