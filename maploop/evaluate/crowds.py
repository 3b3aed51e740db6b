"""Ground with many features that nobody outlined one by one (COCO iscrowd): what is predicted there counts for nothing.

The rule of pycocotools: a prediction that stands for no true feature, and of whose area at least the threshold lies on
such ground of its class, is neither right nor wrong; the ground itself is neither found nor missed.
"""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from maploop.evaluate.layers import Layer
from maploop.evaluate.matching import NOTHING, Rules, hold_against
from maploop.vectors.geometry import GeometryType
from maploop.vectors.geometry.measure import to_equal_area


def without_crowded(
    predictions: Layer, truth: Layer, crowds: Layer, types: Sequence[GeometryType], rules: Rules, *, within_tiles: bool
) -> Layer:
    """The predictions that count, given the truth without crowds; `types` are those of the classes.

    What matches a true feature at the IoU threshold stays, wherever it lies. Lines and points know no crowds.
    """
    if not len(crowds) or not len(predictions):
        return predictions
    outcome = hold_against(predictions, truth, types, rules, within_tiles=within_tiles)
    covered = _covered(predictions, crowds, within_tiles=within_tiles)
    ignored = (outcome.found == NOTHING) & (covered >= min(rules.iou_threshold, 1 - 1e-10))
    return predictions.only(~ignored)


def _covered(predictions: Layer, crowds: Layer, *, within_tiles: bool) -> NDArray[np.float64]:
    """The largest share of the area of each prediction that lies on one crowd of its class, 0 to 1."""
    ours, theirs = to_equal_area(predictions.geometries), to_equal_area(crowds.geometries)
    i, j = shapely.STRtree(theirs).query(ours)
    same = predictions.class_index[i] == crowds.class_index[j]
    if within_tiles:
        same &= predictions.tile[i] == crowds.tile[j]
    i, j = i[same], j[same]
    whole = shapely.area(ours)[i]
    shared = shapely.area(shapely.intersection(ours[i], theirs[j]))
    covered = np.zeros(len(predictions))
    np.maximum.at(covered, i, np.round(np.divide(shared, whole, out=np.zeros(len(i)), where=whole > 0), 8))
    return covered
