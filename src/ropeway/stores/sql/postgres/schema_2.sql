-- The second version of the tables in PostgreSQL: lanes, limits, queues that can be dropped.

-- step_2_lane: which lane a job is in; nothing for none
alter table {job} add column if not exists lane text collate "C";

-- step_2_queue: how many jobs of a queue may run at once, 0 for any number, and of each of its lanes; `lanes` is 1 once a job with a lane was put
-- to it: then it is claimed from under the lock of this row; when it was dropped
alter table {queue} add column if not exists max_running integer not null default 0, add column if not exists max_lane integer not null default 1,
    add column if not exists lanes smallint not null default 0, add column if not exists dropped bigint;

-- step_2_place: the places in lanes. parked = 0: a job holds a place; `ends` is when it is free at the latest, 0 when the job has left it.
-- parked = 1: a job waits for one, in the order of its queue
create table if not exists {place} (
    queue text collate "C" not null, lane text collate "C" not null, parked smallint not null, priority smallint not null, due bigint not null,
    id uuid not null, ends bigint, primary key (queue, lane, parked, priority, due, id)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- step_2_place_ends: which places are free by now
create index if not exists {place_ends} on {place} (queue, ends) where ends is not null;

-- step_2_place_order: what is parked, in the order of its queue
create index if not exists {place_order} on {place} (queue, priority, due, id) where parked = 1;
