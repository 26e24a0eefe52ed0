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
SIMULATOR, STRIPE = "simulator", "stripe"
CARD_PROVIDERS = ("", SIMULATOR, STRIPE)
YES, NO = "yes", "no"


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
        payments: Who charges cards: stripe, simulator, or nobody when empty.
        stripe_key: The secret key of the Stripe account.
        stripe_webhook_secret: What Stripe signs its messages to us with.
        stripe_api: Another address of Stripe's interface, for tests; empty for the real one.
        jobs: Whether ``gettone serve`` runs the jobs; no where ``gettone work`` does.
        mail_url: How mails are sent: ``smtp://``, ``smtps://``, ``file:///PATH``, ``print:``, or not at all when empty.
        mail_from: Who mails are from.
        public_url: Where people reach this service, for links in mails; empty for ``http://`` and *bind*.
        webhook_private_addresses: Whether webhooks may go to private addresses.
    """

    database_url: str = "sqlite:///gettone.db"
    bind: str = "127.0.0.1:8080"
    quota_seconds: int = 300
    grace_seconds: int = 60
    batch_size: int = 500
    log_level: str = "info"
    log_format: str = "auto"
    payments: str = ""
    stripe_key: str = ""
    stripe_webhook_secret: str = ""
    stripe_api: str = ""
    jobs: str = YES
    mail_url: str = ""
    mail_from: str = ""
    public_url: str = ""
    webhook_private_addresses: str = NO

    def __repr__(self) -> str:
        """As of any struct, but for secrets: a repr ends up in logs and traces."""
        shown = (f"{name}={_shown(name, getattr(self, name))}" for name in self.__struct_fields__)
        return f"Settings({', '.join(shown)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The same for Rich, which would else look at the fields."""
        return [(name, _Shown(_shown(name, getattr(self, name)))) for name in self.__struct_fields__]

    @property
    def link(self) -> str:
        """Where people reach this service, without a slash at the end."""
        return self.public_url.rstrip("/") or f"http://{self.bind}"

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
_CHOICES = {
    "log_level": LOG_LEVELS,
    "log_format": LOG_FORMATS,
    "payments": CARD_PROVIDERS,
    "jobs": (YES, NO),
    "webhook_private_addresses": (YES, NO),
}
MAIL_SCHEMES = ("smtp", "smtps", "file", "print")
_SECRETS = frozenset({"database_url", "stripe_key", "stripe_webhook_secret", "mail_url"})
"""Never shown: they are secrets, or may contain one."""
_MAY_BE_EMPTY = frozenset(
    {"payments", "stripe_key", "stripe_webhook_secret", "stripe_api", "mail_url", "mail_from", "public_url"}
)


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
    settings = msgspec.convert(values, Settings)
    problems = _contradictions(settings)
    if problems:
        raise ConfigurationError("\n".join(problems))
    return settings


def _contradictions(settings: Settings) -> list[str]:
    """Settings that are good each, and cannot be used together."""
    if settings.payments == STRIPE and not settings.stripe_key:
        return [f"payments {STRIPE!r}: write the secret key of the Stripe account into {PREFIX}STRIPE_KEY as well"]
    if settings.mail_url.startswith("smtp") and not settings.mail_from:
        return [f"mail_url: write who mails are from into {PREFIX}MAIL_FROM as well, such as gettone@example.com"]
    return []


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
    if not isinstance(value, str) or not (value.strip() or name in _MAY_BE_EMPTY):
        return f"{name} {_shown(name, value)}: write a text"
    if name in _CHOICES and value.strip().lower() not in _CHOICES[name]:
        return f"{name} {value!r}: write one of {', '.join(choice or 'nothing' for choice in _CHOICES[name])}"
    check = {"bind": _bind_problem, "mail_url": _mail_problem, "public_url": _public_problem}.get(name)
    return check(value.strip()) if check else ""


def _shown(name: str, value: Any) -> str:  # noqa: ANN401 - whatever a TOML file holds
    """A value for people, without giving a secret away."""
    return "***" if name in _SECRETS and value and not str(value).isspace() else repr(value)


def _mail_problem(value: str) -> str:
    if value and value.partition(":")[0] not in MAIL_SCHEMES:
        return "mail_url: write smtp://HOST:PORT, smtps://HOST:PORT, file:///PATH, print:, or nothing for no mails"
    return ""


def _public_problem(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        return f"public_url {value!r}: write an address such as https://calls.example.com"
    return ""


class _Shown(str):
    """A text that is its own repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


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
