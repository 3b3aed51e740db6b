"""Imagery that may not leave: no picture of it goes to another party's server, and every tile kept back is named."""

from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Connection, insert, select, update

from db.engine import Database
from db.models import Imagery
from db.models import Tile as TileRow
from maploop.errors import ConflictError, LicenceError
from maploop.imagery.register import register_imagery
from maploop.imagery.sharing import is_own_server
from maploop.predict.chat.opening import chat_parameters_of_run, open_chat
from maploop.predict.choosing import TileChoice
from maploop.predict.models import add_model
from maploop.predict.run import carry_out
from maploop.predict.runs import begin_run, plan_run
from maploop.project import create_project, parse_class
from maploop.settings import get_settings
from maploop.tune.bundle import make_bundle
from maploop.tune.files import written_files
from tests.predict.chat.ground import KEY_NAME, Town
from tests.tune.ground import Ground, painted_files
from tests.vendor import Question, Reply, Vendor, picture_hash

ALL = TileChoice("all")
AWAY = "https://vision.example/v1"
REASON = "the terms of maxar.example do not allow its pictures to be sent to other parties"


class Redirect(httpx2.BaseTransport):
    """Brings what is sent to a host of another party to the server of the tests."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = httpx2.URL(vendor.url)
        self._line = httpx2.HTTPTransport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_with(scheme="http", host=self._vendor.host, port=self._vendor.port)
        return self._line.handle_request(request)


@pytest.fixture
def away(painted: Town, monkeypatch: pytest.MonkeyPatch) -> Town:
    """The town, with a model at a server of another party and its first two tiles on imagery that may not leave."""
    monkeypatch.setenv("MAPLOOP_KEYS", f"{KEY_NAME}=127.0.0.1,{KEY_NAME}=vision.example")
    get_settings.cache_clear()
    ground = painted.ground
    with ground.database.write() as connection:
        parameters = {**painted.model.parameters, "base_url": AWAY}
        model = add_model(connection, ground.project, "vision", "chat", identifier="gpt-4o", parameters=parameters)
        keep_here(connection, ground, 0, 1)
    return replace(painted, model=model)


def keep_here(connection: Connection, ground: Ground, *columns: int) -> None:
    """Put tiles on imagery that may be trained on and may not leave."""
    values = {"kind": "xyz", "location": "https://maxar.example/{z}/{x}/{y}.png", "info": {}, "may_leave": False}
    stays = connection.execute(
        insert(Imagery).values(project_id=ground.project.id, **values).returning(Imagery.id)
    ).scalar_one()
    xs = [ground.tile(column).x for column in columns]
    connection.execute(update(TileRow).where(TileRow.x.in_(xs)).values(imagery_id=stays))


def names(town: Town, *columns: int) -> list[str]:
    return [str(town.ground.tile(column)) for column in columns]


def test_tiles_that_may_not_leave_are_left_out_of_a_run_by_name(away: Town) -> None:
    with away.ground.database.read() as connection:
        planned = plan_run(connection, away.ground.project, away.model, ALL)
    assert planned.left_out == {REASON: names(away, 0, 1)}
    assert names(away, *range(2, 8)) == [str(tile) for tile in planned.tiles.values()]


def test_a_server_of_ones_own_is_shown_everything(away: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPLOOP_OWN_HOSTS", "gpu.lan, Vision.example")
    get_settings.cache_clear()
    with away.ground.database.read() as connection:
        assert len(plan_run(connection, away.ground.project, away.model, ALL).tiles) == 8


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:8000", True),
        ("https://api.openai.com/v1", False),
        ("http://127.0.0.1.evil.example/v1", False),
        ("http://192.168.1.7/v1", False),
        ("", False),
    ],
)
def test_only_this_machine_is_ones_own_unless_told(address: str, own: bool) -> None:
    assert is_own_server(address) is own


def test_terms_that_change_during_a_run_hold_for_the_tiles_that_are_left(away: Town) -> None:
    ground = away.ground
    with ground.database.write() as connection:
        connection.execute(update(Imagery).values(may_leave=True))
    parameters = chat_parameters_of_run(ground.database, ground.project, away.model, {}, sources=ground.sources)
    client = httpx2.Client(transport=Redirect(away.vendor))
    predictor = open_chat(
        ground.project, away.model, parameters, database=ground.database, http_client=client, clock=away.clock
    )
    with ground.database.write() as connection:
        begun = begin_run(connection, ground.project, away.model, ALL, prompt_hash=predictor.prompt_hash)
        connection.execute(update(Imagery).where(Imagery.location.contains("maxar")).values(may_leave=False))
    assert (begun.tiles, begun.run_id) == (8, 1)
    shown: list[str | None] = []
    knows_all = away.vendor.brain

    def brain(question: Question) -> str | Reply:
        shown.append(question.picture)
        return knows_all(question)

    away.vendor.brain = brain
    run = carry_out(ground.database, ground.project, 1, predictor, sources=ground.sources)
    assert (run.done, run.failures) == (6, {"licence": 2})
    assert len(shown) == 6
    assert not {*shown} & {away.picture(0), away.picture(1)}


@pytest.mark.parametrize("shots", [0, 1])
def test_terms_that_change_while_the_model_answers_hold_from_the_next_request_on(away: Town, shots: int) -> None:
    ground = away.ground
    with ground.database.write() as connection:
        maxar = select(Imagery.id).where(Imagery.location.contains("maxar")).scalar_subquery()
        xs = [ground.tile(column).x for column in range(6)]  # all that may be examples
        connection.execute(update(TileRow).where(TileRow.x.in_(xs)).values(imagery_id=maxar))
        connection.execute(update(Imagery).values(may_leave=True))
    asked = {"concurrency": 1, "shots": shots}
    parameters = chat_parameters_of_run(ground.database, ground.project, away.model, asked, sources=ground.sources)
    client = httpx2.Client(transport=Redirect(away.vendor))
    predictor = open_chat(
        ground.project, away.model, parameters, database=ground.database, http_client=client, clock=away.clock
    )
    with ground.database.write() as connection:
        begin_run(connection, ground.project, away.model, ALL, prompt_hash=predictor.prompt_hash)
    shown: list[str] = []
    knows_all = away.vendor.brain

    def brain(question: Question) -> str | Reply:
        if not shown:
            with ground.database.write() as connection:
                condition = Imagery.location.contains("maxar")
                connection.execute(update(Imagery).where(condition).values(may_leave=False))
        shown.extend(picture_hash(each) for each in question.pictures)
        return knows_all(question)

    away.vendor.brain = brain
    if shots:  # tiles 6 and 7 may be asked about, but no longer with the example
        with pytest.raises(LicenceError, match=REASON):
            carry_out(ground.database, ground.project, 1, predictor, sources=ground.sources)
        assert len(shown) == 2
    else:
        run = carry_out(ground.database, ground.project, 1, predictor, sources=ground.sources)
        assert (run.done, run.failures) == (3, {"licence": 5})
        assert shown[1:] == [away.picture(6), away.picture(7)]


def test_examples_come_from_imagery_that_may_leave(away: Town) -> None:
    ground = away.ground
    parameters = chat_parameters_of_run(
        ground.database, ground.project, away.model, {"shots": 3, "retrieve": True}, sources=ground.sources
    )
    pool = (get_settings().data / "examples" / f"{parameters['pool']}.json").read_text()
    assert not any(name in pool for name in names(away, 0, 1))
    assert all(name in pool for name in names(away, 2, 3, 4, 5))
    with ground.database.write() as connection:
        connection.execute(update(Imagery).values(may_leave=False))
    with pytest.raises(ConflictError, match=r"no reviewed training tile to show, and the terms of .* do not allow"):
        chat_parameters_of_run(ground.database, ground.project, away.model, {"shots": 3}, sources=ground.sources)


def test_an_upload_and_a_bundle_leave_them_out_by_name(away: Town, tmp_path: Path) -> None:
    ground = away.ground
    dataset = ground.freeze()
    sent = written_files(ground.database, dataset, AWAY, sources=ground.sources)
    assert sent.manifest["export"]["left_out"] == {REASON: names(away, 0, 1)}
    assert sum(file["examples"] for file in sent.manifest["export"]["files"]) == 5
    own = written_files(ground.database, dataset, "http://127.0.0.1:1/v1", sources=ground.sources)
    assert sum(file["examples"] for file in own.manifest["export"]["files"]) == 7
    bundle = make_bundle(
        ground.database, ground.project, dataset.id, "Qwen/Qwen3-VL-4B-Instruct", tmp_path / "b", sources=ground.sources
    )
    assert bundle.left_out == {REASON: names(away, 0, 1)}
    with ground.database.write() as connection:
        connection.execute(update(Imagery).values(may_leave=False))
    with pytest.raises(LicenceError, match="do not allow its pictures to be sent to other parties"):
        written_files(ground.database, dataset, AWAY, sources=ground.sources)


def test_imagery_that_must_not_train_stays_here_unless_told(sqlite_database: Database, tmp_path: Path) -> None:
    imagery, _ = painted_files(tmp_path, 2)
    with sqlite_database.write() as connection:
        project = create_project(connection, "Maxar", [parse_class("building:polygon")], zoom=19)

    def right(may_train: bool | None = None, may_leave: bool | None = None) -> bool:
        register_imagery(sqlite_database, project, imagery, may_train=may_train, may_leave=may_leave)
        with sqlite_database.read() as connection:
            return connection.execute(select(Imagery.may_leave)).scalar_one()

    assert right(may_train=False) is False
    assert right() is False  # refreshing changes no right
    assert right(may_leave=True) is True
