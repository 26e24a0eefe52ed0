"""Access tokens: what a client gets for its API key, by OAuth's client credentials (RFC 6749, section 4.4).

A token is ``gta_<64 hexadecimal digits>_<org_id>`` and good for an hour. It may do what its key may, within one
organisation if one was named, and no longer than its key. Only the SHA-256 of the whole token is kept, so nobody can
put another organisation behind the random part.
"""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256

import msgspec

from gettone.errors import Conflict
from gettone.operations import keys
from gettone.operations.keys import EVERYWHERE
from gettone.operations.office import Office
from gettone.operations.views import Key

PREFIX = "gta_"
LIFETIME = timedelta(hours=1)


def client(office: Office, client_id: str, client_secret: str) -> Key | None:
    """The key whose id and token these are, if it counts; None for everything else."""
    if not keys.well_formed(client_id):
        return None
    found = keys.authenticate(office, client_secret)
    return found if found is not None and secrets.compare_digest(found.key_id.encode(), client_id.encode()) else None


def issue(office: Office, key: Key, now: datetime, *, org_id: str = "") -> str:
    """Make an access token of *key*, for organisation *org_id*, or without one for all that the key is for.

    Raises `NotFound`, or `Conflict` when the key belongs to another organisation.
    """
    if key.org_id not in {EVERYWHERE, org_id or key.org_id}:
        raise Conflict(
            f"key {key.key_id!r} does not belong to organisation {org_id!r}; name the one that it was made for"
        )
    token = f"{PREFIX}{secrets.token_hex(32)}_{org_id or key.org_id}"
    with office.write_shared() as unit:
        if org_id:
            unit.directory.organisation(org_id)
        unit.keys.add_token(_hash(token), key.key_id, now + LIFETIME, now)
    return token


def authenticate(office: Office, bearer: str, now: datetime) -> Key | None:
    """The key that *bearer* is, or stands for within the organisation of the token; None for everything else."""
    if not bearer.startswith(PREFIX):
        return keys.authenticate(office, bearer)
    if not keys.well_formed(bearer):
        return None
    with office.read() as unit:
        key = unit.keys.key_of_token(_hash(bearer), now)
    if key is None:
        return None
    return msgspec.structs.replace(key, org_id=bearer.removeprefix(PREFIX).partition("_")[2])


def _hash(token: str) -> bytes:
    return sha256(token.encode()).digest()
