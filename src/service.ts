/** The composition root's face: opens a data folder, starts the server over it, runs the operator's operations. */
import { existsSync } from 'node:fs';
import type { Control } from './api/control/client.ts';
import { tailAuditLogs } from './audit/several.ts';
import type { AuditVerification } from './audit/verify.ts';
import type { Config } from './config.ts';
import { type Clock, systemClock } from './core/clock.ts';
import type { Log } from './core/log.ts';
import type { Random } from './core/random.ts';
import { systemRandom } from './crypto/random.ts';
import type { Fetch } from './identity/remote-keys.ts';
import { createLog } from './logging.ts';
import { verifyAuditLogs } from './service/audit-logs.ts';
import { backUpServer, type CopyReport, type Progress } from './service/backup.ts';
import { restoreServer } from './service/backup-restore.ts';
import { createControl } from './service/control.ts';
import { buildCore } from './service/core.ts';
import {
  isKeeper,
  openData,
  openStore,
  StartRefused,
  type TestOnlyFaults,
  type Tools,
} from './service/data.ts';
import type { WorkerRole } from './service/database.ts';
import { seedDev } from './service/dev-seed.ts';
import { type Addresses, onStop, tellSupervisor } from './service/processes.ts';
import { type Serving, startServing } from './service/serving.ts';
import { servingControl } from './service/serving-control.ts';
import { startSupervisor } from './service/supervisor.ts';
import { startWriter } from './service/writer.ts';

export type { Addresses, AuditVerification, Control, CopyReport, Progress, TestOnlyFaults };
export { backUpServer, onStop, restoreServer, StartRefused, startSupervisor, startWriter, tellSupervisor };

/** What a caller may replace, for tests: time, randomness, the log and the way out to external issuers. */
export interface Surroundings {
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: Log;
  readonly fetch?: Fetch;
  /** For one process among several of a server. */
  readonly worker?: WorkerRole;
  /** Faults between the server and what it stands on. No flag, variable or setting leads here. */
  readonly testOnlyFaults?: TestOnlyFaults;
}

export interface Service {
  /** The operator's operations, in this process. */
  readonly control: Control;
  /** Listens; resolves to the ports when the server serves. */
  start(): Promise<Addresses>;
  /** Ends what is under way, then closes everything. */
  close(): Promise<void>;
}

/** Opens the data folder and builds the server over it, without listening. Throws `StartRefused`. */
export async function openService(config: Config, surroundings: Surroundings = {}): Promise<Service> {
  const { worker } = surroundings;
  const tools: Tools = {
    config,
    clock: surroundings.clock ?? systemClock,
    random: surroundings.random ?? systemRandom,
    log:
      surroundings.log ?? createLog(config.logLevel, worker === undefined ? null : { worker: worker.slot }),
    worker,
    testOnlyFaults: surroundings.testOnlyFaults,
  };
  const data = await openData(tools);
  try {
    const core = await buildCore(tools, data, surroundings.fetch ?? fetch);
    if (config.dev && isKeeper(tools)) await seedDev(tools, data, core);
    const control = createControl(tools, data, core);
    let serving: Serving | undefined;
    return {
      control,
      async start() {
        serving = await startServing(tools, data, { ...core, control });
        return { ...core.ports };
      },
      async close() {
        await serving?.close();
        core.keys.close();
        await data.close();
      },
    };
  } catch (error) {
    await data.close();
    throw error;
  }
}

/** The operator's operations in this process, on a data folder that no process serves. Throws `StartRefused`. */
export async function openControl(config: Config): Promise<{ control: Control; close(): Promise<void> }> {
  assertThere(config);
  return openService(offline(config));
}

/** A command that works on a stopped server's folder seeds nothing and says little. */
function offline(config: Config): Config {
  return { ...config, dev: false, logLevel: 'warn' };
}

function assertThere(config: Config): void {
  if (existsSync(config.paths.rootKey) || existsSync(config.paths.database)) return;
  throw new StartRefused(
    `There is no Strongroom in ${config.data}. Start one there, or name its folder with --data.`,
  );
}

/**
 * Checks the audit log: in the serving process, or here where none serves, and then without opening it for writing,
 * which a changed log does not allow.
 */
export async function verifyAudit(config: Config): Promise<AuditVerification> {
  const remote = await servingControl(config);
  if (remote !== undefined) return (await remote('audit verify', {})) as AuditVerification;
  assertThere(config);
  const log = createLog('warn');
  const tools = { config: offline(config), clock: systemClock, random: systemRandom, log };
  const store = await openStore(tools);
  try {
    return await verifyAuditLogs(tools, store);
  } finally {
    await store.close();
  }
}

/** The last lines of the audit log and, with `follow`, new ones; needs no server. */
export function tailAudit(
  config: Config,
  options: { lines: number; follow: boolean; signal?: AbortSignal },
): AsyncGenerator<string, void> {
  return tailAuditLogs(config.paths.audit, options);
}
