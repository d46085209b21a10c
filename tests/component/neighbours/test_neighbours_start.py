"""The neighbours themselves: each starts, answers and can be ended."""

import asyncio
import smtplib
import socket
import ssl
import struct
import subprocess
from pathlib import Path

from anteroom.demo.orthanc import Orthanc
from tests.neighbours.antivirus import EICAR, Clamd
from tests.neighbours.certificates import Authority, Pair
from tests.neighbours.mail import MailServer, StartMail
from tests.neighbours.pacs import Storescp
from tests.neighbours.process import binary, listens


def _scan(clamd: Clamd, data: bytes) -> bytes:
    with socket.create_connection((clamd.host, clamd.port), timeout=30) as connection:
        connection.sendall(b"zINSTREAM\0" + struct.pack(">I", len(data)) + data + struct.pack(">I", 0))
        return connection.recv(4096)


def test_clamd_finds_eicar_and_lets_the_rest_pass(clamd: Clamd) -> None:
    assert b"Test.Eicar" in _scan(clamd, EICAR)
    assert b"OK" in _scan(clamd, b"a harmless file")


def test_clamd_can_go_away_and_come_back(clamd: Clamd) -> None:
    clamd.process.stop()
    assert not listens(clamd.port)
    clamd.start()
    assert b"OK" in _scan(clamd, b"a harmless file")


def test_orthanc_answers_and_knows_no_study(orthanc: Orthanc) -> None:
    echo = [binary("echoscu", "dcmtk"), orthanc.host, str(orthanc.dicom_port)]
    subprocess.run(echo, check=True, timeout=30, env={"TCP_NODELAY": "1"})
    assert orthanc.count_instances("1.2.3") == 0
    assert orthanc.study("1.2.3") is None


def test_storescp_answers(storescp: Storescp) -> None:
    echo = [binary("echoscu", "dcmtk"), storescp.host, str(storescp.port)]
    subprocess.run(echo, check=True, timeout=30, env={"TCP_NODELAY": "1"})
    assert storescp.received() == []


async def test_mail_server_keeps_what_it_gets(mail_server: MailServer) -> None:
    def send() -> None:
        with smtplib.SMTP(mail_server.host, mail_server.port, timeout=10) as client:
            client.sendmail("a@example.org", ["b@example.org"], "Subject: hello\n\nbody\n")

    await asyncio.to_thread(send)
    (received,) = mail_server.received
    assert received.recipients == ("b@example.org",)
    assert received.message["subject"] == "hello"


async def test_mail_server_wants_starttls_and_login(
    start_mail: StartMail, authority: Authority, server_certificate: Pair
) -> None:
    mail = await start_mail(certificate=server_certificate, tls="starttls", login=("user", "secret"))

    def send() -> None:
        context = ssl.create_default_context(cafile=str(authority.certificate))
        with smtplib.SMTP(mail.host, mail.port, timeout=10) as client:
            client.starttls(context=context)
            client.login("user", "secret")
            client.sendmail("a@example.org", ["b@example.org"], "Subject: hello\n\nbody\n")

    await asyncio.to_thread(send)
    (received,) = mail.received
    assert received.encrypted
    assert received.login == "user"


def test_certificates_are_of_one_authority(authority: Authority, server_certificate: Pair) -> None:
    verify = ["openssl", "verify", "-CAfile", str(authority.certificate), str(server_certificate.certificate)]
    assert b"OK" in subprocess.run(verify, check=True, capture_output=True, timeout=30).stdout
    assert isinstance(server_certificate.key, Path)
