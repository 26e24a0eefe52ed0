"""The documentation is true: its links lead somewhere, its examples are read by Python, nothing public is missing."""

import contextlib
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support.documentation import code_blocks, dead_links, headings, pages

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
PAGES = pages(ROOT)
BLOCKS = [block for page in PAGES for block in code_blocks(page)]


def command_words() -> dict[str, object]:
    import typer

    from gettone.cli import app

    def walk(command, path):
        yield path, command
        for name, child in getattr(command, "commands", {}).items():
            if not child.hidden:
                yield from walk(child, f"{path} {name}")

    return dict(walk(typer.main.get_command(app), "gettone"))


def missing(names, page: str) -> list[str]:
    """Return the *names* that are no heading of the reference page."""
    path = REFERENCE / page
    known = set(headings(path)) if path.exists() else set()
    return sorted(set(names) - known)


def test_every_relative_link_leads_somewhere():
    assert not "\n".join(complaint for page in PAGES for complaint in dead_links(page))


def test_a_dead_link_is_caught(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One\n\n[a](gone.md) [b](#one) [c](page.md#two)\n\n```text\n[d](gone-too.md)\n```\n")

    assert [complaint.partition(": ")[2] for complaint in dead_links(page)] == [
        "gone.md does not exist",
        "page.md#two: page.md has no such heading",
    ]


def test_every_python_example_is_python():
    for block in BLOCKS:
        if block.words[:1] == ("python",):
            compile("\n" * (block.line - 1) + block.text, str(block.page), "exec")


@pytest.mark.slow
def test_every_python_example_marked_run_runs(tmp_path):
    for block in BLOCKS:
        if block.words == ("python", "run"):
            done = subprocess.run(
                [sys.executable, "-c", block.text], cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert not done.returncode, f"{block.page}:{block.line}\n{done.stderr}"


def test_every_command_in_an_example_exists():
    known = command_words()
    unknown = []
    for block in BLOCKS:
        for line in block.text.splitlines() if block.words[:1] in {("sh",), ("console",)} else ():
            if words := re.match(r"(?:\$ )?(gettone(?: [a-z][a-z-]*)?(?: [a-z][a-z-]*)?)", line):
                path = words[1]
                while path not in known:
                    path = path.rpartition(" ")[0]
                if getattr(known[path], "commands", None) and path != words[1]:
                    unknown.append(f"{block.page}: {line}")

    assert not unknown


def test_the_command_line_reference_is_what_the_program_says():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "make_docs.py", "--check"], capture_output=True, text=True, check=False
    )

    assert not done.returncode, done.stdout + done.stderr


def test_every_refusal_has_a_heading():
    from gettone.domain.refusals import Refusal

    assert not missing((refusal.value for refusal in Refusal), "refusals.md")


def test_every_setting_has_a_heading():
    from gettone.config import Settings

    assert not missing((f"GETTONE_{name.upper()}" for name in Settings.__annotations__), "settings.md")


@pytest.mark.slow
def test_every_route_has_a_heading(tmp_path):
    with served(tmp_path) as address:
        paths = httpx.get(f"{address}/openapi.json").json()["paths"]

    routes = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]
    assert len(routes) > 10
    assert not missing(routes, "http-api.md")


@contextlib.contextmanager
def served(folder: Path):
    """Yield the address of a service with an empty SQLite database in *folder*."""
    gettone = Path(sys.executable).with_name("gettone")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        bind = f"127.0.0.1:{probe.getsockname()[1]}"
    environment = {"PATH": "/usr/bin:/bin", "GETTONE_BIND": bind}
    subprocess.run([gettone, "db", "upgrade"], cwd=folder, env=environment, check=True, capture_output=True)
    with (folder / "log").open("wb") as log:
        service = subprocess.Popen([gettone, "serve"], cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        while not answers(f"http://{bind}/readyz"):
            assert service.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield f"http://{bind}"
    finally:
        service.terminate()
        service.wait(30)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
