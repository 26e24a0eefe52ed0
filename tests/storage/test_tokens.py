"""Access tokens as stored: good for a while, and never longer than their key."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import select

from gettone.operations.office import Office
from gettone.operations.views import Key
from gettone.storage.engine import open_database
from gettone.storage.office import open_office
from gettone.storage.schema import access_token
from tests.support.rows import MIDDAY

HOUR = timedelta(hours=1)
KEY = Key(key_id="k1", org_id="contoso", scope="admin", label="portal", created_at=MIDDAY)


@pytest.fixture
def office(ready_url) -> Iterator[Office]:
    with closing(open_office(ready_url)) as made:
        with made.write_shared() as unit:
            unit.keys.add_key(KEY, b"secret")
            unit.keys.add_token(b"\x00token", "k1", MIDDAY + HOUR, MIDDAY)
        yield made


def test_a_token_stands_for_its_key_until_it_expires(office):
    with office.read() as unit:
        assert unit.keys.key_of_token(b"\x00token", MIDDAY + HOUR - timedelta.resolution) == KEY
        assert unit.keys.key_of_token(b"\x00token", MIDDAY + HOUR) is None
        assert unit.keys.key_of_token(b"\x00", MIDDAY) is None


def test_the_token_of_a_revoked_key_is_no_good(office):
    with office.write_shared() as unit:
        unit.keys.revoke("k1", MIDDAY)

    with office.read() as unit:
        assert unit.keys.key_of_token(b"\x00token", MIDDAY) is None


def test_tokens_that_expired_are_forgotten_when_another_is_made(office, ready_url):
    with office.write_shared() as unit:
        unit.keys.add_token(b"second", "k1", MIDDAY + 3 * HOUR, MIDDAY + HOUR - timedelta.resolution)
        unit.keys.add_token(b"third", "k1", MIDDAY + 3 * HOUR, MIDDAY + HOUR)

    database = open_database(ready_url)
    with database.reading() as connection:
        assert set(connection.execute(select(access_token.c.token_hash)).scalars()) == {b"second", b"third"}
    database.close()
