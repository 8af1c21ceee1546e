"""The table: each group of behaviours is a file."""

from tests.faults.rows import bodies, connections, statuses, streams

GROUPS = {
    "statuses": statuses.ROWS,
    "bodies": bodies.ROWS,
    "streams": streams.ROWS,
    "connections": connections.ROWS,
}
