/** Ports for servers that have to be told theirs before they listen, or that come back to it. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const lowest = 15_000;
/** Where the ports begin that systems give to connections and to who asks for any; Linux says its own. */
const usual = 32_768;

/** A port of 127.0.0.1 that nobody has now, and that the system gives to nobody who does not ask for it. */
export async function freePort(): Promise<number> {
  const end = Math.max(firstGiven(), lowest + 1_000);
  for (;;) {
    const port = randomInt(lowest, end);
    if (await isFree(port)) return port;
  }
}

function firstGiven(): number {
  try {
    return Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10);
  } catch {
    return usual;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await once(server.listen({ host: '127.0.0.1', port, exclusive: true }), 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
