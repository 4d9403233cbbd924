"""Looks at answers of GET as an HTTP expert does, by the package redbot.

Usage: check_http.py URL PATH…. The API key is MIRAGE_KEY. Prints each bad note, and ends with 1 where there is one.
It asks again with conditions, ranges and without compression, and compares.
"""

import configparser
import os
import sys

import thor
from httplint.note import levels
from redbot.resource import HttpResource

parser = configparser.ConfigParser()
parser.read_dict({"redbot": {"enable_local_access": "True"}})
key = os.environ.get("MIRAGE_KEY")
headers = [("Authorization", f"Bearer {key}")] if key else []
url, paths = sys.argv[1], sys.argv[2:]
resources = {}


def check(path: str) -> None:
    resource = HttpResource(parser["redbot"])
    resource.set_request(url + path, headers=headers)
    resources[path] = resource
    thor.events.on(resource, "check_done")(following)
    resource.check()


def following(*_: object) -> None:
    left = [path for path in paths if path not in resources]
    if left:
        check(left[0])
    else:
        thor.stop()


following()
thor.run()

faults = 0
for path, resource in resources.items():
    seen = [resource, *getattr(resource, "subreqs", {}).values()]
    status = resource.response.status_code
    notes = [note for one in seen for note in one.response.notes]
    print(f"{path}: {status}, {len(notes)} notes")
    bad = {f"{note.subject}: {note.summary}" for note in notes if note.level in (levels.BAD, levels.WARN)}
    faults += len(bad)
    for line in sorted(bad):
        print(f"    {line}")
sys.exit(1 if faults else 0)
