-- Everything that atone says to SQLite. `statements.py` reads the blocks by their names.
-- `?` parameters are for rows in bulk, named ones for the rest.

-- name: migration_1
-- The tables as they were first made. STRICT, so that a wrong type is refused and not kept.
create table definitions (
    id          integer primary key,
    kind        text not null,
    version     integer not null,
    fingerprint text not null,
    unique (kind, version, fingerprint)
) strict;

create table actors (
    key        integer primary key autoincrement,  -- the order of arrival; never used twice
    id         text not null unique,
    definition integer not null,
    revision   integer not null,
    epoch      integer not null,
    status     text not null,
    phase      integer not null,
    wake_at    real,
    deaths     integer not null,
    created_at real not null,
    updated_at real not null,
    quarantine text,
    checksum   integer not null,
    snapshot   blob not null
) strict;

create index actors_overview on actors (definition, status, phase);
create index actors_due on actors (wake_at) where phase = 1 and wake_at is not null;
create index actors_unbegun on actors (key) where revision = 0;
create index actors_active on actors (key) where phase = 2;
create index actors_ended on actors (updated_at) where phase = 0;

create table inputs (
    key      integer primary key,
    checksum integer not null,
    body     blob not null
) strict;

create table parts (
    key      integer not null,
    name     text not null,
    checksum integer not null,
    body     blob not null,
    primary key (key, name)
) strict, without rowid;

create table inbox (
    seq         integer primary key autoincrement,  -- the order of acceptance, over all actors
    key         integer not null,
    lane        integer not null,
    id          text not null,
    kind        text not null,
    body        blob not null,
    accepted_at real not null,
    answer      text,                               -- null while the message waits
    unique (key, lane, id)
) strict;

create index inbox_unread on inbox (key, lane, seq) where answer is null;
create index inbox_requests on inbox (seq) where answer is null and lane = 0;
create index inbox_data on inbox (seq) where answer is null and lane <> 0;

-- No number of a line is used twice either: `purge_mark`.
create table history (
    seq      integer primary key,
    key      integer not null,
    revision integer not null,
    at       real not null,
    event    text not null,
    source   text not null,
    target   text not null,
    step     text,
    attempt  integer,
    error    text,
    note     text,
    begun    text
) strict;

create index history_of_actor on history (key, revision);

create table tombstones (
    id          text primary key,
    kind        text not null,
    version     integer not null,
    fingerprint text not null,
    status      text not null,
    finished_at real not null
) strict, without rowid;

create table lease (
    only      integer primary key check (only = 1),
    epoch     integer not null,
    instance  text,                                 -- this and the next five are null when nobody holds it
    machine   text,
    boot      text,
    namespace text,
    pid       integer,
    started   text,
    beat_at   real not null,
    died      integer,
    proofs    integer not null default 0            -- writes that only had to show that the disk takes them
) strict;

insert into lease (only, epoch, beat_at) values (1, 0, 0.0);

-- name: definition
-- The number of a definition.
select id from definitions where kind = ? and version = ? and fingerprint = ?;

-- name: define
-- Give a definition its number.
insert into definitions (kind, version, fingerprint) values (?, ?, ?) returning id;

-- name: last_key
-- The highest key ever given; the next is one more.
select seq from sqlite_sequence where name = 'actors';

-- name: create
-- New actors; adds no row where the id is taken, or was, by an actor that was purged.
insert into actors (key, id, definition, revision, epoch, status, phase, wake_at, deaths, created_at, updated_at,
                    checksum, snapshot)
select * from (values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)) as new
where not exists (select 1 from tombstones where id = new.column2)
on conflict (id) do nothing;

-- name: create_input
-- The input of a new actor, in a row of its own because it is written only once.
insert into inputs (key, checksum, body) values (?, ?, ?);

-- name: advance
-- Move actors on; changes no row of one whose revision is not the one before. An upsert, because `update ... from` first
-- makes a table of what it is given, and takes twice as long. For an actor that is not there it adds a row that is
-- nobody's: `strays` finds it, and all is rolled back.
insert into actors (key, id, definition, created_at, revision, epoch, status, phase, wake_at, deaths, updated_at,
                    checksum, snapshot)
