"""The store from the command line: back it up, bring it back, verify it, and upgrade it as its owner."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maploop.cli_options import AsJson, Url
from maploop.cli_output import progress, say, say_json

if TYPE_CHECKING:
    from maploop.store.verify import Verification

NOT_WHOLE = 3

BackupFile = Annotated[Path, typer.Argument(metavar="FILE", help="One file for all of it, such as town.maploop.zip.")]


def backup(
    file: BackupFile,
    force: Annotated[bool, typer.Option("--force", help="Also when the file is there already.")] = False,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Copy database, datasets, models and signing key into one file; people may go on working."""
    from maploop.database import existing_database  # noqa: PLC0415
    from maploop.store.archive import write_backup  # noqa: PLC0415

    database = existing_database(db)
    with progress() as report:
        made = write_backup(database, file, replace=force, progress=report)
    if as_json:
        say_json({"path": str(file.absolute()), **made.to_json()})
        return
    size = made.to_json()["bytes"]
    say(f"Backed up {made.links:,} decisions and acts with {len(made.files):,} files ({size:,} bytes) to {file}.")
    say("It holds the signing key: keep it where only you can read it. Imagery elsewhere stays where it is.")


def restore(
    file: BackupFile,
    force: Annotated[
        bool, typer.Option("--force", help="Also when something is there: that is moved into a folder of its own.")
    ] = False,
    db: Url = None,
    as_json: AsJson = False,
) -> int:
    """Bring back a store from a backup into an empty data folder, and verify it; stop the app first."""
    from maploop.settings import get_settings  # noqa: PLC0415
    from maploop.store.restore import restore_backup  # noqa: PLC0415

    with progress() as report:
        restored, found, replaced = restore_backup(file, db or get_settings().database, force=force, progress=report)
    if as_json:
        moved = None if replaced is None else str(replaced)
        say_json({**restored.to_json(), "replaced": moved, "verify": found.to_json()})
    else:
        say(f"Restored {restored.links:,} decisions and acts with {len(restored.files):,} files of {restored.made_at}.")
        if replaced is not None:
            say(f"What was there before is in {replaced}.")
        _say_verification(found)
    return 0 if found.is_sound else NOT_WHOLE


def verify(
    file: Annotated[
        Path | None, typer.Argument(metavar="[BACKUP]", help="A backup to check instead of the store.")
    ] = None,
    db: Url = None,
    as_json: AsJson = False,
) -> int:
    """Check that nothing stored was changed since: file, history, guards, datasets, models. Exit code 3 if it was."""
    from maploop.database import existing_database  # noqa: PLC0415
    from maploop.store.archive import check_backup  # noqa: PLC0415
    from maploop.store.verify import verify_store  # noqa: PLC0415

    with progress() as report:
        if file is not None:
            checked = check_backup(file, report)
            if as_json:
                say_json({"ok": True, **checked.to_json()})
            else:
                say(f"{file} is whole: {len(checked.files):,} files, {checked.links:,} decisions and acts.")
            return 0
        found = verify_store(existing_database(db), report)
    if as_json:
        say_json(found.to_json())
    else:
        _say_verification(found)
    return 0 if found.is_sound else NOT_WHOLE


def upgrade(
    grant: Annotated[
        str | None,
        typer.Option("--grant", metavar="ROLE", help="PostgreSQL: let this role do what the app does, and no more."),
    ] = None,
    db: Url = None,
    as_json: AsJson = False,
) -> None:
    """Bring the database to this version's schema, as the owner of its tables; the app does it by itself otherwise."""
    from maploop.database import existing_database  # noqa: PLC0415
    from maploop.store.roles import grant_role  # noqa: PLC0415

    database = existing_database(db)
    if grant is not None:
        grant_role(database, grant)
    if as_json:
        say_json({"database": database.name, "granted": grant})
    else:
        say(f"{database.name} is up to date.")
        if grant is not None:
            say(f"The role {grant} may add decisions, and neither change nor remove them: let the app connect as it.")


def _say_verification(found: "Verification") -> None:
    for problem in found.problems:
        say(problem)
    for note in found.notes:
        say(f"Note: {note}")
    counts = f"{found.links:,} decisions and acts, {found.datasets:,} datasets, {found.models:,} models"
    say(f"Checked {counts}: " + ("all is as it was stored." if found.is_sound else "not all is as it was stored."))
    say(f"The chain ends with {found.head}: note it, to tell later that nothing was cut off.")
