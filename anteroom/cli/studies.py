"""`anteroom ls` and `anteroom show`."""

from typing import Any

import click

from anteroom.cli.connection import Failure, connected
from anteroom.cli.terminal import coloured, day, json_out, local, person, plain, size, table
from anteroom.client.api import Api, ApiError, rows

SHORT = 12
_STATES = ["arrived", "unmatched", "review", "approved", "in-pacs", "failed", "declined", "asked"]


@click.command()
@click.argument("search", required=False, default="")
@click.option("--state", type=click.Choice(_STATES), help="Only studies in this state.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--json", "as_json", is_flag=True, help="One JSON list on stdout.")
@connected
def ls(api: Api, search: str, state: str | None, limit: int, as_json: bool) -> None:
    """List studies, newest first. SEARCH: beginning of a patient's name or ID, an accession number."""
    found, cursor = listed(api, limit, q=search, state=state)
    if as_json:
        json_out(found)
        return
    if not found:
        click.echo("No studies." if not (search or state) else "No studies like that.")
        return
    columns = [
        "study",
        "state",
        "patient",
        "date",
        "modality",
        "description",
        "images",
        "size",
        "sender",
        "arrived",
    ]
    table(
        columns,
        (
            [
                row["id"][:SHORT],
                row["state"],
                person(row["patient"]),
                day(row["study_date"]),
                "/".join(row["modalities"]),
                row["description"],
                row["instances"],
                size(row["bytes"]),
                row["sender"],
                local(row["arrived_at"]),
            ]
            for row in found
        ),
        right=("images", "size"),
    )
    if cursor:
        click.echo(f"The newest {len(found)}; there are more: --limit, --state or a search shows them.")


def listed(api: Api, limit: int, **query: Any) -> tuple[list[dict[str, Any]], str | None]:
    found: list[dict[str, Any]] = []
    cursor = None
    while len(found) < limit:
        page = api.post(
            "/api/studies/search", {**query, "limit": min(200, limit - len(found)), "cursor": cursor}
        )
        found += page["studies"]
        cursor = page["cursor"]
        if cursor is None:
            break
    return found, cursor


def find(api: Api, text: str) -> dict[str, Any]:
    """The study of this id, or of an unmistakable beginning of it."""
    wanted = text.strip().lower()
    if not (wanted.isalnum() and wanted.isascii()):
        raise Failure("Name a study by its id, or the beginning of it, as `anteroom ls` shows.")
    try:
        return dict(api.get(f"/api/studies/{wanted}"))
    except ApiError as error:
        if error.status != 404 or len(wanted) >= 32:
            raise
    newest, _ = listed(api, 2000)
    found = [row["id"] for row in newest if row["id"].startswith(wanted)]
    if not found:
        raise Failure(f"There is no study {wanted} that you may see. `anteroom ls` lists them.")
    if len(found) > 1:
        raise Failure(f"{len(found)} studies begin with {wanted}: give more of the id.")
    return dict(api.get(f"/api/studies/{found[0]}"))


@click.command()
@click.argument("study")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@connected
def show(api: Api, study: str, as_json: bool) -> None:
    """Everything about one STUDY: findings, candidates, decisions, deliveries, its way in local time."""
    detail = find(api, study)
    detail["progress"] = _progress(api, detail["id"])
    if as_json:
        json_out(detail)
        return
    _head(detail)
    _series(detail["study"])
    _findings(detail["study"])
    _candidates(detail)
    _decisions(detail)
    _deliveries(detail)
    _heading("Its way")
    for stage in detail["timeline"]:
        click.echo(f"  {local(stage['time'])}  {plain(stage['stage']):<10} {plain(stage['text'])}")
    _next_step(detail)


def _progress(api: Api, study_id: str) -> list[dict[str, Any]]:
    """Deliveries as forward counts them; a sender's account may not ask."""
    try:
        answer = api.get("/api/deliveries", study_id=study_id)
    except ApiError as error:
        if error.status in {403, 404}:
            return []
        raise
    return rows(answer)


def _heading(text: str) -> None:
    click.echo("\n" + click.style(text, bold=True))


