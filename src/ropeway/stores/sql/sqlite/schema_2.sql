-- The second version of the tables in SQLite: lanes, limits, queues that can be dropped.

-- step_2_lane: which lane a job is in; nothing for none
alter table {job} add column lane text;

-- step_2_limits: how many jobs of a queue may run at once, 0 for any number
alter table {queue} add column max_running integer not null default 0;

-- step_2_width: and how many of each of its lanes
alter table {queue} add column max_lane integer not null default 1;

-- step_2_lanes: 1 once a job with a lane was put to the queue: then it is claimed from under the lock of this row
alter table {queue} add column lanes integer not null default 0;

-- step_2_dropped: when it was dropped
alter table {queue} add column dropped integer;

-- step_2_place: the places in lanes. parked = 0: a job holds a place; `ends` is when it is free at the latest, 0 when the job has left it.
-- parked = 1: a job waits for one, in the order of its queue
create table if not exists {place} (
    queue text not null, lane text not null, parked integer not null, priority integer not null, due integer not null, id blob not null,
    ends integer, primary key (queue, lane, parked, priority, due, id)
) without rowid;

-- step_2_place_ends: which places are free by now
create index if not exists {place_ends} on {place} (queue, ends) where ends is not null;

-- step_2_place_order: what is parked, in the order of its queue
create index if not exists {place_order} on {place} (queue, priority, due, id) where parked = 1;
