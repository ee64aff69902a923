-- Statements that are MariaDB's own.

-- new_queue: a queue that is put to for the first time
insert into {queue} (name) values (:queue) on duplicate key update name = name;

-- put: one new job, unless its queue takes none; answers what stands there now: this one, or the one that has its id or its key.
-- In one column, since the driver takes as long to read the description of each as for all the rest
insert into {job} (id, queue, priority, due, created, unique_key, head, body)
select :id, :queue, :priority, coalesce(:due, coalesce(:created, {now}) + :delay), coalesce(:created, {now}), :key, :head, :body
from dual where not exists (select 1 from {queue} where name = :queue and put_stopped is not null)
on duplicate key update id = {job}.id
returning concat_ws(' ', {id}, created, due, state);

-- put_switches: what a put of many must know first
select {now}, name, put_stopped from (select 1) one left join {queue} on name in :queues and put_stopped is not null;

-- lanes: the next priority of a queue at which jobs wait, when the first of them is due, and what time it is
select priority, due, {now} from {job} where queue = :queue and state = 0 and priority > :priority order by priority, due, id limit 1;

-- due: the first due jobs of one priority, locked; those that others hold are passed over
select {columns} from {job} where queue = :queue and state = 0 and priority = :priority and due <= :high
order by due, id limit :limit for update skip locked;

-- lend: makes them running
update {job} set state = 1, moment = {boot} + :lease, token = :token, holder = :holder, claimed = {now}, attempts = attempts + 1
where {among_ids};

-- drop: deletes the running jobs of one token, as far as they still are
delete from {job} where {among_ids} and token = :token and moment > {boot} returning {id};

-- claim_stops: the queues that hand out nothing, with the reasons
select name, claim_stopped from {queue} where claim_stopped is not null;

-- glance: when the next lease ends, from now; what time it is; whether any job of some queues waits, and any queue hands out nothing
-- One statement, since that is all that an idle worker asks.
select (select min(moment) - {boot} from {job} where state = 1), {now},
    (select 1 from {job} where {among_queues} and state = 0 limit 1), (select 1 from {queue} where claim_stopped is not null limit 1);

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

-- insert_many: new jobs; those whose id or key is here already are passed over, and not counted
insert into {job} (id, queue, priority, due, created, unique_key, head, body) values %%rows%% on duplicate key update id = {job}.id;

-- insert_beside: the same in a transaction of the caller's, where the locks of the other would stand until it ends
insert ignore into {job} (id, queue, priority, due, created, unique_key, head, body) values %%rows%%;
