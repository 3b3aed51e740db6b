SELECT tgname, relname, tgenabled IN ('O', 'A') AS is_on,
    pg_get_triggerdef(pg_trigger.oid) AS trigger, pg_get_functiondef(tgfoid) AS function
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal
