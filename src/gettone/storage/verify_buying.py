"""What is verified of buying and telling: orders, payments, the auto-recharge, invoices and deliveries, in SQL.

See `gettone.storage.verify`. The ledger is held against the payments, for it cannot be changed and they can: what moved
at a provider is what a payment's entry took out of, or put back into, the accounts ``funding`` and ``invoiced``.
"""

from gettone.domain.payments import PaymentState
from gettone.operations.billing import RECHARGE
from gettone.operations.ports import NOTHING_LEFT
from gettone.storage.checks import RANGE, Check

_OPEN = ", ".join(f"'{state.value}'" for state in PaymentState if state.open)
_PAID = f"'{PaymentState.SUCCEEDED.value}', '{PaymentState.DISPUTED.value}'"
_OURS = "p.org_id >= :first AND p.org_id <= :last"
_BOOKINGS = "'credit_bought', 'refunded'"
_POSTED = f"""ledger_entry e JOIN ledger_posting l ON l.org_id = e.org_id AND l.entry_number = e.entry_number
    WHERE e.org_id >= :first AND e.org_id <= :last AND e.kind IN ({_BOOKINGS})"""

PAYMENTS = (
    Check(
        "payment_not_booked",
        "payment {0!r}",
        f"""SELECT p.org_id, p.payment_id, 'an entry', 'none' FROM payment p WHERE {_OURS} AND p.state IN ({_PAID})
        AND NOT EXISTS (SELECT 1 FROM ledger_entry e WHERE e.org_id = p.org_id AND e.reference = p.payment_id
        AND e.kind = CASE p.kind WHEN 'refund' THEN 'refunded' ELSE 'credit_bought' END)""",
    ),
    Check(
        "payment_booked_twice",
        "payment {0!r}",
        f"""SELECT org_id, reference, 1, COUNT(*) FROM ledger_entry WHERE {RANGE} AND kind IN ({_BOOKINGS})
        GROUP BY org_id, kind, reference HAVING COUNT(*) > 1""",
    ),
    Check(
        "booking_without_payment",
        "entry {0} of payment {1!r}",
        f"""SELECT e.org_id, e.entry_number, e.reference, 'a payment', 'none' FROM ledger_entry e
        WHERE e.org_id >= :first AND e.org_id <= :last AND e.kind IN ({_BOOKINGS}) AND NOT EXISTS
        (SELECT 1 FROM payment p WHERE p.org_id = e.org_id AND p.payment_id = e.reference AND p.state IN ({_PAID}))""",
    ),
    *(
        Check(
            "payment_differs",
            f"payment {{0!r}}, {what}",
            f"""SELECT org_id, payment_id, SUM(expected), SUM(found) FROM (
            SELECT p.org_id AS org_id, p.payment_id AS payment_id, 0 AS expected, {column} AS found FROM payment p
            WHERE {_OURS} AND p.state IN ({_PAID})
            UNION ALL SELECT e.org_id, e.reference, {sign} * (CASE e.kind WHEN 'refunded' THEN -l.amount_micros
            ELSE l.amount_micros END), 0 FROM {_POSTED} AND l.account IN ({accounts})) AS both_sides
            GROUP BY org_id, payment_id HAVING SUM(expected) <> SUM(found)""",
        )
        for what, column, sign, accounts in (
            ("gross_micros", "p.gross_micros", -1, "'funding', 'invoiced'"),
            ("tax", "p.gross_micros - p.net_micros", 1, "'tax'"),
        )
    ),
    Check(
        "payment_refunded",
        "payment {0!r}",
        f"""SELECT p.org_id, p.payment_id, COALESCE(r.micros, 0), p.refunded_micros FROM payment p LEFT JOIN
        (SELECT org_id, refund_of, SUM(net_micros) AS micros FROM payment
        WHERE {RANGE} AND kind = 'refund' AND state <> 'declined' GROUP BY org_id, refund_of) r
        ON r.org_id = p.org_id AND r.refund_of = p.payment_id
        WHERE {_OURS} AND p.kind = 'charge' AND COALESCE(r.micros, 0) <> p.refunded_micros""",
    ),
    Check(
        "payment_disputed",
        "payment {0!r}",
        f"""SELECT org_id, payment_id, SUM(expected), SUM(found) FROM (
        SELECT org_id, payment_id, 0 AS expected, disputed_micros AS found FROM payment WHERE {RANGE}
        UNION ALL SELECT e.org_id, e.reference, l.amount_micros, 0 FROM ledger_entry e
        JOIN ledger_posting l ON l.org_id = e.org_id AND l.entry_number = e.entry_number
        WHERE e.org_id >= :first AND e.org_id <= :last AND e.kind IN ('disputed', 'dispute_won')
        AND l.account IN ('funding', 'tax')) AS both_sides
        GROUP BY org_id, payment_id HAVING SUM(expected) <> SUM(found)""",
    ),
    Check(
        "payment_history",
        "payment {0!r}",
        f"""SELECT p.org_id, p.payment_id, p.state, COALESCE(v.state, 'nothing') FROM payment p LEFT JOIN
        (SELECT org_id, payment_id, MAX(line) AS line FROM payment_event WHERE {RANGE} GROUP BY org_id, payment_id) last
        ON last.org_id = p.org_id AND last.payment_id = p.payment_id
        LEFT JOIN payment_event v ON v.org_id = p.org_id AND v.payment_id = p.payment_id AND v.line = last.line
        WHERE {_OURS} AND COALESCE(v.state, '') <> p.state""",
    ),
    Check(
        "payment_unasked",
        "payment {0!r}, {1}",
        f"""SELECT org_id, payment_id, state, CASE WHEN next_at IS NULL THEN 'to be asked about' ELSE 'left alone' END,
        CASE WHEN next_at IS NULL THEN 'left alone' ELSE 'to be asked about' END FROM payment
        WHERE {RANGE} AND (state IN ({_OPEN})) = (next_at IS NULL)""",
    ),
    *(
        Check(
            kind,
            f"{what} {{0!r}}",
            f"""SELECT p.org_id, p.payment_id, {column}, 'none' FROM payment p WHERE {_OURS} AND {condition}
            NOT EXISTS (SELECT 1 FROM {table} o WHERE o.org_id = p.org_id AND o.{key} = {column})""",
        )
        for kind, what, column, condition, table, key in (
            ("payment_without_order", "payment", "p.order_id", "", "credit_order", "order_id"),
            ("payment_without_method", "payment", "p.method_id", "", "payment_method", "method_id"),
            ("refund_without_charge", "refund", "p.refund_of", "p.kind = 'refund' AND", "payment", "payment_id"),
        )
    ),
    Check(
        "payment_lot",
        "payment {0!r}",
        f"""SELECT p.org_id, p.payment_id, CAST(p.net_micros AS VARCHAR(20)),
        COALESCE(CAST(l.amount_micros AS VARCHAR(20)), 'no lot') FROM payment p
        LEFT JOIN lot l ON l.org_id = p.org_id AND l.lot_id = p.lot_id AND l.reference = p.payment_id
        WHERE {_OURS} AND p.kind = 'charge' AND p.state IN ({_PAID})
        AND COALESCE(l.amount_micros, -1) <> p.net_micros""",
    ),
    Check(
        "lot_without_payment",
        "lot {0!r}",
        f"""SELECT l.org_id, l.lot_id, 'a payment', l.reference FROM lot l
        WHERE l.org_id >= :first AND l.org_id <= :last AND l.source IN ('purchase', 'recharge') AND NOT EXISTS
        (SELECT 1 FROM payment p WHERE p.org_id = l.org_id AND p.payment_id = l.reference AND p.state IN ({_PAID})
        AND p.lot_id = l.lot_id)""",
    ),
)

