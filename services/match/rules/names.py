"""Names in a form that can be compared: case, accents, spacing and transliteration set aside.

A name is DICOM PN: up to three groups (alphabetic=ideographic=phonetic) of
family^given^middle^prefix^suffix.
"""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import JaroWinkler

_STRIPPED = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "æ": "ae", "œ": "oe", "å": "a", "ħ": "h"}
)
_EXPANDED = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "ð": "dh", "ñ": "n", "ÿ": "y"}
)
_SOUNDS = {
    letter: digit
    for digit, letters in enumerate(("", "bfpvw", "cgjkqsxzß", "dt", "l", "mn", "r"))
    for letter in letters
}

_STAND_INS = frozenset(
    (
        *("anonymous", "anonymized", "anon", "unknown", "unbekannt", "inconnu", "nn", "noname", "none", "na"),
        *("nil", "test", "patient", "phantom", "newborn", "infant", "child", "neonat", "boy", "girl", "male"),
        *("female", "twin", "sohn", "tochter"),
    )
)

_LONGEST = 256
"""More of a component is not looked at. DICOM allows 64 characters a group (PS3.5 6.2, PN)."""

CONTRADICTS = 0.75
"""Below this similarity, two names are not the same person's."""


@lru_cache(maxsize=20_000)
def forms(part: str) -> tuple[str, ...]:
    """The ways one name component can be spelled in plain letters: Müller gives muller and mueller.

    Spacing, hyphens and apostrophes are gone: O'Brien and OBRIEN are one. Other scripts stay as
    they are (NFKC).
    """
    text = unicodedata.normalize("NFC", part[:_LONGEST]).casefold()
    stripped = _letters(text.translate(_STRIPPED))
    expanded = _letters(text.translate(_EXPANDED).translate(_STRIPPED))
    return tuple(dict.fromkeys(form for form in (stripped, expanded) if form))


def _letters(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    kept = "".join(c for c in decomposed if unicodedata.category(c) not in ("Mn", "Me"))
    # Composed again, so that Hangul is a letter a syllable.
    return "".join(c for c in unicodedata.normalize("NFKC", kept) if c.isalnum())


@dataclass(frozen=True, slots=True)
class Name:
    """One group of a PN. Every component is the tuple of its forms, the plainest first.

    `place` is 0 alphabetic, 1 ideographic, 2 phonetic.
    `guessed`: the source did not say which word is the family name, so it is never exact.
    """

    family: tuple[str, ...]
    given: tuple[str, ...]
    middle: tuple[str, ...] = ()
    suffix: tuple[str, ...] = ()
    guessed: bool = False
    place: int = 0

    @property
    def whole(self) -> bool:
        return bool(self.family and self.given)

    @property
    def generic(self) -> bool:
        """A stand-in for a name, such as a newborn's or an anonymised one's."""
        words = {*self.family, *self.given}
        return bool(words & _STAND_INS) or any(word.startswith(("baby", "anonym")) for word in words)


@lru_cache(maxsize=20_000)
def groups(name: str) -> tuple[Name, ...]:
    """The groups of a PN that hold anything."""
    found = []
    for place, group in enumerate(name.split("=")[:3]):
        parts = (group.split("^") + [""] * 5)[:5]
        guessed = False
        if not any(parts[1:]) and "," in parts[0]:
            # Typed by hand as "Family, Given".
            parts[0], _, parts[1] = parts[0].partition(",")
        if not any(parts[1:]) and len(parts[0].split()) > 1 and parts[0].isascii():
            # "Family Given" without a delimiter: comparable, but never exact.
            words = parts[0].split()
            parts[:3] = words[0], words[1], " ".join(words[2:])
            guessed = True
        family, given, middle, _, suffix = (forms(part) for part in parts)
        if family or given:
            found.append(Name(family, given, middle, suffix, guessed, place))
    return tuple(found)


def same(one: str, other: str) -> bool:
    """The same name: family and given equal in some spelling and no other component against it, in
    the alphabetic and the ideographic group where both have it, else in any two groups."""
    pairs = [(a, b) for a in groups(one) for b in groups(other)]
    alike = [(a, b) for a, b in pairs if a.place == b.place < 2]
    if alike:
        return all(_same_group(a, b) for a, b in alike)
    return any(_same_group(a, b) for a, b in pairs)


def _same_group(one: Name, other: Name) -> bool:
    return (
        one.whole
        and other.whole
        and not (one.guessed or other.guessed)
        and _meet(one.family, other.family)
        and _meet(one.given, other.given)
        and _compatible(one.middle, other.middle)
        and _compatible(one.suffix, other.suffix)
    )


def _meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return bool(set(one) & set(other))


def _compatible(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Equal, absent, or the initial of the other."""
    if not one or not other or _meet(one, other):
        return True
    short, long = sorted((one[0], other[0]), key=len)
    return len(short) == 1 and long.startswith(short)


def similarity(one: str, other: str) -> float:
    """0 to 1; family counts a little more than given; swapped components count for less than in place."""
    return max((_similar(a, b) for a in groups(one) for b in groups(other)), default=0.0)


def _similar(one: Name, other: Name) -> float:
    straight = _weigh(_closest(one.family, other.family), _closest(one.given, other.given))
    swapped = _weigh(_closest(one.family, other.given), _closest(one.given, other.family))
    score = max(straight, 0.9 * swapped)
    if not _compatible(one.middle, other.middle):
        score *= 0.95
    return score


def _weigh(family: float | None, given: float | None) -> float:
    if family is None or given is None:
        # Half a name says half as much.
        return 0.6 * (family or given or 0.0)
    # The worse component decides most: siblings share a family name.
    low, high = sorted((family, given))
    return 0.6 * low + 0.4 * high


def _closest(one: tuple[str, ...], other: tuple[str, ...]) -> float | None:
    if not one or not other:
        return None
    return max(JaroWinkler.similarity(a, b) for a in one for b in other)


def sound(form: str) -> str:
    """A coarse phonetic key of four characters (Soundex with its first letter coded too, for Latin
    script); the first two characters for other scripts."""
    if not form.isascii():
        return form[:2]
    digits: list[str] = []
    last = 0
    for letter in form:
        digit = _SOUNDS.get(letter, 0)
        if digit and digit != last:
            digits.append(str(digit))
            if len(digits) == 4:
                break
        if letter not in "hw":
            last = digit
    return ("".join(digits) or form[:1])[:4]
