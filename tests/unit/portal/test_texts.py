"""Every text that pages show has a translation, the same everywhere, with the same places to fill in."""

import re
import tomllib
from importlib.resources import files

import pytest

from services.portal.pages.admin.desk import TABS
from services.portal.pages.admin.trail import ACTIONS
from services.portal.pages.frame import ROLE_NAMES
from services.portal.texts import LANGUAGES, catalogue
from tests.unit.portal.texts_used import in_pages, in_templates

OTHERS = [language for language in LANGUAGES if language != "en"]
_PLACES = re.compile(r"%\(\w+\)s")


def used() -> dict[str, str]:
    told = {**dict.fromkeys(ROLE_NAMES.values(), "frame"), **dict.fromkeys(ACTIONS.values(), "trail")}
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
