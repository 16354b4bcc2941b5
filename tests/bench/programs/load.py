"""Requests over a Unix socket for some seconds: `load.py SOCKET CLIENTS SECONDS`; says how many were answered."""
import asyncio
import sys
import time

REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"


async def client(path, deadline):
    answered = 0
    reader, writer = await asyncio.open_unix_connection(path)
    while time.monotonic() < deadline:
        writer.write(REQUEST)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").lower()
        if not head.startswith("http/1.1 200"):
            sys.exit("not answered: " + head.splitlines()[0])
        await reader.readexactly(int(head.split("content-length:", 1)[1].split()[0]))
        answered += 1
        if "connection: close" in head:
            writer.close()
            reader, writer = await asyncio.open_unix_connection(path)
    writer.close()
    return answered


async def main(path, clients, seconds):
    begin = time.monotonic()
    counts = await asyncio.gather(*(client(path, begin + seconds) for _ in range(clients)))
    print(sum(counts), time.monotonic() - begin)


asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
