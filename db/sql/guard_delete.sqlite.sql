CREATE TRIGGER {table}_no_removal BEFORE DELETE ON "{table}"
WHEN {referred}
BEGIN
    SELECT RAISE(ABORT, '{table} rows stay: history rests on them');
END;
