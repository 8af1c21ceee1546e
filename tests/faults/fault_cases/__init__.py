"""The fault cases in groups, one module for each group."""

from tests.faults.fault_cases import bodies, connections, statuses, streams

GROUPS = {
    "statuses": statuses.CASES,
    "bodies": bodies.CASES,
    "streams": streams.CASES,
    "connections": connections.CASES,
}
