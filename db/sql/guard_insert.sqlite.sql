CREATE TRIGGER {table}_no_replace BEFORE INSERT ON "{table}"
WHEN EXISTS (SELECT 1 FROM "{table}" WHERE {same})
BEGIN
    SELECT RAISE(ABORT, '{table} is append-only: a row of that key is there already');
END;
