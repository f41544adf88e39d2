"""Python's websockets, told what to do on standard input: an order a line, a window a line.

`multiplexed`: one connection, a reader, a future for each answer. `per-call`: connect, shake hands, call, close, as the
backends do that Windlass replaces.
"""

import asyncio
import json
import sys
import time

from websockets.asyncio.client import connect

MODE, PORT = sys.argv[1], sys.argv[2]
URL = f"ws://127.0.0.1:{PORT}"
CONNECT = {
    "minProtocol": 3,
    "maxProtocol": 4,
    "client": {"id": "gateway-client", "version": "1", "platform": "linux", "mode": "backend"},
    "role": "operator",
    "scopes": ["operator.read"],
    "auth": {"token": "bench"},
}
PARAMS = {"sessionKey": "agent:main:main", "limit": 50}


def request(number, method, params):
    return json.dumps({"type": "req", "id": str(number), "method": method, "params": params}, separators=(",", ":"))


async def open_socket():
    socket = await connect(URL, max_size=None)
    await socket.recv()
    await socket.send(request(0, "connect", CONNECT))
    assert json.loads(await socket.recv())["ok"]
    return socket


class Multiplexed:
    async def start(self):
        self.socket, self.pending, self.next_id = await open_socket(), {}, 0
        self.reader = asyncio.create_task(self.read())
        return self

    async def read(self):
        async for text in self.socket:
            frame = json.loads(text)
            future = self.pending.pop(frame.get("id"), None)
            if future is not None:
                future.set_result(frame["payload"])

    async def call(self):
        self.next_id += 1
        future = asyncio.get_running_loop().create_future()
        self.pending[str(self.next_id)] = future
        await self.socket.send(request(self.next_id, "chat.history", PARAMS))
        return await future


class PerCall:
    async def start(self):
        return self

    async def call(self):
        socket = await open_socket()
        await socket.send(request(1, "chat.history", PARAMS))
        payload = json.loads(await socket.recv())["payload"]
        await socket.close()
        return payload


async def caller(client, state):
    begun = time.perf_counter()
    while state["left"] > 0 and begun < state["end"]:
        state["left"] -= 1
        await client.call()
        ended = time.perf_counter()
        state["taken"].append(ended - begun)
        begun = ended


async def window(client, depth, millis=None, requests=None):
    start, cpu = time.perf_counter(), time.process_time()
    state = {
        "left": requests if requests is not None else float("inf"),
        "end": start + millis / 1e3 if millis else float("inf"),
        "taken": [],
    }
    await asyncio.gather(*(caller(client, state) for _ in range(depth)))
    seconds, used = time.perf_counter() - start, time.process_time() - cpu
    taken = sorted(state["taken"])
    at = lambda part: taken[min(len(taken) - 1, int(part * len(taken)))] * 1e6 if taken else 0
    return {"requests": len(taken), "seconds": seconds, "cpuSeconds": used, "p50Us": at(0.5), "p99Us": at(0.99)}


async def main():
    client = await (Multiplexed() if MODE == "multiplexed" else PerCall()).start()
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await window(client, **json.loads(line))), flush=True)


asyncio.run(main())
