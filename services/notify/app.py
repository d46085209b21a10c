"""Wiring of the notify service."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

from kit.clock import Clock
from kit.errors import Unavailable
from kit.identity import Identity, Role
from kit.mail import MailServer
from kit.metrics import NEIGHBOUR_UP
from kit.metrics import NOTICES as NOTICES_ENDED
from kit.saying import say
from kit.service import Kit, Service
from kit.sms import Twilio
from kit.tasks import TaskRunner
from schemas.forward import DestinationAway, DestinationBack, ForwardFailed, StudyForwarded
from schemas.portal import AccountMailRequested, StudyDecided
from schemas.shapes import Said
from schemas.upload import SubmissionOpened
from schemas.validate import SubmissionValidated
from services.notify import handlers, tasks
from services.notify.api import STATUS_PATH, notices_router, twilio_router
from services.notify.messages import Sign
from services.notify.models import NEWS, NOTICES, Channel, News, Notice
from services.notify.ports import Ports
from services.notify.settings import NotifySettings

_GROUP = "notify"
_PROBE_EVERY = timedelta(minutes=1)


def build(kit: Kit, settings: NotifySettings) -> Service:
    mail, sms = _mail_server(settings), _twilio(settings)
    ports = Ports(
        documents=kit.documents,
        identity=kit.identity,
        clock=kit.clock,
        settings=settings,
        sign=Sign(kit.site.name, kit.site.url, settings.email.sender, settings.email.reply_to, kit.site_key),
        mail=mail,
        sms=sms,
        status_url=_status_url(kit, settings) if sms else "",
    )
    kit.bus.subscribe(SubmissionOpened, _GROUP, partial(handlers.submission_opened, ports))
    kit.bus.subscribe(SubmissionValidated, _GROUP, partial(handlers.submission_validated, ports))
    kit.bus.subscribe(StudyDecided, _GROUP, partial(handlers.study_decided, ports))
    kit.bus.subscribe(AccountMailRequested, _GROUP, partial(handlers.account_mail_requested, ports))
    kit.bus.subscribe(StudyForwarded, _GROUP, partial(handlers.study_forwarded, ports))
    kit.bus.subscribe(ForwardFailed, _GROUP, partial(handlers.forward_failed, ports))
    kit.bus.subscribe(DestinationAway, _GROUP, partial(handlers.destination_away, ports))
    kit.bus.subscribe(DestinationBack, _GROUP, partial(handlers.destination_back, ports))

    news: TaskRunner[News] = TaskRunner(
        kit.documents,
        NEWS,
        work=partial(tasks.tell, ports),
        give_up=partial(tasks.give_up_telling, ports),
        clock=kit.clock,
        owner=kit.owner,
        exclusive=kit.exclusive,
    )
    email_runner = _notice_runner(kit, ports, "email")
    sms_runner = _notice_runner(kit, ports, "sms")

    def told() -> None:
        email_runner.poke()
        sms_runner.poke()

    ports.heard, ports.told = news.poke, told
    checks = _checks(settings, mail, kit.clock, kit.identity)

    async def measure_mail() -> None:
        NEIGHBOUR_UP.labels("mail", "").set(await checks["email"]() is None)

    routers = [notices_router(ports)]
    if sms is not None and ports.status_url:
        routers.append(twilio_router(ports, sms))
    return Service(
        name="notify",
        routers=routers,
        start=[news.start, email_runner.start, sms_runner.start],
        stop=[news.stop, email_runner.stop, sms_runner.stop],
        checks=checks,
        gauges={"mail": measure_mail} if mail is not None else {},
    )


def _notice_runner(kit: Kit, ports: Ports, channel: Channel) -> TaskRunner[Notice]:
    """One a channel: a mail server that hangs holds up no SMS."""
    for state in ("sent", "failed"):
        # from 0 on, so that the first failures count as an increase
        NOTICES_ENDED.labels(channel, state)
    settings = ports.settings
    return TaskRunner(
        kit.documents,
        NOTICES,
        where={"channel": channel},
        work=partial(tasks.deliver, ports),
        give_up=partial(tasks.give_up, ports),
        clock=kit.clock,
        owner=kit.owner,
        exclusive=kit.exclusive,
        concurrency=settings.concurrency,
        max_attempts=settings.max_attempts,
    )


def _mail_server(settings: NotifySettings) -> MailServer | None:
    email = settings.email
    if not email.configured:
        return None
    return MailServer(
        host=email.host,
        port=email.port,
        tls=email.tls,
        user=email.user,
        password=email.password.get_secret_value(),
        ca_file=email.ca_file,
        timeout_s=email.timeout_s,
    )


def _twilio(settings: NotifySettings) -> Twilio | None:
    sms = settings.sms
    if not sms.configured:
        return None
    return Twilio(
        account_sid=sms.account_sid,
        auth_token=sms.auth_token.get_secret_value(),
        sender=sms.sender,
        api_url=sms.api_url,
        timeout_s=sms.timeout_s,
    )


def _status_url(kit: Kit, settings: NotifySettings) -> str:
    base = settings.sms.status_url or (kit.site.url if kit.site.url.startswith("https://") else "")
    return base.rstrip("/") + STATUS_PATH if base else ""


def _checks(
    settings: NotifySettings, mail: MailServer | None, clock: Clock, identity: Identity
) -> dict[str, Callable[[], Awaitable[Said | None]]]:
    last: list[tuple[datetime, Said | None]] = []

    async def email() -> Said | None:
        """The server is asked at most once a minute."""
        if mail is None:
            return say("email-unset", "Email is not configured: set host and sender in [notify.email].")
        now = clock()
        if not last or now - last[-1][0] > _PROBE_EVERY:
            try:
                await mail.probe()
            except Unavailable as error:
                form = "The mail server %(because)s. Look at [notify.email]."
                last[:] = [(now, say("mail-unwell", form, error.reason))]
            else:
                last[:] = [(now, None)]
        return last[-1][1]

    async def sms() -> Said | None:
        if settings.sms.configured:
            return None
        return say(
            "sms-unset", "SMS is not configured: set account_sid, auth_token and sender in [notify.sms]."
        )

    async def staff() -> Said | None:
        if any(person.email or person.phone for person in settings.staff):
            return None
        entitled = await identity.entitled(Role.APPROVE)
        if any(account.email and account.told_of_failures for account in entitled):
            return None
        return say(
            "nobody-told",
            "Nobody is told of failed deliveries: give somebody who may approve an email address, or set "
            "staff in [notify].",
        )

    return {"email": email, "sms": sms, "staff notices": staff}
