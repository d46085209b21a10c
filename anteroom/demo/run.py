"""`anteroom demo`: the whole way of one real study, with neighbours of its own, a line a stage."""

import asyncio
import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

from anteroom.demo.journey import Journey
from anteroom.demo.mail import MailCatcher
from anteroom.demo.neighbour import choose
from anteroom.demo.ports import free_or_other
from anteroom.demo.telling import Teller
from anteroom.serving import loop_factory
from anteroom.settings import Settings
from anteroom.up import serve
from kit.destinations import Destination
from kit.errors import AnteroomError
from kit.identity import Account, Role
from kit.logging import configure
from schemas.shapes import Person

CLINIC = "demo-clinic"


def run(settings: Settings, *, leave: bool, data: Path | None = None) -> int:
    """Returns the exit status: 0 once the study is proved in the PACS, 1 when it can't be.

    `data` is Anteroom's data folder and stays; without it, one that is gone with the demo.
    """
    configure("ERROR")
    folder = Path(tempfile.mkdtemp(prefix="anteroom-demo-"))
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(_run(settings, folder, leave, data or folder / "data"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _run(settings: Settings, folder: Path, leave: bool, data: Path) -> int:
    tell = Teller(sys.stdout)
    dicom_port = free_or_other(settings.upload.dicom_port)
    pacs = choose(folder / "pacs", settings.site.ae_title, dicom_port)
    mail = MailCatcher(folder / "mail", tell=lambda line: tell.stage("mail", line))
    stop = asyncio.Event()
    outcome: list[bool] = []
    tell.title("Anteroom's demo: a study from outside on its way into the PACS")
    try:
        await asyncio.to_thread(pacs.start)
    except (OSError, RuntimeError) as error:
        tell.failed(str(error))
        return 1
    try:
        await mail.start()
        ours = _settings(settings, data, dicom_port, pacs.ae_title, pacs.port, mail.port)

        async def ready(running: Settings, url: str, doors: dict[str, str]) -> None:
            tell.stage("neighbours", f"PACS: {pacs.title}, port {pacs.port}; mail catcher on {mail.port}")
            tell.stage("ready", f"{url}, " + ", ".join(f"{name} {where}" for name, where in doors.items()))
            token = (running.process.data / "admin.token").read_text().strip()
            journey = Journey(url, token, running.match.hl7_port, running.site.default_issuer, tell)

            async def go() -> None:
                try:
                    outcome.append(await asyncio.to_thread(journey.travel))
                    if outcome[0] and not leave:
                        tell.looking_around(url, running.process.data, pacs.look, mail.folder)
                    if leave:
                        await _let_mail_arrive(mail)
                finally:
                    # Whatever a journey meets: who waits for the end of the demo gets it.
                    if leave or not outcome:
                        stop.set()

            tasks.append(asyncio.create_task(go()))

        tasks: list[asyncio.Task[None]] = []
        await serve(ours, ready=ready, stop=stop)
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    except AnteroomError as error:
        tell.failed(str(error))
    finally:
        await mail.stop()
        await asyncio.to_thread(pacs.stop)
    return 0 if outcome and outcome[0] else 1


async def _let_mail_arrive(mail: MailCatcher) -> None:
    for _ in range(50):
        if mail.messages:
            return
        await asyncio.sleep(0.1)


def _settings(
    settings: Settings, data: Path, dicom_port: int, pacs_ae: str, pacs_port: int, mail_port: int
) -> Settings:
    """The person's settings with the demo's neighbours in them."""
    notify = settings.notify.model_copy(
        update={
            "email": settings.notify.email.model_copy(
                update={
                    "host": "127.0.0.1",
                    "port": mail_port,
                    "tls": "none",
                    "sender": "anteroom@hospital.example",
                }
            ),
            "staff": (Person(name="File room", email="fileroom@hospital.example"),),
            "combine_s": 0,
        }
    )
    clinic = Account(
        id=CLINIC,
        name="Demo Clinic",
        origin=CLINIC,
        email="office@clinic.example",
        roles=[Role.SEND],
        destinations=["demo-pacs"],
    )
    destination = Destination(
        id="demo-pacs", host="127.0.0.1", port=pacs_port, called_ae=pacs_ae, calling_ae=settings.site.ae_title
    )
    return settings.model_copy(
        update={
            "process": settings.process.model_copy(update={"data": data, "log_level": "ERROR"}),
            "http": settings.http.model_copy(update={"port": free_or_other(settings.http.port)}),
            "site": settings.site.model_copy(
                update={"default_issuer": settings.site.default_issuer or "HOSPITAL"}
            ),
            "upload": settings.upload.model_copy(update={"dicom_port": dicom_port}),
            "match": settings.match.model_copy(
                update={"hl7_host": "127.0.0.1", "hl7_port": free_or_other(settings.match.hl7_port)}
            ),
            "notify": notify,
            "accounts": [*settings.accounts, clinic],
            "destinations": [*settings.destinations, destination],
        }
    )
