"""Once round with a chat model: predict, review, freeze, tune at the server, predict again, compare, pay once."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bench.annotator import Annotator
from db.engine import connect
from maploop.compare.sidebyside import Comparison, compare_models
from maploop.database import Database
from maploop.dataset.datasets import DatasetView
from maploop.dataset.export import export
from maploop.dataset.split import Split
from maploop.evaluate.runs import evaluate_model, rules_of
from maploop.ledger import ledger_of, total
from maploop.predict.choosing import TileChoice
from maploop.predict.history import RunView, failed_tiles
from maploop.predict.models import ModelView
from maploop.predict.predictor import NOTHING_USED
from maploop.project import load_project
from maploop.tune.plan import Preflight
from maploop.vectors.geometry import as_geometries
from tests.predict.chat.account import Account, cost_of, keep_account, used_as_charged
from tests.predict.chat.brains import half_blind, taught, watched
from tests.predict.chat.ground import ALL, KEY_NAME, Town, a_chat_model
from tests.tune.ground import Ground, Painted, lay_open_ground, outlines
from tests.tune.hosted import BASE, KilledError, Line, Office
from tests.vendor import HANG, KEY, NONSENSE, REFUSAL, TRUNCATED, Vendor, picture_hash, rate_limit, server_error
from tests.vendor.training import lessons, training_lines

SPLITS: tuple[Split, ...] = ("train",) * 11 + ("validation",) * 2 + ("test",) * 6
LEARNT: tuple[Split, ...] = ("train", "validation")
TEST = TileChoice(split="test")
HOUSES = 16  # a tile
SHOTS = 3
NOW_AND_THEN = (rate_limit("2"), server_error(), TRUNCATED, REFUSAL, NONSENSE)
JOBS = "/v1/fine_tuning/jobs"


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A server on the loopback address."""
    with Vendor() as vendor:
        yield vendor


@dataclass
class Cycle:
    """A project that nobody has reviewed, with a base that sees half of it; and all that the server is asked."""

    url: str
    town: Town
    asked: list[tuple[str, list[str]]] = field(default_factory=list)
    accounts: dict[str, Account] = field(default_factory=dict)

    @property
    def ground(self) -> Ground:
        return self.town.ground

    @property
    def vendor(self) -> Vendor:
        return self.town.vendor

    def pictures(self, split: Split) -> set[str]:
        """The hashes of the pictures of a split's tiles."""
        return {self.town.picture(column) for column, each in enumerate(SPLITS) if each == split}

    def predict(self, name: str, town: Town, choice: TileChoice, *, again: bool = False, **asked: Any) -> None:
        """Run a model, and see that all of it is right."""

        def predicted() -> RunView:
            report = town.predict(choice, again=again, **asked)
            assert report.run is not None
            return report.run

        self.accounts[name] = keep_account(self.vendor, predicted)
        self.accounts[name].is_right(self.ground.database, at_once=not asked.get("batch"))

    def named(self, name: str) -> str:
        """What the run is called in comparisons."""
        run = self.accounts[name].run
        return f"{run.model}@{run.id}"


