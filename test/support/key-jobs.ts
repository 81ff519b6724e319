/**
 * A server whose time is in the test's hands, for what its job does with keys. The clients check certificates by the
 * machine's clock, so that the server's begins far enough in the past for a hundred days to go by.
 */
import type { Log } from '../../src/core/log.ts';
import { type AuditRecord, auditRecords } from './audit-records.ts';
import { createFaults, type Faults } from './faults.ts';
import { manualClock } from './identity.ts';
import {
  type RawResponse,
  startTestServer,
  type TestServer,
  type TestServerOptions,
  tokenFor,
  vaultCaller,
} from './server.ts';
import type { VaultCaller } from './vault-rest.ts';

export const day = 86_400;
const daysBehind = 80;

export interface LogLine {
  readonly level: 'info' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface KeyJobs {
  readonly server: TestServer;
  readonly faults: Faults;
  readonly call: VaultCaller;
  /** Unix seconds of the server. */
  now(): number;
  /** The wall clock goes on by so many seconds; no job has run in them. */
  jump(seconds: number): Promise<void>;
  /** Lets the job run; resolves when it has seen to all that was due before. */
  jobRuns(): Promise<void>;
  /** Lets jobs run until a line is logged; answers it. */
  jobLogs(isIt: (line: LogLine) => boolean): Promise<LogLine>;
  /** What is recorded for the auditors of a key's rotations by its policy. */
  rotations(name: string): Promise<AuditRecord[]>;
  /** Runs once, when the job logs something of the key. */
  whenTold(name: string, run: () => void): void;
  /** What the job has logged of a key since the last call. */
  told(name: string): string[];
  restart: TestServer['restart'];
  /** The server is stopped for so many seconds. */
  sleep(seconds: number): Promise<void>;
  close(): Promise<void>;
}

export async function startKeyJobs(options: TestServerOptions = {}): Promise<KeyJobs> {
  const clock = manualClock(Math.floor(Date.now() / 1000) * 1000 - daysBehind * day * 1000);
  const faults = createFaults();
  const lines: LogLine[] = [];
  const waiting = new Map<unknown, () => void>();
  const keep =
    (level: LogLine['level']) =>
    (message: string, fields: LogLine['fields'] = {}) => {
      lines.push({ level, message, fields });
      waiting.get(fields.name)?.();
      waiting.delete(fields.name);
    };
  const ignored = () => undefined;
  const log: Log = { debug: ignored, warn: ignored, info: keep('info'), error: keep('error') };
  const { testOnlyFaults } = faults;
  const server = await startTestServer({ clock, log, testOnlyFaults, ...options });
  let call = vaultCaller(server, await tokenFor(server));
  const signInAgain = async () => {
    call = vaultCaller(server, await tokenFor(server));
  };
  const now = () => clock.now() / 1000;
  const jobLogs: KeyJobs['jobLogs'] = async (isIt) => {
    const from = lines.length;
    for (let step = 0; step < mostSteps; step += 1) {
      const found = lines.slice(from).find(isIt);
      if (found !== undefined) return found;
      // The process that leads shows life every few seconds; each request lets what is under way go on.
      clock.advance(3_000);
      await call('GET', '/keys/nobody');
    }
    throw new Error('the job does not run');
  };
  const restart: KeyJobs['restart'] = async (between, other) => {
    await server.restart(between, other);
    await signInAgain();
  };
  let markers = 0;
  const told = new Map<string, number>();
  return {
    ...{ server, faults, now, jobLogs },
    call: (...request) => call(...request),
    async jump(seconds) {
      clock.jump(seconds * 1000);
      await signInAgain();
    },
    async jobRuns() {
      // What is due is seen to in the order of its time: that of this key is the last.
      clock.jump(1_000);
      markers += 1;
      const name = `marker-${markers}`;
      ok(await call('POST', `/keys/${name}/create`, { kty: 'EC', attributes: { exp: now() } }));
      await jobLogs(({ fields }) => fields.name === name);
    },
    async rotations(name) {
      const records = await auditRecords(server);
      const isOfKey = (record: AuditRecord) => JSON.stringify(record).includes(`/keys/${name}/`);
      return records.filter((record) => record.operationName === 'KeyRotateIfDue' && isOfKey(record));
    },
    whenTold: (name, run) => void waiting.set(name, run),
    told(name) {
      const of = lines.filter(({ fields }) => fields.name === name);
      const before = told.get(name) ?? 0;
      told.set(name, of.length);
      return of.slice(before).map(({ message }) => message);
    },
    restart,
    sleep: (seconds) => restart(() => clock.jump(seconds * 1000)),
    close: () => server.close(),
  };
}

/** Far beyond the interval of the job, and of the lease. */
const mostSteps = 600;

/** The answer, if it is a success. */
export function ok(reply: RawResponse): RawResponse {
  if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.text}`);
  return reply;
}

/** The body of a rotation policy. */
export function policyOf(of: { after?: string; before?: string; notify?: string; expiry?: string }): object {
  const { after, before, notify, expiry } = of;
  const rotate = {
    trigger: { timeAfterCreate: after, timeBeforeExpiry: before },
    action: { type: 'Rotate' },
  };
  return {
    lifetimeActions: [
      ...(after === undefined && before === undefined ? [] : [rotate]),
      ...(notify === undefined
        ? []
        : [{ trigger: { timeBeforeExpiry: notify }, action: { type: 'Notify' } }]),
    ],
    ...(expiry === undefined ? {} : { attributes: { expiryTime: expiry } }),
  };
}
