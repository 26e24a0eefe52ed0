"""The rows of buying credit and of telling people, as the units of `gettone.operations.office` have them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from gettone.operations.billing import (
    AdminRole,
    AuditEntry,
    CreditOrder,
    Delivery,
    Invoice,
    Method,
    Payment,
    PaymentEvent,
    Profile,
    RechargeRule,
    Recipient,
    Seller,
    Webhook,
)
from gettone.operations.views import NoticeView


class BuyingRows(Protocol):
    """Credit that is bought: profiles, payment methods, the auto-recharge, orders and payments."""

    def profile(self, org_id: str) -> Profile:
        """Who an organisation is on invoices; all defaults when nothing was set."""

    def write_profile(self, org_id: str, profile: Profile) -> None:
        """Write a profile."""

    def methods(self, org_id: str, *, removed: bool = False) -> list[Method]:
        """Payment methods in the order in which they are tried; with *removed* also those."""

    def write_method(self, org_id: str, method: Method) -> None:
        """Write a payment method, new or not."""

    def rule(self, org_id: str) -> RechargeRule | None:
        """The auto-recharge as it was set."""

    def write_rule(self, org_id: str, rule: RechargeRule) -> None:
        """Write the auto-recharge."""

    def order(self, org_id: str, order_id: str) -> CreditOrder | None:
        """One order."""

    def order_by_reference(self, org_id: str, reference: str) -> CreditOrder | None:
        """The order of one reference."""

    def open_recharge(self, org_id: str) -> CreditOrder | None:
        """The recharge that is open."""

    def orders(self, org_id: str, kind: str, before: str, limit: int) -> list[CreditOrder]:
        """Orders, newest first, those with ids below *before*; of one kind if named."""

    def write_order(self, org_id: str, order: CreditOrder) -> None:
        """Write an order, new or not."""

    def bought(self, org_id: str, since: datetime) -> tuple[int, int]:
        """How many recharges were ordered since then and did not fail, and their amount."""

    def payment(self, org_id: str, payment_id: str) -> Payment | None:
        """One payment."""

    def payments_of(self, org_id: str, order_id: str) -> list[Payment]:
        """The payments of an order, in order."""

    def payments(self, org_id: str, before: tuple[int, str] | None, limit: int) -> list[Payment]:
        """Payments, newest first, those created before (microseconds, id)."""

    def write_payment(self, org_id: str, payment: Payment) -> None:
        """Write a payment, new or not."""

    def due_payments(self, now: datetime, limit: int) -> list[tuple[str, str]]:
        """(org_id, payment_id) of payments that are to be asked about, the longest waiting first."""

    def unpaid(self, org_id: str, method_id: str) -> int:
        """What succeeded payments by an agreement still owe, in micros."""

    def asked_before(self, org_id: str, asked: Payment) -> int:
        """What the charges come to that are open and were first asked about before *asked*, by the same method."""

    def add_payment_event(self, org_id: str, event: PaymentEvent) -> None:
        """Write the next step of a payment; its line is counted here."""

    def payment_events(self, org_id: str, payment_id: str) -> list[PaymentEvent]:
        """The steps of a payment, in order."""

    def take_event(self, org_id: str, provider: str, event_id: str, kind: str, now: datetime) -> bool:
        """Note a provider's message; False when it was taken in before."""

    def recharges_marked(self, limit: int) -> list[str]:
        """Ids of organisations whose wallet a debit has marked as due for a recharge, the longest waiting first."""

    def recharges_due(self, now: datetime, after: str, limit: int) -> list[str]:
        """Ids, after *after*, of organisations whose auto-recharge may buy now and perhaps should."""


