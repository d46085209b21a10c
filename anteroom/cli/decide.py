"""`anteroom approve`, `decline`, `ask` and `retry`: decisions on what the person saw a moment before."""

from typing import Any

import click

from anteroom.cli.connection import Failure, connected
from anteroom.cli.studies import find
from anteroom.cli.terminal import coloured, json_out, person, plain
from anteroom.client.api import Api, ApiError, rows


@click.command()
@click.argument("study")
@click.option(
    "--patient", metavar="KEY", help="Whose it is: a patient key that `anteroom show` or a search knows."
)
@click.option("--as-sent", is_flag=True, help="Forward it as it came, without changing whose it is.")
@click.option("--order", metavar="KEY", help="Order key of that patient, or none. Default: the match's own.")
@click.option("--destination", "destinations", multiple=True, metavar="NAME", help="Where to; may repeat.")
@click.option("--yes", is_flag=True, help="Don't ask before a study without a certain match.")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
@connected
def approve(
    api: Api,
    study: str,
    patient: str | None,
    as_sent: bool,
    order: str | None,
    destinations: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """Let a STUDY into the PACS, under its match or the patient named."""
    if patient and as_sent:
        raise click.UsageError("Give either --patient or --as-sent.")
    detail = find(api, study)
    target, whose, orders = _target(api, detail, patient, as_sent)
    where = f" to {', '.join(destinations)}" if destinations else ""
    images = detail["study"]["instances"]
    if not as_json:
        click.echo(f"{images} images of {person(detail['study']['patient'])} go{where} {whose}.")
    if detail["study"]["needs_person"] and not yes:
        for finding in detail["study"]["findings"]:
            if finding["severity"] != "info":
                click.echo(f"  {plain(finding['text'])}", err=True)
        click.confirm("There are findings that a person should look at. Approve?", abort=True, err=True)
    body: dict[str, Any] = {"action": "approve", "target": target, "destinations": list(destinations)}
    if order:
        body["order"] = orders.get(order, order)
    _decide(api, detail, body, as_json)


@click.command()
@click.argument("study")
@click.option("--reason", required=True, help="Shown to the sender; no patient data.")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
@connected
def decline(api: Api, study: str, reason: str, as_json: bool) -> None:
    """Turn a STUDY down: it will not reach the PACS."""
    _decide(api, find(api, study), {"action": "decline", "reason": reason}, as_json)


@click.command()
@click.argument("study")
@click.option("--reason", required=True, help="What the sender is asked for; no patient data.")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
@connected
def ask(api: Api, study: str, reason: str, as_json: bool) -> None:
    """Ask the sender of a STUDY to explain or send again."""
    _decide(api, find(api, study), {"action": "ask-sender", "reason": reason}, as_json)


@click.command()
@click.argument("study")
@connected
def retry(api: Api, study: str) -> None:
    """Try the failed deliveries of a STUDY again."""
    detail = find(api, study)
    failed = [d for d in detail["deliveries"] if d["state"] == "failed"]
    decision = detail["decision"]
    failed = [d for d in failed if decision is not None and d["decision_id"] == decision["id"]]
    if not failed:
        raise Failure("No delivery of this study has failed.")
    for delivery in failed:
        api.post(f"/api/deliveries/{delivery['delivery_id']}/retry")
        click.echo(
            f"{plain(delivery['destination'])}: trying again. `anteroom show {detail['id'][:12]}` tells more."
        )


def _target(
    api: Api, detail: dict[str, Any], patient: str | None, as_sent: bool
) -> tuple[Any, str, dict[str, Any]]:
    """The target as the API takes it, in words, and the orders of a patient who is no candidate."""
    match = detail["match"]
    if as_sent:
        return "as-sent", "as they came", {}
    if patient is None:
        if match is None or match["chosen"] is None:
            raise Failure(
                "It is not certain whose it is. Choose --patient KEY or --as-sent: see `anteroom show`."
            )
        return "match", f"under the name of {person(match['chosen']['patient'])}", {}
    for candidate in [match["chosen"] or {}, *match["candidates"]] if match else []:
        if candidate.get("patient_key") == patient:
            return {"patient_key": patient}, f"under the name of {person(candidate['patient'])}", {}
    found = _known_patient(api, patient)
    orders = {row["order_key"]: row["order"] for row in found["orders"]}
    return {"patient": found["patient"]}, f"under the name of {person(found['patient'])}", orders


def _known_patient(api: Api, key: str) -> dict[str, Any]:
    """A patient of the hospital who is no candidate, by key or ID."""
    found = rows(api.post("/api/patients/search", {"q": key}))
    exact = [row for row in found if key in {row["patient_key"], row["patient"]["patient_id"]}]
    if len(exact) != 1:
        raise Failure(
            "No single patient of the hospital has this key or ID. `anteroom show` lists the candidates."
        )
    return exact[0]


def _decide(api: Api, detail: dict[str, Any], body: dict[str, Any], as_json: bool) -> None:
    revisions = {key: detail[key] for key in ("study_revision", "match_revision")}
    try:
        answer = api.post(f"/api/studies/{detail['id']}/decision", {**revisions, **body})
    except ApiError as error:
        if error.code == "stale":
            raise Failure(f"{error} (anteroom show {detail['id'][:12]})") from error
        raise
    if as_json:
        json_out(answer)
        return
    again = "This was decided before; it stays so. " if answer["repeated"] else ""
    click.echo(f"{again}The study is now: {coloured(answer['state'])}")
    if answer["repeated"] and answer["state"] == "failed":
        click.echo(f"To send it once more: anteroom retry {detail['id'][:12]}")
