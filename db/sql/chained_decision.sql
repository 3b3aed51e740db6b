SELECT entry.*, annotator.name AS "annotator.name", class.name AS "class.name", before.name AS "class_before.name",
    tile.z AS "tile.z", tile.x AS "tile.x", tile.y AS "tile.y"
FROM decision AS entry
LEFT JOIN annotator ON annotator.id = entry.annotator_id
LEFT JOIN class ON class.id = entry.class_id
LEFT JOIN class AS before ON before.id = entry.class_before_id
LEFT JOIN tile ON tile.id = entry.tile_id
