"""Settings come from the environment and a file, and every bad one is named with what to write."""

import pytest

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
