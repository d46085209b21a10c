"""clamd's limits are what validate believes them to be."""

from services.validate.settings import MIB, ValidateSettings
from tests.unit.k8s.rendering import K8S


def test_the_scanner_scans_as_much_as_validate_believes() -> None:
    lines = (K8S / "components" / "antivirus" / "clamd.conf").read_text().splitlines()
    said = dict(line.split(None, 1) for line in lines if line and not line.startswith("#"))
    defaults = ValidateSettings()
    for name in ("StreamMaxLength", "MaxFileSize", "MaxScanSize"):
        assert int(said[name].removesuffix("M")) * MIB == defaults.clamav_max_bytes
    assert int(said["TCPSocket"]) == defaults.clamav_port
    assert said["AlertExceedsMax"] == "yes", "what was not scanned whole must be told"
