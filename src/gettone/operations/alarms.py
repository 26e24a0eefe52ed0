"""What a wallet and its pools are watched for, in the very transaction that changes them (D17, D21).

- **Recharge due**: less than the trigger is available. The mark is durable with the debit; `recharging` buys.
- **Nothing left**, **little left**: told once, until the next top-up. Credit that running calls hold counts as there,
  for it may come back. A call that is refused for lack of credit while nothing is held and less than a tenth of
  "little" is left says that nothing useful is left, too.
- **Pool at 80 %, at 100 %**: told once in a month.
"""

from collections.abc import Collection, Iterable
from datetime import datetime

from gettone.domain.pools import Pool
from gettone.domain.recharge import due
from gettone.domain.wallet import Wallet
from gettone.operations.notices import BALANCE_LOW, BALANCE_ZERO, POOL_USED
from gettone.operations.ports import LITTLE_LEFT, NOTHING_LEFT, Account, Notice

POOL_PERCENTS = (80, 100)


def left_micros(wallet: Wallet, now: datetime) -> int:
    """What is there and can be spent, whether calls hold it or not, less what is owed."""
    return sum(lot.remaining_micros for lot in wallet.lots if now < lot.expires_at) - wallet.overrun_micros


def watch(account: Account, now: datetime) -> list[Notice]:
    """Mark a recharge as due if it is, and return what is to be told of the wallet."""
    marks, wallet = account.marks, account.wallet
    if (
        marks.recharge_at is not None
        and marks.recharge_due_at is None
        and marks.recharge_at <= now
        and due(wallet.available_micros(now), marks.trigger_micros)
    ):
        marks.recharge_due_at = now
    if marks.told & NOTHING_LEFT:
        return []
    left = left_micros(wallet, now)
    if left <= 0:
        return [_nothing_left(account, left)]
    if left < marks.low_micros and not marks.trigger_micros and not marks.told & LITTLE_LEFT:
        marks.told |= LITTLE_LEFT
        return [_of(account, BALANCE_LOW, {"left": str(left), "limit": str(marks.low_micros)})]
    return []


def watch_refusal(account: Account, now: datetime) -> list[Notice]:
    """What is to be told when a call was refused for lack of credit."""
    marks, wallet = account.marks, account.wallet
    left = left_micros(wallet, now)
    if marks.told & NOTHING_LEFT or wallet.held_micros or left * 10 >= marks.low_micros:
        return []
    return [_nothing_left(account, left)]


def _nothing_left(account: Account, left: int) -> Notice:
    account.marks.told |= NOTHING_LEFT | LITTLE_LEFT
    return _of(account, BALANCE_ZERO, {"left": str(left)})


def topped_up(account: Account, now: datetime) -> None:
    """Money has come in: what was told may be told again, as far as it is not so any more."""
    marks, left = account.marks, left_micros(account.wallet, now)
    if left > 0:
        marks.told &= ~NOTHING_LEFT
    if left >= marks.low_micros:
        marks.told &= ~LITTLE_LEFT


def _of(account: Account, kind: str, facts: dict[str, str]) -> Notice:
    org_id = account.wallet.org_id
    # The version that this transaction makes tells one crossing from the next.
    return Notice(org_id, f"{kind}/{account.version + 1}", kind, "", facts)


PoolMark = tuple[str, str, int, int]
"""Organisation, pool, month and percent that were reached."""


def pools_used(org_id: str, pools: Iterable[Pool], told: Collection[PoolMark]) -> dict[PoolMark, Notice]:
    """What is to be told of *pools* that are nearly or wholly used up, but for what was *told* before.

    The memory spares work only: the database takes every notice once.
    """
    found: dict[PoolMark, Notice] = {}
    for pool in pools:
        if pool.size_seconds and pool.used_seconds * 100 >= pool.size_seconds * POOL_PERCENTS[0]:
            for percent in POOL_PERCENTS:
                mark = (org_id, pool.pool_key, pool.period, percent)
                if pool.used_seconds * 100 >= pool.size_seconds * percent and mark not in told:
                    found[mark] = _pool_used(org_id, pool, percent)
    return found


def _pool_used(org_id: str, pool: Pool, percent: int) -> Notice:
    facts = {
        "percent": str(percent),
        "pool": pool.pool_key,
        "month": str(pool.period),
        "used_minutes": str(pool.used_seconds // 60),
        "size_minutes": str(pool.size_seconds // 60),
    }
    notice_id = f"{POOL_USED}/{pool.pool_key}/{pool.period}/{percent}"
    return Notice(org_id, notice_id, POOL_USED, f"pool/{pool.pool_key}", facts)
