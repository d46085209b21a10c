"""Texts of other services in other languages than their own, by the code that comes with them.

`findings/<language>.toml`: what validation says of files. `code/name+name` is the sentence for a finding
that has these numbers, none of them 0; `%(count)s` is always there. `refusals/<language>.toml`: what doors
say to somebody who sends by a page.
"""

import tomllib
from collections.abc import Mapping, Set
from functools import cache
from importlib.resources import files

from services.portal.texts import DEFAULT, LANGUAGES


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


def for_scripts(language: str) -> dict[str, str]:
    """All of them under keys such as finding:empty and refusal:busy."""
    found = {f"finding:{code}": text for code, text in sentences("findings", language).items()}
    return found | {f"refusal:{code}": text for code, text in sentences("refusals", language).items()}
