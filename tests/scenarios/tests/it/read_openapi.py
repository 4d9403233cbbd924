"""Holds the description of the gateway against the OpenAPI specification, by the package openapi-spec-validator.

Usage: read_openapi.py FOLDER, which holds openapi.json.
Ends with 77 without openapi-spec-validator.
"""

import copy
import json
import pathlib
import sys

try:
    from openapi_spec_validator import OpenAPIV31SpecValidator
except ImportError:
    sys.exit(77)

document = json.loads((pathlib.Path(sys.argv[1]) / "openapi.json").read_text())
assert document["openapi"].startswith("3.1"), document["openapi"]
faults = [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()]
assert not faults, faults

bad = copy.deepcopy(document)
del bad["paths"]["/scans"]["get"]["responses"]["200"]["description"]
assert not OpenAPIV31SpecValidator(bad).is_valid(), "an answer without a description is accepted"
lost = copy.deepcopy(document)
del lost["components"]["schemas"]["Problem"]
try:
    valid = OpenAPIV31SpecValidator(lost).is_valid()
except Exception:  # Some versions raise what they cannot resolve.
    valid = False
assert not valid, "a schema that there is not is accepted"
