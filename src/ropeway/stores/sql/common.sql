-- Statements that all databases share. {columns}: those of a Row. {among_ids}, {among_queues}: whether the row is one of those
-- given. {now}, {boot}: the two times. {locked}: wait for rows that another transaction holds. {free}: pass over them.

-- rows: jobs by id, locked until the transaction ends, and what time it is
-- It names no state: an index for some state that has the id in it would tempt a planner to read all of that index.
select {columns}, token, unique_key, {now}, {boot} from {job} where {among_ids} {locked};

-- seen: jobs by id, only to look at
select {columns} from {job} where {among_ids};

-- standing: in which queue and how jobs stand, by id
select {id}, queue, created, due, state, moment from {job} where {among_ids};

-- settle: writes what has become of a job that is not running any more
update {job} set state = :state, priority = :priority, due = :due, moment = :moment, token = null, holder = null, claimed = null,
    attempts = :attempts, deaths = :deaths, unique_key = :key, past = :past, result = :result, result_type = :result_type
where id = :id;

-- take: makes one job running
update {job} set state = 1, moment = {boot} + :lease, token = :token, holder = :holder, claimed = {now}, attempts = attempts + 1 where id = :id;

-- renew: moves the end of a lease
update {job} set moment = {boot} + :lease where id = :id;

-- remove: deletes jobs by id
delete from {job} where {among_ids};

-- expired: jobs whose lease has ended, the earliest first
select {columns}, unique_key from {job} where state = 1 and moment <= {boot} order by moment limit 500 {free};

-- any_expired: whether there are such
select 1 from {job} where state = 1 and moment <= {boot} limit 1;

-- key_holder: who holds a key
select {columns} from {job} where queue = :queue and unique_key = :key {locked};

-- queues: the names of all queues
select name from {queue} order by name;

-- switches: the queues of which a switch is off, with the reasons
select name, put_stopped, claim_stopped from {queue} where put_stopped is not null or claim_stopped is not null;

-- stop_put: sets the switch for new jobs
update {queue} set put_stopped = :reason where name = :queue;

-- stop_claim: sets the switch for handing out
update {queue} set claim_stopped = :reason where name = :queue;

-- count_waiting: how many jobs of some queues are delayed (0) and ready (1), and the due of the first of them
select queue, case when due <= {now} then 1 else 0 end, count(*), min(due) from {job} where state = 0 and {among_queues} group by 1, 2;

-- count_running: how many jobs of some queues are running
select queue, count(*) from {job} where state = 1 and {among_queues} group by 1;

-- count_ended: how many jobs of some queues are dead (2) and done (3) and not forgotten
select queue, state, count(*) from {job} where state >= 2 and moment > {now} - case state when 2 then :dead_keep else 0 end and {among_queues}
    group by 1, 2;

-- page_waiting: the next waiting jobs of a queue by (priority, due, id)
select {columns} from {job} where queue = :queue and state = 0 and due > :low and due <= :high
    and (priority, due, id) > (:priority, :moment, :id) order by priority, due, id limit :limit;

-- page_running: the next running jobs of a queue by (priority, the end of the lease, id)
select {columns} from {job} where queue = :queue and state = 1 and (priority, moment, id) > (:priority, :moment, :id)
    order by priority, moment, id limit :limit;

-- page_ended: the next dead or done jobs of a queue by (priority, when they died or are forgotten, id)
select {columns} from {job} where queue = :queue and state = :state and state >= 2 and moment > :low
    and (priority, moment, id) > (:priority, :moment, :id) order by priority, moment, id limit :limit;

-- notes: the notes whose key starts so
select name, value from {note} where name >= :prefix and name < :beyond and until > {now} order by name;

-- forget_note: drops a note
delete from {note} where name = :key;

-- note_lives: whether a note is there
select 1 from {note} where name = :key and until > {now};

-- sweep_notes: drops the notes whose time is over
delete from {note} where until <= {now};

-- take_key: writes who holds a key
update {job} set unique_key = :key where id = :id;

-- bring: a job as it stood in another store
insert into {job}(id, queue, priority, due, created, state, moment, attempts, deaths, unique_key, head, body, past, result, result_type)
values (:id, :queue, :priority, :due, :created, :state, :moment, :attempts, :deaths, :key, :head, :body, :past, :result, :result_type);

-- withdraw: somebody waits no more, or is about to be rung, which only one shall do
delete from {waiting} where address = :address returning address;

-- waiting: who waits for some queues
select distinct address from {waiting} where {among_queues} and until > {now} limit :limit;

-- sweep_waiting: those who have not said for long that they still wait
delete from {waiting} where until <= {now};

-- end_leases_of: what a process that is gone has held is to be had again
update {job} set moment = 0 where state = 1 and moment > 0 and holder like :who;

-- any_forgettable: whether something has ended in a state up to a moment
select 1 from {job} where state = :state and state > 0 and moment <= :before limit 1;
