"""HL7 times (TS/DTM, HL7 2.5.1 chapter 2.A.75) to instants and to DICOM dates and times."""

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

_TIME = re.compile(
    r"(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)?(\d\d)?(?:[.,](\d{1,6})\d*)?)?\s*(?:([+-])(\d\d):?(\d\d))?",
    re.ASCII,
)


def instant(text: str, zone: tzinfo) -> datetime | None:
    """The instant in UTC of a time given at least to the minute; local ones are in `zone`."""
    found = _TIME.fullmatch(text.strip())
    if found is None or found[5] is None:
        return None
    try:
        local = datetime(
            int(found[1]),
            int(found[2]),
            int(found[3]),
            int(found[4]),
            int(found[5]),
            min(int(found[6] or 0), 59),
            int((found[7] or "0").ljust(6, "0")),
            tzinfo=_offset(found[8], found[9], found[10]) or zone,
        )
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=8192)
def dicom_date(text: str) -> str:
    """DA (YYYYMMDD) of an HL7 date or time, shorter when the day or month is unknown; else empty.

    Dates written with dashes, dots or slashes, year first, are read too.
    """
    compact = re.sub(r"^(\d{4})[-./](\d\d)[-./](\d\d).*$", r"\1\2\3", text.strip())
    found = re.match(r"(\d{4})(\d\d)?(\d\d)?", compact, re.ASCII)
    if found is None:
        return ""
    year, month, day = found[1], found[2] or "", found[3] or ""
    if month in ("", "00"):
        return year if _valid(year, "01", "01") else ""
    if day in ("", "00"):
        return year + month if _valid(year, month, "01") else ""
    return year + month + day if _valid(year, month, day) else ""


def dicom_datetime(text: str, zone: tzinfo) -> str:
    """DT in the site's zone without offset; only a date where no time is given; else empty."""
    when = instant(text, zone)
    if when is None:
        return dicom_date(text)
    try:
        local = when.astimezone(zone)
    except OverflowError:
        return dicom_date(text)
    return f"{local.year:04d}{local:%m%d%H%M%S}"


def hl7_time(when: datetime, zone: tzinfo) -> str:
    """To the millisecond, with the offset."""
    local = when.astimezone(zone)
    return local.strftime("%Y%m%d%H%M%S") + f".{local.microsecond // 1000:03d}" + local.strftime("%z")


def _offset(sign: str | None, hours: str | None, minutes: str | None) -> tzinfo | None:
    if sign is None or hours is None or minutes is None:
        return None
    delta = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-delta if sign == "-" else delta)


def _valid(year: str, month: str, day: str) -> bool:
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True
