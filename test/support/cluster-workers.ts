/** Tells apart the workers of one server: which of them a connection leads to, by whose audit log names its request. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Connection, connectVault, type Target } from './cluster-client.ts';

const version = '?api-version=7.4';
let asked = 0;

/** The slot of the worker at the connection's other end. */
export async function slotOf(server: Target, vault: Connection): Promise<number> {
  asked += 1;
  const mark = `whose-connection-${process.pid}-${asked}`;
  const { status } = await vault.send('GET', `/secrets/${mark}${version}`);
  if (status !== 404) throw new Error(`asked for a secret that is not there: ${status}`);
  const audit = join(server.folder, 'audit');
  for (const entry of readdirSync(audit, { withFileTypes: true })) {
    if (entry.isFile() && readFileSync(join(audit, entry.name), 'utf8').includes(mark)) return 1;
    if (!entry.isDirectory()) continue;
    const own = join(audit, entry.name);
    const text = readdirSync(own).map((name) => readFileSync(join(own, name), 'utf8'));
    if (text.join('').includes(mark)) return Number(/^worker-(\d+)$/.exec(entry.name)?.[1]);
  }
  throw new Error('no audit log has the request');
}

/** One connection to each worker, by slot; `close` ends them all. */
export async function connectEach(
  server: Target,
  token: string,
  workers: number,
): Promise<{ at(slot: number): Connection; close(): void }> {
  const found = new Map<number, Connection>();
  while (found.size < workers) {
    const vault = connectVault(server, token);
    const slot = await slotOf(server, vault);
    if (found.has(slot)) vault.close();
    else found.set(slot, vault);
  }
  return {
    at(slot) {
      const vault = found.get(slot);
      if (vault === undefined) throw new Error(`there is no worker ${slot}`);
      return vault;
    },
    close() {
      for (const vault of found.values()) vault.close();
    },
  };
}
