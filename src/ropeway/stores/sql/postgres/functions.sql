-- The verbs as functions in the database: one round trip each, and plans that are pinned.
-- {pins}: a plan that was made while the table was empty is kept when it has filled; so these name the only plan that is right: the index.
-- p_now, p_boot: the times that tests give, else null. p_relaxed: the commit need not wait for the disk.
-- p_bell: 0 rings nobody; 1 rings one of those who wait for each job, since the commit follows at once; 2 does so when the
-- commit comes, since nobody knows today who will be waiting then.

-- function_ring: wakes those who wait for some queues, as many as there are jobs, when the transaction commits
-- Who is rung is taken off the list, so that the next one rings another. One whose row is locked, by a transaction that has rung him and
-- is not over, is rung once more and left there: nobody ever waits for a lock here.
create or replace function {ring}(p_queues text[], p_jobs bigint[], p_now bigint) returns void language plpgsql {pins} as $$
declare
    v_queue text; v_jobs bigint; v_address text; v_found bigint;
begin
    for v_queue, v_jobs in select q, n from unnest(p_queues, p_jobs) as w(q, n) loop
        v_found := 0;
        for v_address in
            delete from {waiting} where ctid = any(array(
                select ctid from {waiting} where queue = v_queue and until > p_now limit least(v_jobs, 64) for update skip locked))
            returning address
        loop
            v_found := v_found + 1;
            perform pg_notify(split_part(v_address, '.', 1), split_part(v_address, '.', 2));
        end loop;
        if v_found = 0 then
            perform pg_notify(split_part(address, '.', 1), split_part(address, '.', 2))
            from (select address from {waiting} where queue = v_queue and until > p_now limit least(v_jobs, 64)) w;
        end if;
    end loop;
end $$;

-- function_rung: rings at the very end of a transaction, for those who began to wait since it put its jobs
create or replace function {rung}() returns trigger language plpgsql {pins} as $$
declare
    v_jobs bigint;
begin
    delete from {waiting} where queue = new.queue and address = new.address returning -until into v_jobs;
    if v_jobs > 0 then
        perform {ring}(array[new.queue], array[v_jobs], (extract(epoch from clock_timestamp()) * 1000000)::bigint);
    end if;
    return null;
end $$;

-- function_rung_before: there is no word for making a trigger anew
drop trigger if exists rung on {waiting};

-- function_rung_when: an announcement of a moment below 0 is no announcement but a number of jobs
create constraint trigger rung after insert on {waiting} deferrable initially deferred for each row when (new.until < 0)
execute function {rung}();

-- function_make_ready: queues that were dropped are there again, and those that get their first job with a lane are known for it
create or replace function {make_ready}(p_queues text[], p_laned text[]) returns void language plpgsql {pins} as $$
begin
    update {queue} set dropped = null where name = any(array(
        select name from {queue} where name = any(p_queues) and dropped is not null order by name for update));
    update {queue} set lanes = 1 where name = any(array(
        select name from {queue} where name = any(p_laned) and lanes = 0 order by name for update));
end $$;

-- function_put_one: stores one new job; answers the time, -1 when its queue takes none, null when its id or its key is here
create or replace function {put_one}(
    p_id uuid, p_queue text, p_priority bigint, p_created bigint, p_due bigint, p_delay bigint, p_key text, p_head bytea, p_body bytea,
    p_lane text, p_now bigint, p_relaxed boolean, p_bell bigint
) returns bigint language plpgsql {pins} as $$
declare
    v_now bigint := coalesce(p_now, (extract(epoch from clock_timestamp()) * 1000000)::bigint);
    v_stop text; v_dropped bigint; v_lanes smallint;
begin
    if p_relaxed then
        perform set_config('synchronous_commit', 'off', true);
    end if;
    select put_stopped, dropped, lanes into v_stop, v_dropped, v_lanes from {queue} where name = p_queue;
    if not found then
        insert into {queue} (name, lanes) values (p_queue, case when p_lane is null then 0 else 1 end) on conflict do nothing;
        v_lanes := 0;
    elsif v_stop is not null then
        return -1;
    end if;
    if v_dropped is not null or (p_lane is not null and v_lanes = 0) then
        perform {make_ready}(array[p_queue], case when p_lane is null then null else array[p_queue] end);
    end if;
    insert into {job} (id, queue, priority, due, created, unique_key, head, body, lane)
    values (p_id, p_queue, p_priority, coalesce(p_due, coalesce(p_created, v_now) + p_delay), coalesce(p_created, v_now), p_key, p_head, p_body,
        p_lane)
    on conflict do nothing;
    if not found then
        return null;
    end if;
    if p_bell = 2 then
        insert into {waiting} (queue, address, until) values (p_queue, 'commit.' || pg_backend_pid(), -1)
        on conflict (queue, address) do update set until = {waiting}.until + excluded.until;
    elsif p_bell = 1 and exists (select from {waiting} where queue = p_queue and until > v_now) then
        perform {ring}(array[p_queue], array[1::bigint], v_now);
    end if;
    return v_now;
