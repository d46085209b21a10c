"""Sealing: what may lie in a document or an event, but be read by the installation alone.

AES-256-GCM under a key derived (HKDF-SHA-256) from the site's key for one purpose: what was sealed
for one purpose can't be opened, or passed off, for another.
"""

import base64
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kit.errors import PermanentError
from kit.saying import say

_NONCE = 12
MAIL = "account-mail"
"""Purpose of the secrets in mails that portal asks for and notify writes."""


def seal(site_key: bytes, purpose: str, text: str) -> str:
    nonce = secrets.token_bytes(_NONCE)
    sealed = AESGCM(_key(site_key, purpose)).encrypt(nonce, text.encode(), None)
    return base64.urlsafe_b64encode(nonce + sealed).decode()


def unseal(site_key: bytes, purpose: str, sealed: str) -> str:
    """Raises PermanentError for what this installation did not seal for this purpose."""
    try:
        data = base64.urlsafe_b64decode(sealed)
        return AESGCM(_key(site_key, purpose)).decrypt(data[:_NONCE], data[_NONCE:], None).decode()
    except (InvalidTag, ValueError):
        said = say("sealed-elsewhere", "the sealed part was not made by this installation")
        raise PermanentError(said) from None


def _key(site_key: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(site_key)
