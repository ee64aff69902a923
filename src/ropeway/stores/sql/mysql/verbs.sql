-- Statements that are MariaDB's own.

-- new_queue: a queue that is put to for the first time
insert into {queue} (name) values (:queue) on duplicate key update name = name;

-- put: one new job, unless its queue takes none or must be made ready for it first; answers what stands there now: this one, or the one that has its id or its key.
-- In one column, since the driver takes as long to read the description of each as for all the rest
insert into {job} (id, queue, priority, due, created, unique_key, head, body, lane)
select :id, :queue, :priority, coalesce(:due, coalesce(:created, {now}) + :delay), coalesce(:created, {now}), :key, :head, :body, :lane
from dual where not exists (select 1 from {queue} where name = :queue
    and (put_stopped is not null or dropped is not null or (lanes = 0 and :lane is not null)))
on duplicate key update id = {job}.id
returning concat_ws(' ', {id}, created, due, state);

-- put_quick: one new job, if its queue is there and ready for it; else nothing. The answer is the shortest that MariaDB has: how many rows, and
-- one number, the time. Reading a result takes the driver longer than all the rest (measured: half of a put)
insert into {job} (id, queue, priority, created, due, unique_key, head, body, lane) select %%row%%
from {queue} where name = '%%queue%%' and put_stopped is null and dropped is null and lanes >= %%laned%%
on duplicate key update id = {job}.id;

-- put_switches: what a put of many must know first
select {now}, name, put_stopped, dropped, lanes from (select 1) one left join {queue} on name in :queues;

-- due: the first due jobs of one priority, locked; those that others hold are passed over
select {columns} from {job} where queue = :queue and state = 0 and priority = :priority and due <= :high and lane is null
order by due, id limit :limit for update skip locked;

-- lend: makes them running
update {job} set state = 1, moment = {boot} + :lease, token = :token, holder = :holder, claimed = {now}, attempts = attempts + 1
where {among_ids};

-- drop: deletes the running jobs of one token, as far as they still are
delete from {job} where {among_ids} and token = :token and moment > {boot} returning {id};

-- claim_stops: the queues that hand out nothing, with the reasons, and those with limits or lanes
select name, claim_stopped, max_running from {queue} where claim_stopped is not null or max_running > 0 or lanes > 0;

-- glance: when the next lease ends, from now; what time it is; whether any job of some queues waits, and any queue hands out nothing or has limits
-- One statement, since that is all that an idle worker asks.
select (select min(moment) - {boot} from {job} where state = 1 and moment < {never}), {now},
    (select 1 from {job} where {among_queues} and state = 0 limit 1), (select 1 from {queue} where claim_stopped is not null or max_running > 0 or lanes > 0 limit 1);

-- forget: deletes some of what has ended in a state up to a moment
delete from {job} where state = :state and moment <= :before order by moment limit 500;

-- note_down: writes a note in place of an old one
insert into {note} (name, value, until) values (:key, :value, {now} + :lifetime)
on duplicate key update value = values(value), until = values(until);

-- time: what time it is
select {now}, {boot};

-- read_meta: a fact of the store
select value from {meta} where name = :key;

-- write_meta: the same, written
insert into {meta} (name, value) values (:key, :value) on duplicate key update value = values(value);

-- announce: somebody waits for a queue
insert into {waiting} (queue, address, until) values (:queue, :address, {now} + :lifetime) on duplicate key update until = values(until);

-- announce_several: the same for up to eight queues; the last one stands in the places that are left
insert into {waiting} (queue, address, until)
select asked.queue, :address, {now} + :lifetime from (
    select :queue_a as queue union all select :queue_b union all select :queue_c union all select :queue_d
    union all select :queue_e union all select :queue_f union all select :queue_g union all select :queue_h
) asked
on duplicate key update until = values(until);

-- insert_many: new jobs; those whose id or key is here already are passed over, and not counted
insert into {job} (id, queue, priority, due, created, unique_key, head, body, lane) values %%rows%% on duplicate key update id = {job}.id;

-- insert_beside: the same in a transaction of the caller's, where the locks of the other would stand until it ends
insert ignore into {job} (id, queue, priority, due, created, unique_key, head, body, lane) values %%rows%%;

-- place: a job holds a place in its lane, or (`ends` 0) has left it
insert into {place} (queue, lane, parked, priority, due, id, ends) values (:queue, :lane, 0, 0, 0, :id, :ends)
on duplicate key update ends = values(ends);

-- park: a job waits for a place
insert ignore into {place} (queue, lane, parked, priority, due, id) select queue, lane, 1, priority, due, id from {job} where id = :id;