end $$;

-- function_may_put: makes unknown queues, refuses when one of them takes no new jobs, rings; answers the time, or -1
create or replace function {may_put}(p_queues text[], p_jobs bigint[], p_laned text[], p_now bigint, p_relaxed boolean, p_bell bigint)
returns bigint language plpgsql {pins} as $$
declare
    v_now bigint := coalesce(p_now, (extract(epoch from clock_timestamp()) * 1000000)::bigint);
    v_known bigint; v_stopped boolean; v_dropped boolean;
begin
    if p_relaxed then
        perform set_config('synchronous_commit', 'off', true);
    end if;
    select count(*), bool_or(put_stopped is not null), bool_or(dropped is not null) into v_known, v_stopped, v_dropped
    from {queue} where name = any(p_queues);
    if v_stopped then
        return -1;
    end if;
    if v_known < cardinality(p_queues) then
        insert into {queue} (name)
        select n from unnest(p_queues) as w(n) where not exists (select from {queue} where name = n) order by n on conflict do nothing;
    end if;
    if v_dropped or p_laned is not null then
        perform {make_ready}(p_queues, p_laned);
    end if;
    if p_bell = 2 then
        insert into {waiting} (queue, address, until) select q, 'commit.' || pg_backend_pid(), -n from unnest(p_queues, p_jobs) as w(q, n)
        on conflict (queue, address) do update set until = {waiting}.until + excluded.until;
    elsif p_bell = 1 and exists (select from {waiting} where queue = any(p_queues) and until > v_now) then
        perform {ring}(p_queues, p_jobs, v_now);
    end if;
    return v_now;
end $$;

-- function_put_many: stores new jobs; answers the time, or -1, and how many of them were new
create or replace function {put_many}(
    p_queues text[], p_jobs bigint[], p_laned text[], p_now bigint, p_relaxed boolean, p_bell bigint,
    p_ids uuid[], p_queue text[], p_priority bigint[], p_created bigint[], p_due bigint[], p_delay bigint[], p_key text[], p_head bytea[],
    p_body bytea[], p_lane text[], out r_now bigint, out r_new bigint
) language plpgsql {pins} as $$
begin
    r_new := 0;
    r_now := {may_put}(p_queues, p_jobs, p_laned, p_now, p_relaxed, p_bell);
    if r_now < 0 then
        return;
    end if;
    insert into {job} (id, queue, priority, due, created, unique_key, head, body, lane)
    select w.id, w.queue, w.priority, coalesce(w.due, coalesce(w.created, r_now) + w.delay), coalesce(w.created, r_now), w.key, w.head, w.body,
        w.lane
    from unnest(p_ids, p_queue, p_priority, p_created, p_due, p_delay, p_key, p_head, p_body, p_lane)
        as w(id, queue, priority, created, due, delay, key, head, body, lane)
    on conflict do nothing;
    get diagnostics r_new = row_count;
end $$;

-- function_lend: makes the first due jobs running and answers them; one row of state -1 when all the queues hand out nothing; behind the
-- others one of state -2 that names a queue which is guarded (lanes.py): there it ends
-- It walks the lanes: a lane is one (queue, priority), and its head tells whether anything of it is due.
create or replace function {lend}(
    p_queues text[], p_limit bigint, p_lease bigint, p_token bigint, p_holder text, p_now bigint, p_boot bigint, p_relaxed boolean
) returns setof {job} language plpgsql {pins} rows 100 as $$
declare
    v_now bigint := coalesce(p_now, (extract(epoch from clock_timestamp()) * 1000000)::bigint);
    v_left bigint := p_limit;
    v_queue text; v_stop text; v_reason text; v_priority smallint; v_due bigint; v_count bigint; v_open boolean := false; v_guarded boolean;
    v_row {job};
