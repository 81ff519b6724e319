/** Starts the processes of `cluster-fast-node.ts`, and ends whatever is left of them with the tests. */
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { Target } from './cluster-client.ts';
import { bareEnvironment, launch, type Running, type TemporaryFolder, temporaryFolder } from './process.ts';

const program = join(import.meta.dirname, 'cluster-fast-node.ts');

export interface FastNode extends Running, Target {}

export interface FastNodes {
  /** A folder of its own below that of all these nodes, which is not made yet. */
  folderOf(name: string): string;
  /** Starts a process in its data folder; `role` is that program's second argument. */
  start(own: string, role: string): Promise<FastNode>;
}

/** To be called at a test file's top level. */
export function useFastNodes(): FastNodes {
  let folder: TemporaryFolder;
  const running: Running[] = [];
  beforeAll(async () => {
    folder = await temporaryFolder();
  });
  afterAll(async () => {
    for (const { child, finished } of running) {
      child.kill('SIGKILL');
      await finished;
    }
    await folder.remove();
  });
  return {
    folderOf: (name) => join(folder.path, name),
    async start(own, role) {
      const node = launch(process.execPath, [program, own, role], { env: bareEnvironment() });
      running.push(node);
      const [, port] = await node.seen(/ready at (\d+)/);
      return { ...node, folder: own, port: Number(port) };
    },
  };
}