ACCOUNTS = (
    Check(
        "refunding_balance",
        "account refunding",
        f"""SELECT org_id, SUM(expected), SUM(found) FROM (
        SELECT org_id, net_micros AS expected, 0 AS found FROM payment
        WHERE {RANGE} AND kind = 'refund' AND state IN ({_OPEN})
        UNION ALL SELECT org_id, 0, amount_micros FROM ledger_posting WHERE {RANGE} AND account = 'refunding')
        AS both_sides GROUP BY org_id HAVING SUM(expected) <> SUM(found)""",
    ),
    Check(
        "invoiced_balance",
        "account invoiced",
        f"""SELECT org_id, SUM(expected), SUM(found) FROM (
        SELECT org_id, -gross_micros AS expected, 0 AS found FROM payment
        WHERE {RANGE} AND kind = 'charge' AND state IN ({_PAID}) AND collected_at IS NULL
        UNION ALL SELECT r.org_id, r.gross_micros, 0 FROM payment r JOIN payment c
        ON c.org_id = r.org_id AND c.payment_id = r.refund_of WHERE r.org_id >= :first AND r.org_id <= :last
        AND r.kind = 'refund' AND r.state = 'succeeded' AND c.collected_at IS NULL
        UNION ALL SELECT org_id, -(net_micros + tax_micros), 0 FROM invoice
        WHERE {RANGE} AND kind = 'post_usage' AND paid_at IS NULL
        UNION ALL SELECT org_id, 0, amount_micros FROM ledger_posting WHERE {RANGE} AND account = 'invoiced')
        AS both_sides GROUP BY org_id HAVING SUM(expected) <> SUM(found)""",
    ),
)

