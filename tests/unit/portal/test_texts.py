"""Every text that pages show has a translation, the same everywhere, with the same places to fill in."""

import ast
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from services.portal.pages.admin.desk import TABS
from services.portal.pages.admin.trail import ACTIONS
from services.portal.pages.frame import ROLE_NAMES
from services.portal.rules.queues import GROUP_NAMES, TOPIC_NAMES
from services.portal.texts import LANGUAGES, catalogue, topic, translated
from services.portal.texts.bycode import refusal, sentences
from tests.unit.portal.texts_used import in_pages, in_templates

ROOT = Path(__file__).parents[3]
OTHERS = [language for language in LANGUAGES if language != "en"]
_PLACES = re.compile(r"%\(\w+\)s")


def used() -> dict[str, str]:
    told = {**dict.fromkeys(ROLE_NAMES.values(), "frame"), **dict.fromkeys(ACTIONS.values(), "trail")}
    told |= dict.fromkeys([*TOPIC_NAMES.values(), *GROUP_NAMES.values()], "queues")
    return {**in_templates(), **in_pages(), **told, **{tab.name: "desk" for tab in TABS}}


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_has_a_translation(language: str) -> None:
    known = catalogue(language)
    missing = {text: where for text, where in used().items() if text not in known}
    assert missing == {}, "add them to a file of services/portal/texts/<language>/"


@pytest.mark.parametrize("language", OTHERS)
def test_translations_fill_in_the_same(language: str) -> None:
    for text, translation in catalogue(language).items():
        assert set(_PLACES.findall(text)) == set(_PLACES.findall(translation)), text
        assert text.count(" | ") == translation.count(" | "), text


@pytest.mark.parametrize("language", OTHERS)
def test_no_text_is_translated_in_two_ways(language: str) -> None:
    found: dict[str, str] = {}
    for file in files("services.portal.texts").joinpath(language).iterdir():
        for text, translation in tomllib.loads(file.read_text("utf-8")).items():
            assert found.setdefault(text, translation) == translation, text


NO_WORDS = {"DICOM", "STOW", "TLS", "Anteroom", "Enter", "UID", "narrow"}
FOR_PROGRAMS = {
    "bad-account", "bad-bulkdata", "bad-frames", "bad-number", "bad-quality", "bad-query", "bad-report",
    "bad-signature", "bad-viewport", "bad-window", "no-bulkdata", "too-large",
}  # fmt: skip
"""Refusals that answer what no page asks."""
_DOORS = ("upload",)
"""What these say to senders is held by test_portal_finding_texts."""


def refusals() -> dict[str, tuple[str, str]]:
    """Code and sentence (with places where something is filled in) of every refusal, by where it stands."""
    names = {"Refused", "Forbidden", "NotFound", "Gone", "Stale", "Unauthorized", "Crowded", "TooLarge"}
    names |= {"NoSpace"}
    found = {}
    for top in ("kit", "services"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if path.relative_to(ROOT).parts[1] in _DOORS:
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                    continue
                code = node.args[0] if node.args else None
                if node.func.id in names and isinstance(code, ast.Constant) and len(node.args) > 1:
                    text = node.args[1]
                    sentence = text.value if isinstance(text, ast.Constant) else ""
                    found[f"{path.relative_to(ROOT)}:{node.lineno}"] = (str(code.value), str(sentence))
    return found


@pytest.mark.parametrize("language", OTHERS)
def test_whoever_is_refused_is_told_why_in_their_language(language: str) -> None:
    known, codes = catalogue(language), sentences("refusals", language)
    assert len(refusals()) > 100
    untold = {
        where: said
        for where, said in refusals().items()
        if said[1] not in known and said[0] not in codes and said[0] not in FOR_PROGRAMS
    }
    assert untold == {}, "add them to services/portal/texts/refusals/"


@pytest.mark.parametrize("language", OTHERS)
def test_the_very_sentence_goes_before_what_its_code_means(language: str) -> None:
    assert (
        refusal(language, "not-failed", "Only a failed one.") == sentences("refusals", language)["not-failed"]
    )
    exact = "That was tried too often. Wait 7 minutes, then try again."
    assert refusal(language, "too-many", exact) == translated(language, exact) != exact
    assert refusal("en", "not-failed", "Only a failed one.") == "Only a failed one."
    assert refusal(language, "not-known-yet", "Something new.") == "Something new."


_SAID = re.compile(r"""\bt\(\s*"((?:[^"\\]|\\.)*)"|\btn\(\s*"((?:[^"\\]|\\.)*)",\s*"((?:[^"\\]|\\.)*)\"""")


def in_scripts() -> dict[str, str]:
    """What the scripts of sending look up: t("…") and tn("one", "many")."""
    found = {}
    for path in sorted((ROOT / "services" / "portal" / "static").rglob("*.js")):
        if "vendor" in path.parts:
            continue
        for one, first, many in _SAID.findall(path.read_text("utf-8")):
            found[one or f"{first} | {many}"] = path.name
    return found


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_of_scripts_has_a_translation(language: str) -> None:
    assert len(in_scripts()) > 60
    known = topic(language, "send")
    assert {text: where for text, where in in_scripts().items() if text not in known} == {}


def test_templates_and_scripts_hold_no_words_beside_the_catalogue() -> None:
    """What stands between tags, or is read out, goes through the catalogue; names and terms do not."""
    found = {}
    for path in sorted((ROOT / "services" / "portal" / "templates").rglob("*.html")):
        text = re.sub(r"\{#.*?#\}|<(script|style|svg)\b.*?</\1>", "", path.read_text("utf-8"), flags=re.S)
        # What is inside a tag is looked at first: attributes that are read out.
        text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "\0", text, flags=re.S)
        read_out = re.findall(r'(?:aria-label|placeholder|title|alt)="([^"]*)"', text)
        for part in [*re.split("[\0\1]", re.sub(r"<[^>]*>", "\1", text)), *read_out]:
            words = set(re.findall(r"[A-Za-z]{3,}", part)) - NO_WORDS
            if words:
                found[str(path.name)] = words
    assert found == {}
