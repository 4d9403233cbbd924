"""Reads the PROV-JSON documents of a folder by the package prov, and holds each against Mirage's shapes.

Usage: read_prov.py FOLDER, which holds *.prov.json and bad.prov.json, a document that the shapes must refuse.
Ends with 77 without prov or pyshacl.
"""

import io
import pathlib
import sys

try:
    import prov.model
    import pyshacl
    import rdflib
except ImportError:
    sys.exit(77)

SHAPES = pathlib.Path(__file__).parents[4] / "schemas" / "prov.shacl.ttl"


def conforms(path):
    document = prov.model.ProvDocument.deserialize(str(path), format="json")
    turtle = io.BytesIO()
    document.serialize(turtle, format="rdf", rdf_format="turtle")
    graph = rdflib.Graph().parse(data=turtle.getvalue(), format="turtle")
    shapes = rdflib.Graph().parse(SHAPES)
    good, _, report = pyshacl.validate(graph, shacl_graph=shapes)
    return good, report, len(list(document.get_records()))


read = 0
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.prov.json")):
    good, report, records = conforms(path)
    if path.name == "bad.prov.json":
        assert not good, "the shapes accept a finding without its task"
        continue
    assert good, f"{path.name}\n{report}"
    assert records > 5, f"{path.name} has {records} records"
    read += 1
assert read > 0, "no document"
print(f"{read} documents")
