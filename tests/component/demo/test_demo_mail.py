import asyncio
import smtplib
from pathlib import Path

from anteroom.demo.mail import MailCatcher


async def test_mail_is_caught_kept_and_told(tmp_path: Path) -> None:
    said: list[str] = []
    catcher = MailCatcher(tmp_path / "mail", tell=said.append)
    await catcher.start()

    def send(subject: str) -> None:
        with smtplib.SMTP(catcher.host, catcher.port, timeout=10) as client:
            client.sendmail("a@example.org", ["b@example.org"], f"Subject: {subject}\r\n\r\nbody\r\n")

    for subject in ("one", "two"):
        await asyncio.to_thread(send, subject)
    await catcher.stop()
    assert said == ["b@example.org: one", "b@example.org: two"]
    assert [message["subject"] for message in catcher.messages] == ["one", "two"]
    assert sorted(path.name for path in catcher.folder.iterdir()) == ["0001.eml", "0002.eml"]
    await catcher.stop()

    again = MailCatcher(tmp_path / "mail")
    await again.start()
    catcher.port = again.port
    await asyncio.to_thread(send, "three")
    await again.stop()
    assert (catcher.folder / "0003.eml").exists()
