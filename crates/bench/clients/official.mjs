// The official TypeScript client, told what to do on standard input: an order a line, a window a line.
import { GatewayClient } from "@openclaw/gateway-client";
import { createInterface } from "node:readline";
import { performance } from "node:perf_hooks";

const port = process.argv[2];
const connected = Promise.withResolvers();
const client = new GatewayClient({
  url: `ws://127.0.0.1:${port}`,
  token: "bench",
  minProtocol: 4,
  maxProtocol: 4,
  onHelloOk: () => connected.resolve(),
  onConnectError: (error) => connected.reject(error),
});
client.start();
await connected.promise;

async function caller(state) {
  let begun = performance.now();
  while (state.left > 0 && begun < state.end) {
    state.left -= 1;
    await client.request("chat.history", { sessionKey: "agent:main:main", limit: 50 });
    const ended = performance.now();
    state.taken.push(ended - begun);
    begun = ended;
  }
}

async function window({ depth, millis, requests }) {
  const start = performance.now();
  const cpu = process.cpuUsage();
  const state = { left: requests ?? Infinity, end: millis ? start + millis : Infinity, taken: [] };
  await Promise.all(Array.from({ length: depth }, () => caller(state)));
  const seconds = (performance.now() - start) / 1e3;
  const used = process.cpuUsage(cpu);
  const sorted = Float64Array.from(state.taken).sort();
  const at = (part) => (sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0) * 1e3;
  const cpuSeconds = (used.user + used.system) / 1e6;
  return { requests: sorted.length, seconds, cpuSeconds, p50Us: at(0.5), p99Us: at(0.99) };
}

console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await window(JSON.parse(line))));
}
client.stop();
process.exit(0);
