"""Invoices as PDF: A4, in the language of the invoice, with all letters of Latin, Greek and Cyrillic.

The same document makes the same bytes: the date of the file is the date of issue, and the fonts are the shipped ones
(DejaVu Sans, cut down to these scripts; its licence is beside them). A sign that the fonts have not is shown as a
question mark: the JSON has it as it is.
"""

from collections.abc import Callable, Iterable, Sequence
from importlib.resources import as_file, files

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import TTFFont

from gettone.invoices.words import Speech, length
from gettone.operations.books_rows import BilledCall
from gettone.operations.invoice_documents import CREDIT_NOTE, POST_USAGE, USAGE, Document, Party
from gettone.operations.invoicing import InvoiceView

FAMILY = "DejaVu"
MARGIN = 20
WIDTH = 210 - 2 * MARGIN
LINE = 5.0
SMALL = 4.2
FOOT = 20
"""Millimetres, like every length here."""

BODY, NOTE, TITLE = 9, 7.5, 15
GREY, RULE = 110, 200


def render(
    invoice: InvoiceView, calls: Iterable[BilledCall] = (), name_of: Callable[[str], str] = lambda user: user
) -> bytes:
    """The invoice as a PDF, with *calls* one by one behind it; *name_of* says what a user is called by its id."""
    document = invoice.document
    page = _Page(document, invoice.number)
    page.add_page()
    page.head(invoice)
    page.parties()
    page.references(invoice)
    page.lines()
    page.totals()
    page.closing(invoice)
    page.calls(calls, name_of)
    return bytes(page.output())


