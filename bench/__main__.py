"""`python -m bench [NAME ...]`: run the benchmarks, all of them or those named, each in a process of its own.

A benchmark is a module of this package with a `main()` that `python -m` runs; a process of its own keeps one's memory
out of another's table.
"""

import ast
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def benchmarks() -> dict[str, str]:
    """Names of all benchmarks, with the first line of what they say about themselves."""
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        has_main = any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in module.body)
        if has_main and not path.stem.startswith("_"):
            found[path.stem] = (ast.get_docstring(module) or path.stem).splitlines()[0]
    return found


def main() -> int:
    """Run what the command line names, or everything; 1 when one of them failed, 2 when there is no such benchmark."""
    known = benchmarks()
    names = sys.argv[1:] or list(known)
    if unknown := [name for name in names if name not in known]:
        print(f"{unknown[0]!r} is not a benchmark: {', '.join(known) or 'there is none yet'}.", file=sys.stderr)
        return 2
    print(
        f"Maploop {importlib.metadata.version('maploop')}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    )
    failed = []
    for name in names:
        print(f"\n== {name}: {known[name]}\n", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}"], cwd=FOLDER.parent, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nFailed: {', '.join(failed)}.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
