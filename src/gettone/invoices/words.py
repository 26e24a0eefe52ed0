"""The words of invoices in each language, and how amounts, days and lengths of time are written in it."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal

from gettone.operations.wording import amount, wording

_ENGLISH = {
    "credits": "Invoice",
    "post_usage": "Invoice for calls billed after use",
    "credit_note": "Credit note",
    "number": "Number",
    "no_number": "not numbered yet",
    "issued_on": "Date of issue",
    "period": "Calls of",
    "seller": "Seller",
    "buyer": "Customer",
    "tax_id": "Tax number",
    "customer_id": "Customer id",
    "order": "Order",
    "payment": "Payment",
    "method": "Payment method",
    "agreement": "Agreement",
    "purchase_order": "Purchase order",
    "purchase_order_before": "Purchase order before",
    "until": "until {day}",
    "corrects": "Corrects invoice",
    "description": "Description",
    "calls": "Calls",
    "messages": "Messages",
    "time": "Time",
    "billed_time": "Billed",
    "amount": "Amount",
    "net": "Net amount",
    "tax": "{label} {percent} of {base}",
    "total": "Total",
    "paid": "Paid on {day}.",
    "owed": "Not paid yet.",
    "refunded": "Refunded by the way of payment.",
    "credited": "Credit notes have taken back {amount}.",
    "expires": "The credit can be used until {moment}.",
    "each_call": "Calls one by one",
    "when": "Time",
    "user": "User",
    "called": "Called",
    "destination": "Destination",
    "page": "{name} {number}, page {page} of {pages}",
}
_ITALIAN = {
    "credits": "Fattura",
    "post_usage": "Fattura per chiamate a consumo",
    "credit_note": "Nota di credito",
    "number": "Numero",
    "no_number": "non ancora numerata",
    "issued_on": "Data di emissione",
    "period": "Chiamate di",
    "seller": "Venditore",
    "buyer": "Cliente",
    "tax_id": "Partita IVA o codice fiscale",
    "customer_id": "Codice cliente",
    "order": "Ordine",
    "payment": "Pagamento",
    "method": "Metodo di pagamento",
    "agreement": "Contratto",
    "purchase_order": "Ordine di acquisto",
    "purchase_order_before": "Ordine di acquisto precedente",
    "until": "fino al {day}",
    "corrects": "Rettifica la fattura",
    "description": "Descrizione",
    "calls": "Chiamate",
    "messages": "Messaggi",
    "time": "Durata",
    "billed_time": "Fatturata",
    "amount": "Importo",
    "net": "Imponibile",
    "tax": "{label} {percent} su {base}",
    "total": "Totale",
    "paid": "Pagata il {day}.",
    "owed": "Non ancora pagata.",
    "refunded": "Rimborsata con il metodo di pagamento usato.",
    "credited": "Le note di credito hanno stornato {amount}.",
    "expires": "Il credito è utilizzabile fino al {moment}.",
    "each_call": "Elenco delle chiamate",
    "when": "Ora",
    "user": "Utente",
    "called": "Chiamato",
    "destination": "Destinazione",
    "page": "{name} {number}, pagina {page} di {pages}",
}
WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType({"en": _ENGLISH, "it": _ITALIAN})
LOCALES: Mapping[str, str] = MappingProxyType({"en": "en_GB", "it": "it_IT"})


class Speech:
    """One language: its words, and its way with amounts and days in a currency and a time zone."""

    def __init__(self, language: str, currency: str, time_zone: str) -> None:
        """Speak *language* (English if it is none of ours)."""
        self.language = language if language in WORDS else "en"
        self._words = WORDS[self.language]
        self._wording = wording(self.language)
        self._locale = LOCALES[self.language]
        self._currency = currency
        self._zone = ZoneInfo(time_zone)

    def __call__(self, word: str, **values: str) -> str:
        """What *word* is, with *values* put in."""
        return self._words[word].format(**values)

    def amount(self, micros: int) -> str:
        """An amount with its currency, exact to the micro, written as notices write it."""
        return amount(micros, self._currency, self._wording)

    def percent(self, millionths: int) -> str:
        """A rate of tax: 220,000 millionths are 22 %."""
        return format_decimal(Decimal(millionths) / 10_000, format="#,##0.####", locale=self._locale) + " %"

    def count(self, number: int) -> str:
        """A whole number."""
        return format_decimal(number, locale=self._locale)

    def day(self, iso: str) -> str:
        """A day, with the name of its month."""
        return format_date(date.fromisoformat(iso), "d MMMM y", locale=self._locale)

    def day_of(self, at: datetime) -> str:
        """The day of an instant."""
        return self.day(at.astimezone(self._zone).date().isoformat())

    def moment(self, at: datetime) -> str:
        """An instant to the minute, in the time zone."""
        written = format_datetime(at.astimezone(self._zone), "d MMMM y, HH:mm", locale=self._locale)
        return f"{written} ({self._zone.key})"

    def month(self, period: int) -> str:
        """A month given as yyyymm."""
        return format_date(date(period // 100, period % 100, 1), "MMMM y", locale=self._locale)

    def clock(self, at: datetime) -> str:
        """Day and time of a call, in figures that are the same in every language."""
        return at.astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S")


def length(seconds: int) -> str:
    """A length of time as h:mm:ss."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
