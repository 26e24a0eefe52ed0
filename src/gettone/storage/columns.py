"""What the tables are made of: one collection of them all, and the few kinds of column they have."""

from sqlalchemy import BigInteger, Column, MetaData, SmallInteger, Text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def key(name: str) -> Column[str]:
    """A part of the primary key: text."""
    return Column(name, Text, primary_key=True, nullable=False)


def string(name: str) -> Column[str]:
    """Text, empty unless given."""
    return Column(name, Text, nullable=False, server_default="")


def number(name: str) -> Column[int]:
    """A whole number of 64 bits, 0 unless given."""
    return Column(name, BigInteger, nullable=False, server_default="0")


def small(name: str) -> Column[int]:
    """A small whole number or truth, 0 unless given."""
    return Column(name, SmallInteger, nullable=False, server_default="0")


def time(name: str, *, optional: bool = False) -> Column[int]:
    """An instant in microseconds since 1970, NULL where *optional*."""
    return Column(name, BigInteger, nullable=optional)
