/**
 * Proves how a serving process ends: what is under way gets its answer, nothing new is taken on, nobody can keep
 * the server from stopping, and the audit log is closed whole.
 */

import { on, once } from 'node:events';
import { readFileSync, watch } from 'node:fs';
import { type RequestOptions, request } from 'node:https';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  launch,
  program,
  type ServerProcess,
  startProcess,
  strongroom,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';

let folder: TemporaryFolder;
let server: ServerProcess;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(async () => {
  await server?.end('SIGKILL');
  await folder.remove();
});

interface Variables {
  readonly AZURE_TENANT_ID: string;
  readonly AZURE_CLIENT_ID: string;
  readonly AZURE_CLIENT_SECRET: string;
}

function https(options: RequestOptions & { host: string }): RequestOptions {
  const { host, headers, ...rest } = options;
  const ca = readFileSync(join(folder.path, 'ca.pem'));
  const at = { host: '127.0.0.1', port: server.port, servername: host, ca };
  return { ...at, ...rest, headers: { ...headers, Host: host } };
}

async function answerOf(
  sent: ReturnType<typeof request>,
): Promise<{ status: number; connection: string | undefined; text: string }> {
  const [response] = await once(sent, 'response');
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, connection: response.headers.connection, text };
}

async function token(): Promise<string> {
  const { stdout } = await strongroom(['env', '--json', '--data', folder.path]);
  const is = JSON.parse(stdout) as Variables;
  const sent = request(
    https({
      host: 'login.microsoftonline.com',
      method: 'POST',
      path: `/${is.AZURE_TENANT_ID}/oauth2/v2.0/token`,
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    }),
  );
  sent.end(
    new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: is.AZURE_CLIENT_ID,
      client_secret: is.AZURE_CLIENT_SECRET,
      scope: 'https://vault.azure.net/.default',
    }).toString(),
  );
  return (JSON.parse((await answerOf(sent)).text) as { access_token: string }).access_token;
}

/** A request to set a secret whose body is sent only in part; `finish` sends the rest. */
async function slowUpload(
  value: string,
): Promise<{ finish: () => ReturnType<typeof answerOf>; cutOff: Promise<unknown> }> {
  const bearer = await token();
  const body = JSON.stringify({ value });
  const sent = request(
    https({
      host: 'dev.vault.azure.net',
      method: 'PUT',
      path: '/secrets/slow?api-version=7.4',
      headers: {
        Authorization: `Bearer ${bearer}`,
        'Content-Type': 'application/json',
        'Content-Length': body.length,
        Expect: '100-continue',
      },
    }),
  );
  // Whoever waits for the answer is told; without this, an end that nobody waits for yet would be a crash.
  sent.on('error', () => undefined);
  sent.flushHeaders();
  // The server says so when it has the headers: from then on the request is under way.
  await once(sent, 'continue');
  sent.write(body.slice(0, 5));
  return {
    cutOff: new Promise((resolve) => sent.once('close', resolve)),
    finish: () => {
      sent.end(body.slice(5));
      return answerOf(sent);
    },
  };
}

/** Waits until the port takes no more connections: the listeners close in their own time. */
async function refused(port: number): Promise<void> {
  while ((await attempt(port)) !== 'ECONNREFUSED');
}

function attempt(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    socket.once('connect', () => {
      socket.destroy();
      resolve('connected');
    });
  });
}

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
  '%s: a request under way ends with its answer, new ones are refused, the exit code is 0',
  async (signal) => {
    server = await startProcess(folder.path);
    const upload = await slowUpload('written while stopping');
    const ended = server.end(signal);
    await server.seen(new RegExp(`strongroom: ${signal}, finishing what is under way`));
    await refused(server.port);
    await refused(server.localPort);
    const answer = await upload.finish();
    expect(answer).toMatchObject({ status: 200, connection: 'close' });
    expect(await ended).toMatchObject({ code: 0, signal: null });

    const verified = await strongroom(['audit', 'verify', '--json', '--data', folder.path]);
    expect(JSON.parse(verified.stdout)).toMatchObject({ problemCount: 0 });
    const tail = await strongroom(['audit', 'tail', '-n', '1', '--data', folder.path]);
    expect(JSON.parse(tail.stdout)).toMatchObject({ operationName: 'SecretSet', resultType: 'Success' });
    expect(await strongroom(['status', '--data', folder.path])).toMatchObject({ code: 3 });
  },
);

/** Short, so that what cannot end by itself is cut off within the test. */
const impatient = { env: { STRONGROOM_DRAIN: '300' } };

test('an upload that never ends does not keep the server from stopping, and leaves nothing behind', async () => {
  server = await startProcess(folder.path, [], impatient);
  const upload = await slowUpload('never whole');
  expect(await server.end()).toMatchObject({ code: 0, signal: null });
  await upload.cutOff;
  server = await startProcess(folder.path);
  const bearer = await token();
  const headers = { Authorization: `Bearer ${bearer}` };
  const sent = request(
    https({ host: 'dev.vault.azure.net', path: '/secrets/slow?api-version=7.4', headers }),
  );
  expect(await answerOf(sent.end())).toMatchObject({ status: 404 });
});

async function opened(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

test('connections that say nothing do not keep the server from stopping', async () => {
  server = await startProcess(folder.path, [], impatient);
  const control = connect(join(folder.path, 'control.sock'));
  control.on('error', () => undefined);
  await once(control, 'connect');
  const silent = [await opened(server.port), await opened(server.localPort), control];
  expect(await server.end()).toMatchObject({ code: 0, signal: null });
  for (const socket of silent) socket.destroy();
});

test('a tunnel to an allowed host does not keep the server from stopping', async () => {
  const outside = createServer((socket) => socket.on('error', () => undefined).pipe(socket));
  await once(outside.listen(0, '127.0.0.1'), 'listening');
  server = await startProcess(folder.path, ['--proxy-allow', '127.0.0.1'], impatient);
  const tunnel = await opened(server.localPort);
  tunnel.write(`CONNECT 127.0.0.1:${(outside.address() as AddressInfo).port} HTTP/1.1\r\nHost: x\r\n\r\n`);
  const [established] = await once(tunnel, 'data');
  expect(String(established)).toContain('200 Connection Established');
  tunnel.write('through');
  expect(String((await once(tunnel, 'data'))[0])).toBe('through');
  expect(await server.end()).toMatchObject({ code: 0, signal: null });
  outside.close();
});

test('a signal that comes while the server is starting ends it when it has started', async () => {
  const changes = watch(folder.path);
  const args = ['start', '--dev', '--data', folder.path, '--port', '0', '--local-port', '0'];
  const starting = launch(program, args);
  // The authority is published in the middle of the first start, before anything listens.
  for await (const [, name] of on(changes, 'change')) if (name === 'ca.pem') break;
  starting.child.kill('SIGTERM');
  const { code, signal, stderr } = await starting.finished;
  expect({ code, signal, stderr }).toEqual({
    code: 0,
    signal: null,
    stderr: 'strongroom: SIGTERM, finishing what is under way\n',
  });
  changes.close();
});
