"""API keys: what a caller may do, and where.

A token is ``gtn_<key id>_<secret>``. Only the SHA-256 of the secret is kept: it has 256 random bits, so nothing slower
is needed, and every request of a switch can be checked. A key is shown once, when it is made.

| scope | may |
|---|---|
| operator | everything, everywhere |
| admin | everything within one organisation |
| billing | buy credit and set auto-recharge and payment methods in one organisation, and read |
| charging | charge calls and ask for quotes, in one organisation or in all |
| read | read, in one organisation or in all |
"""

import secrets
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest

from gettone.errors import InvalidInput, NotFound
from gettone.operations import checks
from gettone.operations.office import Office
from gettone.operations.views import Key, NewKey

OPERATOR = "operator"
ADMIN = "admin"
BILLING = "billing"
CHARGING = "charging"
READ = "read"
SCOPES = (OPERATOR, ADMIN, BILLING, CHARGING, READ)

EVERYWHERE = "*"
"""The organisation of a key that is bound to none."""

PREFIX = "gtn_"
TOKEN_LENGTH_MAX = 200

# What each scope includes.
_INCLUDES = {
    OPERATOR: frozenset(SCOPES),
    ADMIN: frozenset({ADMIN, BILLING, CHARGING, READ}),
    BILLING: frozenset({BILLING, READ}),
    CHARGING: frozenset({CHARGING}),
    READ: frozenset({READ}),
}


def create_key(office: Office, *, scope: str, now: datetime, org_id: str = EVERYWHERE, label: str = "") -> NewKey:
    """Make a key; its token is in the answer and nowhere else. Raises `InvalidInput` or `NotFound`."""
    if scope not in SCOPES:
        raise InvalidInput("scope", scope[:80], f"write one of {', '.join(SCOPES)}")
    if scope == OPERATOR and org_id != EVERYWHERE:
        raise InvalidInput("org_id", org_id[:80], "leave it out: an operator's key is for all organisations")
    if scope in {ADMIN, BILLING} and org_id == EVERYWHERE:
        raise InvalidInput("org_id", org_id, "name the organisation: an administrator's key is for one")
    key_id, secret = secrets.token_hex(8), secrets.token_hex(32)
    key = Key(key_id=key_id, org_id=org_id, scope=scope, label=checks.text("label", label, empty=True), created_at=now)
    with office.write_shared() as unit:
        if org_id != EVERYWHERE:
            unit.directory.organisation(org_id)
        unit.keys.add_key(key, _hash(secret))
    return NewKey(key=key, token=f"{PREFIX}{key_id}_{secret}")


def list_keys(office: Office, *, org_id: str = "") -> tuple[Key, ...]:
    """Keys, of one organisation when it is named, oldest first; the revoked ones too."""
    with office.read() as unit:
        return tuple(unit.keys.keys(org_id))


def revoke_key(office: Office, key_id: str, now: datetime, *, org_id: str = "") -> Key:
    """Let a key count no more; again changes nothing. With *org_id* only a key of that organisation is found.

    Raises `NotFound`.
    """
    with office.write_shared() as unit:
        stored = unit.keys.key(key_id)
        if stored is None or (org_id and stored.key.org_id != org_id):
            raise NotFound(f"key_id {key_id!r}: there is no such key; list the keys")
        if stored.key.revoked_at is None:
            unit.keys.revoke(key_id, now)
            stored = unit.keys.key(key_id)
            assert stored is not None, "a key is never taken out"
        return stored.key


def authenticate(office: Office, token: str) -> Key | None:
    """The key that *token* is, if it counts; None for everything else.

    What is not printable ASCII was never issued and is not looked up.
    """
    if not (token.startswith(PREFIX) and well_formed(token)):
        return None
    key_id, _, secret = token.removeprefix(PREFIX).partition("_")
    with office.read() as unit:
        stored = unit.keys.key(key_id)
    # Compared even when there is no such key, so that the time taken says nothing.
    expected = stored.secret_hash if stored else bytes(32)
    if not compare_digest(expected, _hash(secret)) or stored is None or stored.key.revoked_at is not None:
        return None
    return stored.key


def well_formed(token: str) -> bool:
    """Whether *token* is of printable ASCII and no longer than any that was issued."""
    return len(token) <= TOKEN_LENGTH_MAX and token.isascii() and token.isprintable()


def allows(key: Key, scope: str, org_id: str) -> bool:
    """Whether *key* may do what needs *scope* in organisation *org_id*, or, with ``*``, in all of them."""
    return scope in _INCLUDES[key.scope] and key.org_id in {EVERYWHERE, org_id}


def _hash(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
