#!/usr/bin/env bash
# httpcore 1.0.9 (below httpx 0.28 and openai 2): a connection stays in the pool for ever when its
# task is cancelled at one of a few moments.
#
# A request is cancelled with Task.cancel at its first await, another one at its second, and so on,
# each with a pool of its own. At most awaits the connection is closed. Between the end of
# connecting and the first write, and while the end of a response is being handled, the pool keeps
# it as new or active: nothing uses it, it is never reused, it counts against max_connections, and
# its socket stays open until the pool is closed. The pool protects these moments with a cancel
# scope of anyio, which a cancellation by asyncio itself (asyncio.wait_for, a web server whose
# client left) does not heed. httpcore2 2.16.2 (below openai 3) is shown beside it.
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check httpcore==1.0.9 anyio==4.16.0 httpcore2==2.16.2

venv/bin/python - <<'PYTHON'
import asyncio
import importlib
import sys
import types
from importlib.metadata import version


async def serve(reader, writer):
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
            await asyncio.sleep(0.01)
            writer.write(b"ok")
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        writer.close()


async def request(pool, url):
    async with pool.stream("GET", url) as response:
        async for _ in response.aiter_stream():
            pass


@types.coroutine
def cancelled_at(point, coroutine):
    """Run a coroutine whose task is cancelled at an await; return the number of awaits."""
    step, value, seen = coroutine.send, None, 0
    while True:
        try:
            future = step(value)
        except (StopIteration, asyncio.CancelledError):
            return seen
        seen += 1
        if seen == point:
            asyncio.current_task().cancel()
        try:
            step, value = coroutine.send, (yield future)
        except asyncio.CancelledError as error:
            step, value = coroutine.throw, error


async def walk(library):
    """Return the points whose connection stays, and in which state."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    kept, point = {}, 0
    while True:
        point += 1
        async with library.AsyncConnectionPool() as pool:
            seen = await asyncio.create_task(run(point, request(pool, url)))
            await asyncio.sleep(0.02)
            left = [one for one in pool.connections if not (one.is_idle() or one.is_closed())]
            if left:
                kept[point] = repr(left[0]).split(", ")[-2]
        if seen < point:
            server.close()
            return point - 1, kept


async def run(point, coroutine):
    return await cancelled_at(point, coroutine)


results = {}
for name in ("httpcore", "httpcore2"):
    points, kept = asyncio.run(walk(importlib.import_module(name)))
    print(f"{name} {version(name)}, {points} points: connections that stay, by point: {kept}")
    results[name] = kept
if not results["httpcore"]:
    sys.exit("CHANGED: every cancelled request lets its connection go.")
PYTHON
