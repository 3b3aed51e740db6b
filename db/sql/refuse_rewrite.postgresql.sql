CREATE OR REPLACE FUNCTION refuse_rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows stay as they are: history rests on them', TG_TABLE_NAME;
END
$$;
