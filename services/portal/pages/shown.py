"""How values are written for people: times, dates, names, sizes. Pure; the filters of all templates.

Times are rendered by the server in the site's zone and words like "4 min ago"; when.js brings them to
the browser's own zone and keeps them current, in the same words, so that nothing moves.
"""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from kit.saying import REFUSAL
from schemas.shapes import Finding, Said
from services.portal.models import AuditEntry
from services.portal.texts import translated as _t
from services.portal.texts.bycode import refusal, sentence_for, sentences

MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sept", "Oct", "Nov", "Dec",
)  # fmt: skip
_DAYS = frozenset({"until"})
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def ago(language: str, time: datetime, now: datetime) -> str:
    """As Intl.RelativeTimeFormat says it (style short, numeric auto); older than a week: the date."""
    seconds = (now - time).total_seconds()
    size, past = abs(seconds), seconds > 0
    if size < _MINUTE:
        return _t(language, "now")
    if size < _HOUR:
        span = f"{int(size // _MINUTE)} min"
    elif size < _DAY:
        span = f"{int(size // _HOUR)} hr"
    elif size < 2 * _DAY:
        return _t(language, "yesterday" if past else "tomorrow")
    elif size < 7 * _DAY:
        span = f"{int(size // _DAY)} days"
    else:
        return day(language, time.date())
    return _t(language, f"{span} ago" if past else f"in {span}")


def exact(language: str, time: datetime, zone: str) -> str:
    """2 Nov 2026, 10:42 in the given zone."""
    local = time.astimezone(ZoneInfo(zone))
    return f"{day(language, local.date())}, {local:%H:%M}"


def iso(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(language: str, value: date) -> str:
    """2 Nov 2026; in German 2. Nov. 2026."""
    month = _t(language, MONTHS[value.month - 1])
    return f"{value.day}{'.' if language == 'de' else ''} {month} {value.year}"


def dicom_date(language: str, text: str) -> str:
    """A DICOM DA (PS3.5 6.2, also of ACR-NEMA's form 1994.11.05) with its month's name; as it is when it is
    none, a dash when empty."""
    if not text:
        return "–"
    digits = text.replace(".", "")
    try:
        return day(language, date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])))
    except ValueError:
        return text[:20]


def person_name(text: str) -> str:
    """A DICOM PN as people write it: Family, Given Middle (other scripts in brackets)."""
    groups = [_group(group) for group in text.split("=")[:3]]
    first = next((group for group in groups if group), "–")
    others = [group for group in groups if group and group != first]
    return f"{first} ({', '.join(others)})" if others else first


def _group(text: str) -> str:
    family, given, middle, *_ = [*(part.strip() for part in text.split("^")), "", "", ""]
    return ", ".join(part for part in (family, " ".join(part for part in (given, middle) if part)) if part)


def size(count: float) -> str:
    """Bytes in the largest decimal unit that fits."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def number(value: int, language: str = "en") -> str:
    """1,204 or 1.204."""
    text = f"{value:,}"
    return text.replace(",", ".") if language == "de" else text


def finding(found: Finding, language: str) -> str:
    """What was found, in that language; in its own words where nobody translated it."""
    named = {name for name, value in found.values.items() if value}
    sentence = sentence_for("findings", language, found.code, named)
    if sentence is None:
        return found.text
    values = {**found.values, "count": found.count}
    return sentence % {name: number(value, language) for name, value in values.items()}


def said(words: Said, language: str) -> str:
    """In that language; in English where nobody translated it, or it lacks what the translation names."""
    if words.code.startswith(REFUSAL):
        return refusal(language, words.code.removeprefix(REFUSAL), words.text)
    form = sentences("sayings", language).get(words.code)
    if form is None:
        return words.text
    values = {name: _named(name, value, language) for name, value in words.values.items()}
    values["because"] = "; ".join(said(clause, language) for clause in words.because)
    try:
        return form % values
    except KeyError:
        return words.text


def _named(name: str, value: str | int, language: str) -> str:
    """A number as people write it, a day, or names; those of ours, parted by commas, have names too."""
    if isinstance(value, int):
        return number(value, language)
    if name in _DAYS:
        return dicom_date(language, value.replace("-", ""))
    names = sentences("names", language)
    return ", ".join(names.get(f"{name}:{part}", part) for part in value.split(","))


def entry(found: AuditEntry, language: str) -> str:
    """What an entry of the audit trail says besides who did what."""
    return said(Said(code=found.code, text=found.detail, values=found.values), language)


def initials(name: str) -> str:
    words = [word for word in name.replace(".", " ").split() if word[:1].isalnum()]
    letters = [words[0][0], *(word[0] for word in words[-1:] if len(words) > 1)] if words else ["?"]
    return "".join(letters).upper()