@pytest.fixture
def cycle(database_url: str, database: Database, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> Cycle:
    """On each kind of database; now and then the server fails, always the same way."""
    monkeypatch.setenv(KEY_NAME, KEY)
    ground = lay_open_ground(database, splits=SPLITS)
    town = Town(ground, vendor, a_chat_model(ground, vendor, "base", BASE, timeout=2.0))
    cycle = Cycle(database_url, town)
    vendor.brain = watched(half_blind(town.answers()), cycle.asked)
    vendor.school = lambda lines: watched(taught(lines), cycle.asked)
    vendor.faults.at_rate(0.3, NOW_AND_THEN, seed=5)
    return cycle


def test_once_round_with_a_server_that_fails_now_and_then(cycle: Cycle, tmp_path: Path) -> None:
    town, ground, vendor = cycle.town, cycle.ground, cycle.vendor

    vendor.faults.on_picture(town.picture(0), HANG)
    town.clock.then = gone_for_a_while(vendor)
    cycle.predict("zero-shot", town, ALL, concurrency=1)
    assert len(vendor.requests_to("POST /v1/chat/completions")) > len(SPLITS)

    assert set(review(ground)) == {"accept", "reject", "add"}

    dataset = ground.freeze()
    tuned = tune(cycle, dataset, tmp_path / "export")
    assert (tuned.parent, tuned.dataset_id) == ("base", dataset.id)

    vendor.faults.on_picture(town.picture(SPLITS.index("test")), REFUSAL)
    cycle.predict("tuned", Town(ground, vendor, tuned, town.clock), TEST)
    cycle.predict("alike", town, TEST, shots=SHOTS, retrieve=True)
    cycle.predict("same", town, TEST, shots=SHOTS)
    cycle.predict("batch", town, TEST, again=True, batch=True)
    assert set(vendor.faults.used) >= {HANG, *NOW_AND_THEN}

    the_tuned_one_is_no_worse(cycle)
    the_ledger_is_the_bill(cycle)
    no_test_tile_was_taught(cycle, vendor)


def gone_for_a_while(vendor: Vendor) -> Callable[[], None]:
    """The server goes away when somebody waits for the second time, and is back two waits later."""
    waits = count(1)

    def happens() -> None:
        {2: vendor.stop, 4: vendor.start}.get(next(waits), lambda: None)()

    return happens


def review(ground: Ground) -> Counter[str]:
    """By somebody who knows the truth, through the requests of the review map."""
    truth = [outline for column in range(len(SPLITS)) for outline in outlines(column)]
    annotator = Annotator(ground.database, ground.project, ["building"] * len(truth), as_geometries(truth), "anna")
    return annotator.review([ground.tile(column) for column in range(len(SPLITS))])


def tune(cycle: Cycle, dataset: DatasetView, folder: Path) -> ModelView:
    """Planned, confirmed, begun by a process that dies in the middle, seen through by another one."""
    vendor = cycle.vendor
    office = Office(cycle.ground, vendor)
    plan = office.plan("base", name="tuned", base_url=None, key=None)
    sends_what_is_exported(cycle, dataset, plan, folder)
    job = office.start(plan)
    vendor.faults.on_route(f"POST {JOBS}", rate_limit("7"))
    with pytest.raises(KilledError):
        office.carry_out(job.id, Line(f"GET {JOBS}/ftjob-", 12, answered=True))
    assert (office.job(job.id).remote_status, office.models()) == ("running", [cycle.town.model])

    database = connect(cycle.url)
    try:
        with database.read() as connection:
            project = load_project(connection, cycle.ground.project.name)
        later = Office(Ground(database, project, Painted(), SPLITS), vendor)
        assert later.dataset == dataset
        vendor.faults.on_route(f"GET {JOBS}/{{id}}", server_error())
        job = later.carry_out(job.id)
        told = [each.message for each in later.events(job.id)]
        checkpoints = later.checkpoints(job.id)
    finally:
        database.close()

    assert (job.status, job.model, job.error) == ("succeeded", "tuned", "")
    assert len(vendor.jobs) == len(vendor.bill.of("training")) == 1
    assert Counter(told).most_common(1)[0][1] == 1
    assert sum(each.startswith("Step ") for each in told) == len(checkpoints) == plan.hyperparameters.epochs
    assert all("full_valid_loss" in each.metrics for each in checkpoints)
    assert [each.model for each in checkpoints].count("tuned") == 1
    (tuned,) = [each for each in office.models() if each.name == "tuned"]
    return tuned


def sends_what_is_exported(cycle: Cycle, dataset: DatasetView, plan: Preflight, folder: Path) -> None:
    """The export to look at and the files to be sent are the same bytes: the reviewed tiles of two splits."""
    assert plan.stops == []
    report = export(cycle.ground.database, dataset.id, "openai", folder, sources=cycle.ground.sources)
    files = {each.name: each for each in report.files if each.name.endswith(".jsonl")}
    assert {each.sha256 for each in plan.files} == {each.sha256 for each in files.values()}
    for split in LEARNT:
        shown = [picture_hash(picture) for picture, _ in lessons(training_lines(folder / f"{split}.jsonl"))]
        assert sorted(shown) == sorted(cycle.pictures(split))


def the_tuned_one_is_no_worse(cycle: Cycle) -> None:
    """On the test split, where what failed counts as missed."""
    names = {name: cycle.named(name) for name in cycle.accounts}
    project = cycle.ground.project
    settings = project.settings.model_copy(update={"answered_share": 0.1})  # the tuned one refuses a tile of few
    project = replace(project, settings=settings)
    with cycle.ground.database.read() as connection:
        comparison = compare_models(connection, project, list(names.values()))
        evaluation, basis = evaluate_model(connection, project, "tuned", rules_of(project))
    for name, run in names.items():
        failed_is_missed(cycle, comparison, name, run)
    assert len(comparison.truth) == HOUSES * SPLITS.count("test")
    assert cycle.accounts["tuned"].run.failed
    assert basis["failures"] == cycle.accounts["tuned"].run.failures
    assert evaluation == comparison.contender(names["tuned"]).evaluation
    for name in ("zero-shot", "alike", "same", "batch"):
        difference = comparison.difference(names[name], names["tuned"]).value
        assert difference is not None
        assert difference >= 0


def failed_is_missed(cycle: Cycle, comparison: Comparison, name: str, run: str) -> None:
    contender = comparison.contender(run)
    with cycle.ground.database.read() as connection:
        listed = {each.tile: each.kind for each in failed_tiles(connection, cycle.accounts[name].run.id)}
    failed = [tile for tile, has_failed in zip(comparison.tiles, contender.failed, strict=True) if has_failed]
    assert failed == [tile for tile in comparison.tiles if tile in listed]
    assert contender.failures == Counter(listed[tile] for tile in failed)
    assert contender.answers.not_asked == 0
    assert all(counts.tolist() == [0, 0, HOUSES] for counts in contender.detail.counts[contender.failed])


def the_ledger_is_the_bill(cycle: Cycle) -> None:
    """Run by run, kind by kind, and all together."""
    bill = cycle.vendor.bill
    with cycle.ground.database.read() as connection:
        entries = {each.what: each for each in ledger_of(connection)}
    accounts = {f"run {each.run.id}": each for each in cycle.accounts.values()}
    assert set(entries) == {*accounts, "training 1"}
    for what, account in accounts.items():
        used_as_charged(entries[what].usage, account.charges)
    batch = f"run {cycle.accounts['batch'].run.id}"
    kinds = {"training": ["training 1"], "batch": [batch], "chat": sorted(set(accounts) - {batch})}
    for kind, whats in kinds.items():
        used = sum((entries[what].usage for what in whats), NOTHING_USED)
        used_as_charged(used, [each for each in bill.charges if each.kind == kind])
    whole = total(list(entries.values()))
    assert whole.cost == pytest.approx(sum(cost_of(each) for each in bill.charges), abs=1e-12)
    assert whole.unpriced == 0
    assert whole.usage.cached_tokens  # of the examples that are the same for all


def no_test_tile_was_taught(cycle: Cycle, vendor: Vendor) -> None:
    """Neither in a file that was sent to be learnt from, nor as an example before a question."""
    tests = cycle.pictures("test")
    sent = [each["id"] for each in vendor.files.values() if each["purpose"] == "fine-tune"]
    assert len(sent) == 2
    learnt = {picture_hash(each) for name in sent for each, _ in lessons(training_lines(vendor.path_of(name)))}
    assert learnt == cycle.pictures("train") | cycle.pictures("validation")
    assert not learnt & tests
    shown = [pictures[:-1] for _, pictures in cycle.asked if len(pictures) > 1]
    assert len(shown) == len(cycle.accounts["alike"].charges + cycle.accounts["same"].charges)
    assert {len(each) for each in shown} == {SHOTS}
    assert {each for examples in shown for each in examples} <= cycle.pictures("train")
    assert {pictures[-1] for model, pictures in cycle.asked if model.startswith("ft:")} <= tests
