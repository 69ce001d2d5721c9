"""Makes the corpora of the decoders from real servers: what an output plugin says about every kind of change.

    PYTHONPATH=tests /usr/bin/python3 tests/fuzz/make_decoder_corpora.py [corpus...]

One file per server version and set of options: messages, each with a 4-byte big-endian length before it.
"""

import os
import struct
import sys

from pgtest import plugin
from pgtest.cluster import Cluster

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = "'min_proto_version', '1', 'max_proto_version', '1'"
# corpus → (output plugin, kinds of message that must be there, [(file, server version, options)])
CORPORA = {
    "pgoutput": ("pgoutput", b"BCRIUD", [
        ("server10", 10, "'proto_version', '1', 'publication_names', 'p'"),
        ("server13", 13, "'proto_version', '1', 'publication_names', 'p'"),
        ("server15", 15, "'proto_version', '2', 'publication_names', 'p', 'messages', 'true'"),
        ("server18", 18, "'proto_version', '2', 'publication_names', 'p', 'messages', 'true', "
                         "'binary', 'true'")]),
    "sluice_decoder": (plugin.NAME, b"SI", [
        ("binary", 15, OURS + ", 'messages', '*'"),
        ("text", 15, OURS + ", 'binary', 'off'"),
        ("single", 15, OURS + ", 'message_bytes', '0', 'exclude_columns', '*.plain(t,n)'")]),
    "test_decoding": ("test_decoding", b"BCtm", [
        ("server10", 10, "'include-timestamp', 'on', 'skip-empty-xacts', 'on'"),
        ("server15", 15, "'include-timestamp', 'on', 'skip-empty-xacts', 'on'")]),
}
SCHEMA = """
create type mood as enum ('sad', 'ok');
create type pair as (a int, b text);
create domain positive as int check (value > 0);
create table plain (id int primary key, n numeric, t text, f float8, at timestamptz, u uuid);
create table types (id bigint primary key, m mood, p pair, d positive, a int[], j jsonb, b bytea);
create table whole (a int, b text); alter table whole replica identity full;
create table byindex (a int not null, b text); create unique index bi on byindex (a);
alter table byindex replica identity using index bi;
create table "Odd "" name" ("a b" int primary key, big text);
alter table "Odd "" name" alter big set storage external;
create table empty ();
create table part (k int primary key, v text) partition by range (k);
"""
CHANGES = """
insert into plain values (1, 1.50, 'é', 'NaN', '2020-01-01', gen_random_uuid()), (2, null, null, 1, null, null);
update plain set t = 'x' where id = 1; update plain set id = 3 where id = 2; delete from plain where id = 1;
insert into types values (1, 'ok', (1, 'x'), 5, '{{1,NULL}}', '{"a": 1}', '\\x00ff');
update types set m = 'sad'; delete from types;
insert into whole values (1, 'a'), (1, 'a'), (null, null); update whole set b = 'c' where a = 1;
delete from whole;
insert into byindex values (1, 'a'); update byindex set a = 2; delete from byindex;
insert into "Odd "" name" values (1, repeat('x', 5000));
update "Odd "" name" set "a b" = 2; update "Odd "" name" set "a b" = "a b";
insert into empty default values;
begin; savepoint s; insert into byindex values (9, 'z'); rollback to s; insert into byindex values (8, 'y'); commit;
alter table plain add column extra int default 7; update plain set extra = 8;
"""
NEWER = {
    11: ["truncate whole, byindex", "truncate plain restart identity cascade"],
    14: ["select pg_logical_emit_message(true, 'p', 'in'), pg_logical_emit_message(false, 'p', 'out')"],
}


def statements(text):
    return [s.strip() for s in text.split(";") if s.strip()]


def record(name, version, options):
    cluster = Cluster(version, settings=plugin.settings() if name == plugin.NAME else None)
    cluster.start()
    setup = statements(SCHEMA)
    for statement in setup if version > 10 else setup[:-1]:
        cluster.sql(statement)
    with cluster.connect() as connection:
        connection.execute("create publication p for all tables")
        connection.execute("select pg_create_logical_replication_slot('s', %s)", [name])
        more = [s for since, items in NEWER.items() if version >= since for s in items]
        # gen_random_uuid() is built in from 13 on only
        text = CHANGES if version >= 13 else CHANGES.replace("gen_random_uuid()", "md5('')::uuid")
        for statement in statements(text) + more:
            connection.execute(statement)
        rows = connection.execute("select data from pg_logical_slot_get_binary_changes('s', null, null,"
                                  f" {options})").fetchall()
    cluster.remove()
    return [bytes(row[0]) for row in rows]


def main(wanted):
    for corpus, (name, kinds, cases) in CORPORA.items():
        if wanted and corpus not in wanted:
            continue
        home = os.path.join(HERE, "corpus", corpus)
        os.makedirs(home, exist_ok=True)
        for file, version, options in cases:
            messages = record(name, version, options)
            assert {m[:1] for m in messages} >= {bytes([kind]) for kind in kinds[:1]}, file
            assert all(bytes([kind]) in b"".join(messages) for kind in kinds), file
            with open(os.path.join(home, file), "wb") as out:
                for message in messages:
                    out.write(struct.pack(">I", len(message)) + message)
            print(corpus, file, len(messages), "messages")


if __name__ == "__main__":
    main(sys.argv[1:])
