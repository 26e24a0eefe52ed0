"""API keys, on both databases."""

import pytest
from sqlalchemy import select

from gettone.errors import InvalidInput, NotFound
from gettone.operations import keys
from gettone.storage.schema import api_key
from tests.support.world import MIDDAY


def test_a_token_is_its_key_until_it_is_revoked(contoso):
    made = keys.create_key(contoso.office, scope="admin", org_id="contoso", label="portal", now=contoso.now)

    assert made.token.startswith(f"gtn_{made.key.key_id}_")
    assert keys.authenticate(contoso.office, made.token) == made.key

    revoked = keys.revoke_key(contoso.office, made.key.key_id, contoso.now)

    assert revoked.revoked_at == contoso.now
    assert keys.authenticate(contoso.office, made.token) is None
    contoso.wait(60)
    assert keys.revoke_key(contoso.office, made.key.key_id, contoso.now) == revoked
    assert keys.list_keys(contoso.office) == (revoked,)


def test_the_secret_is_not_in_the_database(contoso):
    made = keys.create_key(contoso.office, scope="operator", now=contoso.now)
    secret = made.token.rpartition("_")[2]

    with contoso._engine.connect() as connection:
        [row] = connection.execute(select(api_key)).all()

    assert secret.encode() not in repr(tuple(row)).encode()
    assert len(row.secret_hash) == 32


@pytest.mark.parametrize(
    "shape",
    [
        "gtn_{key_id}_{wrong}",
        "GTN_{key_id}_{secret}",
        "{key_id}_{secret}",
        "gtn_{key_id}_",
        "gtn_{key_id}",
        "gtn_0000000000000000_{secret}",
        "gtn_{key_id}_{secret}é",
        "gtn_{key_id}_{secret}{secret}{secret}",
        "gtn_{key_id}\0_{secret}",
        "gtn_\0_{secret}",
        "gtn_{key_id}_{secret}\0",
        "",
    ],
)
def test_anything_else_is_no_key(contoso, shape):
    made = keys.create_key(contoso.office, scope="read", now=contoso.now)
    _, key_id, secret = made.token.split("_")
    wrong = secret[:-1] + ("0" if secret[-1] != "0" else "1")

    assert keys.authenticate(contoso.office, shape.format(key_id=key_id, secret=secret, wrong=wrong)) is None


def test_keys_are_listed_by_organisation(contoso):
    everywhere = keys.create_key(contoso.office, scope="charging", now=contoso.now).key
    contoso.wait(1)
    here = keys.create_key(contoso.office, scope="charging", org_id="contoso", now=contoso.now).key

    assert keys.list_keys(contoso.office) == (everywhere, here)
    assert keys.list_keys(contoso.office, org_id="contoso") == (here,)


def test_an_organisation_revokes_only_its_own(contoso):
    made = keys.create_key(contoso.office, scope="operator", now=contoso.now)

    with pytest.raises(NotFound, match=made.key.key_id):
        keys.revoke_key(contoso.office, made.key.key_id, contoso.now, org_id="contoso")

    assert keys.authenticate(contoso.office, made.token) == made.key


def test_a_key_that_makes_no_sense_is_refused(contoso):
    for scope, org_id, field in (
        ("root", "*", "scope"),
        ("admin", "*", "org_id"),
        ("billing", "*", "org_id"),
        ("operator", "contoso", "org_id"),
    ):
        with pytest.raises(InvalidInput, match=field):
            keys.create_key(contoso.office, scope=scope, org_id=org_id, now=contoso.now)
    with pytest.raises(NotFound, match="'nobody'"):
        keys.create_key(contoso.office, scope="read", org_id="nobody", now=contoso.now)


@pytest.mark.parametrize(
    ("scope", "org_id", "allowed"),
    [
        ("operator", "*", "operator@* operator@a admin@a admin@b billing@a charging@* charging@a read@* read@a read@b"),
        ("admin", "a", "admin@a billing@a charging@a read@a"),
        ("billing", "a", "billing@a read@a"),
        ("charging", "*", "charging@* charging@a"),
        ("charging", "a", "charging@a"),
        ("read", "*", "read@* read@a read@b"),
        ("read", "a", "read@a"),
    ],
)
def test_a_scope_allows_exactly_this(scope, org_id, allowed):
    key = keys.Key(key_id="k", org_id=org_id, scope=scope, label="", created_at=MIDDAY)
    asked = "operator@* operator@a admin@a admin@b billing@a charging@* charging@a read@* read@a read@b"

    granted = [one for one in asked.split(" ") if keys.allows(key, *one.split("@"))]

    assert granted == allowed.split()
