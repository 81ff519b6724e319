/**
 * The control socket: the operator's commands to a serving process, as JSON over HTTP on a Unix socket of mode 0600
 * in the data folder. Whoever can open it owns the data folder already.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { AuditLog } from '../../audit/log.ts';
import { Failure } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { readText } from '../body.ts';
import { asFailure, resultCode, statusOf } from '../errors.ts';
import { parseBody } from '../vault/wire.ts';
import type { Control } from './client.ts';
import type { ControlDeps } from './operation.ts';
import { controlOperations } from './operations.ts';

/** Runs operations in this process, with an audit record for those that change or reveal something. */
export function localControl(deps: ControlDeps & { audit: AuditLog }): Control {
  return async (name, input) => {
    const operation = Object.hasOwn(controlOperations, name) ? controlOperations[name] : undefined;
    if (operation === undefined) throw new Failure('notFound', `There is no operation '${name}'.`);
    const started = deps.clock.now();
    let failure: Failure | undefined;
    let result: object = {};
    try {
      if (operation.audit !== undefined) deps.audit.assertWritable();
      result = await operation.run(deps, parseBody(operation.input, input) as never);
    } catch (error) {
      failure = asFailure(error, deps.random.guid());
    }
    if (operation.audit !== undefined) {
      await deps.audit.append({
        time: started,
        resourceId: `/tenants/${deps.tenant.id}`,
        operationName: operation.audit,
        operationVersion: '',
        status: failure === undefined ? 200 : statusOf(failure.kind),
        failure:
          failure === undefined
            ? undefined
            : { code: resultCode(failure.kind), description: failure.message },
        durationMs: deps.clock.now() - started,
        callerIpAddress: '',
        correlationId: deps.random.guid(),
        principal: undefined,
        userAgent: 'strongroom command line',
        requestUri: `/${name.replace(' ', '/')}`,
        id: undefined,
      });
    }
    if (failure !== undefined) throw failure;
    return result;
  };
}

const largestInput = 64 * 1024;

/** Serves `control` at the socket's path; answers a function that closes it. */
export async function serveControl(control: Control, log: Log, path: string): Promise<() => Promise<void>> {
  rmSync(path, { force: true });
  // Connections on which no operation runs: nothing is lost by ending them.
  const waiting = new Set<Socket>();
  const server = createServer((request, response) => {
    const run: Control = (operation, input) => {
      waiting.delete(request.socket);
      return control(operation, input);
    };
    answer(run, request, response).catch((error: unknown) => {
      log.error('control request failed', { error });
      response.destroy();
    });
  });
  server.on('connection', (socket: Socket) => {
    waiting.add(socket);
    socket.once('close', () => waiting.delete(socket));
  });
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      // Exclusive: a supervisor that accepted for this process would keep what is under way open when it dies.
      server.listen({ path, exclusive: true }, resolve);
    });
  } finally {
    process.umask(before);
  }
  chmodSync(path, 0o600);
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of waiting) socket.destroy();
    });
}

async function answer(control: Control, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let status = 200;
  let body: object;
  try {
    const { operation, input } = JSON.parse(await readText({ request }, largestInput)) as {
      operation: string;
      input: object;
    };
    body = { result: await control(operation, input) };
  } catch (error) {
    const failure = asFailure(error, '');
    status = statusOf(failure.kind);
    body = { failure: { kind: failure.kind, message: failure.message } };
  }
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    Connection: 'close',
  });
  response.end(text);
}
