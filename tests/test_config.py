"""Settings come from the environment and a file, and every bad one is named with what to write."""

import io

import pytest
from rich.console import Console

from gettone.config import Settings, load
from gettone.errors import ConfigurationError


def test_nothing_set_is_a_sqlite_file_and_the_local_machine(tmp_path):
    settings = load({}, tmp_path)

    assert settings == Settings()
    assert (settings.database_url, settings.host, settings.port) == ("sqlite:///gettone.db", "127.0.0.1", 8080)


def test_the_environment_goes_before_the_file(tmp_path):
    (tmp_path / "gettone.toml").write_text('bind = "0.0.0.0:80"\nbatch_size = 50\nlog_level = "DEBUG"\n')

    settings = load({"GETTONE_BATCH_SIZE": " 100 ", "PATH": "/bin"}, tmp_path)

    assert (settings.batch_size, settings.bind, settings.log_level) == (100, "0.0.0.0:80", "debug")


def test_another_file_is_named_by_the_environment(tmp_path):
    (tmp_path / "gettone.toml").write_text("batch_size = 50\n")
    (tmp_path / "other.toml").write_text("quota_seconds = 60\n")

    settings = load({"GETTONE_CONFIG": "other.toml"}, tmp_path)

    assert (settings.quota_seconds, settings.batch_size) == (60, Settings().batch_size)


def test_an_address_of_six_bytes_is_read(tmp_path):
    settings = load({"GETTONE_BIND": "[::1]:9000"}, tmp_path)

    assert (settings.host, settings.port) == ("::1", 9000)


def test_every_bad_setting_is_named_with_its_place_and_remedy(tmp_path):
    (tmp_path / "gettone.toml").write_text('batchsize = 5\nbatch_size = 0\nlog_format = "xml"\nquota_seconds = true\n')

    with pytest.raises(ConfigurationError) as refused:
        load({"GETTONE_BIND": "localhost", "GETTONE_DATABASE_URL": " ", "GETTONE_PORT": "80"}, tmp_path)

    lines = str(refused.value).splitlines()
    assert len(lines) == 7
    for place, complaint in (
        ("gettone.toml", "batchsize is not a setting; known are database_url, bind"),
        ("gettone.toml", "batch_size 0: write a whole number from 1 to 10000"),
        ("gettone.toml", "log_format 'xml': write one of auto, console, json"),
        ("gettone.toml", "quota_seconds True: write a whole number"),
        ("GETTONE_BIND", "bind 'localhost': write an address and a port"),
        ("GETTONE_DATABASE_URL", "database_url ' ': write a text"),
        ("GETTONE_PORT", "port is not a setting"),
    ):
        assert any(place in line and complaint in line for line in lines), complaint


@pytest.mark.parametrize("value", ["5.0", "-1", "½", "١", "", "99999999999999"])
def test_a_number_is_plain_digits_within_bounds(tmp_path, value):
    with pytest.raises(ConfigurationError, match="GETTONE_GRACE_SECONDS: grace_seconds"):
        load({"GETTONE_GRACE_SECONDS": value}, tmp_path)


def test_what_belongs_to_the_tests_is_no_setting(tmp_path):
    environ = {"GETTONE_TEST_POSTGRES_URL": "x", "GETTONE_TEST_NO_POSTGRES": "1", "GETTONE_CONFORMANCE_DIR": "y"}

    assert load(environ, tmp_path) == Settings()


def test_a_file_that_is_named_must_be_there(tmp_path):
    with pytest.raises(ConfigurationError, match=r"none\.toml: No such file"):
        load({"GETTONE_CONFIG": "none.toml"}, tmp_path)


@pytest.mark.parametrize("content", [b"batch_size: 5", b"\xff\xfe"])
def test_a_file_that_is_no_toml_says_so(tmp_path, content):
    (tmp_path / "gettone.toml").write_bytes(content)

    with pytest.raises(ConfigurationError, match="it is not TOML"):
        load({}, tmp_path)


SECRETS = {
    "GETTONE_DATABASE_URL": "postgresql://gettone:tulip@db/gettone",
    "GETTONE_STRIPE_KEY": "sk_live_tulip",
    "GETTONE_STRIPE_WEBHOOK_SECRET": "whsec_tulip",
    "GETTONE_MAIL_URL": "smtp://anna:tulip@mail.example:587",
    "GETTONE_MAIL_FROM": "gettone@example.com",
}


def test_secrets_are_not_shown_wherever_settings_are(tmp_path):
    settings = load(SECRETS, tmp_path)
    console = Console(file=io.StringIO(), width=500)
    console.print(settings)

    for shown in (repr(settings), str(settings), f"{settings!r}", console.file.getvalue()):
        assert "tulip" not in shown
        assert "bind='127.0.0.1:8080'" in shown
        assert "stripe_key=***" in shown
    assert "stripe_key=''" in repr(Settings())


@pytest.mark.parametrize("name", ["stripe_key", "stripe_webhook_secret", "mail_url", "database_url"])
def test_a_secret_that_cannot_be_used_is_complained_of_without_being_shown(tmp_path, name):
    (tmp_path / "gettone.toml").write_text(f'{name} = ["tulip"]\n')

    with pytest.raises(ConfigurationError, match=name) as refused:
        load({}, tmp_path)

    assert "tulip" not in str(refused.value)


def test_who_charges_cards_is_stripe_a_simulator_or_nobody(tmp_path):
    assert load({}, tmp_path).payments == ""
    assert load({"GETTONE_PAYMENTS": ""}, tmp_path).payments == ""
    assert load({"GETTONE_PAYMENTS": "Simulator"}, tmp_path).payments == "simulator"
    with pytest.raises(ConfigurationError, match="payments 'paypal': write one of nothing, simulator, stripe"):
        load({"GETTONE_PAYMENTS": "paypal"}, tmp_path)


def test_stripe_needs_its_key(tmp_path):
    with pytest.raises(ConfigurationError, match="GETTONE_STRIPE_KEY"):
        load({"GETTONE_PAYMENTS": "stripe"}, tmp_path)

    assert load({"GETTONE_PAYMENTS": "stripe", "GETTONE_STRIPE_KEY": "sk_test_1"}, tmp_path).stripe_key == "sk_test_1"


def test_whether_the_service_runs_jobs_is_yes_or_no(tmp_path):
    assert (load({}, tmp_path).jobs, load({"GETTONE_JOBS": "NO"}, tmp_path).jobs) == ("yes", "no")
    with pytest.raises(ConfigurationError, match="jobs 'maybe': write one of yes, no"):
        load({"GETTONE_JOBS": "maybe"}, tmp_path)
