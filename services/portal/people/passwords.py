"""Passwords: what is refused, and argon2id (RFC 9106) in a thread, a few at a time."""

import asyncio
import hashlib
import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from kit.errors import Refused

SHORTEST, LONGEST = 12, 200
_hasher = PasswordHasher(time_cost=2, memory_cost=47_104, parallelism=1)
_AT_ONCE = 2
"""Each takes 46 MiB and a core; who has to wait waits."""


def check_password(password: str, *personal: str, breached: str = "") -> None:
    """Raises Refused with what to do instead. `personal` are words that anybody would try first."""
    text = _plain(password)
    if len(password) < SHORTEST:
        raise Refused("weak-password", "Take at least 12 characters. A few words in a row are easy to keep.")
    if len(password) > LONGEST:
        raise Refused("weak-password", "Take at most 200 characters.")
    if len(set(text)) < 5 or text in _common() or _run(text):
        raise Refused("weak-password", "This password is among the first that are tried. Take another.")
    if len(_without(text, personal)) < 8:
        raise Refused("weak-password", "This password is too close to your name or address.")
    if breached and _is_breached(password, Path(breached)):
        raise Refused("weak-password", "This password was found in a data breach elsewhere. Take another.")


async def hash_password(password: str) -> str:
    async with _gate():
        return await asyncio.to_thread(_hasher.hash, _normal(password))


async def verify_password(stored: str, password: str) -> bool:
    """Takes as long for an empty `stored` (no such login, no password yet), which is never right."""
    async with _gate():
        right = await asyncio.to_thread(_verify, stored or _nobody(), _normal(password[: LONGEST * 4]))
    return right and bool(stored)


def is_outdated(stored: str) -> bool:
    return _hasher.check_needs_rehash(stored)


def _verify(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _gate() -> asyncio.Semaphore:
    return asyncio.Semaphore(_AT_ONCE)


@cache
def _nobody() -> str:
    return _hasher.hash("a password that nobody has")


@cache
def _common() -> frozenset[str]:
    text = files(__package__).joinpath("common-passwords.txt").read_text("utf-8")
    return frozenset(_plain(line) for line in text.splitlines() if line and not line.startswith("#"))


def _run(text: str) -> bool:
    """One short piece over and over, or characters in their order."""
    for size in (1, 2, 3, 4):
        if text == (text[:size] * len(text))[: len(text)]:
            return True
    steps = {ord(b) - ord(a) for a, b in pairwise(text)}
    return steps in ({1}, {-1})


def _without(text: str, words: Iterable[str]) -> str:
    """What is left of the text when names and the parts of addresses are taken out."""
    parts = {part for word in words for part in re.split(r"[\W_]+", _plain(word)) if len(part) >= 4}
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "")
    return text


def _is_breached(password: str, path: Path) -> bool:
    """The file holds SHA-1 hashes in hex, a line each, sorted, a count behind a colon allowed (the
    form in which breach lists are given out). Looked up by halving: the file may be huge."""
    wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
    with path.open("rb") as file:
        low, high = 0, file.seek(0, 2)
        while low < high:
            middle = (low + high) // 2
            file.seek(middle)
            if middle:
                file.readline()
            line = file.readline()[:40].upper()
            if line == wanted:
                return True
            if not line or line > wanted:
                high = middle
            else:
                low = middle + 1
        file.seek(0)
        return file.readline()[:40].upper() == wanted


def _normal(password: str) -> str:
    """The same password from keyboards that compose characters differently."""
    return unicodedata.normalize("NFKC", password)


def _plain(text: str) -> str:
    return _normal(text).casefold()