def _head(detail: dict[str, Any]) -> None:
    study = detail["study"]
    click.echo(f"Study {detail['id']}   {coloured(detail['state'])}")
    if detail["why"]:
        click.echo(f"  {plain(detail['why'])}")
    if detail["hint"]:
        click.echo("  " + click.style(plain(detail["hint"]), fg="red"))
    patient = study["patient"]
    issuer = f", issued by {plain(patient['issuer'])}" if patient["issuer"] else ""
    born = f", born {day(plain(patient['birth_date']))}" if patient["birth_date"] else ""
    sex = f", {plain(patient['sex'])}" if patient["sex"] else ""
    click.echo(f"  patient    {person(patient)}{issuer}{born}{sex}")
    for other in study["other_patients"]:
        click.echo("  " + click.style(f"also seen  {person(other)}", fg="red"))
    parts = [
        day(plain(study["study_date"])),
        "/".join(map(plain, study["modalities"])),
        plain(study["description"]),
    ]
    click.echo(f"  study      {'  '.join(part for part in parts if part)}")
    if study["accession_number"]:
        click.echo(f"  accession  {plain(study['accession_number'])}")
    click.echo(f"  images     {study['instances']} ({size(study['bytes'])}), revision {study['revision']}")
    click.echo(f"  sender     {plain(detail['sender']['name'])} by {detail['sender']['door']}")


def _series(study: dict[str, Any]) -> None:
    if study["series"]:
        _heading("Series")
        table(
            ["number", "modality", "description", "images"],
            ([s["number"], s["modality"], s["description"], s["instances"]] for s in study["series"]),
            right=("number", "images"),
        )


def _findings(study: dict[str, Any]) -> None:
    if study["findings"]:
        _heading("Findings")
        table(
            ["severity", "what", "files"],
            ([f["severity"], f["text"], f["count"]] for f in study["findings"]),
            right=("files",),
        )


def _candidates(detail: dict[str, Any]) -> None:
    match = detail["match"]
    if match is None:
        return
    _heading("Whose it is" if match["state"] == "matched" else "Whose it may be")
    if match["chosen"] is not None:
        rule = f", by {plain(match['rule'])}" if match["rule"] else ""
        click.echo(f"  match      {person(match['chosen']['patient'])}{rule}")
    offered = [
        [
            c["patient_key"],
            person(c["patient"]),
            day(c["patient"]["birth_date"]),
            c["patient"]["sex"],
            f"{c['score']:.2f}",
            (c["order"] or {}).get("accession_number", ""),
            c["order_key"] or "",
            ", ".join(c["contradictions"]),
        ]
        for c in match["candidates"]
    ]
    if offered:
        table(
            ["patient key", "patient", "born", "sex", "score", "accession", "order key", "speaks against it"],
            offered,
        )
    elif match["chosen"] is None:
        click.echo("  No patient of the hospital is like it.")


def _decisions(detail: dict[str, Any]) -> None:
    if not detail["decisions"]:
        return
    _heading("Decisions")
    for decision in detail["decisions"]:
        target = f" for {person(decision['target'])}" if decision["target"] else ""
        to = f" to {', '.join(map(plain, decision['destinations']))}" if decision["destinations"] else ""
        reason = f": {plain(decision['reason'])}" if decision["reason"] else ""
        by = plain(decision["by"]["name"])
        click.echo(f"  {local(decision['time'])}  {decision['action']} by {by}{target}{to}{reason}")


def _deliveries(detail: dict[str, Any]) -> None:
    if not (detail["progress"] or detail["deliveries"]):
        return
    _heading("Deliveries")
    for row in detail["progress"]:
        proof = f", proved by {row['proof']['kind']} at {local(row['proof']['time'])}" if row["proof"] else ""
        counts = f"{row['sent']} of {row['total']} images"
        click.echo(f"  {plain(row['destination'])}: {counts}{proof}. {plain(row['text'])}")
        if row["error"]:
            click.echo("    " + click.style(plain(row["error"]), fg="red"))
        for note in row["notes"]:
            click.echo(f"    {plain(note.get('text', ''))}")
    for row in [] if detail["progress"] else detail["deliveries"]:
        click.echo(f"  {plain(row['destination'])}: {row['state']}")


def _next_step(detail: dict[str, Any]) -> None:
    short = detail["id"][:SHORT]
    steps = {
        "unmatched": f"anteroom approve {short} --patient KEY (or --as-sent)",
        "review": f"anteroom approve {short}",
        "failed": f"anteroom retry {short}",
    }
    if detail["state"] in steps:
        click.echo(f"\nNext: {steps[detail['state']]}")
