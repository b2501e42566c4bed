"""Runs `true` on hosts with asyncssh, as told line by line on standard input; answers each line with the seconds it took."""

import asyncio
import json
import sys
import time

import asyncssh

# Commands under way at once in a loop over many hosts.
AT_ONCE = 64


async def main(key: str, known_hosts: str, user: str) -> None:
    options = asyncssh.SSHClientConnectionOptions(
        client_keys=[asyncssh.read_private_key(key)],
        known_hosts=asyncssh.read_known_hosts(known_hosts),
        username=user,
        config=None,
        agent_path=None,
    )
    connections: list[asyncssh.SSHClientConnection] = []
    places = asyncio.Semaphore(AT_ONCE)

    async def fresh(host: str, port: int) -> None:
        async with places:
            connection = await asyncssh.connect(host, port, options=options)
            connections.append(connection)
            await connection.run("true", check=True)

    async def kept(connection: asyncssh.SSHClientConnection) -> None:
        async with places:
            await connection.run("true", check=True)

    async def close(connection: asyncssh.SSHClientConnection) -> None:
        connection.close()
        await connection.wait_closed()

    lines = asyncio.StreamReader(limit=16 * 1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        told = json.loads(line)
        begun = time.perf_counter()
        match told["do"]:
            case "connect":
                await asyncio.gather(*(fresh(host, port) for host, port in told["hosts"]))
            case "exec":
                await asyncio.gather(*(kept(connection) for connection in connections))
            case "close":
                await asyncio.gather(*(close(connection) for connection in connections))
                connections.clear()
        print(time.perf_counter() - begun, flush=True)


asyncio.run(main(*sys.argv[1:]))
