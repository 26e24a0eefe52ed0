"""What must hold of every seed, read from the rows themselves and held against the provider's own books."""

import sqlite3
from collections import Counter, defaultdict
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gettone.operations.orders import coin_micros
from tests.simulation.hostile import Hostile, Wrong
from tests.support.world import World

OPEN = ("requested", "pending", "action_required", "unknown")
CREDITS = ("funds_added", "credit_bought", "refund_failed", "dispute_won", "adjusted")


class Books:
    """Gettone's rows, and what is remembered from one look to the next."""

    def __init__(self, world: World, bank: Hostile) -> None:
        self.world = world
        self.bank = bank
        self._rows = sqlite3.connect(world.url.removeprefix("sqlite:///"))
        self._rows.row_factory = sqlite3.Row
        self._zones = dict(self._all("SELECT org_id, time_zone FROM organisation"))
        self._currencies = dict(self._all("SELECT org_id, currency FROM organisation"))
        self._looked_at: set[tuple[str, str]] = set()
        self._suspended: dict[tuple[str, int], str] = {}

    def close(self) -> None:
        self._rows.close()

    def _all(self, statement: str, *values) -> list[sqlite3.Row]:
        return self._rows.execute(statement, values).fetchall()

    # -- after every step --------------------------------------------------------------------------------------------

    def after_a_step(self) -> None:
        """Look at recharges that were ordered since: within the caps, and none by a rule that is suspended."""
        rules = {row["org_id"]: row for row in self._all("SELECT * FROM recharge_rule")}
        recharges = self._all("SELECT * FROM credit_order WHERE kind = 'recharge'")
        for order in recharges:
            name = order["org_id"], order["order_id"]
            if name not in self._looked_at:
                self._looked_at.add(name)
                self._within_caps(order, rules[order["org_id"]], recharges)
                if order["available_micros"] >= rules[order["org_id"]]["trigger_micros"]:
                    raise Wrong(f"recharge {name} was ordered with {order['available_micros']} available")
        for org_id, rule in rules.items():
            if rule["suspended_at"] is None:
                if rule["declines"] >= 3:
                    raise Wrong(f"{org_id}: {rule['declines']} declines in a row and not suspended")
                continue
            last = max((row["order_id"] for row in recharges if row["org_id"] == org_id), default="")
            before = self._suspended.setdefault((org_id, rule["suspended_at"]), last)
            if last != before:
                raise Wrong(f"{org_id}: recharge {last} was ordered while suspended")

    def _within_caps(self, order: sqlite3.Row, rule: sqlite3.Row, recharges: list[sqlite3.Row]) -> None:
        zone = ZoneInfo(self._zones[order["org_id"]])
        at = _local(order["ordered_at"], zone)
        ours = [one for one in recharges if one["org_id"] == order["org_id"] and one["state"] != "failed"]
        for span, form in (("day", "%Y-%m-%d"), ("month", "%Y-%m")):
            same = [one for one in ours if _local(one["ordered_at"], zone).strftime(form) == at.strftime(form)]
            count, micros = rule[f"{span}_count"], rule[f"{span}_micros"]
            if count is not None and len(same) > count:
                raise Wrong(f"{len(same)} recharges in a {span}, and {count} are allowed: {order['order_id']}")
            if micros is not None and sum(one["amount_micros"] for one in same) > micros:
                raise Wrong(f"recharges of a {span} come to more than {micros}: {order['order_id']}")

    # -- after some steps --------------------------------------------------------------------------------------------

    def at_any_time(self) -> None:
        """What holds between any two steps."""
        for org_id, count in self._all(
            "SELECT org_id, COUNT(*) FROM credit_order WHERE kind = 'recharge' AND state = 'open' GROUP BY org_id"
        ):
            if count > 1:
                raise Wrong(f"{org_id}: {count} recharges are open")
        unbalanced = self._all(
            "SELECT org_id, entry_number FROM ledger_posting GROUP BY 1, 2 HAVING SUM(amount_micros) <> 0"
        )
        if unbalanced:
            raise Wrong(f"unbalanced entries: {[tuple(row) for row in unbalanced]}")
        self._credited_is_charged()
        self._given_up_is_dead()

    def _credited_is_charged(self) -> None:
        """No credit without its money, none twice."""
        kept = self.bank.kept()
        booked = Counter(
            (row["org_id"], row["reference"])
            for row in self._all("SELECT org_id, reference FROM ledger_entry WHERE kind = 'credit_bought'")
        )
        for name, times in booked.items():
            if times > 1:
                raise Wrong(f"payment {name} was credited {times} times")
            if name not in kept:
                raise Wrong(f"payment {name} was credited and never charged")

    def _given_up_is_dead(self) -> None:
        """No order has failed of which money has moved or may still move."""
        failed = {tuple(row) for row in self._all("SELECT org_id, order_id FROM credit_order WHERE state = 'failed'")}
        for order in failed:
            alive = [one for one in self.bank.of_order.get(order, ()) if one.live and not one.refund_of]
            if alive:
                raise Wrong(f"order {order} was given up while {alive} has moved or may")

    # -- at the end --------------------------------------------------------------------------------------------------

    def at_the_end(self) -> None:
        """What holds once everything is settled."""
        self.at_any_time()
        self._nothing_open()
        self._money_is_credit()
        self._refilled_or_why_not()
        self._told_once()
        self._invoiced()
        findings = self.world.findings()
        if findings:
            raise Wrong(f"verify: {[str(finding) for finding in findings]}")

    def _nothing_open(self) -> None:
        marks = ", ".join("?" * len(OPEN))
        left = self._all(f"SELECT * FROM payment WHERE state IN ({marks})", *OPEN)
        left += self._all("SELECT * FROM credit_order WHERE state = 'open'")
        if left:
            raise Wrong(f"still open: {[dict(row) for row in left]}")
        for account in ("refunding",):
            for org_id, micros in self._all(
                "SELECT org_id, SUM(amount_micros) FROM ledger_posting WHERE account = ? GROUP BY 1", account
            ):
                if micros:
                    raise Wrong(f"{org_id}: account {account} still has {micros}")

    def _money_is_credit(self) -> None:
        """Charged less refunded less withdrawn at the provider is what the ledger says, payment by payment."""
        outside: dict[tuple[str, str], int] = defaultdict(int)
        inside: dict[tuple[str, str], int] = defaultdict(int)
        for org_id, reference, account, micros in self._all(
            """SELECT e.org_id, e.reference, p.account, p.amount_micros FROM ledger_entry e
            JOIN ledger_posting p ON p.org_id = e.org_id AND p.entry_number = e.entry_number
            WHERE e.kind IN ('credit_bought', 'refunded', 'disputed', 'dispute_won')"""
        ):
            name = org_id, reference.partition("-refund-")[0]
            if account in {"funding", "invoiced"}:
                outside[name] -= micros
            if account in {"funding", "invoiced", "tax"}:
                inside[name] -= micros
        kept = {name: (gross, gross - refunded - taken) for name, (gross, refunded, taken) in self.bank.kept().items()}
        if outside != {name: left for name, (_, left) in kept.items()}:
            wrong = {name for name in kept.keys() | outside.keys() if outside.get(name) != kept.get(name, (0, None))[1]}
            raise Wrong(f"ledger {[(name, outside.get(name)) for name in wrong]}, provider {[kept[n] for n in wrong]}")
        for row in self._all("SELECT * FROM payment WHERE kind = 'charge' AND lot_id <> ''"):
            name = row["org_id"], row["payment_id"]
            gross, left = kept[name]
            if gross != row["gross_micros"]:
                raise Wrong(f"{name}: {gross} were charged, {row['gross_micros']} are written down")
            # The credit that the buyer keeps is its part of the money that the seller keeps: to the micro without tax,
            # else within one coin, for refunds move whole coins.
            off = abs(inside[name] - left * row["net_micros"] // gross)
            untaxed = gross == row["net_micros"]
            if off >= (1 if untaxed else coin_micros(self._currencies[row["org_id"]])):
                raise Wrong(f"{name}: credit {inside[name]} for money {left} of {row['net_micros']}/{gross}")

    def _refilled_or_why_not(self) -> None:
        now = self.world.now
        for rule in self._all(
            "SELECT r.*, w.recharge_at, o.closed FROM recharge_rule r JOIN wallet w USING (org_id) "
            "JOIN organisation o USING (org_id) WHERE r.enabled = 1"
        ):
            available = self.world.wallet(rule["org_id"]).available_micros
            waits = rule["recharge_at"] is not None and _local(rule["recharge_at"], UTC) > now
            if available < rule["trigger_micros"] and rule["suspended_at"] is None and not waits:
                raise Wrong(f"{rule['org_id']}: {available} of {rule['trigger_micros']} and no reason: {dict(rule)}")

    def _told_once(self) -> None:
        told = Counter(row["kind"] for row in self._all("SELECT kind FROM notice"))
        stages = Counter(
            row[0] for row in self._all("SELECT json_extract(facts, '$.stage') FROM notice WHERE kind = ?", _DISPUTED)
        )
        entries = Counter(row["kind"] for row in self._all("SELECT kind FROM ledger_entry"))
        top_ups = sum(entries[kind] for kind in CREDITS)
        lost = sum(one.dispute == "lost" for one in self.bank.moved.values())
        for what, found, right in (
            ("purchases", told["purchase_succeeded"] + told["recharge_succeeded"], entries["credit_bought"]),
            ("refunds", told["refunded"], entries["refunded"]),
            ("expiries", told["credit_expired"], entries["credit_expired"]),
            ("disputes", stages["opened"], entries["disputed"]),
            ("disputes won", stages["won"], entries["dispute_won"]),
            ("disputes lost", stages["lost"], lost),
        ):
            if found != right:
                raise Wrong(f"{what}: told of {found}, and there are {right}")
        for kind in ("balance_zero", "balance_low"):
            if told[kind] > top_ups:
                raise Wrong(f"{kind} was told {told[kind]} times over {top_ups} top-ups")

    def _invoiced(self) -> None:
        for kind, payments in (("credits", "charge"), ("credit_note", "refund")):
            invoices = Counter(
                (row["org_id"], row["payment_id"])
                for row in self._all("SELECT org_id, payment_id FROM invoice WHERE kind = ?", kind)
            )
            wanted = Counter(
                (row["org_id"], row["payment_id"])
                for row in self._all(
                    "SELECT org_id, payment_id FROM payment WHERE kind = ? AND settled_at IS NOT NULL "
                    "AND state IN ('succeeded', 'disputed')",
                    payments,
                )
            )
            if kind == "credits" and invoices != wanted:
                raise Wrong(f"invoices: {invoices - wanted} too many, {wanted - invoices} missing")
            if invoices.total() != wanted.total():
                raise Wrong(f"{invoices.total()} of {kind}, and {wanted.total()} payments")
        numbers: dict[str, list[int]] = defaultdict(list)
        for seller_id, number in self._all("SELECT seller_id, number FROM invoice_number ORDER BY 1, 2"):
            numbers[seller_id].append(number)
        for seller_id, given in numbers.items():
            if given != list(range(1, len(given) + 1)):
                raise Wrong(f"seller {seller_id}: numbers {given}")
        bare = self._all("SELECT org_id, invoice_id FROM invoice WHERE number = ''")
        if bare:
            raise Wrong(f"invoices without a number: {[tuple(row) for row in bare]}")


_DISPUTED = "payment_disputed"


def _local(micros: int, zone) -> datetime:
    return datetime.fromtimestamp(micros // 10**6, UTC).astimezone(zone)
