"""Whatever validation says of a file, and whatever a door answers a sender, pages say in every language."""

import ast
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from kit.dicom import findings
from schemas.shapes import Finding
from services.portal.pages.shown import finding as said
from services.portal.rules import compare, way, worklist
from services.portal.texts import DEFAULT, LANGUAGES, catalogue
from services.portal.texts.bycode import for_scripts, sentences
from services.validate.models import DiscCheck
from services.validate.rules import discs
from services.validate.texts import TEXTS

OTHERS = [language for language in LANGUAGES if language != DEFAULT]
ROOT = Path(__file__).parents[3]
FOR_PROGRAMS = {
    "bad-boundary", "bad-form", "bad-checksum", "bad-header", "bad-metadata", "bad-method", "bad-multipart",
    "bad-ordinals", "bad-recipient", "bad-urgency", "checksum-mismatch", "empty-batch", "field-too-long",
    "incomplete-body", "length-needed", "no-boundary", "no-files", "no-instances", "ordinals-received",
    "too-large", "too-long", "too-many-fields", "too-many-parts", "too-many-pieces", "tus-version",
    "upload-busy", "upload-locked", "wrong-offset", "wrong-type",
}  # fmt: skip
"""Refusals that our own pages never cause or handle themselves: no person reads them."""
READING = {"cannot-decode", "bad-viewport", "text-too-long"}
"""Codes of images that are stored already: no finding of a file that came."""


def literals(folder: Path, names: str) -> set[str]:
    """First arguments of the calls of these classes, and `code=` of theirs."""
    found = set()
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if not re.fullmatch(names, node.func.id):
                continue
            given = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "code")]
            found |= {
                one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)
            }
    return found


def finding_codes() -> set[str]:
    tables = [value for value in vars(findings).values() if isinstance(value, dict)]
    known = {
        code for table in tables for code, row in table.items() if isinstance(row, tuple) and len(row) == 3
    }
    broken = literals(ROOT / "kit" / "dicom", "BrokenDicom") - READING
    return {*TEXTS, *known, *broken, *literals(ROOT / "services" / "validate", "Finding")}


@pytest.mark.parametrize("language", OTHERS)
def test_every_finding_has_a_sentence_in_every_language(language: str):
    assert len(finding_codes()) > 80
    assert finding_codes() - set(sentences("findings", language)) == set()
    known = {code.partition("/")[0] for code in sentences("findings", language)}
    assert known - finding_codes() == set(), "nobody says these any more"


@pytest.mark.parametrize("language", OTHERS)
def test_every_refusal_a_sender_may_read_has_a_sentence(language: str):
    codes = literals(
        ROOT / "services" / "upload", "Refused|NotFound|Forbidden|TooLarge|Conflict|Gone|SlowDown|TooSlow"
    )
    said_by_all = {
        "busy",
        "changed-meanwhile",
        "invalid",
        "internal",
        "http",
        "disk-full",
        "too-many",
        "no-token",
    }
    known = set(sentences("refusals", language))
    assert (codes | said_by_all) - FOR_PROGRAMS - known == set()


@pytest.mark.parametrize("language", OTHERS)
def test_names_of_tabs_ages_and_stages_are_translated(language: str):
    names = {*worklist.TABS.values(), *worklist.AGES.values(), *way.WAY.values(), *compare.LABELS}
    names |= {compare.likelihood(score) for score in (1.0, 0.95, 0.7, 0.1)}
    assert names - set(catalogue(language)) == set()


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (
            DiscCheck(listed=1844, came=1842, missing_count=2),
            "Auf der Disc sind 1.844 Bilder verzeichnet, 1.842",
        ),
        (DiscCheck(listed=9, came=8, lost_count=1), "ließen sich aber nicht behalten."),
        (DiscCheck(listed=9, came=6, lost_count=1, missing_count=2), "es fehlen 2."),
    ],
)
def test_numbers_are_said_in_german(check: DiscCheck, expected: str):
    [found] = discs.findings(check)
    assert expected in said(found, "de")
    assert "%(" not in said(found, "de")
    assert said(found, "en") == found.text


def test_a_finding_of_a_newer_version_is_said_in_its_own_words():
    new = Finding(code="not-known-yet", severity="info", action="kept", text="Something new.")
    assert said(new, "de") == "Something new."
    cut = Finding(code="truncated", severity="error", action="refused", text="…", values={"missing": 0})
    assert said(cut, "de") == sentences("findings", "de")["truncated"]


def test_scripts_get_the_same_sentences():
    assert for_scripts("en") == {}
    assert for_scripts("de")["finding:empty"].startswith("Die Datei ist leer.")


@pytest.mark.parametrize("language", OTHERS)
def test_places_in_sentences_are_values_of_their_key(language: str):
    for kind in ("findings", "refusals"):
        text = files("services.portal.texts").joinpath(kind, f"{language}.toml").read_text("utf-8")
        for key, sentence in tomllib.loads(text).items():
            named = set(filter(None, key.partition("/")[2].split("+")))
            assert named <= set(re.findall(r"%\((\w+)\)s", sentence)), key
