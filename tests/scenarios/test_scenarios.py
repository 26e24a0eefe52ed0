"""Every scenario of this folder comes out as it is written, on both databases, also with every request doubled."""

from pathlib import Path

import pytest

from tests.scenarios.language import lines_of
from tests.scenarios.runner import WORDS, Runner

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*.txt"))

each_scenario = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@each_scenario
def test_a_scenario_comes_out_as_written_on_sqlite(path, sqlite_world):
    Runner(sqlite_world).run(path.read_text())


@each_scenario
def test_a_scenario_comes_out_the_same_when_every_request_is_sent_twice(path, sqlite_world):
    Runner(sqlite_world, repeat=True).run(path.read_text())


@pytest.mark.slow
@each_scenario
def test_a_scenario_comes_out_as_written_on_postgresql(path, postgres_world):
    Runner(postgres_world).run(path.read_text())


@pytest.mark.slow
@each_scenario
def test_a_scenario_comes_out_the_same_on_postgresql_when_every_request_is_sent_twice(path, postgres_world):
    Runner(postgres_world, repeat=True).run(path.read_text())


def test_there_is_a_scenario_for_each_rule():
    assert len(FILES) >= 30


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("begin C1", "'begin' is no command"),
        ("start C1 W1", "start is about 3 things"),
        ("check W1 held", "'held' lacks its value"),
        ("check W1 held 1 held 2", "said twice"),
    ],
)
def test_a_line_that_is_no_scenario_is_an_error(line, complaint):
    with pytest.raises(ValueError, match=complaint):
        list(lines_of(f"# A comment.\n\n{line}", WORDS))


@pytest.mark.parametrize(
    "wrong",
    [
        "start C1 w1 +442079460123 granted 301s",
        "start C1 w1 +442079460123 refused no_rate",
        "start C1 w1 +4420 granted 300s",
        "start C1 w1 +442079460123 grannted 300s",
        "check w1 posted 1.01",
    ],
)
def test_a_scenario_that_expects_something_else_fails(wrong, sqlite_world):
    with pytest.raises(AssertionError, match="line 3"):
        Runner(sqlite_world).run(f"rate +44 0.0100/min 60/60\nwallet w1 1.00 USD\n{wrong}")
