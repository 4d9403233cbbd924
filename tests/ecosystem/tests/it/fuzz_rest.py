"""Asks a node what its description allows and what it does not, by the package schemathesis.

Usage: fuzz_rest.py DESCRIPTION BASE-URL [OPTION…]. The API key is MIRAGE_KEY. Ends with 1 where an answer is not as it
is described, or is a failure of the server.
"""

import os
import sys

from schemathesis.cli import schemathesis

description, base, *options = sys.argv[1:]
sys.argv = ["schemathesis"]
schemathesis(
    [
        "--no-color",
        "run",
        description,
        "--url",
        base,
        "--header",
        f"Authorization: Bearer {os.environ['MIRAGE_KEY']}",
        # The same questions each time.
        "--seed",
        "1",
        "--generation-database",
        "none",
        # Whether something may be refused is more than a schema says.
        "--exclude-checks",
        "positive_data_acceptance,negative_data_rejection",
        *options,
    ]
)
