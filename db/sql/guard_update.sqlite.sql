CREATE TRIGGER {table}_no_rewrite BEFORE UPDATE OF {columns} ON "{table}"
WHEN {differs}
BEGIN
    SELECT RAISE(ABORT, '{table} keeps its {columns}: history rests on them');
END;
