"""What a PromQL expression asks for, held against what a worker serves."""

from collections.abc import Iterator, Mapping, Sequence

import promql_parser as promql

from tests.metric_factories import families

TARGET = frozenset({"job", "instance"})
"""Labels that Prometheus itself puts on every series."""
OTHERS = {"up": TARGET, "ALERTS": frozenset({"alertname", "alertstate", "severity"})}


def served() -> Mapping[str, frozenset[str]]:
    """The labels of every series that a worker serves, by its name."""
    found = dict(OTHERS)
    for family in families().values():
        for name in family.samples:
            bucket = {"le"} if name.endswith("_bucket") else frozenset()
            found[name] = family.labels | bucket | TARGET
    return found


def faults(query: str, known: Mapping[str, frozenset[str]]) -> list[str]:
    """Metrics and labels that the query asks for and nobody has.

    The labels that an aggregation keeps have to be on every series under it.
    """
    return list(_faults(promql.parse(query), known, ()))


def _faults(node: promql.Expr, known: Mapping[str, frozenset[str]], kept: tuple[str, ...]) -> Iterator[str]:
    if isinstance(node, promql.MatrixSelector):
        node = node.vector_selector
    if isinstance(node, promql.VectorSelector):
        if node.name not in known:
            yield f"no metric {node.name}"
            return
        asked = (*(matcher.name for matcher in node.matchers.matchers), *kept)
        yield from (f"{node.name} has no label {label}" for label in asked if label not in known[node.name])
    if isinstance(node, promql.AggregateExpr):
        kept = tuple(node.modifier.labels) if node.modifier else ()
    for child in _children(node):
        yield from _faults(child, known, kept)


def _children(node: promql.Expr) -> Sequence[promql.Expr]:
    match node:
        case promql.BinaryExpr():
            return (node.lhs, node.rhs)
        case promql.Call():
            return node.args
        case promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return (node.expr,)
        case promql.VectorSelector() | promql.NumberLiteral() | promql.StringLiteral():
            return ()
    raise TypeError(f"{type(node).__name__} is not understood")
