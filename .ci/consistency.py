"""Does what is written agree with what is built? Part of `make check`; with --write, writes docs/cli.md anew.

Versions in README and CHANGELOG, the lock file, links between pages, registry hosts (a lock file with one works for its
author alone) and the commands' help.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
CLI_PAGE = ROOT / "docs" / "cli.md"
REGISTRY = re.compile(
    rb"pypi\.org/simple|files\.pythonhosted\.org|registry\.npmjs\.org|--(?:extra-)?index-url|--find-links|"
    rb"^[a-z0-9_.-]+ @ (?:file|https?)://",
    re.MULTILINE,
)
LINK = re.compile(r"\]\((?!https?://|mailto:|#|\{\{)([^)#\s]+)")
LARGEST_FILE = 1_000_000
# Tests ask for it by name, and Maploop's dependencies bring it along.
TESTS_SHARE = frozenset({"packaging"})


def tracked_files() -> list[Path]:
    """Files that git keeps or would keep."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    paths = (ROOT / name for name in listed.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


def wrong_versions() -> Iterator[str]:
    """The version of pyproject.toml is the newest in CHANGELOG.md and the one README.md speaks of, if it does."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    newest = re.search(r"^## \[?(\d[^\]\s]*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    if newest is None or newest[1] != version:
        found = newest[1] if newest else "none"
        yield f"CHANGELOG.md: the newest version is {found}, pyproject.toml says {version}: write an entry for it."
    for named in re.findall(r"[Mm]aploop (\d+\.\d+\.\d+)", (ROOT / "README.md").read_text(encoding="utf-8")):
        if named != version:
            yield f"README.md: speaks of Maploop {named}, pyproject.toml says {version}."


def pins_of(lock: str) -> list[tuple[str, str]]:
    """Names and versions that a lock file pins, one a marker."""
    return re.findall(r"^(\S+)==([^\s;]+)", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)


def stale_locks() -> Iterator[str]:
    """All that pyproject.toml asks for is pinned, at a version that it allows; tests alone get what only they need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["build"]]
    pinned = {lock: pins_of(lock) for lock in ("requirements.lock", "requirements-dev.lock")}
    wanted = {"requirements.lock": needed, "requirements-dev.lock": [*needed, *extras["dev"]]}
    for lock, texts in wanted.items():
        for text in texts:
            asked = Requirement(text)
            versions = [version for name, version in pinned[lock] if name == canonicalize_name(asked.name)]
            if not any(asked.specifier.contains(version) for version in versions):
                yield f"{lock}: pins {versions or 'nothing'} for {text!r} of pyproject.toml: run `make lock`."
    for name, version in sorted(set(pinned["requirements.lock"]) - set(pinned["requirements-dev.lock"])):
        yield f"requirements.lock: pins {name} {version}, requirements-dev.lock another or none: run `make lock`."
    only_tests = {canonicalize_name(Requirement(each).name) for each in extras["dev"]}
    only_tests -= {canonicalize_name(Requirement(each).name) for each in extras["build"]}
    for name in sorted(only_tests & {name for name, _ in pinned["requirements.lock"]} - TESTS_SHARE):
        yield f"requirements.lock: pins {name}, which only tests need: run `make lock`."


def registry_hosts(paths: list[Path]) -> Iterator[str]:
    """Files that name a package registry."""
    for path in paths:
        if path == Path(__file__).resolve() or path.stat().st_size > LARGEST_FILE:
            continue
        if found := REGISTRY.search(path.read_bytes()):
            yield f"{path.relative_to(ROOT)}: names a package registry, {found[0].decode()!r}: leave it out."


def broken_links(paths: list[Path]) -> Iterator[str]:
    """Links of Markdown pages to files that are not there."""
    for path in paths:
        if path.suffix != ".md":
            continue
        for target in LINK.findall(path.read_text(encoding="utf-8")):
            if not (path.parent / target).exists():
                yield f"{path.relative_to(ROOT)}: links to {target}, which does not exist."


def cli_page() -> str:
    """docs/cli.md as the commands' help has it."""
    command = [sys.executable, "-m", "typer", "maploop.cli", "utils", "docs", "--name", "maploop"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"The commands' help cannot be read: {done.stderr.strip() or done.stdout.strip()}")
    lines = [line.rstrip() for line in done.stdout.strip().splitlines()]
    return "<!-- Written by `make docs`; `make check` compares. -->\n\n" + "\n".join(lines) + "\n"


def stale_cli_page() -> Iterator[str]:
    """docs/cli.md says what the commands say."""
    if not CLI_PAGE.exists() or CLI_PAGE.read_text(encoding="utf-8") != cli_page():
        yield "docs/cli.md: is not what the commands' help says: run `make docs`."


def main() -> int:
    """Print what disagrees, a line each; 1 when anything does."""
    if "--write" in sys.argv[1:]:
        CLI_PAGE.write_text(cli_page(), encoding="utf-8")
        return 0
    paths = tracked_files()
    problems = [*wrong_versions(), *stale_locks(), *registry_hosts(paths), *broken_links(paths), *stale_cli_page()]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
