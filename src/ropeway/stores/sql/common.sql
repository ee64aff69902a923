-- Statements that all databases share. {columns}: those of a Row. {among_ids}, {among_queues}: whether the row is one of those
-- given. {now}, {boot}: the two times. {locked}: wait for rows that another transaction holds. {free}: pass over them.
-- {by_id}, {by_due} and the like name the index, where a planner that believes old statistics would take another, or none.

-- rows: jobs by id, locked until the transaction ends, and what time it is
-- It names no state: an index for some state that has the id in it would tempt a planner to read all of that index.
select {columns}, token, unique_key, {now}, {boot} from {job} {by_id} where {among_ids} {locked};

-- seen: jobs by id, only to look at
select {columns} from {job} {by_id} where {among_ids};

-- standing: in which queue and how jobs stand, by id
select {id}, queue, created, due, state, moment from {job} {by_id} where {among_ids};

-- settle: writes what has become of a job that is not running any more
update {job} set state = :state, priority = :priority, due = :due, moment = :moment, token = null, holder = null, claimed = null,
    attempts = :attempts, deaths = :deaths, unique_key = :key, past = :past, result = :result, result_type = :result_type
where id = :id;

-- take: makes one job running
update {job} set state = 1, moment = {boot} + :lease, token = :token, holder = :holder, claimed = {now}, attempts = attempts + 1 where id = :id;

-- renew: moves the end of a lease
update {job} set moment = {boot} + :lease where id = :id;

-- remove: deletes jobs by id
delete from {job} {by_id} where {among_ids};

-- expired: jobs whose lease has ended, the earliest first
select {columns}, unique_key from {job} where state = 1 and moment <= {boot} order by moment limit 500 {free};

-- any_expired: whether there are such
select 1 from {job} where state = 1 and moment <= {boot} limit 1;

-- key_holder: who holds a key
select {columns} from {job} where queue = :queue and unique_key = :key {locked};

-- queues: the names of all queues
-- One that was dropped is seen while it holds a job: a put that had begun before may have missed that it was dropped.
select name from {queue} where dropped is null or exists (select 1 from {job} where {job}.queue = name) order by name;

-- switches: the queues of which a switch is off, with the reasons
select name, put_stopped, claim_stopped from {queue} where put_stopped is not null or claim_stopped is not null;

-- stop_put: sets the switch for new jobs
update {queue} set put_stopped = :reason where name = :queue;

-- stop_claim: sets the switch for handing out
update {queue} set claim_stopped = :reason where name = :queue;

-- count_waiting: how many jobs of some queues are delayed (0) and ready (1), and the due of the first of them
select queue, case when due <= {now} then 1 else 0 end, count(*), min(due) from {job} where state = 0 and {among_queues} group by 1, 2;

-- count_parked: how many jobs of some queues are parked, and the due of the first of them
select queue, count(*), min(due) from {place} where parked = 1 and {among_queues} group by 1;

-- count_running: how many jobs of some queues are running
select queue, count(*) from {job} where state = 1 and moment < {never} and {among_queues} group by 1;

-- count_ended: how many jobs of some queues are dead (2) and done (3) and not forgotten
select queue, state, count(*) from {job} where state >= 2 and moment > {now} - case state when 2 then :dead_keep else 0 end and {among_queues}
    group by 1, 2;

-- page_waiting: the next waiting jobs of a queue by (priority, due, id)
select {columns} from {job} where queue = :queue and state = 0 and due > :low and due <= :high
    and (priority, due, id) > (:priority, :moment, :id) order by priority, due, id limit :limit;

-- page_running: the next running jobs of a queue by (priority, the end of the lease, id)
select {columns} from {job} where queue = :queue and state = 1 and moment < {never} and (priority, moment, id) > (:priority, :moment, :id)
    order by priority, moment, id limit :limit;

