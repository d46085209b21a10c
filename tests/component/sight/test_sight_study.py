"""One study's whole way, refusals and failures on it, and what of it can be seen from outside."""

import secrets
from dataclasses import dataclass

import pytest

from tests.component.sight import doings
from tests.component.sight.hospital import PHI, Hospital
from tests.neighbours.collector import Span
from tests.unit.k8s.queries import asked, known


@dataclass(frozen=True)
class Seen:
    hospital: Hospital
    submission_id: str
    metrics: str
    public: tuple[int, int]
    """How /metrics is answered at the public port: without a token, with the administrator's."""
    trace: list[Span]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Everything that was to be seen, once all is over."""
    hospital = Hospital(tmp_path_factory.mktemp("sight"))
    hospital.open()
    try:
        study, other = (f"1.2.826.0.1.3680043.10.1.{secrets.randbits(60)}" for _ in range(2))
        doings.feed(hospital)
        doings.bad_hl7(hospital)
        submission_id = doings.send_study(hospital, doings.files(hospital.folder / "sent", study))
        doings.store_by_dicom(hospital, other)
        doings.ask_wrongly(hospital)
        study_id = doings.approve(hospital)
        hospital.until(lambda: doings.refused_by_pacs(hospital, study_id))
        hospital.pacs_start()
        hospital.until(lambda: doings.in_pacs(hospital, study_id))
        doings.look_at(hospital, study_id)
        hospital.until(lambda: any("archive" in mail["subject"] for mail in hospital.mail.messages))
        metrics, public = hospital.metrics(), hospital.public_metrics()
    finally:
        hospital.close()
    return Seen(
        hospital,
        submission_id,
        metrics,
        public,
        [span for span in hospital.collector.spans if span.trace == submission_id],
    )


def found_in(text: str) -> set[str]:
    small = text.lower()
    return {phi for phi in PHI if phi in small}


SERVICES = {"upload", "validate", "match", "portal", "view", "forward", "notify"}
MAY_NAME_PATIENTS = {
    *("hl7-received", "patient-changed", "patient-merged", "pack-written", "study-arrived", "study-updated"),
    *("study-matched", "study-unmatched", "study-decided"),
    "submission-opened",  # in the sender's note, as people write them
}


OF_THE_PROCESS = (
    "DICOM door listens",
    "HL7 by MLLP is taken",
    "HL7 connection",
    "the end of the audit trail",
)
"""How lines begin that belong to no piece of work."""


def test_no_line_of_the_log_holds_anything_of_the_patient(seen: Seen) -> None:
    assert {line.get("service") for line in seen.hospital.log()} >= SERVICES
    assert found_in(seen.hospital.raw_log()) == set()


def test_what_went_wrong_is_in_the_log(seen: Seen) -> None:
    """Else nothing was proved of it."""
    text = seen.hospital.raw_log()
    for said in ("This is not HL7", "no patient ID", "DICOM association from", "is tried again later"):
        assert said in text, said
    assert "Traceback" not in text
    assert not [line for line in seen.hospital.log() if line["level"] == "error"]


def test_every_line_of_work_says_what_it_belongs_to(seen: Seen) -> None:
    lines = seen.hospital.log()
    without = {line["message"] for line in lines if "correlation_id" not in line}
    assert not [text for text in without if not text.startswith(OF_THE_PROCESS)]
    mine = [line for line in lines if line.get("correlation_id") == seen.submission_id]
    assert {line["service"] for line in mine} >= SERVICES
    assert any(line["message"].startswith("task") and line["service"] == "forward" for line in mine)


def test_no_metric_trace_message_or_name_holds_anything_of_the_patient(seen: Seen) -> None:
    assert "anteroom_work_seconds_bucket" in seen.metrics
    assert found_in(seen.metrics) == set()
    assert seen.hospital.collector.bodies
    assert found_in(b"".join(seen.hospital.collector.bodies).decode("latin-1")) == set()
    assert len(seen.hospital.mail.messages) >= 2
    assert found_in("".join(str(message) for message in seen.hospital.mail.messages)) == set()
    data = seen.hospital.server.data
    assert found_in("\n".join(str(path.relative_to(data)) for path in data.rglob("*"))) == set()
    assert found_in((data / "server.json").read_text()) == set()


def test_every_metric_that_is_asked_for_is_exposed(seen: Seen) -> None:
    """But for one that only counts what goes wrong."""
    exposed = {
        line.partition("{")[0].partition(" ")[0] for line in seen.metrics.splitlines() if line[:1] != "#"
    }
    assert {one.name for one in asked()} - exposed <= {"anteroom_gauges_not_refreshed_total"}
    assert exposed >= known().keys() - {"anteroom_gauges_not_refreshed_total"}
    assert 'anteroom_neighbour_up{name="pacs",neighbour="destination"} 1.0' in seen.metrics
    assert 'anteroom_neighbour_up{name="",neighbour="mail"} 1.0' in seen.metrics
    assert "anteroom_dead_letters 0.0" in seen.metrics


def test_metrics_are_nobody_elses_business(seen: Seen) -> None:
    assert seen.public == (401, 200)


def test_only_events_about_patients_name_them(seen: Seen) -> None:
    naming: dict[str, set[str]] = {}
    for topic, body in seen.hospital.events():
        naming.setdefault(topic, set()).update(found_in(bytes(body).decode()))
    assert {topic for topic, found in naming.items() if found} <= MAY_NAME_PATIENTS
    assert {"quarkson", "phi-7730415"} <= naming["study-arrived"]
    assert {"submission-opened", "submission-validated", "study-forwarded", "notice-sent"} <= naming.keys()


def test_one_study_is_one_trace_through_all_services(seen: Seen) -> None:
    assert {span.service for span in seen.trace} >= SERVICES
    names = {(span.service, span.name) for span in seen.trace}
    assert names >= {
        ("upload", "POST /api/submissions"),
        ("upload", "publish batch-received"),
        ("validate", "handle batch-received"),
        ("validate", "task batches"),
        ("validate", "publish study-arrived"),
        ("match", "handle study-arrived"),
        ("match", "publish study-matched"),
        ("portal", "handle study-matched"),
        ("portal", "POST /api/studies/{study_id}/decision"),
        ("portal", "publish study-decided"),
        ("forward", "handle study-decided"),
        ("forward", "task deliveries"),
        ("forward", "C-STORE"),
        ("forward", "publish study-forwarded"),
        ("notify", "handle study-forwarded"),
        ("notify", "task notify_news"),
        ("notify", "task notices"),
        ("notify", "publish notice-sent"),
    }


def test_every_span_hangs_where_it_belongs(seen: Seen) -> None:
    spans = {span.id: span for span in seen.trace}
    roots = [span for span in seen.trace if not span.parent]
    assert [span for span in seen.trace if span.parent and span.parent not in spans] == []
    assert {span.kind for span in roots} <= {1, 2}, "what begins by itself: a request, or a task of a door"
    forwarded = next(span for span in seen.trace if span.name == "handle study-forwarded")
    way = []
    while forwarded.parent:
        forwarded = spans[forwarded.parent]
        way.append(forwarded.name)
    assert way == [
        "publish study-forwarded",
        "task deliveries",
        "publish study-decided",
        "POST /api/studies/{study_id}/decision",
    ]


def test_what_failed_is_marked_and_timed(seen: Seen) -> None:
    sends = [span for span in seen.trace if span.name == "C-STORE"]
    assert {span.failed for span in sends} == {True, False}
    assert {span.attributes.get("error.type") for span in sends} == {"Unreachable", None}
    well = next(span for span in sends if not span.failed)
    assert well.attributes["anteroom.destination"] == "pacs"
    assert well.attributes["anteroom.instances"] == 2
    assert all(span.ended >= span.began for span in seen.trace)
    assert all(span.attributes["anteroom.correlation_id"] == seen.submission_id for span in seen.trace)


def test_messages_have_traces_of_their_own(seen: Seen) -> None:
    messages = [span for span in seen.hospital.collector.spans if span.name == "HL7"]
    taken = [span for span in messages if any(handled(seen, span, "handle hl7-received"))]
    assert len(taken) == 2
    assert len(messages) - len(taken) >= 4
    association = [span for span in seen.hospital.collector.spans if span.name == "DICOM association"]
    assert any(any(handled(seen, span, "handle submission-opened")) for span in association)


def handled(seen: Seen, first: Span, name: str) -> list[bool]:
    return [s.name == name for s in seen.hospital.collector.spans if s.trace == first.trace]


def test_the_collector_was_shown_its_header(seen: Seen) -> None:
    headers = {key.lower(): value for key, value in seen.hospital.collector.headers[0].items()}
    assert headers["authorization"] == "Bearer of-the-collector"
