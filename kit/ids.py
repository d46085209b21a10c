"""Identifiers: random ones for what a person starts, derived ones for what must not happen twice."""

import hashlib
import hmac
import secrets
import uuid

_NAMESPACE = uuid.UUID("6f0f2b0e-2a52-5e0c-9c57-0c3e9d6a8f11")


def random_id() -> str:
    """128 unguessable bits as 32 hex digits: a submission, an upload, a decision."""
    return secrets.token_hex(16)


def secret_token() -> str:
    """256 unguessable bits, URL-safe: an API token or a link."""
    return secrets.token_urlsafe(32)


def derived_id(*parts: str) -> str:
    """The same parts give the same id (32 hex digits): a redelivered event finds what it made before."""
    return uuid.uuid5(_NAMESPACE, "\x1f".join(parts)).hex


def keyed_id(key: bytes, *parts: str) -> str:
    """Like derived_id, but nobody without the site's key can compute it (32 hex digits)."""
    return hmac.new(key, "\x1f".join(parts).encode(), hashlib.sha256).hexdigest()[:32]
