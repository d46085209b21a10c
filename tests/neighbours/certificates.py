"""TLS material made at run time: one authority, certificates for 127.0.0.1 and for clients."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.neighbours.process import binary


@dataclass(frozen=True)
class Pair:
    """PEM files; the certificate's subject common name is `name`."""

    name: str
    key: Path
    certificate: Path


class Authority:
    """Signs certificates; `certificate` is the PEM file to trust."""

    def __init__(self, folder: Path, openssl: str) -> None:
        self._folder = folder
        self._openssl = openssl
        self.key = folder / "ca.key"
        self.certificate = folder / "ca.pem"
        self._run(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", str(self.key), "-out", str(self.certificate), "-subj", "/CN=Test authority"),
            *("-days", "2", "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )

    def issue(self, name: str) -> Pair:
        """A certificate for servers and clients, valid for 127.0.0.1 and localhost."""
        stem = self._folder / name.replace("/", "_")
        key, request, certificate = (stem.with_suffix(s) for s in (".key", ".csr", ".pem"))
        self._run(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", str(key), "-out", str(request), "-subj", f"/CN={name}"),
        )
        extensions = stem.with_suffix(".ext")
        extensions.write_text(
            "subjectAltName=IP:127.0.0.1,DNS:localhost\n"
            "extendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        )
        self._run(
            *("x509", "-req", "-in", str(request), "-CA", str(self.certificate), "-CAkey", str(self.key)),
            *("-CAcreateserial", "-out", str(certificate), "-days", "2", "-extfile", str(extensions)),
        )
        return Pair(name, key, certificate)

    def _run(self, *arguments: str) -> None:
        subprocess.run([self._openssl, *arguments], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), binary("openssl", "openssl"))


@pytest.fixture(scope="session")
def server_certificate(authority: Authority) -> Pair:
    return authority.issue("server")
