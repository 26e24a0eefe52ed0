"""The rules of the house, each a function from a source tree to the complaints about it.

A complaint names file, line and remedy. ``tests/test_tidy.py`` wants none for this project, and wants each rule to
catch a violation planted in a small tree.
"""

import ast
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# Which parts of gettone a part may import. Arrows point inwards: cli api web agents jobs → operations → domain.
INNER = {"operations", "domain", "catalogue", "errors"}
EVERYTHING = {"*"}
MAY_IMPORT = {
    "__init__": set(),
    "__main__": {"cli"},
    "errors": {"domain"},
    "domain": {"domain"},
    "catalogue": {"catalogue", "domain", "errors"},
    "config": {"config", "domain", "errors"},
    "logs": {"config", "errors"},
    "operations": INNER,
    "storage": {"storage", *INNER},
    "gateways": {"gateways", *INNER},
    "invoices": {"invoices", *INNER},
    "agents": {"agents", *INNER},
    "api": {"api", "config", "invoices", *INNER},
    "web": {"web", "config", "invoices", *INNER},
    "jobs": {"jobs", "config", *INNER},
    "bench": {"bench", "bootstrap", "config", "agents", "invoices", "storage", *INNER},
    "demo": {"demo", "bootstrap", "config", *INNER},
    "cli": {"cli", "bootstrap", "config", "bench", "demo", "agents", "invoices", *INNER},
    "bootstrap": EVERYTHING,
}
DATABASE_PACKAGES = {"sqlite3", "apsw", "psycopg", "sqlalchemy", "alembic"}
KNOWS_DATABASES = {"storage", "bootstrap", "bench"}

# What a pure function has no use for. Modules by name, then names, then methods of anything.
IMPURE_MODULES = {
    *("asyncio", "concurrent", "ctypes", "http", "importlib", "locale", "logging", "multiprocessing", "os", "pathlib"),
    *("random", "secrets", "shutil", "signal", "socket", "sqlite3", "subprocess", "tempfile", "threading", "time"),
    *("urllib", "uuid", "warnings"),
}
IMPURE_NAMES = {"breakpoint", "eval", "exec", "float", "input", "open", "print"}
IMPURE_METHODS = {"now", "open", "random", "today", "utcnow", "uuid1", "uuid4"}

# Only ever lowered.
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 600

# A letter in brackets keeps a pattern from finding itself.
LEFTOVER = re.compile(r"\b([T]ODO|[F]IXME|[X]XX)\b|[N]otImplementedError")
INDEX_ADDRESS = re.compile(
    r"[i]ndex-url|[f]ind-links|https?://[^\s\"'<>]*/simple\b|[f]iles\.pythonhosted|\"resolved\": *\"http"
)
MACHINE_PATH = re.compile(r"(?<![\w.~$}])/(root|home/\w+|Users/\w+|work)/")
NOQA = re.compile(r"#\s*(noqa|type: ignore|pragma: no cover)(?P<rest>.*)")
NOQA_WITH_REASON = re.compile(r"^(:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*|\[[\w-]+(, ?[\w-]+)*\])?\s*[-–—:#(]+\s*\w.{5,}")

