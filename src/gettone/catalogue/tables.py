"""Load the shipped tables of products, allotments, areas and premium destinations into a `Catalogue` value (D9)."""

import csv
import io
from datetime import date
from functools import cache
from importlib.resources import files

from gettone.domain.entitlement import Allotment, CallingPlan, Catalogue


@cache
def catalogue() -> Catalogue:
    """The catalogue as shipped."""
    products = _rows("products.csv")
    areas = _rows("areas.csv")
    return Catalogue(
        calling_plans={
            row["product"]: CallingPlan(row["product"], pooled=row["role"] == "calling_plan")
            for row in products
            if row["role"] in {"calling_plan", "pay_as_you_go"}
        },
        credits_product=next(row["product"] for row in products if row["role"] == "credits"),
        allotments=tuple(
            Allotment(row["product"], row["area"], int(row["minutes"]), date.fromisoformat(row["effective_from"]))
            for row in _rows("allotments.csv")
        ),
        areas={row["country"]: row["pool_area"] for row in areas},
        domestic={row["country"]: frozenset(row["domestic_countries"].split()) for row in areas},
        premium=frozenset((row["usage_location"], row["prefix"]) for row in _rows("premium.csv")),
    )


@cache
def product_names() -> dict[str, str]:
    """Every product that can be assigned, with its name."""
    return {row["product"]: row["name"] for row in _rows("products.csv")}


def _rows(name: str) -> list[dict[str, str]]:
    table = (files("gettone.catalogue") / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(table)))
