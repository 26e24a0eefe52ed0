"""Logs: one event a line on standard error, as text for people or as JSON for machines.

Library code logs through the standard `logging`; structlog renders it. Times are UTC.
"""

import logging
import sys
from collections.abc import Sequence
from typing import Any

import structlog

from gettone.errors import ConfigurationError

CONSOLE = "console"
JSON = "json"
AUTO = "auto"

# Libraries that report every step of theirs at level INFO.
_TALKATIVE = ("alembic", "granian", "_granian", "uvicorn", "httpx")


def configure(level: str = "info", log_format: str = AUTO) -> None:
    """Log from *level* on, in *log_format* console, json, or auto: console on a terminal, else json.

    Raises:
        ConfigurationError: the level is not one of those of `logging`.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ConfigurationError(f"log_level {level!r}: write debug, info, warning or error")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_common(), processors=_rendering(log_format))
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def _common() -> list[Any]:
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _rendering(log_format: str) -> Sequence[Any]:
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if log_format == JSON or (log_format == AUTO and not sys.stderr.isatty()):
        return [strip, structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    colours = sys.stderr.isatty()
    return [strip, structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)]
