"""Reading Markdown: headings, links and code blocks of the project's pages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

FENCE = re.compile(r"^ {0,3}(```+|~~~+)[ ]*([^`\n]*)$")
HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+(?:\([^()]*\))?)(?:\s+\"[^\"]*\")?\)")


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """A fenced block: the words behind the fence, its text and the line on which the text starts."""

    page: Path
    line: int
    words: tuple[str, ...]
    text: str


def pages(root: Path) -> list[Path]:
    """Return the Markdown files that readers see."""
    return [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]


def code_blocks(page: Path) -> Iterator[CodeBlock]:
    """Yield the fenced blocks of *page*."""
    fence, words, start, text = "", (), 0, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        found = FENCE.match(line)
        if not fence and found:
            fence, words, start, text = found[1], tuple(found[2].split()), number + 1, []
        elif fence and found and found[1].startswith(fence) and not found[2]:
            yield CodeBlock(page, start, words, "\n".join(text) + "\n")
            fence = ""
        elif fence:
            text.append(line)


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of *page* outside code blocks, inline code taken out."""
    lines = dict(enumerate(page.read_text(encoding="utf-8").splitlines(), start=1))
    for block in code_blocks(page):
        for number in range(block.line - 1, block.line + block.text.count("\n") + 1):
            lines.pop(number, None)
    for number, line in lines.items():
        yield number, line


def headings(page: Path) -> list[str]:
    """Return the headings of *page* without their marks and without backquotes."""
    found = (HEADING.match(line) for _, line in prose(page))
    return [heading[2].replace("`", "") for heading in found if heading]


def anchors(page: Path) -> set[str]:
    """Return the names by which the headings of *page* can be linked to."""
    words = (re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page))
    return set(words)


def dead_links(page: Path) -> Iterator[str]:
    """Find relative links of *page* whose file or heading does not exist."""
    for number, line in prose(page):
        for target in LINK.findall(re.sub(r"`[^`]*`", "", line)):
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            name, _, anchor = unquote(target).partition("#")
            file = page.parent / name if name else page
            if not file.exists():
                yield f"{page}:{number}: {target} does not exist"
            elif anchor and file.suffix == ".md" and anchor not in anchors(file):
                yield f"{page}:{number}: {target}: {file.name} has no such heading"
