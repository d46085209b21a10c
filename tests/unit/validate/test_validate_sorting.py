"""What a file is, by content."""

import pytest

from services.validate.sorting import Sorted, active_content, check_whole, office_kind, sort_file

DICOM = bytes(128) + b"DICM" + b"\x02\0\0\0UL\x04\0\x00\0\0\0" + bytes(50)


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (DICOM, "IM0001", ("dicom", "")),
        (b"MZ" + DICOM[2:], "a.exe", ("dicom", "")),
        (b"MZ\x90\0" + bytes(200), "viewer.exe", ("refuse", "program")),
        (b"\x7fELF" + bytes(60), "", ("refuse", "program")),
        (b"#!/bin/sh\nrm", "x", ("refuse", "program")),
        (b"\xca\xfe\xba\xbe" + bytes(20), "A.class", ("refuse", "program")),
        (b"@echo off\r\n", "run.BAT", ("refuse", "program")),
        (b"[autorun]\r\n", "D/Autorun.inf", ("refuse", "disc-junk")),
        (b"\0\0\0\x01Bud1", ".DS_Store", ("refuse", "disc-junk")),
        (b"x", "__MACOSX/._a.dcm", ("refuse", "disc-junk")),
        (b"%PDF-1.7\n", "", ("document", "pdf")),
        (b"\xff\xd8\xff\xe0", "", ("document", "jpeg")),
        (b"\x89PNG\r\n\x1a\n", "", ("document", "png")),
        (b"RIFF\0\0\0\0WEBPVP8 ", "", ("document", "webp")),
        (b"RIFF\0\0\0\0WAVEfmt ", "", ("refuse", "unknown-kind")),
        (b"\0\0\0\x18ftypheic", "", ("document", "heic")),
        (b"\0\0\0\x18ftypisom", "", ("document", "mp4")),
        (b"\0\0\0\x18ftypM4A ", "", ("refuse", "unknown-kind")),
        (b"\0\0\x01\xba" + bytes(9), "", ("document", "mpeg")),
        (b"\x1aE\xdf\xa3", "", ("document", "webm")),
        (b"II*\0" + bytes(9), "", ("document", "tiff")),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.doc", ("refuse", "office-file")),
        (b"{\\rtf1 hello}", "", ("document", "rtf")),
        (b"<?xml version='1.0'?><ClinicalDocument xmlns='urn:hl7-org:v3'>", "", ("document", "cda")),
        (b"<?xml version='1.0'?><!-- x --><?s t?><n:ClinicalDocument>", "", ("document", "cda")),
        (b"<?xml version='1.0'?><Bundle xmlns='http://hl7.org/fhir'>", "", ("document", "xml")),
        (b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><x/>", "", ("refuse", "xml-with-entities")),
        ("<?xml version='1.0'?><!DOCTYPE x><x/>".encode("utf-16"), "", ("refuse", "xml-with-entities")),
        ("<?xml version='1.0'?><!DOCTYPE x><x/>".encode("utf-16-le"), "", ("refuse", "xml-with-entities")),
        (b"<!doctype HTML><p>", "a.txt", ("refuse", "web-page")),
        (b"<p>hello<script>1</script>", "a.txt", ("refuse", "web-page")),
        (b"<svg xmlns='x'/>", "", ("refuse", "web-page")),
        (b'{"resourceType": "Patient"}', "", ("document", "fhir-json")),
        (b'{"a": 1}', "", ("refuse", "unknown-kind")),
        ("Befund: unauffällig\r\n".encode("latin-1"), "befund.txt", ("document", "text")),
        ("Befund: unauffällig".encode("utf-16"), "befund.txt", ("document", "text")),
        (b"a\0b\0c\1\2", "", ("refuse", "unknown-kind")),
        (b"PK\x03\x04", "a", ("archive", "zip")),
        (b"7z\xbc\xaf\x27\x1c", "", ("archive", "other")),
    ],
)
def test_by_content(head: bytes, name: str, expected: tuple[str, str]) -> None:
    found = sort_file(head, name, len(head))
    assert (found.what, found.code or found.kind) == expected


def test_an_empty_file() -> None:
    assert sort_file(b"", "a.dcm", 0).code == "empty"


def test_a_character_cut_at_the_end_of_the_head_is_no_harm() -> None:
    head = ("ä" * 40000).encode()[: 64 * 1024 - 1] + b"\xc3"
    assert sort_file(head, "a.txt", 100_000) == Sorted("document", "text")


def test_rtf_with_objects_and_pdf_with_scripts() -> None:
    assert check_whole("rtf", rb"{\rtf1 {\object\objemb{\*\objdata 01}}}") == "document-with-objects"
    assert check_whole("rtf", rb"{\rtf1 hello \b bold}") == ""
    assert active_content("pdf", b"/OpenAction << /S /JavaScript >>")
    assert not active_content("pdf", b"/JSomething")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["[Content_Types].xml", "word/document.xml"], ("document", "docx")),
        (["[Content_Types].xml", "word/vbaProject.bin"], ("refuse", "document-with-macros")),
        (["[Content_Types].xml", "word/embeddings/a.bin"], ("refuse", "document-with-objects")),
        (["[Content_Types].xml", "xl/workbook.xml"], ("refuse", "office-file")),
        (["mimetype", "META-INF/manifest.xml"], ("refuse", "office-file")),
    ],
)
def test_office(names: list[str], expected: tuple[str, str]) -> None:
    found = office_kind(names)
    assert found is not None
    assert (found.what, found.code or found.kind) == expected


def test_a_plain_archive_is_no_office_document() -> None:
    assert office_kind(["a.dcm"]) is None
