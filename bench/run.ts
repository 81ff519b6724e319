/**
 * The benchmarks: GET and PUT of a secret and the issuing of tokens through HTTPS, one process, as ratios to a bare
 * `node:https` server with the same reply, measured in turn in one run. Start-up time and idle memory beside them.
 *
 * npm run bench -- [--seconds 3] [--rounds 5] [--connections 32]
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadConfig } from '../src/config.ts';
import { createAuthority, issueLeaf } from '../src/crypto/x509/authority.ts';
import { openService } from '../src/service.ts';
import { type Load, type Measured, run } from './load.ts';
import { pinned, pinSelf, type ServerProcess, start } from './processes.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '32' },
  },
});
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);
const connections = Number(values.connections);
const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
const data = join(folder, 'data');
const vaultHost = 'dev.vault.azure.net';

interface Identity {
  readonly tenantId: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

interface Target {
  readonly server: ServerProcess;
  readonly port: number;
  readonly ca: string;
}

try {
  await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function main(): Promise<void> {
  pinSelf();
  const { identity, port } = await prepare();
  const coldStart = await startStrongroom(port);
  const restMb = coldStart.server.residentMb();
  const token = await tokenOf(coldStart, identity);
  const secret = await call(
    coldStart,
    'PUT',
    '/secrets/bench?api-version=2025-07-01',
    token,
    '{"value":"bench value"}',
  );
  const bare = await startBare(secret);
  const headers = ['User-Agent: bench', 'Accept: application/json', `Authorization: Bearer ${token}`];
  const get = requestBytes(vaultHost, ['GET /secrets/bench?api-version=2025-07-01', ...headers]);
  const put = (n: number) =>
    requestBytes(
      vaultHost,
      [`PUT /secrets/bench-${n % 1000}?api-version=2025-07-01`, ...headers, 'Content-Type: application/json'],
      '{"value":"bench value"}',
    );
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: identity.clientId,
    client_secret: identity.clientSecret,
    scope: 'https://vault.azure.net/.default',
  }).toString();
  const token2 = requestBytes(
    'login.microsoftonline.com',
    [`POST /${identity.tenantId}/oauth2/v2.0/token`, 'Content-Type: application/x-www-form-urlencoded'],
    form,
  );
  const login = { servername: 'login.microsoftonline.com' };
  console.log(
    `Node.js ${process.versions.node}, ${connections} connections, ${rounds} rounds of ${seconds} s in turn, ${pinned ? 'server and load on a core each' : 'not pinned'}`,
  );
  console.log(
    `start to serving ${coldStart.server.startMs.toFixed(0)} ms; resident when idle ${restMb?.toFixed(0)} MB\n`,
  );
  const rows = [
    { name: 'GET secret', target: coldStart, load: { request: () => get, servername: vaultHost } },
    { name: 'PUT secret', target: coldStart, load: { request: put, servername: vaultHost } },
    { name: 'issue a token', target: coldStart, load: { request: () => token2, ...login } },
  ];
  console.log(tableRow(['', 'req/s', 'of bare', 'p50 ms', 'p99 ms', 'p99.9 ms', 'cpu µs/req']));
  for (const row of rows) await compare(row, { bare, get });
  await bare.server.stop();
  await coldStart.server.stop();
}

/** Measures the row and the bare server in turn and prints medians, and the median of the rounds' ratios. */
async function compare(
  row: { name: string; target: Target; load: Pick<Load, 'request' | 'servername'> },
  against: { bare: Target; get: Buffer },
): Promise<void> {
  const ours: (Measured & { cpu: number })[] = [];
  const bares: (Measured & { cpu: number })[] = [];
  for (let round = 0; round < rounds; round += 1) {
    bares.push(await measure(against.bare, { request: () => against.get, servername: vaultHost }));
    ours.push(await measure(row.target, row.load));
  }
  const ratios = ours.map((measured, index) => measured.perSecond / (bares[index]?.perSecond ?? 1));
  print('bare node:https', bares, 1);
  print(row.name, ours, median(ratios));
}

async function measure(
  target: Target,
  load: Pick<Load, 'request' | 'servername'>,
): Promise<Measured & { cpu: number }> {
  const before = target.server.cpuMs() ?? 0;
  const measured = await run({ ...load, port: target.port, ca: target.ca, connections, seconds });
  return { ...measured, cpu: (((target.server.cpuMs() ?? 0) - before) * 1000) / measured.requests };
}

