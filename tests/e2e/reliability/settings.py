"""The settings that every reliability run has: quick to see that a sender is done, one PACS, one modality."""


def settings_with(pacs_port: int, commitment_timeout_s: int) -> str:
    """As TOML; further sections may follow."""
    return f"""
[site]
default_issuer = "HOSPITAL"
[upload]
quiet_s = 3
idle_s = 0.5
[[destinations]]
id = "pacs"
host = "127.0.0.1"
port = {pacs_port}
called_ae = "ORTHANC"
calling_ae = "ANTEROOM"
commitment_timeout_s = {commitment_timeout_s}
[[accounts]]
id = "modality"
name = "Modality"
roles = ["send"]
ae_titles = ["MODALITY"]
addresses = ["127.0.0.1"]
policy = "forward-certain"
destinations = ["pacs"]
"""
