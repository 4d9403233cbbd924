"""Reads a scan's graph in every format as other programs do, and compares it with the JSON one.

Usage: read_graphs.py FOLDER, which holds graph.json, graph.graphml, graph.gexf and graph.dot.
Prints what was compared, and a line "skipped: WHAT" for what cannot be read here. Ends with 77 without NetworkX.
"""

import html
import json
import pathlib
import sys

try:
    import networkx
except ImportError:
    sys.exit(77)

NODE = ["kind", "key", "is_seed", "in_scope", "findings", "confidence", "first_seen", "last_seen"]
EDGE = ["relation", "findings", "confidence", "first_seen", "last_seen"]


def nodes(graph):
    return {name: [data.get(field) for field in NODE] for name, data in graph.nodes(data=True)}


def edges(graph):
    told = [(a, b, *[data.get(field) for field in EDGE]) for a, b, data in graph.edges(data=True)]
    return sorted(told)


def same(name, wanted, graph):
    assert graph.is_directed(), name
    assert nodes(graph) == nodes(wanted), f"{name}: other nodes"
    assert edges(graph) == edges(wanted), f"{name}: other edges"
    print(f"{name}: {graph.number_of_nodes()} nodes, {graph.number_of_edges()} edges")


def is_after(data):
    # Fractions of a second have as many digits as they need; without the Z they sort as text.
    return data["end"].rstrip("Z") >= data["start"].rstrip("Z")


def lives(graph):
    """Each life begins when the thing was first seen and, as of a position, has an end."""
    for _, data in graph.nodes(data=True):
        assert data["start"] == data["first_seen"] and is_after(data), data
    for a, b, data in graph.edges(data=True):
        assert data["start"] == data["first_seen"] and is_after(data), (a, b, data)


def unquoted(value):
    """A quoted string of DOT, as Graphviz would show it."""
    inner = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return html.unescape(inner)


def drawn(wanted, path):
    try:
        import pydot
    except ImportError:
        print("skipped: pydot is not installed, so DOT was not read")
        return
    (graph,) = pydot.graph_from_dot_file(path)
    told = {}
    for node in graph.get_nodes():
        if node.get_name() not in ("node", "graph"):
            told[unquoted(node.get_name())] = (unquoted(node.get("kind")), unquoted(node.get("key")))
    meant = {name: (data["kind"], data["key"]) for name, data in wanted.nodes(data=True)}
    assert told == meant, "dot: other nodes"
    ends = lambda edge: (unquoted(edge.get_source()), unquoted(edge.get_destination()))
    told = sorted((*ends(edge), unquoted(edge.get("relation"))) for edge in graph.get_edges())
    assert told == sorted((a, b, relation) for a, b, relation in wanted.edges(keys=True)), "dot: other edges"
    print(f"dot: {len(meant)} nodes, {len(told)} edges")


folder = pathlib.Path(sys.argv[1])
whole = networkx.node_link_graph(json.loads((folder / "graph.json").read_text()), edges="edges")
print(f"json: {whole.number_of_nodes()} nodes, {whole.number_of_edges()} edges")
same("graphml", whole, networkx.read_graphml(folder / "graph.graphml"))
timed = networkx.read_gexf(folder / "graph.gexf", version="1.3")
same("gexf", whole, timed)
lives(timed)
drawn(whole, folder / "graph.dot")
