"""One row of Microsoft's PSTN usage, whether it comes from Graph or from the usage export.

Source of the meanings: Teams PSTN usage report and Graph's pstnCallLogRow (protocol notes, section 5).
"""

from typing import NamedTuple

from gettone.agents.cdr import fields
from gettone.agents.cdr.records import CallRecord, Reject, shown
from gettone.agents.cdr.times import check_span, iso_utc


class PstnRow(NamedTuple):
    """The fields that matter, as text; empty when absent or null."""

    row_id: str
    call_id: str
    user: str
    caller: str
    callee: str
    start: str
    end: str
    seconds: str
    call_type: str
    charge: str
    connection_charge: str
    currency: str


class Names(NamedTuple):
    """What the source calls the fields, for reasons that people can look up."""

    caller: str
    callee: str
    start: str
    end: str
    seconds: str
    call_type: str
    charge: str
    connection_charge: str
    currency: str


def pstn_record(line: int, row: PstnRow, names: Names, *, decimal_comma: bool = False) -> CallRecord:
    """Build the record; the reported charge includes the connection charge.

    Direct Routing rows are refused: their durations count from the INVITE, ringing included.
    """
    call_type = fields.call_type(names.call_type, row.call_type)
    if call_type is not None and call_type.startswith("dr_"):
        raise Reject(
            f"{names.call_type}: {shown(row.call_type)} is a Direct Routing call, whose duration includes ringing;"
            " import the records of the SBC instead"
        )
    seconds = fields.seconds(names.seconds, row.seconds)
    started_at = iso_utc(names.start, row.start, naive_is_utc=True)
    if row.end:
        check_span(started_at, iso_utc(names.end, row.end, naive_is_utc=True), seconds)
    inbound = call_type is not None and fields.CALL_DIRECTIONS[call_type] == "in"
    charge = fields.total_charge(
        fields.charge(names.charge, row.charge, decimal_comma=decimal_comma),
        fields.charge(names.connection_charge, row.connection_charge, decimal_comma=decimal_comma),
    )
    return CallRecord(
        line,
        row.row_id,
        row.call_id or None,
        row.user or None,
        fields.caller_number(row.caller),
        fields.dialled(names.callee, row.callee, answered=seconds > 0 and not inbound),
        started_at,
        seconds,
        seconds > 0,
        call_type,
        charge,
        fields.currency(names.currency, row.currency, charge),
    )
