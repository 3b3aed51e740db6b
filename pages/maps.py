"""What every map of the pages has: imagery from the app's own route."""

import folium

from maploop.coverage import Backdrop
from maploop.imagery.tilemath import MAX_ZOOM
from pages.common import Context


def backdrop(found: Context, imagery: Backdrop) -> folium.TileLayer:
    """Imagery under what a map shows."""
    return folium.TileLayer(
        f"/tiles/{imagery.imagery_id}/{{z}}/{{x}}/{{y}}?token={found.tile_token}",
        attr="imagery",
        min_zoom=imagery.min_zoom,
        max_native_zoom=imagery.max_zoom,
        max_zoom=MAX_ZOOM,
    )
