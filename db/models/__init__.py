"""The tables. Rules the schema can hold are held here: names, checks, uniqueness, what may be empty.

`prediction`, `decision`, `tile_event`, `evaluation`, `promotion`, `chain_link` and `record` are append-only, and the
names that they rest on are kept (triggers refuse changes, see db/guards.py). `feature` is derived: what the decisions
so far say of one thing on the ground, kept up to date by the transaction that stores one.
"""

from db.models.base import Base
from db.models.batch import Batch, BatchTile
from db.models.comparison import Evaluation, Promotion, ThresholdHeld, ThresholdRule
from db.models.dataset import Dataset
from db.models.imports import Import, ImportFeature, ImportTile
from db.models.prediction import Feature, Model, Prediction, Run, RunTile, TileFeature
from db.models.project import Annotator, Claim, FeatureClass, Imagery, Project, SplitBlock, Tile
from db.models.record import Record
from db.models.review import Audit, AuditSample, Decision, TileEvent
from db.models.store import ChainLink, Store
from db.models.tuning import TuningCheckpoint, TuningEvent, TuningJob

__all__ = [
    "Annotator",
    "Audit",
    "AuditSample",
    "Base",
    "Batch",
    "BatchTile",
    "ChainLink",
    "Claim",
    "Dataset",
    "Decision",
    "Evaluation",
    "Feature",
    "FeatureClass",
    "Imagery",
    "Import",
    "ImportFeature",
    "ImportTile",
    "Model",
    "Prediction",
    "Project",
    "Promotion",
    "Record",
    "Run",
    "RunTile",
    "SplitBlock",
    "Store",
    "ThresholdHeld",
    "ThresholdRule",
    "Tile",
    "TileEvent",
    "TileFeature",
    "TuningCheckpoint",
    "TuningEvent",
    "TuningJob",
]
