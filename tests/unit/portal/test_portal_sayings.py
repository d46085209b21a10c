"""Everything said by a code (kit.saying) is said in every language of the pages, with the same places."""

import ast
import re
from pathlib import Path

import pytest

from kit.destinations import Destination
from kit.errors import Contended, NotYet
from kit.identity import Account, Group, Role
from kit.saying import say
from schemas.shapes import Said
from services.notify.models import Kind
from services.portal.models import AuditEntry
from services.portal.pages import shown
from services.portal.texts import DEFAULT, LANGUAGES
from services.portal.texts.bycode import sayings_for_scripts, sentences
from tests.unit.portal.samples import NOW

OTHERS = [language for language in LANGUAGES if language != DEFAULT]
ROOT = Path(__file__).parents[3]
_PLACES = re.compile(r"%\((\w+)\)s")


def said_anywhere() -> dict[str, set[str]]:
    """What may be filled into each saying of the sources, by its code."""
    found: dict[str, set[str]] = {}
    paths = [path for top in ("kit", "services", "anteroom") for path in (ROOT / top).rglob("*.py")]
    texts = {path: path.read_text("utf-8") for path in sorted(paths)}
    for path, text in texts.items():
        for node in ast.walk(ast.parse(text)) if "from kit.saying import" in text else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say":
                code = node.args[0]
                assert isinstance(code, ast.Constant), f"{path}:{node.lineno} says something without a code"
                assert isinstance(code.value, str)
                found.setdefault(code.value, set()).update(_filled(node))
    return found


def _filled(call: ast.Call) -> set[str]:
    names = {word.arg for word in call.keywords if word.arg}
    if any(word.arg is None for word in call.keywords):
        names |= {"revision", "match"}  # given as a mapping
    return names | ({"because"} if len(call.args) > 2 else set())


@pytest.mark.parametrize("language", OTHERS)
def test_every_saying_has_a_sentence_and_no_sentence_is_left_over(language: str) -> None:
    used = said_anywhere()
    assert len(used) > 90
    assert used.keys() - sentences("sayings", language).keys() == set()
    assert sentences("sayings", language).keys() - used.keys() == set(), "nobody says these any more"


@pytest.mark.parametrize("language", OTHERS)
def test_sentences_name_nothing_that_is_not_given(language: str) -> None:
    used = said_anywhere()
    wrong = {
        code: named
        for code, sentence in sentences("sayings", language).items()
        if (named := set(_PLACES.findall(sentence)) - used[code])
    }
    assert wrong == {}


@pytest.mark.parametrize("language", OTHERS)
def test_fields_roles_and_kinds_of_messages_have_names(language: str) -> None:
    names = sentences("names", language)
    fields = {*Account.model_fields, *Group.model_fields, *Destination.model_fields} - {"version", "causes"}
    assert {f"fields:{field}" for field in fields} - names.keys() == set()
    assert {f"roles:{role.value}" for role in Role} - names.keys() == set()
    assert {kind.value for kind in Kind} - names.keys() == set()


@pytest.mark.parametrize("language", OTHERS)
def test_things_that_many_change_or_that_are_not_here_yet_have_names(language: str) -> None:
    form = re.compile(r'(?:Contended|NotYet)\("([^"]+)"\)')
    texts = [path.read_text("utf-8") for top in ("kit", "services") for path in (ROOT / top).rglob("*.py")]
    things = {f"what:{thing}" for text in texts for thing in form.findall(text)} | {"what:a batch"}
    assert len(things) > 10
    assert {name for name in sentences("names", language) if name.startswith("what:")} == things


def test_why_an_event_became_a_dead_letter_is_said_in_german() -> None:
    assert shown.said(Contended("a case").said, "de") == "Viele ändern zugleich: ein Fall"
    assert shown.said(NotYet("the study").said, "en") == "the study is not here yet"
    refused = Said(code="refusal:no-object", text="There is nothing under that name.")
    assert shown.said(refused, "de") == "Dieser Inhalt ist nicht mehr hier."
    assert shown.said(refused, "en") == refused.text
    assert shown.said(Said(code="refusal:of-tomorrow", text="As it is."), "de") == "As it is."


def test_a_clause_within_a_sentence_is_said_in_the_same_language() -> None:
    clause = say("http-answer", "it answered with HTTP %(status)s", status=503)
    away = say("neighbour", "%(neighbour)s: %(because)s", clause, neighbour="object store")
    whole = say("given-up", "Sending to %(destination)s: %(because)s.", away, destination="pacs")
    assert whole.text == "Sending to pacs: object store: it answered with HTTP 503."
    assert shown.said(whole, "de").startswith(
        "Das Senden an pacs wurde aufgegeben: Objektspeicher: antwortete mit HTTP 503."
    )
    assert shown.said(whole, "en") == whole.text


def test_what_other_versions_said_stays_readable() -> None:
    assert shown.said(Said(text="It is away."), "de") == "It is away."
    assert shown.said(Said(code="not-known-yet", text="Something new."), "de") == "Something new."
    lacking = Said(code="given-up", text="Sending was given up.", values={})
    assert shown.said(lacking, "de") == "Sending was given up."


def test_an_entry_of_the_audit_trail_is_said_in_german() -> None:
    values: dict[str, str | int] = {"fields": "email,roles"}
    entry = AuditEntry(
        id="", time=NOW, account_id="a", account="Ada", action="changed", kind="account", object_id="b",
        detail="email,roles", code="entry-fields", values=values,
    )  # fmt: skip
    assert shown.entry(entry, "de") == "E-Mail-Adresse, Rechte"
    assert shown.entry(entry, "en") == "email,roles"
    entry.code, entry.values, entry.detail = "", {}, "192.0.2.7"
    assert shown.entry(entry, "de") == "192.0.2.7"
    until = Said(code="entry-asked", text="x", values={"until": "2026-12-01", "protection": "pin"})
    assert shown.said(until, "de") == "bis 1. Dez. 2026, PIN"


def test_scripts_get_the_sentences_and_the_names() -> None:
    assert sayings_for_scripts("en") == {}
    found = sayings_for_scripts("de")
    assert found["said:answers"] == "Das Ziel antwortet."
    assert found["name:hl7-door"] == "HL7-Tür"
