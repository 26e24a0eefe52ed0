"""A small keep-alive HTTP/1.1 client for JSON: what the demo's switch speaks to the service."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from gettone.errors import GettoneError

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class HttpError(GettoneError):
    """The service answers in a way that is not understood here."""


class Connection:
    """One connection to the service, opened when it is first used."""

    def __init__(self, host: str, port: int, token: str) -> None:
        """Speak to *host*:*port* with the API key *token*."""
        self._host = host
        self._port = port
        self._head = f"Host: {host}:{port}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.latency_ms: list[float] = []

    async def post(self, path: str, body: object, *, idempotency_key: str = "") -> tuple[int, Any]:
        """Send *body*; returns the status and the decoded answer."""
        more = f'Idempotency-Key: "{idempotency_key}"\r\n' if idempotency_key else ""
        return await self._ask("POST", path, _encode(body), more)

    async def get(self, path: str) -> Any:  # noqa: ANN401 - decoded JSON
        """Fetch *path* and return the decoded answer; raises `HttpError` unless the status is 200."""
        status, answer = await self._ask("GET", path, b"")
        if status != 200:
            raise HttpError(f"{path} answered {status}: {answer}")
        return answer

    async def _ask(self, method: str, path: str, body: bytes, more: str = "") -> tuple[int, Any]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        began = time.perf_counter()
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\n{self._head}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        content = await self._content(self._reader, headers)
        self.latency_ms.append((time.perf_counter() - began) * 1000)
        if headers.get("connection", "").lower() == "close":
            await self.close()
        return int(head[0].split()[1]), _decode(content) if content else None

    @staticmethod
    async def _content(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
        if "content-length" in headers:
            return await reader.readexactly(int(headers["content-length"]))
        if headers.get("transfer-encoding", "").lower() != "chunked":
            raise HttpError("an answer without a length")
        content = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            content += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return content

    async def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None