function print(name: string, all: readonly (Measured & { cpu: number })[], ratio: number): void {
  const of = (pick: (one: Measured & { cpu: number }) => number) => median(all.map(pick));
  const cells = [
    of((one) => one.perSecond).toFixed(0),
    ratio.toFixed(2),
    of((one) => one.p50).toFixed(2),
    of((one) => one.p99).toFixed(2),
    of((one) => one.p999).toFixed(2),
    of((one) => one.cpu).toFixed(0),
  ];
  console.log(tableRow([name, ...cells]));
}

function tableRow(cells: readonly string[]): string {
  return cells.map((cell, index) => (index === 0 ? cell.padEnd(18) : cell.padStart(11))).join('');
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** Makes the data folder and its identities once, so that the measured start is an ordinary one. */
async function prepare(): Promise<{ identity: Identity; port: number }> {
  const flags = { data, dev: true, listen: ['127.0.0.1'], port: 0, localPort: 0, logLevel: 'error' };
  const service = await openService(loadConfig({ flags, environment: {} }));
  const { port } = await service.start();
  const identity = (await service.control('client-environment', {})) as Identity;
  await service.close();
  return { identity, port };
}

async function startStrongroom(port: number): Promise<Target> {
  const server = await start([
    join(root, 'bin/strongroom'),
    ...['start', '--dev', '--data', data, '--listen', '127.0.0.1'],
    ...['--port', String(port), '--local-port', '0', '--log-level', 'error'],
  ]);
  return { server, port, ca: readFileSync(join(data, 'ca.pem'), 'utf8') };
}

/** The bare server answers with the bytes that Strongroom answered, under a certificate of the same kind. */
async function startBare(reply: { headers: readonly string[]; body: string }): Promise<Target> {
  const now = Date.now();
  const permitted = { permittedDnsNames: ['vault.azure.net'], permittedIpRanges: [] };
  const authority = await createAuthority({ commonName: 'bench', ...permitted, now, validityDays: 2 });
  const leaf = await issueLeaf(authority, {
    dnsNames: ['*.vault.azure.net'],
    ipAddresses: [],
    now,
    validityDays: 1,
  });
  const files = {
    cert: join(folder, 'cert.pem'),
    key: join(folder, 'key.pem'),
    reply: join(folder, 'reply.json'),
  };
  writeFileSync(files.cert, leaf.chainPem);
  writeFileSync(files.key, leaf.privateKeyPem.exposeBytes(), { mode: 0o600 });
  writeFileSync(files.reply, JSON.stringify(reply));
  const script = join(root, 'bench/bare-server.ts');
  const server = await start([process.execPath, script, files.cert, files.key, files.reply]);
  return { server, port: Number(server.firstLine), ca: authority.certificatePem };
}

function requestBytes(host: string, [first = '', ...headers]: readonly string[], body = ''): Buffer {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return Buffer.from([`${first} HTTP/1.1`, `Host: ${host}`, ...headers, ...length, '', body].join('\r\n'));
}

async function tokenOf(target: Target, identity: Identity): Promise<string> {
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: identity.clientId,
    client_secret: identity.clientSecret,
    scope: 'https://vault.azure.net/.default',
  });
  const { body } = await ask(target, {
    host: 'login.microsoftonline.com',
    method: 'POST',
    path: `/${identity.tenantId}/oauth2/v2.0/token`,
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: form.toString(),
  });
  return (JSON.parse(body) as { access_token: string }).access_token;
}

function call(target: Target, method: string, path: string, token: string, body: string) {
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
  return ask(target, { host: vaultHost, method, path, headers, body });
}

interface Asked {
  readonly host: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

function ask(target: Target, asked: Asked): Promise<{ headers: readonly string[]; body: string }> {
  return new Promise((resolve, reject) => {
    const { host, method, path, headers, body } = asked;
    const options = { host: '127.0.0.1', port: target.port, servername: host, ca: target.ca, method, path };
    const sent = request({ ...options, headers: { Host: host, ...headers } }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        const hopByHop = ['date', 'connection', 'keep-alive'];
        const kept: string[] = [];
        for (let index = 0; index < response.rawHeaders.length; index += 2) {
          const [name = '', value = ''] = response.rawHeaders.slice(index, index + 2);
          if (!hopByHop.includes(name.toLowerCase())) kept.push(name, value);
        }
        if (response.statusCode === 200) resolve({ headers: kept, body: text });
        else reject(new Error(`${method} ${path} answered ${response.statusCode}: ${text}`));
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
