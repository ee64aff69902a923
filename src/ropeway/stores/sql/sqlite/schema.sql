-- The tables in SQLite. A new version of the schema is a new file beside this one: nothing in here is ever changed.

-- table_meta: facts of the store itself: the version of its schema, the boot in which its leases count
create table if not exists {meta} (name text primary key, value text not null) without rowid;

-- table_job: the jobs; the columns are explained in record.py, and in the docs
create table if not exists {job} (
    n integer primary key,
    id blob not null,
    queue text not null,
    priority integer not null,
    due integer not null,
    created integer not null,
    state integer not null default 0,
    moment integer,
    token integer,
    attempts integer not null default 0,
    deaths integer not null default 0,
    holder text,
    claimed integer,
    unique_key text,
    head blob not null,
    body blob not null,
    past blob,
    result blob,
    result_type text
);

-- index_id: one job an id
create unique index if not exists {job_id} on {job} (id);

-- index_due: the order in which they are handed out; only of those that wait, so what is running or has ended costs a claim nothing
create index if not exists {job_due} on {job} (queue, priority, due, id) where state = 0;

-- index_moment: whose lease ends next, who is forgotten next
create index if not exists {job_moment} on {job} (state, moment) where state > 0;

-- index_ended: for looking at what has ended
create index if not exists {job_ended} on {job} (queue, state, priority, moment, id) where state >= 2;

-- index_key: one live job a key
create unique index if not exists {job_key} on {job} (queue, unique_key) where unique_key is not null;

-- table_queue: the queues that were ever put to, and their switches
create table if not exists {queue} (name text primary key, put_stopped text, claim_stopped text) without rowid;

-- table_note: the notes
create table if not exists {note} (name text primary key, value blob not null, until integer not null) without rowid;

-- table_waiting: the addresses of processes that wait, for a bell over UDP
create table if not exists {waiting} (queue text not null, address text not null, until integer not null, primary key (queue, address))
without rowid;
