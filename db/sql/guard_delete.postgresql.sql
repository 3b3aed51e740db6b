CREATE TRIGGER {table}_no_removal BEFORE DELETE ON "{table}"
FOR EACH ROW WHEN (true) EXECUTE FUNCTION refuse_rewrite();

CREATE TRIGGER {table}_no_emptying BEFORE TRUNCATE ON "{table}"
FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewrite();
