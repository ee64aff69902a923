-- The second version of the tables in MariaDB: lanes, limits, queues that can be dropped.

-- step_2_lane: which lane a job is in; nothing for none
alter table {job} add column if not exists lane varbinary(1024);

-- step_2_queue: how many jobs of a queue may run at once, 0 for any number, and of each of its lanes; `lanes` is 1 once a job with a lane was put
-- to it: then it is claimed from under the lock of this row; when it was dropped
alter table {queue} add column if not exists max_running int unsigned not null default 0,
    add column if not exists max_lane int unsigned not null default 1, add column if not exists lanes tinyint not null default 0,
    add column if not exists dropped bigint;

-- step_2_place: the places in lanes. parked = 0: a job holds a place; `ends` is when it is free at the latest, 0 when the job has left it.
-- parked = 1: a job waits for one, in the order of its queue
create table if not exists {place} (
    queue varchar(128) character set ascii collate ascii_bin not null,
    lane varbinary(1024) not null,
    parked tinyint unsigned not null,
    priority tinyint unsigned not null,
    due bigint not null,
    id binary(16) not null,
    ends bigint,
    primary key (queue, lane, parked, priority, due, id),
    index ends (queue, ends),
    index in_order (queue, parked, priority, due, id)
) engine = innodb default charset = utf8mb4;