_ORDERED = "o.org_id >= :first AND o.org_id <= :last"
ORDERS = (
    Check(
        "order_state",
        "order {0!r}",
        f"""SELECT org_id, order_id, expected, state FROM (SELECT o.org_id AS org_id, o.order_id AS order_id,
        o.state AS state, CASE WHEN SUM(CASE WHEN p.state IN ({_PAID}) THEN 1 ELSE 0 END) > 0 THEN 'fulfilled'
        WHEN SUM(CASE WHEN p.state IN ({_OPEN}) THEN 1 ELSE 0 END) > 0 THEN 'open' ELSE 'failed' END AS expected
        FROM credit_order o LEFT JOIN payment p ON p.org_id = o.org_id AND p.order_id = o.order_id AND p.kind = 'charge'
        WHERE {_ORDERED} GROUP BY o.org_id, o.order_id, o.state) AS orders WHERE expected <> state""",
    ),
    Check(
        "order_charged_twice",
        "order {0!r}",
        f"""SELECT org_id, order_id, 1, COUNT(*) FROM payment
        WHERE {RANGE} AND kind = 'charge' AND state <> 'declined' GROUP BY org_id, order_id HAVING COUNT(*) > 1""",
    ),
    Check(
        "order_amount",
        "payment {1!r} for order {0!r}",
        f"""SELECT o.org_id, o.order_id, p.payment_id, o.amount_micros + o.tax_micros, p.gross_micros
        FROM credit_order o JOIN payment p ON p.org_id = o.org_id AND p.order_id = o.order_id WHERE {_ORDERED}
        AND p.kind = 'charge' AND (o.amount_micros <> p.net_micros OR o.tax_micros <> p.gross_micros - p.net_micros)""",
    ),
    Check(
        "order_number_count",
        "wallet's last order",
        f"""SELECT w.org_id, COALESCE(o.last, 0), w.order_number FROM wallet w LEFT JOIN
        (SELECT org_id, MAX(CAST(order_id AS BIGINT)) AS last FROM credit_order WHERE {RANGE} GROUP BY org_id) o
        ON o.org_id = w.org_id
        WHERE w.org_id >= :first AND w.org_id <= :last AND COALESCE(o.last, 0) <> w.order_number""",
    ),
    Check(
        "two_open_recharges",
        "recharges",
        f"""SELECT org_id, 1, COUNT(*) FROM credit_order WHERE {RANGE} AND kind = '{RECHARGE}' AND state = 'open'
        GROUP BY org_id HAVING COUNT(*) > 1""",
    ),
)

# Whether the rule may buy: it is on, not suspended, and none is open. A closed organisation need not be watched.
_MAY_BUY = f"""CASE WHEN r.enabled = 1 AND r.suspended_at IS NULL AND NOT EXISTS (SELECT 1 FROM credit_order o
    WHERE o.org_id = w.org_id AND o.kind = '{RECHARGE}' AND o.state = 'open') THEN 1 ELSE 0 END"""
_WATCHED = "w.org_id >= :first AND w.org_id <= :last"
RULES = (
    Check(
        "recharge_trigger",
        "wallet's trigger_micros",
        f"""SELECT w.org_id, CASE WHEN r.enabled = 1 THEN r.trigger_micros ELSE 0 END, w.trigger_micros
        FROM wallet w LEFT JOIN recharge_rule r ON r.org_id = w.org_id
        WHERE {_WATCHED} AND w.trigger_micros <> CASE WHEN r.enabled = 1 THEN r.trigger_micros ELSE 0 END""",
    ),
    Check(
        "recharge_mark",
        "wallet's recharge_at",
        f"""SELECT org_id, CASE may WHEN 1 THEN 'a time' ELSE 'none' END, CASE may WHEN 1 THEN 'none' ELSE 'a time' END
        FROM (SELECT w.org_id AS org_id, {_MAY_BUY} AS may, w.recharge_at AS recharge_at, g.closed AS closed
        FROM wallet w JOIN organisation g ON g.org_id = w.org_id LEFT JOIN recharge_rule r ON r.org_id = w.org_id
        WHERE {_WATCHED}) AS watched
        WHERE (may = 1 AND recharge_at IS NULL AND closed = 0) OR (may = 0 AND recharge_at IS NOT NULL)""",
    ),
    Check(
        "recharge_due_mark",
        "wallet's recharge_due_at",
        f"""SELECT org_id, 'none', 'a time' FROM wallet
        WHERE {RANGE} AND recharge_due_at IS NOT NULL AND recharge_at IS NULL""",
    ),
    Check(
        "told_mark",
        "wallet that is empty",
        f"""SELECT org_id, 'told', 'not told' FROM wallet
        WHERE {RANGE} AND posted_micros <= overrun_micros AND told & {NOTHING_LEFT} = 0""",
    ),
)