values (?, '', 0, 0.0, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (key) do update
set revision = excluded.revision, epoch = excluded.epoch, status = excluded.status, phase = excluded.phase,
    wake_at = excluded.wake_at, deaths = excluded.deaths, updated_at = excluded.updated_at, quarantine = null,
    checksum = excluded.checksum, snapshot = excluded.snapshot
where actors.revision = excluded.revision - 1;

-- name: advance_in_place
-- The same for actors whose status, phase and time of waking stay: the indexes of these need not be touched. Where they
-- do not stay after all it changes no row, and the write is done in full.
insert into actors (key, id, definition, created_at, revision, epoch, status, phase, wake_at, deaths, updated_at,
                    checksum, snapshot)
values (?, '', 0, 0.0, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (key) do update
set revision = excluded.revision, epoch = excluded.epoch, deaths = excluded.deaths, updated_at = excluded.updated_at,
    quarantine = null, checksum = excluded.checksum, snapshot = excluded.snapshot
where actors.revision = excluded.revision - 1 and status = excluded.status and phase = excluded.phase
    and wake_at is excluded.wake_at;

-- name: strays
-- For which actor that is not there a move was written.
select key from actors where id = '' and definition = 0;

-- name: quarantine
-- Stop an actor without touching its snapshot; the checksum moves with the revision, so a wrong one stays wrong.
update actors
set revision = :revision, epoch = :epoch, status = :status, phase = 1, wake_at = null, updated_at = :at,
    quarantine = :reason, checksum = checksum + 1
where key = :key and revision = :revision - 1;

-- name: record
-- One line of history.
insert into history (key, revision, at, event, source, target, step, attempt, error, note, begun)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: put_part
-- A large value beside the snapshot.
insert into parts (key, name, checksum, body) values (?, ?, ?, ?)
on conflict (key, name) do update set checksum = excluded.checksum, body = excluded.body;

-- name: consume
-- Answer a message; changes no row if it is another actor's or was answered before.
update inbox set answer = ? where seq = ? and key = ? and answer is null;

-- name: waiting
-- How many messages of an actor wait.
select count(*) from inbox where key = ? and answer is null;

-- name: any_waiting
-- Whether any message of any actor waits.
select 1 from inbox where answer is null limit 1;

-- name: standing
-- What has to be known of actors before they are sent something, by a JSON list of ids.
select actors.id, key, phase, coalesce(kind, ''), coalesce(version, 0), coalesce(fingerprint, '')
from actors
left join definitions on definitions.id = actors.definition
where actors.id in (select value from json_each(:ids));

-- name: waiting_in_lanes
-- How many messages wait in each lane, by a JSON list of keys.
select key, lane, count(*)
from inbox
where key in (select value from json_each(:keys)) and answer is null
group by key, lane;

-- name: last_message
-- The highest number ever given to a message; the next is one more.
select seq from sqlite_sequence where name = 'inbox';

-- name: accept
-- Messages for live actors; adds no row where the id was used.
insert into inbox (seq, key, lane, id, kind, body, accepted_at)
values (?, ?, ?, ?, ?, ?, ?)
on conflict (key, lane, id) do nothing;

-- name: accepted_after
-- Which messages were accepted above a number.
select seq from inbox where seq > :seq;

-- name: accepted_before
-- What a message of that id was answered.
select seq, answer from inbox where key = :key and lane = :lane and id = :id;

-- name: ended
-- The actors that ended longest ago.
select key from actors where phase = 0 and updated_at < :before order by updated_at limit :limit;

-- name: bury
-- Leave a tombstone.
insert or ignore into tombstones (id, kind, version, fingerprint, status, finished_at)
select actors.id, coalesce(kind, ''), coalesce(version, 0), coalesce(fingerprint, ''), status, updated_at
from actors left join definitions on definitions.id = actors.definition
where actors.key = ?;

-- name: purge_actor
-- Delete what a tombstone replaces.
delete from actors where key = ?;

-- name: purge_input
delete from inputs where key = ?;

-- name: purge_parts
delete from parts where key = ?;

-- name: purge_inbox
delete from inbox where key = ?;

-- name: purge_history
delete from history where key = ?;

-- name: purge_mark
-- A line that is nobody's takes the newest number, and keeps it when the lines of an actor go: the next number is one more
-- than the greatest. Watchers ask for what is newer than they know and would miss a number that came again.
-- `autoincrement` would promise the same, for one page more in every commit.
insert into history (key, revision, at, event, source, target) values (0, 0, ?, 'PURGED', '', '');

-- name: purge_old_marks
delete from history where key = 0 and seq < last_insert_rowid();

-- name: epoch
-- Whose writes are allowed.
select epoch from lease;

-- name: lease
-- Who owns the store.
select epoch, instance, machine, boot, namespace, pid, started, beat_at, died from lease;

-- name: claim
-- Take the lease over; changes no row if somebody was faster. `died` keeps the epoch of a holder that never let go.
update lease
set died = case when instance is null then null else epoch end, epoch = epoch + 1, instance = :instance,
    machine = :machine, boot = :boot, namespace = :namespace, pid = :pid, started = :started, beat_at = :at
where epoch = :expected and beat_at = :beat_at
returning epoch, instance, machine, boot, namespace, pid, started, beat_at, died;

-- name: release
-- Give the lease back.
update lease
set instance = null, machine = null, boot = null, namespace = null, pid = null, started = null, beat_at = :at
where epoch = :epoch;

-- name: renew
-- The heartbeat.
update lease set beat_at = :at where epoch = :epoch;

-- name: prove
-- A write without a meaning. It must change a byte: SQLite writes no page that stays the same.
update lease set proofs = proofs + 1;

-- name: load
-- Actors whole, by a JSON list of keys. Outer joins, so that a lost row shows as damage and hides no actor.
select actors.key, actors.id, kind, version, fingerprint, revision, epoch, status, phase, wake_at, deaths,
       created_at, updated_at, quarantine, actors.checksum, snapshot, inputs.checksum, inputs.body
from actors
left join definitions on definitions.id = actors.definition
left join inputs on inputs.key = actors.key
where actors.key in (select value from json_each(:keys))
order by actors.key;

-- name: load_parts
-- Large values, by a JSON list of keys.
select key, name, checksum, body from parts where key in (select value from json_each(:keys));

-- name: load_messages
-- Unconsumed messages, by a JSON list of keys; the control lane first.
select key, seq, id, lane, kind, body, accepted_at
from inbox
where key in (select value from json_each(:keys)) and answer is null
order by key, lane, seq;

-- name: key
-- The key of an actor.
select key from actors where id = :id;

-- name: tombstone
-- What is left of a purged actor.
select id, kind, version, fingerprint, status, finished_at from tombstones where id = :id;

-- name: active_sound
-- Actors at work whose host seldom died with them.
select key from actors where phase = 2 and key > :after and deaths < :deaths order by key limit :limit;

-- name: active_frail
-- Actors at work whose host often died with them.
select key from actors where phase = 2 and key > :after and deaths >= :deaths order by key limit :limit;

-- name: unbegun
-- Actors that no host has begun.
select key from actors where revision = 0 and key > :after order by key limit :limit;

-- name: due
-- Idle actors whose timer is due.
select key from actors where phase = 1 and wake_at <= :now order by wake_at, key limit :limit;

-- name: next_wake
-- The earliest timer of an idle actor.
select min(wake_at) from actors where phase = 1 and wake_at is not null;

-- name: unread_requests
-- Unconsumed requests to all actors in order of acceptance.
select seq, key from inbox where answer is null and lane = 0 and seq > :after order by seq limit :limit;

-- name: unread_data
-- All other unconsumed messages, whatever damage may have made of their lane.
select seq, key from inbox where answer is null and lane <> 0 and seq > :after order by seq limit :limit;

-- name: answer
-- What a message was answered.
select answer from inbox where seq = :seq;

-- name: history
-- An actor's history to `limit` rows, and further to the end of the last revision among them.
select seq, key, revision, at, event, source, target, step, attempt, error, note, begun
from history
where key = :key and revision > :after and revision <= coalesce(
    (select revision from history where key = :key and revision > :after
     order by revision, seq limit 1 offset max(:limit, 1) - 1),
    9223372036854775807)
order by revision, seq;

-- name: tail
-- Which actors have new history; none where some were purged.
select history.seq, actors.id
from history left join actors on actors.key = history.key
where history.seq > :after
order by history.seq limit :limit;

-- name: last_seq
-- The newest line of history.
select coalesce(max(seq), 0) from history;

-- name: definitions
-- The numbers of the definitions of one kind, or of all.
select id from definitions where :kind is null or kind = :kind;

-- name: list_all
-- Keys in order of arrival, of whatever status.
select key
from actors
where key > :after and (:kind is null or definition in (select id from definitions where kind = :kind))
    and (:created_before is null or created_at < :created_before)
order by key limit :limit;

-- name: list_some
-- Keys in order of arrival within one run of the index; the caller merges the runs.
select key
from actors
where definition = :definition and status = :status and phase = :phase and key > :after
    and (:created_before is null or created_at < :created_before)
order by key limit :limit;

-- name: next_run
-- The next run of actors in the index that share definition, status and phase, found by searches, however long runs are.
-- A comparison of all three at once would read its way through the run before. The status goes to and fro as bytes: a
-- damaged one is no text that could be given back. One that has even turned into bytes stands behind all texts: to look
-- for what follows it would begin among the texts again, for ever.
select * from (select definition, cast(status as blob), phase from actors
               where definition = :definition and status = cast(:status as text) and phase > :phase
               order by phase limit 1)
union all
select * from (select definition, cast(status as blob), phase from actors
               where definition = :definition and status > cast(:status as text) and status < x''
               order by status, phase limit 1)
union all
select * from (select definition, cast(status as blob), phase from actors
               where definition > :definition
               order by definition, status, phase limit 1)
limit 1;

-- name: length_of_run
-- How long a run is, counted up to a limit.
select kind, version, fingerprint, (
    select count(*)
    from (select 1 from actors where definition = :definition and status = cast(:status as text) and phase = :phase limit :limit))
from definitions where id = :definition;

-- name: count
-- How many actors there are of each definition, status and phase; answered from the index alone.
select kind, version, fingerprint, status, phase, count(*)
from actors join definitions on definitions.id = actors.definition
where key > :after and (:kind is null or kind = :kind)
    and (:statuses is null or status in (select value from json_each(:statuses)))
group by definition, status, phase
order by kind, version, fingerprint, status, phase;

-- name: count_older
-- The same for those created before a time, which only the actors themselves can tell.
select kind, version, fingerprint, status, phase, count(*)
from actors join definitions on definitions.id = actors.definition
where key > :after and (:kind is null or kind = :kind)
    and (:statuses is null or status in (select value from json_each(:statuses)))
    and created_at < :created_before
group by definition, status, phase
order by kind, version, fingerprint, status, phase;
