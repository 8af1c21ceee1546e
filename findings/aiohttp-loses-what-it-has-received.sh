#!/usr/bin/env bash
# aiohttp 3.14.5: a reader that is slower than the server loses text that has arrived.
#
# A server sends four chunks and closes the connection without the last, empty chunk, as a proxy
# does whose upstream went away. A reader that is always ready gets all four and then the error. A
# reader that awaits something between two chunks gets the first, and then the error at once: the
# other three are in aiohttp's buffer, and the error is raised before the buffer is handed out. Of
# streamed answers of language models whole sentences are lost, the finish reason and the usage too.
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check aiohttp==3.14.5

venv/bin/python - <<'PYTHON'
import asyncio
import sys
from importlib.metadata import version

import aiohttp

CHUNKS = ("one ", "two ", "three ", "four")


async def serve(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for chunk in CHUNKS:
        writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk.encode()))
        await writer.drain()
        await asyncio.sleep(0.05)
    writer.close()


async def read(pause):
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    received, error = "", None
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        try:
            async for chunk in response.content.iter_any():
                received += chunk.decode()
                await asyncio.sleep(pause)
        except aiohttp.ClientPayloadError as raised:
            error = type(raised).__name__
    server.close()
    print(f"a pause of {pause} s after each chunk: received {received!r}, then {error}")
    return received


print(f"aiohttp {version('aiohttp')}, the server sends {''.join(CHUNKS)!r}")
ready, slow = asyncio.run(read(0)), asyncio.run(read(0.5))
if ready != "".join(CHUNKS) or slow != CHUNKS[0]:
    sys.exit("CHANGED: the reader's speed no longer decides what it gets.")
PYTHON
