"""The right to send pictures to servers of other parties, by imagery (`may_leave`).

Asked at the moment pictures would leave, not when a run was planned or a dataset was frozen: terms are corrected later.
"""

import ipaddress
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from sqlalchemy import Connection, select

from db.models import Imagery
from maploop.errors import LicenceError
from maploop.imagery.info import imagery_name
from maploop.settings import get_settings


def is_own_server(address: str) -> bool:
    """Return whether a URL is served by this machine, or by a host that `MAPLOOP_OWN_HOSTS` names."""
    host = (urlsplit(address).hostname or "").rstrip(".").lower()
    if host == "localhost" or host in get_settings().own_host_names:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def imagery_that_stays(connection: Connection, project_id: int) -> dict[int, str]:
    """Return the id and public name of each imagery of a project whose pictures may not be sent to other parties."""
    rows = connection.execute(
        select(Imagery.id, Imagery.location)
        .where(Imagery.project_id == project_id, Imagery.may_leave.is_(False))
        .order_by(Imagery.id)
    )
    return {row.id: imagery_name(row.location) for row in rows}


def imagery_that_stays_among(connection: Connection, ids: Collection[int]) -> dict[int, str]:
    """Return the same for some imagery by id, of whichever project."""
    rows = connection.execute(
        select(Imagery.id, Imagery.location)
        .where(Imagery.id.in_(list(ids)), Imagery.may_leave.is_(False))
        .order_by(Imagery.id)
    )
    return {row.id: imagery_name(row.location) for row in rows}


def reason_to_stay(name: str) -> str:
    """Say why tiles of an imagery stay out: part of a sentence."""
    return f"the terms of {name} do not allow its pictures to be sent to other parties"


def refuse_to_send(names: Iterable[str], where: str) -> LicenceError:
    """Make the error for pictures that would have gone to `where`."""
    reasons = "; ".join(dict.fromkeys(reason_to_stay(name) for name in names))
    return LicenceError(
        f"Nothing is sent to {where}: {reasons}. Import the imagery again with --leave if its terms do allow it, or "
        "use a model on this machine."
    )
