"""The Twilio client against its contract on loopback."""

import logging

import pytest

from kit.errors import PermanentError, Unavailable, Uncertain
from kit.sms import Twilio
from tests.neighbours.process import free_port
from tests.neighbours.twilio import ACCOUNT, TOKEN, TwilioServer


def client(server: TwilioServer, **more: object) -> Twilio:
    values = {"sender": "+15005550006", "api_url": server.url, "timeout_s": 5.0, **more}
    return Twilio(ACCOUNT, TOKEN, **values)  # type: ignore[arg-type]


async def test_a_message(twilio_server: TwilioServer) -> None:
    sid = await client(twilio_server).send(
        "+4315550100", "Grüße & 1+1=2", status_callback="http://127.0.0.1/x?notice=1"
    )
    (message,) = twilio_server.messages
    assert sid == message["Sid"]
    assert message["Body"] == "Grüße & 1+1=2"
    assert message["From"] == "+15005550006"
    assert message["StatusCallback"] == "http://127.0.0.1/x?notice=1"


async def test_by_messaging_service(twilio_server: TwilioServer) -> None:
    await client(twilio_server, sender="MG" + "1" * 32).send("+4315550100", "hello")
    assert twilio_server.messages[0]["MessagingServiceSid"] == "MG" + "1" * 32
    assert "From" not in twilio_server.messages[0]
    assert "StatusCallback" not in twilio_server.messages[0]


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, 21211, PermanentError),
        (400, 21610, PermanentError),
        (400, 21606, Unavailable),
        (429, 20429, Unavailable),
        (500, 20500, Unavailable),
        (503, 20503, Unavailable),
        (403, 20003, Unavailable),
    ],
)
async def test_errors_by_code(
    twilio_server: TwilioServer,
    caplog: pytest.LogCaptureFixture,
    status: int,
    code: int,
    error: type[Exception],
) -> None:
    caplog.set_level(logging.DEBUG)
    twilio_server.errors.append((status, code))
    with pytest.raises(error, match=str(code)) as caught:
        await client(twilio_server).send("+4315550100", "hello")
    assert "5550100" not in str(caught.value)
    assert "5550100" not in caplog.text
    assert TOKEN not in caplog.text


async def test_a_wrong_token(twilio_server: TwilioServer) -> None:
    wrong = Twilio(ACCOUNT, "2" * 32, "+15005550006", twilio_server.url)
    with pytest.raises(Unavailable, match="20003"):
        await wrong.send("+4315550100", "hello")
    assert "2" * 32 not in repr(wrong)


@pytest.mark.parametrize("fault", ["hang", "drop", "garbage", "huge"])
async def test_what_broke_after_it_was_taken_is_uncertain(twilio_server: TwilioServer, fault: str) -> None:
    twilio_server.fault = fault  # type: ignore[assignment]
    with pytest.raises(Uncertain):
        await client(twilio_server, timeout_s=0.5).send("+4315550100", "hello")
    assert len(twilio_server.messages) == 1


async def test_an_error_page_of_a_proxy(twilio_server: TwilioServer) -> None:
    twilio_server.fault = "html-503"
    with pytest.raises(Unavailable, match="503"):
        await client(twilio_server).send("+4315550100", "hello")


async def test_nobody_there() -> None:
    gone = Twilio(ACCOUNT, TOKEN, "+15005550006", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="can't be reached"):
        await gone.send("+4315550100", "hello")
