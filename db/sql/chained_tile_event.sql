SELECT entry.*, annotator.name AS "annotator.name", tile.z AS "tile.z", tile.x AS "tile.x", tile.y AS "tile.y"
FROM tile_event AS entry
LEFT JOIN annotator ON annotator.id = entry.annotator_id
LEFT JOIN tile ON tile.id = entry.tile_id
