"""Reads the text of a PDF that we have made ourselves: compressed pages, fonts with a map to Unicode."""

import re
import zlib

_OBJECT = re.compile(rb"(\d+) 0 obj\n(.*?)\nendobj", re.DOTALL)
_STREAM = re.compile(rb"stream\n(.*)\nendstream", re.DOTALL)
_FONT_OR_TEXT = re.compile(rb"/F(\d+) [\d.]+ Tf|\(((?:[^\\()]|\\.)*)\) Tj|\[((?:[^\\\]]|\\.)*)\] TJ", re.DOTALL)
_FONTS = re.compile(rb"/Font <<(.*?)>>", re.DOTALL)
_PIECE = re.compile(rb"\(((?:[^\\()]|\\.)*)\)", re.DOTALL)


def pages_of(pdf: bytes) -> list[str]:
    """The text of each page, a piece of text a line."""
    objects = {int(number): body for number, body in _OBJECT.findall(pdf)}
    fonts = {name: _signs(objects, number) for name, number in _fonts(objects).items()}
    pages = [body for body in objects.values() if b"/Type /Page\n" in body]
    return [_text(_unpacked(objects[int(re.search(rb"/Contents (\d+)", page)[1])]), fonts) for page in pages]


def _fonts(objects: dict[int, bytes]) -> dict[int, int]:
    """Which object each font of the pages is."""
    [resources] = {
        found[1] for body in objects.values() for found in [re.search(rb"/Font <<(.*?)>>", body, re.DOTALL)] if found
    }
    return {int(name): int(number) for name, number in re.findall(rb"/F(\d+) (\d+) 0 R", resources)}


def _signs(objects: dict[int, bytes], font: int) -> dict[int, str]:
    """What each glyph of a font means."""
    table = _unpacked(objects[int(re.search(rb"/ToUnicode (\d+)", objects[font])[1])])
    return {
        int(code, 16): bytes.fromhex(sign.decode()).decode("utf-16-be")
        for code, sign in re.findall(rb"^<([0-9A-F]+)> <([0-9A-F]+)>$", table, re.MULTILINE)
    }


def _text(content: bytes, fonts: dict[int, dict[int, str]]) -> str:
    lines: list[str] = []
    signs: dict[int, str] = {}
    for font, one, many in _FONT_OR_TEXT.findall(content):
        if font:
            signs = fonts[int(font)]
            continue
        codes = b"".join(map(_plain, _PIECE.findall(many) if many else [one]))
        lines.append("".join(signs[int.from_bytes(codes[at : at + 2])] for at in range(0, len(codes), 2)))
    return "\n".join(lines)


def _plain(text: bytes) -> bytes:
    """A string as it was before signs of the syntax were marked in it."""
    known = {b"r": b"\r", b"n": b"\n"}
    return re.sub(rb"\\(.)", lambda found: known.get(found[1], found[1]), text, flags=re.DOTALL)


def _unpacked(body: bytes) -> bytes:
    content = _STREAM.search(body)[1]
    return zlib.decompress(content) if b"/FlateDecode" in body else content
