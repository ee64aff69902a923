-- Statements that are MariaDB's own, or said in its own way. Its planner believes statistics that may be of another day (a server that was
-- restarted reads them as they were last written), so no plan is left to it. {by_due} and the like name the index. What is to end a search
-- stands behind a range: where a column is said to be equal, it may look up all that is equal and read on to the end. So {here} says that
-- the queue is this one by two bounds, and the order names all columns of the index. And a search that no other column is needed for may
-- become a walk through the whole index, so such a one asks for another.

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
select {columns} from {job} {by_due} where {here} and state = 0 and priority = :priority and due <= :high and lane is null
order by queue, state, priority, due, id limit :limit for update skip locked;

-- lend: makes them running
update {job} {by_id} set state = 1, moment = {boot} + :lease, token = :token, holder = :holder, claimed = {now}, attempts = attempts + 1
where {among_ids};

-- remove: deletes jobs by id
-- A `delete` can name an index only where it is said as one from several tables. Then it cannot tell what it has deleted, but how many.
delete j from {job} j {by_id} where j.{among_ids} and j.state < 9;

-- drop: deletes the running jobs of one token, as far as they still are
delete j from {job} j {by_id} where j.{among_ids} and j.token = :token and j.moment > {boot};

-- drop_all: the same, if all of them are, and else nothing but an error; a transaction of its own
begin not atomic
    start transaction;
    delete j from {job} j {by_id} where j.{among_ids} and j.token = :token and j.moment > {boot};
    if row_count() <> :count then rollback; signal sqlstate '45000' set message_text = 'not all'; end if;
    commit;
end;

-- droppable: those that still are, which stay so until the transaction ends
select {id} from {job} {by_id} where {among_ids} and token = :token and moment > {boot} for update;

-- claim_stops: those of some queues that hand out nothing, with the reasons, and those with limits or lanes
select name, claim_stopped, max_running from {queue} where name in :queues and (claim_stopped is not null or max_running > 0 or lanes > 0);

-- glance: when the next lease ends, from now; what time it is; whether any job of some queues waits, and any of these queues hands out nothing or has limits
-- One statement, since that is all that an idle worker asks.
select (select min(moment) - {boot} from {job} {by_moment} where state = 1 and moment < {never}), {now},
    (select 1 from {job} {by_due} where {among_queues} and state = 0 limit 1),
    (select 1 from {queue} where name in :queues and (claim_stopped is not null or max_running > 0 or lanes > 0) limit 1);

-- forget: deletes some of what has ended in a state up to a moment
delete j from (select id from {job} {by_moment} where state between :state and :state and moment <= :before and created < {never}
    order by state, moment limit 500) old straight_join {job} j {by_id} on j.id = old.id;

-- head: the next priority of a queue at which jobs wait, when the first of them is due, and what time it is
select priority, due, {now} from {job} {by_due} where {here} and state = 0 and priority > :priority
order by queue, state, priority, due, id limit 1;

-- first_due: the first due jobs of one priority and their lanes
-- Without a lock, since it must name those that others hold, too: what stands behind one of them in its lane must wait.
select {id}, {lane} from {job} {by_due} where {here} and state = 0 and priority = :priority and due <= {now}
order by queue, state, priority, due, id limit :limit;

-- expired: jobs whose lease has ended, the earliest first
select {columns}, unique_key from {job} {by_moment} where state between 1 and 1 and moment <= {boot} order by state, moment limit 500 {free};

-- any_expired: whether there are such
select 1 from {job} {by_moment} where state between 1 and 1 and moment <= {boot} and created < {never} limit 1;

-- any_forgettable: whether something has ended in a state up to a moment
select 1 from {job} {by_moment} where state between :state and :state and moment <= :before and created < {never} limit 1;

-- running: how many jobs of a queue run
select count(*) from {job} {by_moment} where state between 1 and 1 and moment < {never} and queue = :queue;

-- freed: whether a lane in which something is parked may have a place
-- Not by `exists`, which a planner may turn round, to begin with all that is parked.
select 1 from {place} m {by_ends} where m.queue >= :queue and m.queue <= :queue and m.ends <= {now}
    and (select 1 from {place} p {by_place} where p.queue = m.queue and p.lane = m.lane and p.parked >= 1 limit 1) = 1 limit 1;

-- left: the places that are free by now
select {lane}, {id}, ends from {place} {by_ends} where {here} and ends <= {now} and due < {never} order by queue, ends limit 500 {free};

-- holders: who holds the places of some lanes, until when at the latest, and how he stands
select {lane}, {id}, ends, (select state from {job} where {job}.id = {place}.id) from {place} {by_place}
where {here} and {among_lanes} and parked = 0;

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

-- Pages begin behind a cursor, which is spelled out: of (a, b, c) > (x, y, z) only that a is not below x would be looked up, and each page
-- would read all that stands before it.

-- page_waiting: the next waiting jobs of a queue by (priority, due, id)
select {columns} from {job} {by_due} where {here} and state = 0 and due > :low and due <= :high
    and (priority > :priority or (priority = :priority and (due > :moment or (due = :moment and id > :id))))
order by queue, state, priority, due, id limit :limit;

-- page_parked: the next parked jobs of a queue by (priority, due, id)
select {columns} from {job} join (select id as parked_id from {place} {by_parked} where {here} and parked = 1
    and (priority > :priority or (priority = :priority and (due > :moment or (due = :moment and id > :id))))
    order by queue, parked, priority, due, id limit :limit) found on id = parked_id
where state = 1 and moment = {never};