-- page_ended: the next dead or done jobs of a queue by (priority, when they died or are forgotten, id)
select {columns} from {job} where queue = :queue and state = :state and state >= 2 and moment > :low
    and (priority, moment, id) > (:priority, :moment, :id) order by priority, moment, id limit :limit;

-- notes: the notes whose key starts so
select name, value from {note} where name >= :prefix and name < :beyond and until > {now} order by name;

-- forget_note: drops a note
delete from {note} where name = :key;

-- note_lives: whether a note is there; who drops it next holds its row until he has, so that of several one drops it
select 1 from {note} where name = :key and until > {now} {locked};

-- sweep_notes: drops the notes whose time is over
delete from {note} where until <= {now};

-- take_key: writes who holds a key
update {job} set unique_key = :key where id = :id;

-- bring: a job as it stood in another store
insert into {job}(id, queue, priority, due, created, state, moment, attempts, deaths, unique_key, head, body, past, result, result_type,
    lane)
values (:id, :queue, :priority, :due, :created, :state, :moment, :attempts, :deaths, :key, :head, :body, :past, :result, :result_type,
    :lane);

-- withdraw: somebody waits no more, or is about to be rung, which only one shall do
delete from {waiting} where address = :address returning address;

-- waiting: who waits for some queues
select distinct address from {waiting} where {among_queues} and until > {now} limit :limit;

-- sweep_waiting: those who have not said for long that they still wait
delete from {waiting} where until <= {now};

-- end_leases_of: what a process that is gone has held is to be had again
update {job} set moment = 0 where state = 1 and moment > 0 and holder like :who;

-- any_forgettable: whether something has ended in a state up to a moment
select 1 from {job} {by_moment} where state = :state and state > 0 and moment <= :before limit 1;

-- edit: writes another content
update {job} set head = :head, body = :body where id = :id;

-- rows_free: jobs by id, locked until the transaction ends; those that others hold are passed over
select {columns}, token, unique_key, {now}, {boot} from {job} {by_id} where {among_ids} {free};

-- The queues: limits, lanes, and those that are dropped.

-- limits: of some queues, where there are any
select name, max_running, max_lane from {queue} where max_running > 0 or max_lane > 1;

-- guard: whether a queue is claimed from under the lock of its row, and how wide its lanes are
select case when max_running > 0 or lanes > 0 then 1 else 0 end, max_lane from {queue} where name = :queue;

-- lock_queue: what must hold when jobs of a queue are handed out, and nobody else hands out any until the transaction ends
select claim_stopped, max_running, max_lane, lanes from {queue} where name = :queue {locked};

-- limit: sets the limits of a queue
update {queue} set max_running = :running, max_lane = :width where name = :queue;

-- laned: from now on a queue has jobs with lanes
update {queue} set lanes = 1 where name = :queue and lanes = 0;

-- revive: a queue that was dropped is there again
update {queue} set dropped = null where name = :queue and dropped is not null;

-- drop_queue: nobody shall see a queue any more. The row stays for a time: a put may be under way that has seen it
-- It goes on being one with lanes, for the sake of that put.
update {queue} set dropped = {now}, put_stopped = null, claim_stopped = null, max_running = 0, max_lane = 1 where name = :queue;

-- drop_places: and nothing holds places in it
delete from {place} where queue = :queue;

-- sweep_queues: forgets queues that were dropped long ago
delete from {queue} where dropped < :before and not exists (select 1 from {job} where {job}.queue = {queue}.name);

-- holds_waiting: whether a queue holds a job that waits
select 1 from {job} where queue = :queue and state = 0 limit 1;

-- holds_running: one that runs or is parked
select 1 from {job} where queue = :queue and state = 1 limit 1;

-- holds_ended: one that has ended
select 1 from {job} where queue = :queue and state >= 2 and moment > {now} - case state when 2 then :dead_keep else 0 end limit 1;

-- The places in lanes: lanes.py says who asks for what, and in which order the rows are locked.

