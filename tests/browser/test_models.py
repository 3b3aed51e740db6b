"""Models at work in the app: a run goes on by itself after a kill, and asks about no tile twice."""

import re
from collections import Counter
from pathlib import Path

from playwright.sync_api import Page, expect
from sqlalchemy import select

from db.engine import connect
from db.models import Model, Prediction, Run, RunTile
from tests.browser.commands import maploop
from tests.browser.conftest import AppServer
from tests.tune.ground import painted_files

TILES = 40  # five blocks that the local model maps one after another
SECONDS = 120_000


def test_tuning_and_predicting_go_on_after_a_kill(app_server: AppServer, page: Page, tmp_path: Path) -> None:
    imagery, truth = painted_files(tmp_path, TILES)
    maploop(app_server, "project", "create", "Town", "--class", "building:polygon", "--zoom", 19, "--seed", "s")
    maploop(app_server, "import", "imagery", "Town", imagery)
    maploop(app_server, "import", "annotations", "Town", truth)
    out = tmp_path / "out"
    dataset = maploop(app_server, "export", "Town", "--format", "geojson", "--out", out, "--tiles", "complete")
    page.goto(f"{app_server.url}/models?part=Tune&dataset={dataset['dataset'][:12]}")
    page.get_by_label("Name of the new model").fill("mine")
    page.locator(".st-key-tune button").click()
    expect(page.get_by_text("Learning").first).to_be_visible(timeout=SECONDS)
    app_server.restart()
    page.reload()
    expect(page.get_by_text("mine can predict now")).to_be_visible(timeout=SECONDS)
    assert models(app_server) == ["mine"]

    page.locator(".st-key-way_on button").click()
    page.locator(".st-key-scope").get_by_text("All", exact=True).click()
    page.locator(".st-key-predict button").click()
    expect(page.get_by_text(re.compile(rf"\b(8|16|24) of {TILES} tiles"))).to_be_visible(timeout=SECONDS)
    app_server.kill()
    assert statuses(app_server)["ok"] < TILES
    app_server.restart()
    page.reload()
    expect(page.get_by_text("of mine is finished")).to_be_visible(timeout=SECONDS)
    assert statuses(app_server) == {"ok": TILES}

    page.locator(".st-key-way_on button").click()
    expect(page.locator(".st-key-review_map")).to_be_visible()


def models(server: AppServer) -> list[str]:
    """The names of the project's models."""
    database = connect(f"sqlite:///{server.data / 'maploop.sqlite'}")
    with database.read() as connection:
        names = list(connection.execute(select(Model.name)).scalars())
    database.close()
    return names


def statuses(server: AppServer) -> Counter[str]:
    """How many tiles of the only run came to what; its features are as many as its predictions."""
    database = connect(f"sqlite:///{server.data / 'maploop.sqlite'}")
    with database.read() as connection:
        (run_id,) = connection.execute(select(Run.id).where(Run.source == "")).scalars()
        tiles = connection.execute(select(RunTile.status, RunTile.features).where(RunTile.run_id == run_id)).all()
        predictions = connection.execute(select(Prediction.id).where(Prediction.run_id == run_id)).all()
    database.close()
    assert sum(each.features for each in tiles) == len(predictions)
    return Counter(each.status for each in tiles)
