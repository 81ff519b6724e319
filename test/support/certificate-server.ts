/**
 * A server whose orders go on when a test lets time pass. Time stands still while the server waits for somebody's
 * answer, so that no deadline of its own depends on how fast the machine is.
 */
import { inspect } from 'node:util';
import type { CertificateClient } from '@azure/keyvault-certificates';
import type { Log } from '../../src/core/log.ts';
import { certificateClient } from './certificate-clients.ts';
import { type ManualClock, manualClock } from './identity.ts';
import { startTestServer, type TestServer, type TestServerOptions, tokenFor, vaultCaller } from './server.ts';
import type { VaultCaller } from './vault-rest.ts';

/** Milliseconds that the server gives DNS servers, authorities (one answer, one step) and mail relays. */
const deadlines = new Set([15_000, 20_000, 120_000, 30_000]);
/** Milliseconds; the process that leads shows life as often. */
const stride = 3_000;
/** Far beyond what any order needs; it ends a test that would go on for ever. */
const mostStrides = 600;

interface PatientClock extends ManualClock {
  /** Resolves when no answer is waited for. */
  quiet(): Promise<void>;
}

function patientClock(start: number): PatientClock {
  const inner = manualClock(start);
  const open = new Set<object>();
  const waiting: (() => void)[] = [];
  return {
    ...inner,
    after(ms, run) {
      const timer = inner.after(ms, run);
      if (!deadlines.has(ms)) return timer;
      open.add(timer);
      return {
        cancel() {
          timer.cancel();
          open.delete(timer);
          if (open.size === 0) for (const go of waiting.splice(0)) go();
        },
      };
    },
    async quiet() {
      while (open.size > 0) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
}

/** A pending operation as JSON. */
export interface PendingJson {
  readonly status: string;
  readonly csr: string;
  readonly issuer: { readonly name: string };
  readonly cancellation_requested: boolean;
  readonly error?: { readonly code: string; readonly message: string };
  readonly target?: string;
}

export interface CertificateServer {
  readonly server: TestServer;
  /** A call of the vault `dev`. */
  readonly call: VaultCaller;
  /** Everything that was logged, as text. */
  readonly logged: readonly string[];
  /** A client that signs in anew. */
  client(): CertificateClient;
  /** Unix seconds of the server. */
  now(): number;
  /** A few seconds go by, and what is due in them is done or under way. */
  pass(): Promise<void>;
  /** Lets time pass until there is something to be found. */
  until<T>(find: () => Promise<T | undefined> | T | undefined): Promise<T>;
  pending(name: string): Promise<PendingJson>;
  /** Lets time pass until the certificate's operation has ended; answers it. */
  ended(name: string): Promise<PendingJson>;
  /** The wall clock goes on by so many seconds, in which nothing has happened. */
  jump(seconds: number): Promise<void>;
  restart: TestServer['restart'];
  close(): Promise<void>;
}

interface Options extends Omit<TestServerOptions, 'clock' | 'log'> {
  /** The server's certificate, which the client checks by the machine's clock, lives for 90. */
  readonly daysBehind?: number;
}

/** Begins at the machine's time, by which outside authorities and TLS go, or so many days before it. */
export async function startCertificateServer({
  daysBehind = 0,
  ...options
}: Options = {}): Promise<CertificateServer> {
  const clock = patientClock(Math.floor(Date.now() / 1000) * 1000 - daysBehind * 86_400_000);
  const logged: string[] = [];
  const keep = (message: string, fields: object = {}) =>
    void logged.push(`${message} ${inspect(fields, { depth: 10, breakLength: Number.POSITIVE_INFINITY })}`);
  const log: Log = { debug: keep, info: keep, warn: keep, error: keep };
  const server = await startTestServer({ ...options, clock, log });
  let token = await tokenFor(server);
  const call: VaultCaller = (...request) => vaultCaller(server, token)(...request);
  const pass = async () => {
    await clock.quiet();
    clock.advance(stride);
    // What is under way goes on meanwhile.
    await call('GET', '/certificates/nobody');
  };
  const until: CertificateServer['until'] = async (find) => {
    for (let count = 0; count < mostStrides; count += 1) {
      const found = await find();
      if (found !== undefined) return found;
      await pass();
    }
    throw new Error(`nothing came of it: ${logged.slice(-5).join('\n')}`);
  };
  const pending = async (name: string): Promise<PendingJson> => {
    const { status, json, text } = await call('GET', `/certificates/${name}/pending`);
    if (status !== 200) throw new Error(text);
    return json;
  };
  return {
    ...{ server, call, logged, pass, until, pending },
    client: () => certificateClient(server),
    now: () => clock.now() / 1000,
    ended: (name) =>
      until(async () => {
        const found = await pending(name);
        return found.status === 'inProgress' ? undefined : found;
      }),
    async jump(seconds) {
      await clock.quiet();
      clock.jump(seconds * 1000);
      token = await tokenFor(server);
    },
    async restart(between, other) {
      await server.restart(between, other);
      token = await tokenFor(server);
    },
    close: () => server.close(),
  };
}
