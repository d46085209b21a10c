"""A person's decision to let a study into the receiver of a measurement."""

import time

from anteroom.client.api import Api, ApiError

RECEIVER = "bench"
_PATIENT = {"patient": {"patient_id": "L1", "issuer": "HOSPITAL", "name": "Local^Patient"}}


def receiver(port: int) -> str:
    """Settings of DCMTK's storescp, which gives no storage commitment, as a destination."""
    return f"""
[[destinations]]
id = "{RECEIVER}"
host = "127.0.0.1"
port = {port}
called_ae = "STORESCP"
commitment = false
"""


def approve(api: Api, study: str) -> float:
    """Approve it as it is now; when the request that stood was made (time.monotonic)."""
    body = {"action": "approve", "destinations": [RECEIVER], "target": _PATIENT}
    while True:
        case = api.get(f"/api/studies/{study}")
        revisions = {key: case[key] for key in ("study_revision", "match_revision")}
        start = time.monotonic()
        try:
            api.post(f"/api/studies/{study}/decision", {**body, **revisions})
        except ApiError as error:
            if error.status != 409:
                raise
            time.sleep(0.2)  # it was looked at again meanwhile
            continue
        return start
