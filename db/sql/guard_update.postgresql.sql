CREATE TRIGGER {table}_no_rewrite BEFORE UPDATE OF {columns} ON "{table}"
FOR EACH ROW WHEN ({differs}) EXECUTE FUNCTION refuse_rewrite();
