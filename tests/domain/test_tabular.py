"""Tables as people save them: encodings, delimiters, broken lines."""

from decimal import Decimal

import pytest

from gettone.domain.tabular import Dialect, TableError, decode_csv, find_delimiter, parse_decimal, read_lines

TEXT = "prefix,destination\n39,Città\n"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (TEXT.encode(), "utf-8"),
        (TEXT.encode("utf-8-sig"), "utf-8-sig"),
        (TEXT.encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "utf-16"),
        (TEXT.encode("cp1252"), "cp1252"),
    ],
    ids=["utf-8", "utf-8 with BOM", "utf-16 little-endian", "utf-16 big-endian", "cp1252"],
)
def test_every_usual_encoding_gives_the_same_text(data, encoding):
    assert decode_csv(data) == (TEXT, Dialect(encoding, ","))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (TEXT.encode().removesuffix(b"\xa0\n"), "damaged or cut"),
        (TEXT.encode("utf-16")[:-1], "is not utf-16 text"),
        (TEXT.encode("utf-16-le"), "zero bytes"),
        (b"caff\xe8 \x81\n", "is not cp1252 text"),
    ],
    ids=["utf-8 cut within a character", "utf-16 cut", "utf-16 without mark", "no text"],
)
def test_bytes_that_are_not_a_whole_text_are_refused(data, message):
    with pytest.raises(TableError, match=message):
        decode_csv(data)


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b;c,d", ","),
        ("\n \na;b;c\n1,5;2,5;3,5", ";"),
        ("a\tb\tc", "\t"),
        ('"a,b,c";d', ";"),
        ("only", ","),
        ("", ","),
    ],
)
def test_the_first_line_with_text_tells_the_delimiter(text, delimiter):
    assert find_delimiter(text) == delimiter


def test_a_comma_may_be_a_decimal_sign_only_beside_semicolons():
    assert [Dialect("utf-8", sign).decimal_comma for sign in ";,\t"] == [True, False, False]


def test_lines_keep_their_numbers_across_blank_lines_and_quoted_line_breaks():
    lines = list(read_lines('a,b\r\n\r\n"x\r\ny",2\r\n , \r\n3,"4"\r\n', ","))

    assert [(line.number, line.cells) for line in lines] == [(1, ("a", "b")), (3, ("x\r\ny", "2")), (6, ("3", "4"))]


def test_a_line_with_broken_quotes_is_named_and_the_next_is_read():
    lines = list(read_lines('a\n"b"c\nd\n"e\nf', ","))

    assert [(line.number, line.cells, bool(line.problem)) for line in lines] == [
        (1, ("a",), False),
        (2, (), True),
        (3, ("d",), False),
        (4, (), True),
    ]


@pytest.mark.parametrize("text", ["0.31135104", " 12 ", "-3.5", "0"])
def test_a_plain_number_is_read_exactly(text):
    assert parse_decimal(text) == Decimal(text.strip())


@pytest.mark.parametrize("text", ["", "1e3", "NaN", "1,5", "1.234,56", "1 000", ".5", "5.", "$1", "٣", "+1", "0x1"])
def test_anything_else_is_not_a_number(text):
    with pytest.raises(ValueError, match="not a plain number"):
        parse_decimal(text)
