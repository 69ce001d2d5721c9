"""Types and their values, as the texts that both an INSERT's literal and COPY take.

A Type makes values at random (random) and, where it can be a key, the n-th of a sequence of values
that are all different (nth). The extremes of each type come often. None is SQL's NULL.

What it does not do: know tables. Nothing here asks a server: the same seed gives the same values.
"""

import hashlib


def literal(value):
    """A quoted SQL literal, for standard_conforming_strings=on."""
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


def identifier(*parts):
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def copy_text(value):
    """One field of COPY's text format."""
    if value is None:
        return "\\N"
    for plain, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        value = value.replace(plain, escaped)
    return value


def digest(number, length):
    """`length` hex digits that do not compress, the same for the same number."""
    text = ""
    while len(text) < length:
        text += hashlib.md5(f"{number}/{len(text)}".encode()).hexdigest()
    return text[:length]


class Type:
    """A column type.

    sql        as in CREATE TABLE
    extremes   texts that each have their own special place in the type
    make       make(rng) gives one of the others
    key        key(n) gives the n-th of distinct values; None: not for keys
    since      first major version that has it, or this use of it
    delimiter  between the elements of an array of it
    """

    def __init__(self, sql, extremes, make=None, key=None, since=10, delimiter=",", special=0.4,
                 arrays=True):
        self.sql = sql
        self.extremes = extremes
        self.make = make
        self.key = key
        self.since = since
        self.delimiter = delimiter
        self.special = special
        self.arrays = arrays

    def random(self, rng):
        if self.make is None or (self.extremes and rng.random() < self.special):
            return rng.choice(self.extremes)
        return self.make(rng)

    def nth(self, number):
        return self.key(number)


NASTY_TEXTS = ["", " ", "  trailing  ", "it's", "NULL", "\\N", "\\.", "tab\there", "new\nline", "cr\rlf\r\n",
               "日本語", "e\u0301 é", "\U0001f418", "\\", '"', '""', "{}", "{,}", "a,b", "%s %d", "\x01\x02\x7f",
               "\ufeff", "(1,2)", "\u2028", "0", "$1", "--", "/*"]


def big_text(rng):
    """Small, or long enough to be kept out of line, compressible or not."""
    kind = rng.random()
    if kind < 0.5:
        return rng.choice(NASTY_TEXTS)
    if kind < 0.6:
        return rng.choice("xyz") * rng.randint(2000, 200_000)
    return digest(rng.random(), rng.randint(1500, 12_000))


def _number(rng):
    return f"{rng.randint(-10**6, 10**6)}"


def _decimal(rng):
    return f"{rng.randint(-10**9, 10**9)}.{rng.randint(0, 10**6)}"


def _date(rng):
    return f"{rng.randint(1, 9999):04}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def _time(rng):
    return f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}.{rng.randint(0, 999999):06}"


def _stamp(rng):
    return f"{_date(rng)} {_time(rng)}"


def _words(rng):
    return " ".join(rng.choice(NASTY_TEXTS + ["alpha", "beta"]) for _ in range(rng.randint(1, 4)))


def _hex(rng, top=60):
    return "\\x" + rng.randbytes(rng.randint(0, top)).hex()


def _json(rng):
    return rng.choice(['{"a": %d, "b": [1, null, "x"]}', '[%d, {"c": {}}]', '{"%d": "\\u00e9"}', "%d"]) % rng.randint(
        -10**6, 10**6)


def _point(rng):
    return f"({rng.randint(-999, 999) / 8},{rng.randint(-999, 999) / 8})"


def _range(bound):
    def make(rng):
        low, high = sorted((bound(rng), bound(rng)))
        return f'{rng.choice("[(")}"{low}","{high}"{rng.choice("])")}'
    return make


def _int_range(rng):
    low = rng.randint(-1000, 1000)
    return f"{rng.choice('[(')}{low},{low + rng.randint(0, 50)}{rng.choice('])')}"


def _multirange(rng):
    start, parts = rng.randint(-1000, 0), []
    for _ in range(rng.randint(0, 4)):
        end = start + rng.randint(1, 20)
        parts.append(f"[{start},{end})")
        start = end + rng.randint(1, 9)
    return "{" + ",".join(parts) + "}"


def _bits(low, high):
    return lambda rng: "".join(rng.choice("01") for _ in range(rng.randint(low, high)))


def _address(rng):
    return f"{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(0, 255)}"


def _uuid(number):
    text = digest(number, 32)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _text_key(number):
    """Some of them nasty; all of them different, even without regard to case."""
    return (NASTY_TEXTS[number % len(NASTY_TEXTS)] if number % 3 == 0 else "key ") + str(number)


def _date_key(number):
    return f"{2000 + number // 336}-{number // 28 % 12 + 1:02}-{number % 28 + 1:02}"


