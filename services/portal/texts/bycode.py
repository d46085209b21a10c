"""Texts of other services in other languages than their own, by the code that comes with them.

`findings/<language>.toml`: what validation says of files. `code/name+name` is the sentence for a finding
that has these numbers, none of them 0; `%(count)s` is always there. `refusals/<language>.toml`: what doors
say to somebody who sends by a page. `sayings/<language>.toml`: everything said by a code (kit.saying).
`names/<language>.toml`: what parts of the installation and kinds of messages are called, and the values that
sentences name, as place:value.
"""

import tomllib
from collections.abc import Mapping, Set
from functools import cache
from importlib.resources import files

from services.portal.texts import DEFAULT, LANGUAGES, translated


@cache
def sentences(kind: str, language: str) -> Mapping[str, str]:
    """By code; empty for the language that they come in."""
    if language == DEFAULT or language not in LANGUAGES:
        return {}
    file = files("services.portal.texts").joinpath(kind, f"{language}.toml")
    found: dict[str, str] = tomllib.loads(file.read_text("utf-8"))
    return found


def sentence_for(kind: str, language: str, code: str, numbers: Set[str]) -> str | None:
    """The one that says most of these numbers; None where nobody translated the code."""
    known = sentences(kind, language)
    keys = [key for key in known if key == code or key.startswith(f"{code}/")]
    fitting = [key for key in keys if _named(key) <= numbers]
    return known[max(fitting, key=lambda key: len(_named(key)))] if fitting else None


def _named(key: str) -> set[str]:
    return set(filter(None, key.partition("/")[2].split("+")))


def refusal(language: str, code: str, text: str) -> str:
    """What somebody is told who is refused: the very sentence in that language, else what its code means."""
    found = translated(language, text)
    return sentences("refusals", language).get(code, text) if found == text else found


def for_scripts(language: str) -> dict[str, str]:
    """What is said of files, under keys such as finding:empty and refusal:busy."""
    return _under("finding", "findings", language) | _under("refusal", "refusals", language)


def sayings_for_scripts(language: str) -> dict[str, str]:
    """What is said by a code, under keys such as said:silent, names, such as name:hl7-door, and refusals."""
    found = _under("said", "sayings", language) | _under("name", "names", language)
    return found | _under("refusal", "refusals", language)


def _under(key: str, kind: str, language: str) -> dict[str, str]:
    return {f"{key}:{code}": text for code, text in sentences(kind, language).items()}
