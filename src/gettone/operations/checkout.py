"""An order carried through at once: what is requested for it is asked of the providers now, not when a job comes by."""

from gettone.domain.payments import PaymentState
from gettone.operations import payment_reports
from gettone.operations.office import Office
from gettone.operations.paying import Paying
from gettone.operations.payment_reports import OrderView


def pay_now(office: Office, paying: Paying, org_id: str, order_id: str) -> OrderView:
    """Ask for every payment that is requested for an order, the next method after each decline; the order then.

    What is already being asked about is left alone. Raises `NotFound`.
    """
    while True:
        view = payment_reports.order(office, org_id, order_id)
        requested = [one for one in view.payments if one.state is PaymentState.REQUESTED]
        if not requested or paying.pay(org_id, requested[0].payment_id) is None:
            return view
