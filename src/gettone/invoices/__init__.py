"""How invoices look: the words in two languages (`words`), the page (`pdf`) and the calls one by one (`table`).

Nothing is decided or read here: a document comes in (`gettone.operations.invoicing`), bytes go out, the same bytes for
the same document every time.
"""