class InvoiceRows(Protocol):
    """Invoices, their numbers, and sellers."""

    def sellers(self) -> list[Seller]:
        """Those who sell, oldest first."""

    def write_seller(self, seller: Seller) -> None:
        """Write a seller, new or not."""

    def add_invoice(self, org_id: str, invoice: Invoice) -> None:
        """Write an invoice that has just been issued."""

    def change_invoice(self, org_id: str, invoice: Invoice) -> None:
        """Write number, purchase order or payment of an invoice."""

    def invoice(self, org_id: str, invoice_id: str) -> Invoice | None:
        """One invoice."""

    def invoice_by_number(self, org_id: str, number: str) -> Invoice | None:
        """The latest invoice with a number as it is printed, if there is one."""

    def invoices(self, org_id: str, before: tuple[int, str] | None, limit: int) -> list[Invoice]:
        """Invoices, newest first, those issued before (microseconds, id)."""

    def invoices_of_payment(self, org_id: str, payment_id: str) -> list[Invoice]:
        """Invoice and credit notes of a payment, in order of issue."""

    def last_usage_invoice(self, org_id: str) -> Invoice | None:
        """The latest invoice of billing after use."""

    def unnumbered(self, limit: int) -> list[tuple[str, Invoice]]:
        """Invoices without a number and their organisations, in order of issue."""

    def number_of(self, org_id: str, invoice_id: str) -> tuple[str, int] | None:
        """The seller and number that were given to an invoice."""

    def give_number(self, seller_id: str, org_id: str, invoice_id: str) -> int:
        """Give an invoice the seller's next number; raises `Conflict` when another process was faster."""


class TellingRows(Protocol):
    """Who is told, and deliveries of notices on their way."""

    def roles(self, org_id: str) -> list[AdminRole]:
        """Who administers what, in order of user and role."""

    def add_role(self, org_id: str, role: AdminRole) -> None:
        """Write a role of a user."""

    def remove_role(self, org_id: str, user_id: str, role: str) -> bool:
        """Take a role away; False when the user did not have it."""

    def recipients(self, org_id: str) -> list[Recipient]:
        """Chosen addresses and changed roles, in order of target."""

    def write_recipient(self, org_id: str, recipient: Recipient) -> None:
        """Write a recipient, new or not."""

    def remove_recipient(self, org_id: str, target: str) -> bool:
        """Take a recipient out; False when there was none."""

    def webhooks(self, org_id: str) -> list[Webhook]:
        """Webhooks, oldest first."""

    def write_webhook(self, org_id: str, webhook: Webhook) -> None:
        """Write a webhook, new or not."""

    def remove_webhook(self, org_id: str, webhook_id: str) -> bool:
        """Take a webhook out; False when there was none."""

    def new_notices(self, after: tuple[str, str], limit: int) -> list[tuple[str, str]]:
        """(org_id, notice_id) of notices whose deliveries are not written yet, those after *after*."""

    def notice(self, org_id: str, notice_id: str) -> NoticeView | None:
        """One notice."""

    def addressed(self, org_id: str, notice_id: str) -> bool:
        """Mark that a notice's deliveries are written; False when they had been."""

    def add_deliveries(self, org_id: str, deliveries: Sequence[Delivery]) -> None:
        """Write new deliveries."""

    def change_delivery(self, org_id: str, delivery: Delivery) -> None:
        """Write how a delivery stands."""

    def delivery(self, org_id: str, delivery_id: str) -> Delivery | None:
        """One delivery."""

    def deliveries(
        self, org_id: str, notice_id: str, state: str, before: tuple[int, str] | None, limit: int
    ) -> list[Delivery]:
        """Deliveries, newest first, those created before (microseconds, id); of one notice or in one state if named."""

    def due_deliveries(self, now: datetime, limit: int) -> list[tuple[str, str]]:
        """(org_id, delivery_id) of deliveries that are to be tried, the longest waiting first."""


class AuditRows(Protocol):
    """Who changed what."""

    def add_audit(self, org_id: str, entry: AuditEntry) -> None:
        """Write one change."""

    def audit(self, org_id: str, subject: str, before: tuple[int, int] | None, limit: int) -> list[AuditEntry]:
        """Changes, newest first, those before (version, line); about one subject if named."""


class LeaseRows(Protocol):
    """Which process does what at the moment."""

    def take_lease(self, name: str, holder: str, now: datetime, until: datetime) -> bool:
        """Take or renew a lease; False while another holder's has not run out."""

    def drop_lease(self, name: str, holder: str) -> None:
        """Give a lease back."""