class _Page(FPDF):
    """The pages of one invoice."""

    def __init__(self, document: Document, number: str) -> None:
        super().__init__(orientation="portrait", unit="mm", format="A4")
        self.invoice = document
        self.invoice_number = number
        self.say = Speech(document.language, document.currency, document.time_zone)
        self.set_margins(MARGIN, MARGIN, MARGIN)
        self.set_auto_page_break(auto=True, margin=FOOT)
        folder = files("gettone.invoices") / "fonts"
        for style, name in (("", "DejaVuSans.ttf"), ("B", "DejaVuSans-Bold.ttf")):
            with as_file(folder / name) as path:
                self.add_font(FAMILY, style=style, fname=path)
        self._signs = frozenset.intersection(
            *(frozenset(font.cmap) for font in self.fonts.values() if isinstance(font, TTFFont))
        )
        self.set_creation_date(document.issued_at)
        self.set_lang("it-IT" if self.say.language == "it" else "en-GB")
        self.set_title(self.plain(f"{self.say(document.kind)} {number}".strip()))
        self.set_author(self.plain(document.seller.name))
        self.set_creator("Gettone")
        self.set_font(FAMILY, size=BODY)

    def plain(self, text: str) -> str:
        """*text* with signs that the fonts have; others become question marks."""
        return "".join(sign if ord(sign) in self._signs or sign == "\n" else "?" for sign in text)

    def footer(self) -> None:
        """At the foot of each page: which invoice it belongs to, and which page it is."""
        self.set_y(-FOOT + LINE)
        self.set_font(FAMILY, size=NOTE)
        self.set_text_color(GREY)
        name, number = self.say(self.invoice.kind), self.invoice_number or self.invoice.invoice_id
        text = self.say("page", name=name, number=number, page=str(self.page_no()), pages="{nb}")
        self.cell(WIDTH, SMALL, self.plain(text), align="C")
        self.set_text_color(0)

    # -- parts of the first page ---------------------------------------------------------------------------------

    def head(self, invoice: InvoiceView) -> None:
        """Title, number, date and month."""
        say, document = self.say, self.invoice
        self.set_font(FAMILY, "B", TITLE)
        self.multi_cell(WIDTH, 8, self.plain(say(document.kind)), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(1)
        self.fact(say("number"), invoice.number or say("no_number"))
        self.fact(say("issued_on"), say.day(document.issued_on))
        if document.period:
            self.fact(say("period"), say.month(document.period))
        if document.kind == CREDIT_NOTE:
            self.fact(say("corrects"), invoice.corrects_number or document.corrects)
        self.ln(LINE)

    def parties(self) -> None:
        """Seller and buyer beside each other."""
        top, half = self.get_y(), WIDTH / 2
        ends = []
        for place, (word, party) in enumerate((("seller", self.invoice.seller), ("buyer", self.invoice.buyer))):
            self.set_xy(MARGIN + place * half, top)
            self.party(word, party, half - 5)
            ends.append(self.get_y())
        self.set_xy(MARGIN, max(ends) + LINE)

    def party(self, word: str, party: Party, width: float) -> None:
        """One party: heading, name, address, tax number."""
        left = self.get_x()
        rest = [*party.address.splitlines()]
        if party.tax_id:
            rest.append(f"{self.say('tax_id')}: {party.tax_id}")
        if party.email:
            rest.append(party.email)
        if word == "buyer":
            rest.append(f"{self.say('customer_id')}: {party.party_id}")
        parts = [(NOTE, "", self.say(word)), (BODY, "B", party.name), *((BODY, "", text) for text in rest)]
        for size, style, text in parts:
            self.set_font(FAMILY, style, size)
            self.set_text_color(GREY if size == NOTE else 0)
            self.set_x(left)
            self.multi_cell(width, LINE, self.plain(text), align="L", new_x=XPos.LEFT, new_y=YPos.NEXT)
        self.set_text_color(0)

    def references(self, invoice: InvoiceView) -> None:
        """What the buyer's books need: purchase order, agreement, order, payment."""
        say, document = self.say, self.invoice
        if invoice.purchase_order:
            self.fact(say("purchase_order"), invoice.purchase_order)
        for change in invoice.purchase_order_changes:
            if change.before:
                day = say("until", day=say.day_of(change.at))
                self.fact(say("purchase_order_before"), f"{change.before} ({day})")
        facts = {
            "agreement": document.agreement_number,
            "order": document.order_id,
            "payment": document.payment_id,
            "method": document.method_label,
        }
        for word, value in facts.items():
            if value:
                self.fact(say(word), value)
        self.ln(LINE)

    def fact(self, name: str, value: str) -> None:
        """A name with its value."""
        self.set_font(FAMILY, size=BODY)
        self.set_text_color(GREY)
        self.cell(55, LINE, self.plain(name))
        self.set_text_color(0)
        self.multi_cell(WIDTH - 55, LINE, self.plain(value), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    # -- lines and sums ------------------------------------------------------------------------------------------

    def lines(self) -> None:
        """What is invoiced; of usage, one line for each destination."""
        say, document = self.say, self.invoice
        if document.kind != POST_USAGE:
            table = _Table(self, [WIDTH - 45, 45], "LR", [say("description"), say("amount")])
            for line in document.lines:
                table.row([line.text, say.amount(line.amount_micros)])
            return
        widths = [WIDTH - 128, 23, 23, 22, 24, 36]
        words = ("destination", "calls", "messages", "time", "billed_time", "amount")
        table = _Table(self, widths, "LRRRRR", [say(word) for word in words])
        for line in document.lines:
            if line.kind != USAGE:
                table.wide_row(line.text, say.amount(line.amount_micros))
                continue
            counted = [say.count(line.calls), say.count(line.messages) if line.messages else ""]
            times = [length(line.seconds), length(line.billed_seconds)]
            table.row([line.text or "?", *counted, *times, say.amount(line.amount_micros)])

    def totals(self) -> None:
        """Net amount, taxes and total."""
        say, document = self.say, self.invoice
        self.ln(2)
        rows = [(say("net"), document.net_micros, "")]
        for tax in document.taxes:
            percent, base = say.percent(tax.millionths), say.amount(tax.base_micros)
            rows.append((say("tax", label=tax.label, percent=percent, base=base), tax.amount_micros, ""))
        rows.append((say("total"), document.gross_micros, "B"))
        for name, micros, style in rows:
            self.set_font(FAMILY, style, BODY)
            self.cell(WIDTH - 45, LINE + 1, self.plain(name), align="R")
            self.cell(45, LINE + 1, say.amount(micros), align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def closing(self, invoice: InvoiceView) -> None:
        """Whether it is paid, and until when the credit can be used."""
        say, document = self.say, self.invoice
        if document.kind == CREDIT_NOTE:
            told = [say("refunded")]
        else:
            told = [say("paid", day=say.day_of(invoice.paid_at)) if invoice.paid_at else say("owed")]
        if document.lot_expires_at is not None:
            told.append(say("expires", moment=say.moment(document.lot_expires_at)))
        if invoice.credited_micros:
            told.append(say("credited", amount=say.amount(invoice.credited_micros)))
        self.ln(LINE)
        self.set_font(FAMILY, size=BODY)
        for text in told:
            self.multi_cell(WIDTH, LINE, self.plain(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def calls(self, calls: Iterable[BilledCall], name_of: Callable[[str], str]) -> None:
        """The calls one by one, on pages of their own."""
        say, table = self.say, None
        for call in calls:
            if table is None:
                self.add_page()
                self.set_font(FAMILY, "B", BODY + 2)
                self.cell(WIDTH, 8, self.plain(say("each_call")), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
                words = ("when", "user", "called", "destination", "time", "amount")
                table = _Table(self, [32, 38, 28, WIDTH - 144, 16, 30], "LLLLRR", [say(word) for word in words], NOTE)
            seconds = say.count(call.seconds) if call.call_type == "sms_out" else length(call.seconds)
            cells = [say.clock(call.started_at), name_of(call.user_id), call.called, call.destination]
            table.row([*cells, seconds, say.amount(call.charge_micros)])


class _Table:
    """Rows of one line each; every page begins with the names of the columns. What is too long is cut."""

    def __init__(
        self, page: _Page, widths: Sequence[float], aligned: str, names: Sequence[str], size: float = BODY
    ) -> None:
        self._page, self._widths, self._aligned, self._names, self._size = page, widths, aligned, names, size
        self._height = LINE if size == BODY else SMALL
        self._heading()

    def row(self, cells: Sequence[str]) -> None:
        """One row; a page that is full is followed by another."""
        self._make_room()
        self._write(cells, self._widths, self._aligned)

    def wide_row(self, text: str, last: str) -> None:
        """A row whose text takes the room of all columns but the last one."""
        self._make_room()
        self._write((text, last), (sum(self._widths[:-1]), self._widths[-1]), "LR")

    def _make_room(self) -> None:
        if self._page.will_page_break(self._height):
            self._page.add_page()
            self._heading()
        self._page.set_font(FAMILY, "", self._size)

    def _heading(self) -> None:
        page = self._page
        page.set_font(FAMILY, "B", self._size)
        self._write(self._names, self._widths, self._aligned)
        page.set_draw_color(RULE)
        page.line(MARGIN, page.get_y(), MARGIN + WIDTH, page.get_y())
        page.ln(0.8)

    def _write(self, cells: Sequence[str], widths: Sequence[float], alignment: str) -> None:
        page = self._page
        for text, width, aligned in zip(cells, widths, alignment, strict=True):
            page.cell(width, self._height, self._fitting(page.plain(text), width - 2), align=aligned)
        page.ln(self._height)

    def _fitting(self, text: str, width: float) -> str:
        """As much of *text* as there is room for."""
        if self._page.get_string_width(text) <= width:
            return text
        while text and self._page.get_string_width(f"{text}…") > width:
            text = text[:-1]
        return f"{text}…"
