-- The tables in MariaDB. A new version of the schema is a new file beside this one: nothing in here is ever changed.

-- table_meta: facts of the store itself: the version of its schema
create table if not exists {meta} (name varchar(64) character set ascii collate ascii_bin primary key, value varchar(250) not null)
engine = innodb default charset = utf8mb4;

-- table_job: the jobs; the columns are explained in record.py, and in the docs
-- There are no indexes on some rows only: so the state stands in front of the moment.
create table if not exists {job} (
    id binary(16) primary key,
    queue varchar(128) character set ascii collate ascii_bin not null,
    priority tinyint unsigned not null,
    due bigint not null,
    created bigint not null,
    state tinyint unsigned not null default 0,
    moment bigint,
    token bigint,
    attempts int unsigned not null default 0,
    deaths int unsigned not null default 0,
    holder varchar(250),
    claimed bigint,
    unique_key varbinary(1024),
    head mediumblob not null,
    body mediumblob not null,
    past mediumblob,
    result mediumblob,
    result_type varchar(256),
    index due (queue, state, priority, due, id),
    index moment (state, moment),
    unique index unique_key (queue, unique_key)
) engine = innodb default charset = utf8mb4;

-- table_queue: the queues that were ever put to, and their switches
create table if not exists {queue} (
    name varchar(128) character set ascii collate ascii_bin primary key, put_stopped text, claim_stopped text
) engine = innodb default charset = utf8mb4;

-- table_note: the notes
create table if not exists {note} (
    name varchar(160) character set ascii collate ascii_bin primary key, value mediumblob not null, until bigint not null, index until (until)
) engine = innodb default charset = utf8mb4;

-- table_waiting: the addresses of processes that wait, for the bell
create table if not exists {waiting} (
    queue varchar(128) character set ascii collate ascii_bin not null,
    address varchar(120) character set ascii collate ascii_bin not null,
    until bigint not null,
    primary key (queue, address)
) engine = innodb default charset = utf8mb4;
