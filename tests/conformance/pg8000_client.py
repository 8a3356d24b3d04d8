"""pg8000 as Debian 12 ships it, which knows no SCRAM: it must fail in the same words both ways."""

import os

import pg8000
from transcript import Checks, say

check = Checks()
E = os.environ
LOGIN = dict(user=E["PGUSER"], password=E["PGPASSWORD"], host=E["PGHOST"], port=int(E["PGPORT"]),
             database=E["PGDATABASE"])


def login_fault(**more):
    try:
        pg8000.connect(**{**LOGIN, **more}).close()
        say("no error")
    except Exception as e:
        say(type(e).__name__, str(e))


@check
def login_in_plain(_):
    login_fault()


@check
def login_over_tls(_):
    login_fault(ssl=True)


@check
def login_of_an_unknown_user(_):
    login_fault(user="nobody")


check.run(lambda: None, lambda c: None)
