"""TLS for DICOM: the BCP 195 profile (PS3.15 B.9, B.12): TLS 1.2 or later, forward secrecy, AEAD."""

import ssl
from pathlib import Path

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"


def server_context(
    certificate: Path, key: Path, *, ca: Path | None = None, require_client: bool = False
) -> ssl.SSLContext:
    """For the side that listens; `ca` signs the certificates of those who call.

    Raises OSError or ssl.SSLError when a file is missing or wrong.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    context.load_cert_chain(certificate, key)
    if ca is not None:
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED if require_client else ssl.CERT_OPTIONAL
    elif require_client:
        raise ValueError("requiring client certificates needs the CA that signs them")
    return context


def client_context(
    ca: Path | None = None,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    check_host: bool = True,
) -> ssl.SSLContext:
    """For the side that calls; without `ca` the system's authorities count."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    context.check_hostname = check_host
    if ca is not None:
        context.load_verify_locations(ca)
    else:
        context.load_default_certs()
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def common_name(certificate: object) -> str | None:
    """The subject's common name out of what getpeercert() gave."""
    if not isinstance(certificate, dict):
        return None
    for part in certificate.get("subject", ()):
        for name, value in part:
            if name == "commonName":
                return str(value)
    return None


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