# The invoice of a charge, and the credit note of a refund, each have the payment in their id.
_INVOICE_OF = "CASE p.kind WHEN 'refund' THEN 'refund/' ELSE 'payment/' END || p.payment_id"
INVOICES = (
    Check(
        "invoice_missing",
        "payment {0!r}",
        f"""SELECT p.org_id, p.payment_id, 'an invoice', 'none' FROM payment p WHERE {_OURS} AND p.state IN ({_PAID})
        AND NOT EXISTS (SELECT 1 FROM invoice i WHERE i.org_id = p.org_id AND i.invoice_id = {_INVOICE_OF})""",
    ),
    Check(
        "invoice_differs",
        "invoice {0!r}",
        f"""SELECT p.org_id, i.invoice_id, p.gross_micros, i.net_micros + i.tax_micros FROM payment p
        JOIN invoice i ON i.org_id = p.org_id AND i.invoice_id = {_INVOICE_OF} WHERE {_OURS}
        AND (p.net_micros <> i.net_micros OR p.gross_micros <> i.net_micros + i.tax_micros)""",
    ),
    Check(
        "invoice_without_payment",
        "invoice {0!r}",
        f"""SELECT i.org_id, i.invoice_id, 'a payment', 'none' FROM invoice i
        WHERE i.org_id >= :first AND i.org_id <= :last AND i.kind <> 'post_usage' AND NOT EXISTS
        (SELECT 1 FROM payment p WHERE p.org_id = i.org_id AND p.state IN ({_PAID})
        AND i.invoice_id = {_INVOICE_OF})""",
    ),
    Check(
        "invoice_number_not_given",
        "invoice {0!r}",
        """SELECT i.org_id, i.invoice_id, i.number, 'not given' FROM invoice i
        WHERE i.org_id >= :first AND i.org_id <= :last AND i.number <> '' AND NOT EXISTS (SELECT 1 FROM invoice_number n
        WHERE n.org_id = i.org_id AND n.invoice_id = i.invoice_id AND n.seller_id = i.seller_id)""",
    ),
    Check(
        "invoice_number_unused",
        "number {1} of seller {0!r}",
        """SELECT n.org_id, n.seller_id, n.number, n.invoice_id, 'no such invoice' FROM invoice_number n
        WHERE n.org_id >= :first AND n.org_id <= :last AND NOT EXISTS (SELECT 1 FROM invoice i
        WHERE i.org_id = n.org_id AND i.invoice_id = n.invoice_id AND i.seller_id = n.seller_id)""",
    ),
)

TELLING = (
    Check(
        "delivery_without_notice",
        "delivery {0!r}",
        """SELECT d.org_id, d.delivery_id, d.notice_id, 'none' FROM delivery d
        WHERE d.org_id >= :first AND d.org_id <= :last AND d.notice_id <> '' AND NOT EXISTS
        (SELECT 1 FROM notice n WHERE n.org_id = d.org_id AND n.notice_id = d.notice_id)""",
    ),
)

# Numbers are a seller's, and run through all its organisations.
SHARED = (
    Check(
        "invoice_number_gap",
        "numbers of seller {0!r} before {1}",
        """SELECT '', seller_id, number, before + 1, number FROM (SELECT seller_id, number,
        LAG(number, 1, 0) OVER (PARTITION BY seller_id ORDER BY number) AS before
        FROM invoice_number) AS numbered WHERE number <> before + 1""",
    ),
)

CHECKS = PAYMENTS + ACCOUNTS + ORDERS + RULES + INVOICES + TELLING
TABLES = (
    "credit_order",
    "payment",
    "payment_event",
    "invoice",
    "invoice_number",
    "notice",
    "delivery",
    "recharge_rule",
)
"""Tables whose rows belong to organisations."""
