"""The review map: every feature of a tile, by keyboard. What happens on it is the deck's, see docs/review-map.md."""

import streamlit as st
from folium import FeatureGroup
from streamlit_folium import st_folium

from maploop.review.element import PAGE_STYLE, DeckElement, deck_configuration, local_map
from pages.common import context, heading

found = context()
heading("Review", found)
st.html(PAGE_STYLE)
configuration = deck_configuration(found.project, found.annotator, found.token, found.tile_token, dict(st.query_params))
group = FeatureGroup("deck")
DeckElement(configuration).add_to(group)
with st.container(key="review_map"):
    st_folium(
        local_map(zoom_start=18, min_zoom=1, max_zoom=26, zoom_control=False),
        key="review",
        height=700,
        use_container_width=True,
        returned_objects=[],
        feature_group_to_add=group,
    )
