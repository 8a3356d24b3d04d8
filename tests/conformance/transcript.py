"""Transcripts of the Python clients (see compare.py)."""

import sys
import traceback


def text_of(value):
    """A value on one line, the same in every run; long ones by their size and a sum."""
    if isinstance(value, memoryview):
        value = bytes(value)
    if isinstance(value, (str, bytes)) and len(value) > 400:
        raw = value.encode() if isinstance(value, str) else value
        total = 5381
        for i in range(0, len(raw), 977):
            total = (total * 33 + raw[i]) & 0xFFFFFFFF
        return f"{type(value).__name__} of {len(value)}, sum {total:x}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {text_of(v)}" for k, v in sorted(value.items())) + "}"
    if isinstance(value, tuple):
        return "(" + ", ".join(text_of(v) for v in value) + ")"
    if isinstance(value, list):
        return "[" + ", ".join(text_of(v) for v in value) + "]"
    return repr(value)


def say(*values):
    print("  " + " ".join(v if isinstance(v, str) and len(v) < 400 and "\n" not in v
                          else text_of(v) for v in values))


class Checks:
    """Runs checks in order; `fresh` gives each of them a connection and takes it back."""

    def __init__(self):
        self.all = []

    def __call__(self, function):
        self.all.append(function)
        return function

    def name_of(self, function):
        return function.__name__.replace("_", " ")

    def begin(self, function):
        print("check " + self.name_of(function), flush=True)

    def end(self, fault=None):
        if fault is None:
            print("pass", flush=True)
        else:
            print("FAIL " + text_of(f"{type(fault).__name__}: {fault}"), flush=True)
            traceback.print_exception(fault, file=sys.stderr)

    def run(self, opened, closed):
        for function in self.all:
            self.begin(function)
            try:
                connection = opened()
                try:
                    function(connection)
                finally:
                    closed(connection)
                self.end()
            except Exception as fault:
                self.end(fault)
        print("end", flush=True)

    async def run_async(self, opened, closed):
        for function in self.all:
            self.begin(function)
            try:
                connection = await opened()
                try:
                    await function(connection)
                finally:
                    await closed(connection)
                self.end()
            except Exception as fault:
                self.end(fault)
        print("end", flush=True)


# Values of every common type, as SQL.
TYPES = [
    "true", "1::int2", "-7::int4", "9223372036854775807::int8", "1.5::float4", "1e300::float8",
    "'NaN'::float8", "123456789012345678901234567890.123456789::numeric", "'NaN'::numeric",
    "'text'::text", "'c'::char(3)", "'v'::varchar", "'\\x00ff10'::bytea", "date '2024-02-29'",
    "time '12:34:56.789'", "timetz '12:34:56+02'", "timestamp '2024-02-29 12:34:56.789012'",
    "timestamptz '2024-02-29 12:34:56.789012+02'", "interval '1 year 2 mons 3 days 04:05:06.7'",
    "uuid '12345678-1234-5678-1234-567812345678'", "'{\"a\": [1, 2.5, null]}'::json",
    "'{\"a\": [1, 2.5, null]}'::jsonb", "inet '10.1.2.3/8'", "cidr '10.0.0.0/8'",
    "macaddr '08:00:2b:01:02:03'", "array[1, 2, null]::int[]", "array['a', 'b\"c', null]::text[]",
    "array[[1,2],[3,4]]", "point(1, 2)", "int4range(1, 10)",
    "tstzrange('2024-01-01 00:00+00', null)",
    "row(1, 'a', null)", "'a=>1'::text", "B'1010'::bit(4)", "money '12.34'", "null::text",
    "'<a>b</a>'::xml", "1::oid", "'pg_class'::regclass", "'infinity'::timestamptz",
    "int4multirange(int4range(1,3), int4range(5,7))", "jsonpath '$.a'", "tsvector 'a b'",
]
