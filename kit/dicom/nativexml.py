"""A header of the DICOM JSON model as XML of the Native DICOM Model (PS3.19 A.1)."""

from typing import Any
from xml.sax.saxutils import escape, quoteattr

import orjson

from kit.dicom.dictionary import keyword_of

_NAMES = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_CONTROLS = {number: None for number in range(32) if number not in (9, 10, 13)}


def native_xml(header: bytes) -> bytes:
    out = ['<?xml version="1.0" encoding="UTF-8"?>']
    out.append('<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">')
    _attributes(orjson.loads(header), out)
    out.append("</NativeDicomModel>")
    return "".join(out).encode()


def _attributes(content: dict[str, Any], out: list[str]) -> None:
    for tag, attribute in content.items():
        vr = attribute["vr"]
        keyword = keyword_of(int(tag, 16))
        named = f' keyword="{keyword}"' if keyword else ""
        out.append(f'<DicomAttribute tag="{tag}" vr="{vr}"{named}>')
        if "BulkDataURI" in attribute:
            out.append(f"<BulkData uri={quoteattr(attribute['BulkDataURI'])}/>")
        elif "InlineBinary" in attribute:
            out.append(f"<InlineBinary>{attribute['InlineBinary']}</InlineBinary>")
        for number, value in enumerate(attribute.get("Value", ()), 1):
            _value(vr, number, value, out)
        out.append("</DicomAttribute>")


def _value(vr: str, number: int, value: Any, out: list[str]) -> None:
    if vr == "SQ":
        out.append(f'<Item number="{number}">')
        _attributes(value or {}, out)
        out.append("</Item>")
    elif vr == "PN":
        out.append(f'<PersonName number="{number}">')
        for group, name in (value or {}).items():
            out.append(f"<{group}>")
            for label, part in zip(_NAMES, name.split("^"), strict=False):
                if part:
                    out.append(f"<{label}>{_text(part)}</{label}>")
            out.append(f"</{group}>")
        out.append("</PersonName>")
    elif value is not None:
        out.append(f'<Value number="{number}">{_text(str(value))}</Value>')


def _text(value: str) -> str:
    return escape(value.translate(_CONTROLS))
