-- The tables in PostgreSQL. A new version of the schema is a new file beside this one: nothing in here is ever changed.

-- table_meta: facts of the store itself: the versions of its schema and of its functions
create table if not exists {meta} (name text collate "C" primary key, value text not null);

-- table_job: the jobs; the columns are explained in record.py, and in the docs
-- A queue's rows live for moments, so it is vacuumed by their number and not by a share of the table, and without pauses.
create table if not exists {job} (
    id uuid primary key,
    queue text collate "C" not null,
    priority smallint not null,
    due bigint not null,
    created bigint not null,
    state smallint not null default 0,
    moment bigint,
    token bigint,
    attempts integer not null default 0,
    deaths integer not null default 0,
    holder text,
    claimed bigint,
    unique_key text collate "C",
    head bytea not null,
    body bytea not null,
    past bytea,
    result bytea,
    result_type text
) with (
    autovacuum_enabled = true, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 5000, vacuum_index_cleanup = on,
    toast.autovacuum_vacuum_scale_factor = 0.02, toast.autovacuum_vacuum_threshold = 2000, toast.autovacuum_vacuum_cost_delay = 0
);

-- index_due: the order in which they are handed out; only of those that wait, so what is running or has ended costs a claim nothing
create index if not exists {job_due} on {job} (queue, priority, due, id) where state = 0;

-- index_moment: whose lease ends next, who is forgotten next
create index if not exists {job_moment} on {job} (state, moment) where state > 0;

-- index_ended: for looking at what has ended
create index if not exists {job_ended} on {job} (queue, state, priority, moment, id) where state >= 2;

-- index_key: one live job a key
create unique index if not exists {job_key} on {job} (queue, unique_key) where unique_key is not null;

-- table_queue: the queues that were ever put to, and their switches
create table if not exists {queue} (name text collate "C" primary key, put_stopped text, claim_stopped text);

-- table_note: the notes
create table if not exists {note} (name text collate "C" primary key, value bytea not null, until bigint not null);

-- table_waiting: who sleeps for which queue, and how he is woken; worth nothing after a crash, so not logged
create unlogged table if not exists {waiting} (queue text collate "C", address text collate "C", until bigint not null, primary key (queue, address))
with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
