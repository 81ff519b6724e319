/** Several nodes on one PostgreSQL, as real processes: each with a folder of its own and the same root key. */
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ServerProcess, startProcess } from './process.ts';

/** A node that may be killed and started again. */
export interface Node {
  readonly folder: string;
  readonly port: number;
  /** Differs after each start: what one process knew, the next one does not. */
  readonly process: string;
  readonly server: ServerProcess;
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** Starts the first node, gives its root key to the others, and starts those. */
export async function startNodes(
  folder: string,
  databaseUrl: string,
  { nodes, args = [] }: { nodes: number; args?: readonly string[] },
): Promise<Node[]> {
  const started: Node[] = [];
  for (let number = 1; number <= nodes; number += 1) {
    const own = join(folder, `node-${number}`);
    await mkdir(own, { mode: 0o700 });
    if (number > 1) await cp(join(folder, 'node-1', 'root-key.json'), join(own, 'root-key.json'));
    started.push(await startNode(own, ['--database-url', databaseUrl, '--log-level', 'error', ...args]));
  }
  return started;
}

async function startNode(folder: string, args: readonly string[]): Promise<Node> {
  let starts = 1;
  let server = await startProcess(folder, args);
  return {
    folder,
    get port() {
      return server.port;
    },
    get process() {
      return `${folder} start ${starts}`;
    },
    get server() {
      return server;
    },
    async kill() {
      await server.end('SIGKILL');
    },
    async start() {
      starts += 1;
      server = await startProcess(folder, args);
    },
  };
}
