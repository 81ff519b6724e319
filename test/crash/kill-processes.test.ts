/**
 * Proves that no acknowledged write is lost when a worker, the writer, the supervisor or PostgreSQL's first process
 * is killed at any moment, that nothing is half-written, that the audit logs are whole, that what died comes back,
 * and that no connection is left waiting for what died. STRONGROOM_CRASH_ROUNDS sets how often (default 3); STRONGROOM_CRASH_SEED repeats a run's moments.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { knockOn, knockPlain, knockTls } from '../support/cluster-knocks.ts';
import { createLedger, type Ledger } from '../support/cluster-ledger.ts';
import { childrenOf, hasProc, isAlive, killAll, processesOf, until } from '../support/cluster-processes.ts';
import { randomFrom } from '../support/history.ts';
import { hasPostgres } from '../support/postgres.ts';
import { startPostgres } from '../support/postgres-cluster.ts';
import {
  filesBelow,
  type ServerProcess,
  startProcess,
  strongroom,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';

const rounds = Number(process.env.STRONGROOM_CRASH_ROUNDS ?? 3);
const seed = Number(process.env.STRONGROOM_CRASH_SEED ?? Date.now() % 2 ** 31);
const writers = 8;
const timeout = 60_000 + rounds * 30_000;

let folder: TemporaryFolder;
let server: ServerProcess | undefined;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(async () => {
  if (server !== undefined) await killAll(server);
  server = undefined;
  await folder.remove();
});

/** Fulfilled when so many more writes are acknowledged: a slow machine is as deep in its work then as a fast one. */
async function more(ledger: Ledger, count: number): Promise<void> {
  const enough = ledger.acknowledged() + count;
  await until(() => ledger.acknowledged() >= enough);
}

async function auditIsWhole(data: string, ledger: Ledger, args: readonly string[] = []): Promise<void> {
  const verified = await strongroom(['audit', 'verify', '--json', '--data', data, ...args]);
  expect(JSON.parse(verified.stdout)).toMatchObject({ problems: [], problemCount: 0 });
  expect(verified.code).toBe(0);
  const audit = join(data, 'audit');
  const text = filesBelow(audit).map((name) => readFileSync(join(audit, name), 'utf8'));
  const recorded = new Set(text.join('').match(/(?<=\/secrets\/[\w-]+\/)[0-9a-f]{32}/g));
  expect(ledger.ids().filter((id) => !recorded.has(id))).toEqual([]);
}

describe.skipIf(!hasProc)('on SQLite', () => {
  /** A process of the server by chance, with what becomes of the server. */
  async function victim(supervisor: number, chance: number): Promise<number> {
    let pid: number | undefined;
    await until(() => {
      const { workers, writer } = processesOf(supervisor);
      pid = chance < 0.4 ? workers.get(chance < 0.2 ? 1 : 2) : chance < 0.7 ? writer : supervisor;
      return pid !== undefined;
    });
    return pid ?? 0;
  }

  test(
    `${rounds} kills of a worker, the writer or the supervisor (seed ${seed})`,
    async () => {
      const random = randomFrom(seed);
      const ledger = createLedger(writers, random);
      let running = await startProcess(folder.path, ['--workers', '2', '--log-level', 'silent']);
      server = running;
      for (let round = 0; round < rounds; round += 1) {
        const { pid } = running;
        const children = childrenOf(pid);
        const { port, localPort } = running;
        const knocking = knockOn([() => knockTls(port), () => knockPlain(localPort)]);
        const killing = async () => {
          await more(ledger, 20 + Math.floor(random() * 100));
          // Each kind comes in each few rounds, and by chance besides.
          const killed = await victim(pid, round < 3 ? ([0.3, 0.5, 0.9][round] ?? 0) : random());
          process.kill(killed, 'SIGKILL');
          // What died comes back and the writers go on, unless it was the supervisor.
          if (killed !== pid) await more(ledger, 20);
          expect(await knocking.stop()).toBeGreaterThan(0);
          return killed === pid;
        };
        const killed = killing();
        await ledger.write(running, killed);
        if (await killed) {
          running = await startProcess(folder.path, ['--workers', '2', '--log-level', 'silent']);
          server = running;
          await until(() => !children.some(isAlive));
        }
        await ledger.check(running);
      }
      await auditIsWhole(folder.path, ledger);
      expect(await running.end()).toMatchObject({ code: 0, signal: null });
      await auditIsWhole(folder.path, ledger);
      expect(ledger.acknowledged()).toBeGreaterThan(rounds * 20);
    },
    timeout,
  );
});

describe.skipIf(!hasPostgres || !hasProc)('on PostgreSQL', () => {
  test(
    `${rounds} kills of PostgreSQL's first process (seed ${seed})`,
    async () => {
      const random = randomFrom(seed);
      const ledger = createLedger(writers, random);
      const cluster = await startPostgres({ durable: true });
      try {
        const { url } = await cluster.newDatabase();
        const at = ['--database-url', url];
        const running = await startProcess(folder.path, [...at, '--workers', '2', '--log-level', 'silent']);
        server = running;
        for (let round = 0; round < rounds; round += 1) {
          const killing = async () => {
            await more(ledger, 20 + Math.floor(random() * 100));
            await cluster.kill9();
            await cluster.restart();
            await more(ledger, 20);
          };
          await ledger.write(running, killing());
          await ledger.check(running);
        }
        expect(await running.end()).toMatchObject({ code: 0, signal: null });
        await auditIsWhole(folder.path, ledger, at);
      } finally {
        await server?.end('SIGKILL');
        await cluster.remove();
      }
    },
    timeout,
  );
});
