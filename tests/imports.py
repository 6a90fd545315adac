"""Which of the project's files a module runs: its imports, followed through the source."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("tasks", "flows")
MODULES = sorted(path for top in PACKAGES for path in (ROOT / top).rglob("*.py"))
# Parsed here, before the first test: Python 3.11's parser counts its depth for all threads together
# and fails where another one, which an earlier test has left behind, formats a traceback meanwhile.
SYNTAX = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}


def file_of(module: str) -> Path | None:
    """The file of a module of the project, or None."""
    path = ROOT / module.replace(".", "/")
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def imported_modules(path: Path) -> set[str]:
    """The project's modules that the file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(SYNTAX[path]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] in PACKAGES and file_of(name)}


def closure(module: str) -> set[str]:
    """The files that `python -m module` runs, relative to the root, packages' __init__ included."""
    entry = f"{module}.__main__" if (ROOT / module.replace(".", "/")).is_dir() else module
    waiting, seen = [entry], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        parents = [name.rsplit(".", count)[0] for count in range(1, name.count(".") + 1)]
        path = file_of(name)
        assert path is not None, name
        waiting += [*parents, *imported_modules(path)]
    return {str(file_of(name).relative_to(ROOT)) for name in seen}  # type: ignore[union-attr]
