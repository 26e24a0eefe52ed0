"""What tests of licences ask of the organisation contoso."""

from gettone.operations import directory, licensing, numbers, subscriptions

PLAN = ("MCOEV", "MCOPSTN1")


def held(world, name: str) -> tuple[str, ...]:
    return directory.get_user(world.office, "contoso", name).licences


def counts(world) -> dict[str, tuple[int, int, int]]:
    """Return purchased, assigned and available by product."""
    found = subscriptions.list_products(world.office, "contoso", world.now)
    return {one.sku: (one.purchased, one.assigned, one.available) for one in found}


def assign(world, name: str, *add: str, remove: tuple[str, ...] = (), **options):
    return licensing.assign(world.office, "contoso", name, world.now, add=add, remove=remove, **options)


def buy(world, product: str, quantity: int | None = None, reference: str = ""):
    reference = reference or f"order of {product}"
    return subscriptions.buy(world.office, "contoso", product, world.now, reference=reference, quantity=quantity)


def numbers_of(world) -> dict[str, tuple[str, str]]:
    listed = numbers.list_numbers(world.office, "contoso").items
    return {one.number: (one.use, one.user_id) for one in listed}
