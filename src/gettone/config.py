"""Settings, from the environment (``GETTONE_…``) and a TOML file; the environment goes first.

The file is the one that ``GETTONE_CONFIG`` names, else ``gettone.toml`` in the working directory if there is one. Its
keys are the fields of `Settings`. ``GETTONE_TEST_…`` and ``GETTONE_CONFORMANCE_DIR`` belong to the tests.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from gettone.errors import ConfigurationError

PREFIX = "GETTONE_"
CONFIG = "GETTONE_CONFIG"
FILE = "gettone.toml"

_NOT_OURS = ("GETTONE_TEST_", "GETTONE_CONFORMANCE_DIR", "GETTONE_DEMO_", "GETTONE_BENCH_")

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("auto", "console", "json")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set.

    Attributes:
        database_url: ``sqlite:///PATH`` or ``postgresql://USER@HOST/NAME``.
        bind: Address and port of the service.
        quota_seconds: What a switch is granted when it does not say how many seconds it wants.
        grace_seconds: How long after its grant a silent call is waited for before it is settled.
        batch_size: How many charging requests share a transaction at most.
        log_level: debug, info, warning or error.
        log_format: console, json, or auto: console on a terminal, else json.
    """

    database_url: str = "sqlite:///gettone.db"
    bind: str = "127.0.0.1:8080"
    quota_seconds: int = 300
    grace_seconds: int = 60
    batch_size: int = 500
    log_level: str = "info"
    log_format: str = "auto"

    @property
    def host(self) -> str:
        """The address to listen on."""
        return self.bind.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to listen on; 0 takes a free one."""
        return int(self.bind.rpartition(":")[2])


_BOUNDS = {
    "quota_seconds": (1, 86_400),
    "grace_seconds": (0, 86_400),
    "batch_size": (1, 10_000),
}
_CHOICES = {"log_level": LOG_LEVELS, "log_format": LOG_FORMATS}


def load(environ: Mapping[str, str], folder: Path) -> Settings:
    """Read the settings; relative paths are taken from *folder*, the working directory.

    Raises:
        ConfigurationError: with every setting that cannot be used, where it stands, and what to write.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    for source, name, value in [*_from_file(environ, folder), *_from_environment(environ)]:
        problem = _problem(name, value)
        if problem:
            problems.append(f"{source}: {problem}")
        else:
            values[name] = _typed(name, value)
    if problems:
        raise ConfigurationError("\n".join(problems))
    return msgspec.convert(values, Settings)


def _from_environment(environ: Mapping[str, str]) -> list[tuple[str, str, Any]]:
    return [
        (name, name.removeprefix(PREFIX).lower(), value)
        for name, value in sorted(environ.items())
        if name.startswith(PREFIX) and name != CONFIG and not name.startswith(_NOT_OURS)
    ]


def _from_file(environ: Mapping[str, str], folder: Path) -> list[tuple[str, str, Any]]:
    named = environ.get(CONFIG)
    path = folder / (named or FILE)
    if not named and not path.exists():
        return []
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; name another file with {CONFIG}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: it is not TOML ({error}); write lines such as batch_size = 500") from None
    return [(str(path), name, value) for name, value in settings.items()]


def _problem(name: str, value: Any) -> str:  # noqa: ANN401 - whatever a TOML file holds
    """What is wrong with a setting, or nothing."""
    if name not in Settings.__struct_fields__:
        return f"{name} is not a setting; known are {', '.join(Settings.__struct_fields__)}"
    if name in _BOUNDS:
        least, most = _BOUNDS[name]
        text = str(value).strip()
        if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
            return f"{name} {value!r}: write a whole number from {least} to {most}"
        return ""
    if not isinstance(value, str) or not value.strip():
        return f"{name} {value!r}: write a text"
    if name in _CHOICES and value.strip().lower() not in _CHOICES[name]:
        return f"{name} {value!r}: write one of {', '.join(_CHOICES[name])}"
    return _bind_problem(value.strip()) if name == "bind" else ""


def _bind_problem(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        return f"bind {value!r}: write an address and a port, such as 127.0.0.1:8080 or [::]:8080"
    return ""


def _typed(name: str, value: Any) -> int | str:  # noqa: ANN401 - checked before
    if name in _BOUNDS:
        return int(str(value))
    text = str(value).strip()
    return text.lower() if name in _CHOICES else text