NOT_OURS = {
    *(".git", ".venv", "__pycache__", "node_modules", "dist", "build"),
    *(".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
}


def python_files(folder: Path) -> Iterator[Path]:
    """Yield the Python files below *folder*, in order; none where it does not exist."""
    yield from sorted(path for path in folder.rglob("*.py") if NOT_OURS.isdisjoint(path.parts))


def wrong_arrows(source: Path) -> Iterator[str]:
    """Find imports between the parts of the package in *source* that point outwards."""
    for path, line, module in _all_imports(source):
        part = _part(source, path)
        if part not in MAY_IMPORT:
            yield f"{path}:{line}: {part} has no place in MAY_IMPORT; say there what it may import"
        elif (target := _gettone_part(module)) and not MAY_IMPORT[part] & {"*", target}:
            allowed = ", ".join(sorted(MAY_IMPORT[part])) or "nothing"
            yield f"{path}:{line}: {part} may not import gettone.{target}, only {allowed}; pass the value in instead"


def misplaced_databases(source: Path) -> Iterator[str]:
    """Find database packages imported outside the parts that know databases."""
    for path, line, module in _all_imports(source):
        package = module.partition(".")[0]
        if package in DATABASE_PACKAGES and _part(source, path) not in KNOWS_DATABASES:
            yield f"{path}:{line}: {package} belongs into storage; ask for it through operations/ports.py"


def impurities(domain: Path) -> Iterator[str]:
    """Find what reads a clock, makes an id, draws, logs, opens, prints or calculates with floats in *domain*."""
    for path in python_files(domain):
        for node in ast.walk(_parsed(path)):
            if found := _impurity(node):
                yield f"{path}:{node.lineno}: {found} in the domain; take an exact value as a parameter"


def _impurity(node: ast.AST) -> str | None:
    match node:
        case ast.Name(id=name) if name in IMPURE_NAMES:
            return name
        case (
            ast.Call(func=ast.Attribute(attr=name)) | ast.Attribute(value=ast.Name("datetime" | "date"), attr=name)
        ) if name in IMPURE_METHODS:
            return f".{name}"
        case ast.Constant(value=float() as value):
            return f"the float {value}"
        case ast.Import(names=names):
            return next((name for alias in names if (name := _impure_module(alias.name))), None)
        case ast.ImportFrom(module=str(module), level=0):
            return _impure_module(module)
    return None


def _impure_module(module: str) -> str | None:
    package = module.partition(".")[0]
    pure = package == "gettone" or (package in sys.stdlib_module_names and package not in IMPURE_MODULES)
    return None if pure else f"the module {package}"


def import_cycles(folder: Path, package: str) -> Iterator[str]:
    """Find modules of *folder*, known as *package*, that import each other in a circle."""
    names = {f"{package}.{path.stem}" for path in python_files(folder) if path.stem != "__init__"}
    graph = {
        name: {module for _, module in _imports(folder / f"{name.rpartition('.')[2]}.py") if module in names}
        for name in sorted(names)
    }
    while leaves := {name for name, targets in graph.items() if not targets & graph.keys()}:
        graph = {name: targets for name, targets in graph.items() if name not in leaves}
    if graph:
        circle = ", ".join(sorted(graph))
        yield f"{folder}: an import cycle goes through {circle}; move what they share into the earlier file"


def long_functions(folder: Path) -> Iterator[str]:
    """Find functions of more lines than fit on a screen."""
    for path in python_files(folder):
        for node in ast.walk(_parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    yield f"{path}:{node.lineno}: {node.name} has {lines} lines, allowed {FUNCTION_LINES_MAX}; split it"


def long_files(folder: Path) -> Iterator[str]:
    """Find Python files that hold more than one thing."""
    for path in python_files(folder):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > FILE_LINES_MAX:
            yield f"{path}:1: {lines} lines, {FILE_LINES_MAX} are allowed; split it by what its parts are about"


def leftovers(folder: Path) -> Iterator[str]:
    """Find marks of unfinished work."""
    for path in python_files(folder):
        for line, text in _lines(path):
            if found := LEFTOVER.search(text):
                yield f"{path}:{line}: {found[0]}; finish it or take it out"


def unexplained_exemptions(folder: Path) -> Iterator[str]:
    """Find lint and type exemptions without a rule's name or without a reason."""
    for path in python_files(folder):
        for line, text in _lines(path):
            found = NOQA.search(text)
            if found and not NOQA_WITH_REASON.match(found["rest"]):
                yield f"{path}:{line}: say which rule and why: the rule's name, a dash, the reason"


def unexplained_settings(pyproject: Path) -> Iterator[str]:
    """Find rules switched off in *pyproject* without a reason on their line."""
    for line, text in _lines(pyproject):
        if re.match(r'\s+"[A-Z]+\d*",', text) and not re.search(r"#\s+\S.{10,}", text):
            yield f"{pyproject}:{line}: a rule is switched off without a reason; write it behind the rule"


def foreign_addresses(root: Path) -> Iterator[str]:
    """Find addresses of package indexes and paths of one machine in the files that are, or would be, committed."""
    for path in _committed(root):
        for line, text in _lines(path):
            for what, pattern in (("a package index", INDEX_ADDRESS), ("a path of one machine", MACHINE_PATH)):
                if found := pattern.search(text):
                    yield f"{path}:{line}: {what} ({found[0]}); say it without"


def _committed(root: Path) -> Iterator[Path]:
    """Yield the files that git knows or would take; without git, all but what is plainly not ours."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = [str(path.relative_to(root)) for path in root.rglob("*")]
    for name in sorted(filter(None, listed)):
        path = root / name
        if path.is_file() and NOT_OURS.isdisjoint(Path(name).parts):
            yield path


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a text file; none of a binary one."""
    content = path.read_bytes()
    if b"\0" not in content[:8192]:
        yield from enumerate(content.decode("utf-8", errors="replace").splitlines(), start=1)


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _part(source: Path, path: Path) -> str:
    """Return the part of the package that *path* belongs to: ``storage`` of ``storage/sqlite.py``."""
    return path.relative_to(source).parts[0].removesuffix(".py")


def _gettone_part(module: str) -> str | None:
    """Return ``storage`` for ``gettone.storage.sqlite``, and None for what is not ours."""
    names = module.split(".")
    return names[1] if names[0] == "gettone" and len(names) > 1 else None


def _all_imports(source: Path) -> Iterator[tuple[Path, int, str]]:
    for path in python_files(source):
        for line, module in _imports(path):
            yield path, line, module


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and module of every import; of ``from a import b`` both ``a`` and ``a.b``, as b may be a module."""
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from ((node.lineno, module) for module in itertools.chain([node.module], names))
