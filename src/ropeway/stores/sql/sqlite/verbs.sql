-- Statements that are SQLite's own, or said in its own way. Who looks among the running says that the state is 1 and above 0: else SQLite does
-- not see that an index of all states above 0 will do. And the index is named, since a table that was analysed while it was empty would be
-- read from end to end for good.

-- new_queue: a queue that is put to for the first time
insert into {queue} (name) values (:queue) on conflict do nothing;

-- known_queue: whether a queue is there, and whether it takes new jobs
select put_stopped, dropped, lanes from {queue} where name = ?;

-- insert: a new job; one whose id or key is here already is passed over
insert into {job} (id, queue, priority, due, created, unique_key, head, body, lane) values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing;

-- insert_quick: a new job that is the whole of a transaction, if its queue is there and ready for it; else nothing
insert into {job} (id, queue, priority, due, created, unique_key, head, body, lane) select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
where exists (select 1 from {queue} where name = ?2 and put_stopped is null and dropped is null and (lanes = 1 or ?9 is null))
on conflict do nothing;

-- next_lane: the next priority of a queue at which jobs wait, and when the first of them is due
select priority, due from {job} indexed by {job_due} where queue = ? and state = 0 and priority > ? order by priority, due, id limit 1;

-- due: the first due jobs of one priority, as they will stand once they are lent
-- Looking first and writing by row number costs two thirds of one statement that does both and returns what it wrote (measured).
select n, lower(hex(id)), queue, priority, due, created, 1, ?, attempts + 1, deaths, ?, ?, head, body, past, result, result_type, null
from {job} indexed by {job_due} where queue = ? and state = 0 and priority = ? and due >= ? and due <= ? order by due, id limit ?;

-- lend: makes one of them running
update {job} set state = 1, moment = ?, token = ?, holder = ?, claimed = ?, attempts = attempts + 1 where n = ?;

-- drop: deletes a running job whose receipt counts
delete from {job} where id = ? and token = ? and moment > ?;

-- first_end: when the next lease ends
select moment from {job} indexed by {job_moment} where state = 1 and state > 0 and moment < {never} order by moment limit 1;

-- claim_stops: the queues that hand out nothing, with the reasons, and those with limits or lanes
select name, claim_stopped, max_running from {queue} where claim_stopped is not null or max_running > 0 or lanes > 0;

-- claim_stop: the same of one queue
select name, claim_stopped, max_running from {queue} where name = :name and (claim_stopped is not null or max_running > 0 or lanes > 0);

-- forget: deletes some of what has ended in a state up to a moment
delete from {job} indexed by {job_id}
where id in (select id from {job} indexed by {job_moment} where state = :state and state > 0 and moment <= :before limit 500);

-- read_meta: a fact of the store
select value from {meta} where name = :key;

-- write_meta: the same, written
insert into {meta} (name, value) values (:key, :value) on conflict (name) do update set value = excluded.value;

-- end_leases: ends every lease (they count from a boot that is over)
update {job} set moment = 0 where state = 1 and state > 0 and moment < {never};

-- note_down: writes a note in place of an old one
insert into {note} (name, value, until) values (:key, :value, :now + :lifetime)
on conflict (name) do update set value = excluded.value, until = excluded.until;

-- announce: somebody waits for a queue
insert into {waiting} (queue, address, until) values (:queue, :address, :now + :lifetime)
on conflict (queue, address) do update set until = excluded.until;

-- any_expired: whether there are jobs whose lease has ended
select 1 from {job} indexed by {job_moment} where state = 1 and state > 0 and moment <= :boot limit 1;

-- expired: those, the earliest first
select {columns}, unique_key from {job} indexed by {job_moment} where state = 1 and state > 0 and moment <= :boot order by moment limit 500;

-- count_running: how many jobs of some queues are running
select queue, count(*) from {job} where state = 1 and state > 0 and moment < {never} and {among_queues} group by 1;

-- page_running: the next running jobs of a queue by (priority, the end of the lease, id)
select {columns} from {job} where queue = :queue and state = 1 and state > 0 and moment < {never}
    and (priority, moment, id) > (:priority, :moment, :id)
    order by priority, moment, id limit :limit;

-- end_leases_of: what a process that is gone has held is to be had again
update {job} set moment = 0 where state = 1 and state > 0 and moment > 0 and holder like :who;

-- place: a job holds a place in its lane, or (`ends` 0) has left it
insert into {place} (queue, lane, parked, priority, due, id, ends) values (:queue, :lane, 0, 0, 0, :id, :ends)
on conflict (queue, lane, parked, priority, due, id) do update set ends = excluded.ends;

-- park: a job waits for a place
insert into {place} (queue, lane, parked, priority, due, id) select queue, lane, 1, priority, due, id from {job} where id = :id
on conflict (queue, lane, parked, priority, due, id) do nothing;

-- running: how many jobs of a queue run
select count(*) from {job} indexed by {job_moment} where state = 1 and state > 0 and moment < {never} and queue = :queue;

-- holds_running: one that runs or is parked
select 1 from {job} where queue = :queue and state = 1 and state > 0 limit 1;
