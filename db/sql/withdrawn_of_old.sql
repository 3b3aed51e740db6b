UPDATE feature SET withdrawn_by = (
    SELECT min(later.id) FROM run AS later
    WHERE later.project_id = feature.project_id AND later.withdrawn_at IS NULL
    AND later.id > (SELECT run_id FROM prediction WHERE prediction.id = feature.prediction_id)
    AND (
        EXISTS (
            SELECT 1 FROM tile_feature JOIN run_tile ON run_tile.tile_id = tile_feature.tile_id
            WHERE tile_feature.feature_id = feature.id AND run_tile.run_id = later.id AND run_tile.status = 'ok'
        )
        OR EXISTS (
            SELECT 1 FROM tile_feature JOIN import_tile ON import_tile.tile_id = tile_feature.tile_id
            JOIN "import" ON "import".id = import_tile.import_id
            WHERE tile_feature.feature_id = feature.id AND "import".run_id = later.id
        )
    )
)
WHERE withdrawn AND withdrawn_by IS NULL AND verdict IS NULL
AND NOT EXISTS (
    SELECT 1 FROM prediction JOIN run ON run.id = prediction.run_id
    WHERE prediction.id = feature.prediction_id AND run.withdrawn_at IS NOT NULL
)
AND NOT EXISTS (
    SELECT 1 FROM tile_feature JOIN tile ON tile.id = tile_feature.tile_id
    WHERE tile_feature.feature_id = feature.id AND tile.blind
)
