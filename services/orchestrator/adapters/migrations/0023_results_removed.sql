-- The result of a completed backtest that somebody asked to be deleted; the backtest and its figures stay.
create function retention_remove_result(which text) returns integer security definer language plpgsql as
$$
declare
    deleted integer;
begin
    delete from results where backtest_id = which
        and exists (select from backtests where backtests.backtest_id = which and status = 'completed');
    get diagnostics deleted = row_count;
    if deleted > 0 then
        perform retention_note('results', 'asked for', deleted);
    end if;
    return deleted;
end
$$;

do $$
begin
    execute format('alter function retention_remove_result(text) set search_path = %I, pg_temp', current_schema());
    revoke all on function retention_remove_result(text) from public;
end
$$;
