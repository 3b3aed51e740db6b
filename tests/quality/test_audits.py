"""Finishing audits: nothing undecided, the last one closes the sample."""

import pytest
from sqlalchemy import select

from db.engine import Database
from db.models import Audit, AuditSample
from maploop.errors import ConflictError, NotFoundError
from maploop.quality.audits import close_sample, finish_audit
from tests.builders import a_decision, a_person, a_prediction, a_project, a_sample, a_tile


def test_an_audit_is_finished_only_when_every_prediction_is_decided(database: Database) -> None:
    with database.write() as connection:
        project = a_project(connection)
        anna, rita = a_person(connection, "anna"), a_person(connection, "rita")
        tile = a_tile(connection, project, status="complete", finished_by=anna)
        roofs = [a_prediction(connection, project, tile, place) for place in range(2)]
        for roof in roofs:
            a_decision(connection, project, tile, roof.feature_id, "accept", anna)
        sample, (audit,) = a_sample(connection, project, rita, {tile: anna})
        a_decision(connection, project, tile, roofs[0].feature_id, "accept", rita, audit=audit)
        with pytest.raises(ConflictError, match=f"{tile} has 1 undecided"):
            finish_audit(connection, audit)

        second = a_decision(connection, project, tile, roofs[1].feature_id, "unsure", rita, audit=audit)
        a_decision(connection, project, tile, roofs[1].feature_id, "undo", rita, audit=audit, undoes=second)
        with pytest.raises(ConflictError, match="1 undecided"):
            finish_audit(connection, audit)

        a_decision(connection, project, tile, roofs[1].feature_id, "reject", rita, audit=audit)
        finish_audit(connection, audit)
        finished = connection.execute(select(Audit.finished_at)).scalar_one()
        assert finished is not None
        assert connection.execute(select(AuditSample.closed_at).where(AuditSample.id == sample)).scalar_one()

        finish_audit(connection, audit)
        assert connection.execute(select(Audit.finished_at)).scalar_one() == finished


def test_a_sample_stays_open_until_its_last_audit_is_finished(database: Database) -> None:
    with database.write() as connection:
        project = a_project(connection)
        anna, rita = a_person(connection, "anna"), a_person(connection, "rita")
        tiles = [a_tile(connection, project, column, status="complete", finished_by=anna) for column in range(2)]
        sample, audits = a_sample(connection, project, rita, dict.fromkeys(tiles, anna))
        finish_audit(connection, audits[0])
        assert connection.execute(select(AuditSample.closed_at)).scalar_one() is None
        close_sample(connection, project.id, sample)
        closed = connection.execute(select(AuditSample.closed_at)).scalar_one()
        assert closed is not None
        close_sample(connection, project.id, sample)
        assert connection.execute(select(AuditSample.closed_at)).scalar_one() == closed


def test_an_audit_or_sample_that_is_not_there_is_named(database: Database) -> None:
    with database.write() as connection:
        with pytest.raises(NotFoundError, match="no audit 7"):
            finish_audit(connection, 7)
        with pytest.raises(NotFoundError, match="no spot check 9"):
            close_sample(connection, 1, 9)
