-- Statements that are PostgreSQL's own. Those that begin with `select` from one of our functions are prepared by name: their plan is a call.

-- put_one: one new job
select {put_one}(:id, :queue, :priority, :created, :due, :delay, :key, :head, :body, :lane, {p_now}, :relaxed, :bell);

-- put_quick: one new job of a queue that is there and takes jobs; nothing is answered where `put_one` must be asked why
-- It looks at no job but by its keys, and else at small tables: so no plan of it can be wrong, and it needs no pins, which cost a third.
insert into {job} (id, queue, priority, due, created, unique_key, head, body, lane)
select :id, :queue, :priority, coalesce(:due, coalesce(:created, n.t) + :delay), coalesce(:created, n.t), :key, :head, :body, :lane
from (select {now} as t) n
where exists (select from {queue} where name = :queue and put_stopped is null and dropped is null and (lanes = 1 or :lane is null))
    and (not :relaxed or set_config('synchronous_commit', 'off', true) is not null)
on conflict do nothing
returning created, case when :bell = 1 and exists (select from {waiting} where queue = :queue and until > {now})
    then (select 1 from {ring}(array[:queue], array[1::bigint], {now})) end;

-- put_many: many of them
select r_now, r_new from {put_many}(:queues, :jobs, :laned, {p_now}, :relaxed, :bell, :ids, :queue_each, :priorities, :createds, :dues, :delays,
    :keys, :heads, :bodies, :lane_each);

-- lend: the first due jobs, made running
select {columns} from {lend}(:queues, :limit, :lease, :token, :holder, {p_now}, {p_boot}, :relaxed);

-- drop: running jobs whose receipt counts, deleted
select r_id, r_token from {drop}(:ids, :tokens, {p_boot}, :relaxed);

-- next_due: in how many microseconds something is due
select {next_due}(:queues, {p_now}, {p_boot});

-- ring: wakes those who wait
select {ring}(:queues, :jobs, {now});

-- ring_later: wakes those who wait when this transaction is committed: the trigger takes the row away again
insert into {waiting} (queue, address, until)
select q, 'commit.' || pg_backend_pid(), -sum(n) from unnest(:queues, :jobs) as w(q, n) group by q
on conflict (queue, address) do update set until = {waiting}.until + excluded.until;

-- announce: somebody is about to sleep
select {announce}(:queues, :address, :lifetime, {p_now});

-- withdrawn: somebody sleeps no more
select {withdrawn}(:address);

-- new_queue: a queue that is put to for the first time
insert into {queue} (name) values (:queue) on conflict do nothing;

-- time: what time it is
select {now}, {boot};

-- note_down: writes a note in place of an old one
insert into {note} (name, value, until) values (:key, :value, {now} + :lifetime)
on conflict (name) do update set value = excluded.value, until = excluded.until;

-- forget: deletes some of what has ended in a state up to a moment
delete from {job} where id = any(array(select id from {job} where state = :state and state > 0 and moment <= :before
    order by moment limit 500 for update skip locked));

-- read_meta: a fact of the store
select value from {meta} where name = :key;

-- write_meta: the same, written
insert into {meta} (name, value) values (:key, :fact) on conflict (name) do update set value = excluded.value;

-- copy: asks whether jobs may be put, and takes them as a COPY, in one transaction; names are checked, so they may stand in it
select {may_put}('%(queues)s', '{%(jobs)s}', %(laned)s, %(now)s, %(relaxed)s, %(bell)s); copy {job} ({bulk_columns}) from stdin (format binary);

-- place: a job holds a place in its lane, or (`ends` 0) has left it
insert into {place} (queue, lane, parked, priority, due, id, ends) values (:queue, :lane, 0, 0, 0, :id, :ends)
on conflict (queue, lane, parked, priority, due, id) do update set ends = excluded.ends;

-- park: a job waits for a place
insert into {place} (queue, lane, parked, priority, due, id) select queue, lane, 1, priority, due, id from {job} where id = :id
on conflict (queue, lane, parked, priority, due, id) do nothing;

-- holders: who holds the places of some lanes, until when at the latest, and how he stands
-- One look at the primary key for each lane: else it is read with the queue alone, and with it all that is parked.
select lane, {id}, ends, (select state from {job} where {job}.id = place_id) from unnest(:lanes) asked(wanted), lateral (
    select lane, id, id as place_id, ends from {place} where queue = :queue and lane = asked.wanted and parked = 0 offset 0) found;