begin
    if p_relaxed then
        perform set_config('synchronous_commit', 'off', true);
    end if;
    foreach v_queue in array p_queues loop
        select claim_stopped, max_running > 0 or lanes > 0 into v_stop, v_guarded from {queue} where name = v_queue;
        if v_stop is not null then
            v_reason := coalesce(v_reason, v_stop);
            continue;
        end if;
        if v_guarded then
            v_row.queue := v_queue;
            v_row.state := -2;
            return next v_row;
            return;
        end if;
        v_open := true;
        v_priority := -1;
        loop
            select priority, due into v_priority, v_due from {job}
            where queue = v_queue and state = 0 and priority > v_priority order by priority, due, id limit 1;
            exit when not found;
            continue when v_due > v_now;
            return query update {job} set state = 1, moment = coalesce(p_boot, v_now) + p_lease, token = p_token, holder = p_holder,
                claimed = v_now, attempts = attempts + 1
            where id = any(array(
                select id from {job} where queue = v_queue and state = 0 and priority = v_priority and due >= v_due and due <= v_now
                    and lane is null
                order by due, id limit v_left for update skip locked))
            returning *;
            get diagnostics v_count = row_count;
            v_left := v_left - v_count;
            if v_left <= 0 then
                return;
            end if;
        end loop;
    end loop;
    if not v_open then
        v_row.queue := p_queues[1];
        v_row.state := -1;
        v_row.holder := v_reason;
        return next v_row;
    end if;
end $$;

-- function_drop: deletes the running jobs of these ids and tokens, as far as they still are and their lease is not over
-- It names no state: an index on some state that has the id in it would tempt the planner. The token is null unless running.
create or replace function {drop}(p_ids uuid[], p_tokens bigint[], p_boot bigint, p_relaxed boolean)
returns table (r_id uuid, r_token bigint) language plpgsql {pins} rows 100 as $$
declare
    v_boot bigint := coalesce(p_boot, (extract(epoch from clock_timestamp()) * 1000000)::bigint);
    v_token bigint;
begin
    if p_relaxed then
        perform set_config('synchronous_commit', 'off', true);
    end if;
    if p_tokens[1] = all(p_tokens) then
        return query delete from {job} where id = any(p_ids) and token = p_tokens[1] and moment > v_boot returning id, token;
        return;
    end if;
    foreach v_token in array array(select distinct t from unnest(p_tokens) as w(t)) loop
        return query delete from {job}
        where id = any(array(select i from unnest(p_ids, p_tokens) as w(i, t) where t = v_token)) and token = v_token and moment > v_boot
        returning id, token;
    end loop;
end $$;

-- function_next_due: in how many microseconds the next job of these queues is due, or any lease ends; null for never
create or replace function {next_due}(p_queues text[], p_now bigint, p_boot bigint) returns bigint language plpgsql {pins} as $$
declare
    v_now bigint := coalesce(p_now, (extract(epoch from clock_timestamp()) * 1000000)::bigint);
    v_queue text; v_stop text; v_priority smallint; v_due bigint; v_end bigint; v_soonest bigint;
    v_running bigint; v_lanes smallint;
begin
    select moment into v_end from {job} where state = 1 and moment < {never} order by moment limit 1;
    v_soonest := greatest(0, v_end - coalesce(p_boot, v_now));
    if v_end is null then
        v_soonest := null;
    end if;
    foreach v_queue in array p_queues loop
        select claim_stopped, max_running, lanes into v_stop, v_running, v_lanes from {queue} where name = v_queue;
        continue when v_stop is not null;
        if v_running > 0 then
            continue when v_running <= (select count(*) from {job} where state = 1 and moment < {never} and queue = v_queue);
        end if;
        if v_lanes > 0 and exists (select from {place} m where m.queue = v_queue and m.ends <= v_now
            and (select 1 from {place} p where p.queue = m.queue and p.lane = m.lane and p.parked >= 1 limit 1) = 1) then
            return 0;
        end if;
        v_priority := -1;
        loop
            select priority, due into v_priority, v_due from {job}
            where queue = v_queue and state = 0 and priority > v_priority order by priority, due, id limit 1;
            exit when not found;
            if v_due <= v_now then
                return 0;
            end if;
            v_soonest := least(v_soonest, v_due - v_now);
        end loop;
    end loop;
    return v_soonest;
end $$;

-- function_announce: somebody is about to sleep for some queues; those who have been silent for long are swept away
create or replace function {announce}(p_queues text[], p_address text, p_lifetime bigint, p_now bigint) returns void language plpgsql {pins} as $$
declare
    v_now bigint := coalesce(p_now, (extract(epoch from clock_timestamp()) * 1000000)::bigint);
begin
    perform set_config('synchronous_commit', 'off', true);
    delete from {waiting} where ctid = any(array(select ctid from {waiting} where until <= v_now for update skip locked));
    insert into {waiting} (queue, address, until) select distinct q, p_address, v_now + p_lifetime from unnest(p_queues) as w(q)
    on conflict (queue, address) do update set until = excluded.until;
end $$;

-- function_withdrawn: and sleeps no more; whether the announcement was still there, which it is not once somebody has rung
create or replace function {withdrawn}(p_address text) returns boolean language plpgsql {pins} as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    delete from {waiting} where ctid = any(array(select ctid from {waiting} where address = p_address for update skip locked));
    return found;
end $$;