# (text of n-th) for floats and numerics: the special values first
_FLOATS = ["NaN", "Infinity", "-Infinity", "-0", "1e-300", "1.7976931348623157e+308"]
_NUMERICS = ["NaN", "0.000", "1.00", "-99999999999999999999.999", "1e-50"]

SCALARS = [
    Type("smallint", ["-32768", "32767", "0"], lambda r: str(r.randint(-999, 999)), lambda n: str(n - 500)),
    Type("integer", ["-2147483648", "2147483647", "0"], _number,
         lambda n: {1: "-2147483648", 2: "2147483647"}.get(n, str(n))),
    Type("bigint", ["-9223372036854775808", "9223372036854775807", "0"], _number,
         lambda n: {1: "-9223372036854775808", 2: "9223372036854775807"}.get(n, str(n * 10**10))),
    Type("numeric", ["NaN", "0", "1.0", "1.00", "-0.000", "9" * 1500 + ".5", "0." + "0" * 200 + "1", "1e131"],
         _decimal, lambda n: _NUMERICS[n] if n < len(_NUMERICS) else f"{n}.{'0' * (n % 4)}1"),
    Type("numeric(12,3)", ["999999999.999", "-999999999.999", "0", "NaN"], lambda r: f"{r.randint(-10**8, 10**8)}.5"),
    Type("real", ["NaN", "Infinity", "-Infinity", "-0", "1.2e-38", "3.4e38", "0.1"], _decimal),
    Type("double precision", _FLOATS + ["0.1", "3"], _decimal,
         lambda n: _FLOATS[n] if n < len(_FLOATS) else f"{n}.25"),
    Type("boolean", ["t", "f"]),
    Type("text", NASTY_TEXTS, _words, _text_key),
    Type("varchar(40)", [t[:40] for t in NASTY_TEXTS], lambda r: _words(r)[:40], lambda n: _text_key(n)[:40]),
    Type("character(8)", [t[:8] for t in NASTY_TEXTS], lambda r: _words(r)[:8], lambda n: f"c{n}"),
    Type('"char"', ["a", "", "\\", "'"]),
    Type("name", ["", "a name", "it's"], lambda r: f"n{r.randint(0, 99)}", lambda n: f"n{n}"),
    Type("bytea", ["\\x", "\\x00", "\\x5c27ff00"], _hex, lambda n: "\\x00" + digest(n, 12)),
    Type("date", ["-infinity", "infinity", "4713-01-01 BC", "5874897-12-31", "0001-12-31 BC", "2024-02-29"],
         _date, _date_key),
    Type("time", ["00:00:00", "24:00:00", "23:59:59.999999"], _time),
    Type("timetz", ["24:00:00-15:59", "00:00:00+15:59", "12:00:00.000001+00"], lambda r: _time(r) + "+05:30"),
    Type("timestamp", ["-infinity", "infinity", "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999"], _stamp,
         lambda n: _date_key(n) + " 12:00:00.000001"),
    Type("timestamptz", ["-infinity", "infinity", "4713-01-01 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00"],
         lambda r: _stamp(r) + "+02", lambda n: _date_key(n) + " 12:00:00+00"),
    Type("timestamp(0)", ["infinity", "2024-02-29 23:59:59"], _stamp),
    Type("interval", ["178000000 years", "-178000000 years", "1 mon -1 day +00:00:00.000001", "00:00:00",
                      "-1 year -2 mons +3 days -04:05:06.789", "-00:00:00.000001"],
         lambda r: f"{r.randint(-99, 99)} days {r.randint(0, 99)} hours"),
    Type("uuid", ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
         lambda r: _uuid(r.random()), _uuid),
    Type("json", ['{"a": 1,  "a": 2}', "[]", "null", '"\\u00e9"', " 1e400 "], _json),
    Type("jsonb", ["{}", "[]", "null", '"x"', "1.00", '{"a": [1.0, true, {"b": null}]}'], _json),
    Type("inet", ["0.0.0.0/0", "::1", "255.255.255.255", "10.0.0.1/8", "::ffff:1.2.3.4/100"], _address),
    Type("cidr", ["10.0.0.0/8", "::/0", "0.0.0.0/0"], lambda r: _address(r) + "/32"),
    Type("macaddr", ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"], lambda r: "08:00:2b:01:02:" + r.randbytes(1).hex()),
    Type("macaddr8", ["00:00:00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff:ff:ff"]),
    Type("bit(5)", ["00000", "11111"], _bits(5, 5)),
    Type("bit varying(60)", ["", "1"], _bits(0, 60)),
    Type("money", ["-92233720368547758.08", "92233720368547758.07", "0"], lambda r: f"{r.randint(-999, 999)}.05"),
    Type("tsvector", ["", "'it''s':3 'a':1A,2B"], lambda r: f"'w{r.randint(0, 99)}':1 'x':{r.randint(1, 99)}C"),
    Type("tsquery", ["'a' & !'b' | 'c':*A", "'a' <-> 'b'"], lambda r: f"'w{r.randint(0, 99)}'"),
    Type("point", ["(0,0)", "(1e300,-1e300)", "(-0,0)"], _point),
    Type("line", ["{1,0,0}", "{0,-1,5}"]),
    Type("lseg", ["[(0,0),(0,0)]"], lambda r: f"[{_point(r)},{_point(r)}]"),
    Type("box", ["(1,1),(0,0)", "(2,0.5),(0,0)"], lambda r: f"{_point(r)},{_point(r)}", delimiter=";"),
    Type("path", ["[(0,0)]", "((0,0),(1,1))"], lambda r: f"[{_point(r)},{_point(r)}]"),
    Type("polygon", ["((0,0))"], lambda r: f"({_point(r)},{_point(r)},{_point(r)})"),
    Type("circle", ["<(0,0),0>", "<(1,1),1e100>"], lambda r: f"<{_point(r)},{r.randint(0, 9)}>"),
    Type("int4range", ["empty", "(,)", "[1,)", "(,5)"], _int_range),
    Type("int8range", ["empty", "(,)", "[-9223372036854775808,9223372036854775807)"], _int_range),
    Type("numrange", ["empty", "(,)", "[1.0,1.00]", "(1.5,)"], _int_range),
    Type("tsrange", ["empty", "(,)", "[-infinity,infinity]"], _range(_stamp)),
    Type("tstzrange", ["empty", "(,)", "(-infinity,infinity)"], _range(_stamp)),
    Type("daterange", ["empty", "(,)", "[2024-02-29,infinity)"], _range(_date)),
    Type("int4multirange", ["{}", "{(,)}", "{[1,2),[5,)}"], _multirange, since=14),
    Type("nummultirange", ["{}", "{(,)}", "{[1.0,2.00),[5,)}"], _multirange, since=14),
    Type("pg_lsn", ["0/0", "FFFFFFFF/FFFFFFFF"], lambda r: f"0/{r.randint(0, 10**6):X}"),
    Type("txid_snapshot", ["10:20:10,14,15", "1:1:"]),
    Type("pg_snapshot", ["10:20:10,14,15"], since=13),
    Type("xid8", ["0", "18446744073709551615"], since=13),
    Type("oid", ["0", "4294967295"], lambda r: str(r.randint(0, 10**9))),
    Type("tid", ["(0,1)", "(4294967295,65535)"]),
    Type("jsonpath", ["$", 'strict $."a"[*]?(@."b" > 1)'], since=12),
]
XML = Type("xml", ["<a>b</a>", "just text", "<a/><b/>", ""], lambda r: f"<x y=\"{r.randint(0, 99)}\"/>")
CITEXT = Type("citext", ["", "Case", "CASE", "case"], _words, lambda n: f"{'kK'[n % 2]}ey {n}")
HSTORE = Type("hstore", ["", '"a"=>NULL', '"a b"=>"it\'s", "c"=>""'], lambda r: f'"k{r.randint(0, 9)}"=>"v"')

BIG = Type("text", NASTY_TEXTS, big_text, special=0.1, arrays=False)
BIG_BYTES = Type("bytea", ["\\x"], lambda r: _hex(r, 6000), special=0.1, arrays=False)
# a key long enough to be stored out of line, short enough for a btree
BIG_KEY = Type("text", [], lambda r: digest(r.random(), 2400), lambda n: digest(n, 2400), arrays=False)
FLOATING = {"real", "double precision", "point", "line", "lseg", "box", "path", "polygon", "circle"}


def scalars(versions, floats=True):
    """The types that every one of these versions has."""
    return [t for t in SCALARS if t.since <= min(versions) and (floats or t.sql not in FLOATING)]


def by_name(sql):
    return next(t for t in SCALARS if t.sql == sql)


def _element(text):
    if text is None:
        return "NULL"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def array_of(base):
    """One- and two-dimensional arrays, with NULLs and other lower bounds."""

    def elements(rng, count):
        return base.delimiter.join(_element(None if rng.random() < 0.15 else base.random(rng))
                                   for _ in range(count))

    def make(rng):
        kind, count = rng.random(), rng.randint(1, 4)
        if kind < 0.15:
            return "{" + base.delimiter.join("{" + elements(rng, count) + "}" for _ in range(2)) + "}"
        if kind < 0.3:
            return f"[-1:{count - 2}]={{{elements(rng, count)}}}"
        return "{" + elements(rng, count) + "}"

    return Type(base.sql + "[]", ["{}"], make, special=0.1, arrays=False)


def composite(sql, fields):
    """A composite type of the given Types."""

    def make(rng):
        parts = []
        for field in fields:
            value = None if rng.random() < 0.2 else field.random(rng)
            parts.append("" if value is None
                         else '"' + value.replace("\\", "\\\\").replace('"', '""') + '"')
        return "(" + ",".join(parts) + ")"

    return Type(sql, [], make)
