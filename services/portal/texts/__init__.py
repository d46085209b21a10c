"""The catalogue of texts: English in the sources, other languages in files beside this one.

`<language>/<topic>.toml` maps an English text to its translation. A text that counts has both forms
in key and value, parted by a bar: `"%(num)s image | %(num)s images" = "%(num)s Bild | %(num)s Bilder"`.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

LANGUAGES = {"en": "English", "de": "Deutsch"}
DEFAULT = "en"


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """All texts of a language in one mapping; of a text translated twice, the first in order of files."""
    found: dict[str, str] = {}
    if language == DEFAULT or language not in LANGUAGES:
        return found
    for file in sorted(files(__package__).joinpath(language).iterdir(), key=lambda path: path.name):
        if not file.name.endswith(".toml"):
            continue
        for text, translation in tomllib.loads(file.read_text("utf-8")).items():
            found.setdefault(text, translation)
    return found


@cache
def topic(language: str, name: str) -> Mapping[str, str]:
    """The texts of one file, for scripts that build parts of a page. Empty for the sources' own language."""
    if language == DEFAULT or language not in LANGUAGES:
        return {}
    found: dict[str, str] = tomllib.loads(
        files(__package__).joinpath(language, f"{name}.toml").read_text("utf-8")
    )
    return found


def translated(language: str, text: str) -> str:
    """The text in that language; itself where there is no translation. A sentence that was made with
    one number in it is found by its form with %(n)s."""
    texts = catalogue(language)
    if text in texts:
        return texts[text]
    numbers = re.findall(r"\d+", text)
    form = texts.get(text.replace(numbers[0], "%(n)s", 1)) if len(numbers) == 1 else None
    return form % {"n": numbers[0]} if form is not None else text


def translated_count(language: str, one: str, many: str, count: int) -> str:
    forms = catalogue(language).get(f"{one} | {many}")
    first, _, second = forms.partition(" | ") if forms is not None else (one, "", many)
    return first if count == 1 else second


def chosen(accepted: str) -> str:
    """The first language of an Accept-Language header that there is; RFC 9110 12.5.4, weights included."""
    wanted: list[tuple[float, str]] = []
    for part in accepted[:500].split(","):
        name, _, weight = part.strip().partition(";q=")
        try:
            wanted.append((-float(weight or 1), name.partition("-")[0].casefold()))
        except ValueError:
            continue
    return next((name for _, name in sorted(wanted, key=lambda w: w[0]) if name in LANGUAGES), DEFAULT)