-- running: how many jobs of a queue run
select count(*) from {job} where state = 1 and moment < {never} and queue = :queue;

-- head: the next priority of a queue at which jobs wait, when the first of them is due, and what time it is
select priority, due, {now} from {job} {by_due} where queue = :queue and state = 0 and priority > :priority order by priority, due, id limit 1;

-- first_due: the first due jobs of one priority and their lanes
-- Without a lock, since it must name those that others hold, too: what stands behind one of them in its lane must wait.
select {id}, {lane} from {job} {by_due} where queue = :queue and state = 0 and priority = :priority and due <= {now} order by due, id limit :limit;

-- lock_free: jobs by id, locked until the transaction ends; those that others hold are passed over
select {id}, state from {job} {by_id} where {among_ids} {free};

-- freed: whether a lane in which something is parked may have a place
-- Not by `exists`, which a planner may turn round, to begin with all that is parked.
select 1 from {place} m where m.queue = :queue and m.ends <= {now}
    and (select 1 from {place} p where p.queue = m.queue and p.lane = m.lane and p.parked >= 1 limit 1) = 1 limit 1;

-- left: the places that are free by now
select {lane}, {id}, ends from {place} where queue = :queue and ends <= {now} order by ends limit 500 {free};

-- holders: who holds the places of some lanes, until when at the latest, and how he stands
select {lane}, {id}, ends, (select state from {job} where {job}.id = {place}.id) from {place}
where queue = :queue and {among_lanes} and parked = 0;

-- unplace: a place is nobody's any more
delete from {place} where queue = :queue and lane = :lane and parked = 0 and priority = 0 and due = 0 and id = :id;

-- stay: a place is held at the latest until then
update {place} set ends = :ends where queue = :queue and lane = :lane and parked = 0 and priority = 0 and due = 0 and id = :id;

-- park_job: takes a job out of the order
update {job} set state = 1, moment = {never} where id = :id;

-- parked: the first that are parked in a lane
-- Said so that only the primary key will do: the index of all that is parked would be read from its beginning, where other lanes stand.
select {id} from {place} {by_place} where queue = :queue and lane = :lane and parked >= 1 order by parked, priority, due, id limit :limit;

-- unpark_job: puts a job back into the order
-- It names no state, as `rows` does not: all that is parked has the same moment, so the index by moments would be read whole.
update {job} set state = 0, moment = null where id = :id and moment = {never};

-- unpark: one that is parked no more
delete from {place} where queue = :queue and lane = :lane and parked = 1 and priority = :priority and due = :due and id = :id;

-- unpark_gone: and one that is not there any more
delete from {place} where queue = :queue and lane = :lane and parked = 1 and id = :id;

-- page_parked: the next parked jobs of a queue by (priority, due, id)
select {columns} from {job} join (select id as parked_id from {place} where queue = :queue and parked = 1
    and (priority, due, id) > (:priority, :moment, :id) order by priority, due, id limit :limit) found on id = parked_id
where state = 1 and moment = {never};

-- any_place: whether any lane is in use
select 1 from {place} limit 1;

-- widowed: places whose holders are gone without a word: acked by an older release, or by somebody's own SQL
select queue, {lane}, {id} from {place} where parked = 0 and ends is null
    and not exists (select 1 from {job} where {job}.id = {place}.id and state < 2) limit 500;

-- stuck: lanes in which something is parked and nobody holds a place
select distinct queue, {lane} from {place} where parked = 1
    and not exists (select 1 from {place} h where h.queue = {place}.queue and h.lane = {place}.lane and h.parked = 0) limit 500;

-- unpark_lost: forgets the parked that are not there any more
delete from {place} where parked = 1 and not exists (select 1 from {job} where {job}.id = {place}.id and state = 1);

-- lanes_of: the lanes of a queue in which something is parked
select distinct queue, {lane} from {place} where queue = :queue and parked = 1;
