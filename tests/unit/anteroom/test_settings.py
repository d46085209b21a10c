"""Settings come from one file and the environment, and say what is wrong with them."""

from pathlib import Path

import pytest

from anteroom.serving import uvicorn_config
from anteroom.settings import SettingsError, load


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANTEROOM_CONFIG", raising=False)


def test_everything_has_a_default() -> None:
    settings = load()
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8080)
    assert (settings.upload.dicom_port, settings.match.hl7_port) == (11112, 2575)


def test_the_environment_lies_over_the_file_and_overrides_over_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = '[http]\nport = 1\n[site]\nname = "File"\n[process]\nworkers = 3\n'
    (tmp_path / "anteroom.toml").write_text(text)
    monkeypatch.setenv("ANTEROOM_HTTP_PORT", "2")
    monkeypatch.setenv("ANTEROOM_SITE_NAME", "Environment")
    settings = load(overrides={"http": {"port": 9, "host": None}})
    assert (settings.http.port, settings.http.host) == (9, "127.0.0.1")
    assert (settings.site.name, settings.process.workers) == ("Environment", 3)


def test_the_word_of_named_proxies_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy elsewhere is believed only when it is named."""
    assert uvicorn_config(None, load()).forwarded_allow_ips == ["127.0.0.1", "::1"]
    monkeypatch.setenv("ANTEROOM_HTTP_HOST", "0.0.0.0")
    monkeypatch.setenv("ANTEROOM_HTTP_BEHIND_PROXY", "true")
    monkeypatch.setenv("ANTEROOM_HTTP_PROXIES", '["10.0.0.0/8"]')
    config = uvicorn_config(None, load())
    assert config.proxy_headers
    assert config.forwarded_allow_ips == ["10.0.0.0/8"]


def test_tables_within_tables_lists_and_secret_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush\n")
    monkeypatch.setenv("ANTEROOM_NOTIFY_EMAIL_HOST", "127.0.0.1")
    monkeypatch.setenv("ANTEROOM_NOTIFY_EMAIL_PASSWORD_FILE", str(secret))
    monkeypatch.setenv("ANTEROOM_MATCH_HL7_ALLOW", '["10.0.0.0/8"]')
    settings = load()
    assert settings.notify.email.host == "127.0.0.1"
    assert settings.notify.email.password.get_secret_value() == "hush"
    assert settings.match.hl7_allow == ["10.0.0.0/8"]
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[http]\nport = 99999\n", "http.port"),
        ("[http]\nprot = 1\n", "http.prot"),
        ("[nonsense]\n", "nonsense"),
        ("[http", "not valid TOML"),
        ('[http]\nhost = "0.0.0.0"\n', "TLS"),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "anteroom.toml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        load()


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        load(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[http]\nprot = 1\n", r"http\.prot is no setting \(did you mean http\.port\?\)"),
        ("[kafak]\n", r"kafak is no setting \(did you mean kafka\?\)"),
        ('[[accounts]]\nid = "a"\nname = "A"\nadresses = ["::1"]\n', r"did you mean addresses"),
        ('[notify.email]\nhots = "x"\n', r"did you mean notify\.email\.host"),
    ],
)
def test_a_misspelt_setting_is_told_from_the_right_one(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "anteroom.toml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        load()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ANTEROOM_KAFKA_SERVER", "did you mean ANTEROOM_KAFKA_SERVERS"),
        ("ANTEROOM_KAFAK_SERVERS", "did you mean ANTEROOM_KAFKA_SERVERS"),
        ("ANTEROOM_MATCH_ALLOWED_FROM", "ANTEROOM_MATCH_ALLOWED_FROM is no setting"),
    ],
)
def test_a_misspelt_variable_is_not_passed_over(
    name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "hush")
    with pytest.raises(SettingsError, match=said) as caught:
        load()
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["ANTEROOM_PORTAL_SERVICE_HOST", "ANTEROOM_PORTAL_PORT_8080_TCP_ADDR", "ANTEROOM_WEATHER", "ANTEROOM_CA"],
)
def test_variables_that_are_meant_for_others_are_no_matter(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "x")
    load()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ANTEROOM_HTTP_PROXIES", '["10.0.0.0', "ANTEROOM_HTTP_PROXIES is not valid JSON"),
        ("ANTEROOM_S3_SECRET_KEY_FILE", "absent", "ANTEROOM_S3_SECRET_KEY_FILE names absent"),
        ("ANTEROOM_HTTP_TLS_CERTIFICATE", "absent.crt", "http.tls_certificate names absent.crt"),
        ("ANTEROOM_CONFIG", ".", "can't be read: Is a directory"),
    ],
)
def test_a_variable_that_can_not_be_used_is_named(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said):
        load()
