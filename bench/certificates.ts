/**
 * What certificates cost, one process each, in turn: `node bench/certificates.ts [rounds] [seconds]`. A certificate that
 * is in memory, beside a secret of that kind; and certificates that sign themselves, made from request to version, beside
 * the cryptography that is in each: a new key and two signatures, alone in a loop.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { apiVersion, createClient, tokensFor, vaultHost } from './client.ts';
import { prepare } from './fill.ts';
import { bareLoop } from './keys-ceilings.ts';
import type { PrimitiveName } from './keys-primitives.ts';
import { measure } from './measure.ts';
import { getPath, withToken } from './parts.ts';
import { type Contender, inTurn, printTable } from './report.ts';
import { type Plan, template } from './requests.ts';
import { startStrongroom, type Target } from './servers.ts';

const [rounds = 5, seconds = 2] = process.argv.slice(2).map(Number);
/** More than cores, since a key is made off the event loop. */
const makers = 8;
/** Of a round; each name is made once. */
const mostMade = 20_000;

async function main(folder: string): Promise<void> {
  const data = join(folder, 'data');
  const identity = await prepare({ data }, [{ name: 'bench', versions: 1 }]);
  const server = await startStrongroom('Strongroom', { data }, { workers: 1 });
  const client = createClient({ port: server.ports[0] ?? 0, ca: server.ca });
  try {
    const [token = ''] = await tokensFor(client, identity, { count: 1 });
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
    const ask = { host: vaultHost, method: 'POST', path: createPath('served'), headers };
    await client.ask({ ...ask, body: selfSigned({ kty: 'EC', crv: 'P-256' }) }, 202);
    printTable('GET, cached (64 connections)', await inTurn(reading(server, token), rounds));
    for (const kind of kinds) {
      const results = await inTurn(making(server, { token, ...kind }), rounds);
      printTable(`Create, Self, ${kind.name} (${makers} connections)`, results);
    }
    console.log(`\nload average ${loadavg()[0]?.toFixed(1)}`);
  } finally {
    client.close();
    await Promise.all(server.nodes.map((node) => node.stop()));
  }
}

interface Kind {
  readonly name: string;
  readonly key: object;
  readonly primitive: PrimitiveName;
}

const kinds: readonly Kind[] = [
  { name: 'P-256', key: { kty: 'EC', crv: 'P-256' }, primitive: 'P-256 key, two signatures' },
  { name: 'RSA-2048', key: { kty: 'RSA', key_size: 2048 }, primitive: 'RSA-2048 key, two signatures' },
];

function createPath(name: string): string {
  return `/certificates/${name}/create?${apiVersion}`;
}

function selfSigned(key: object): string {
  const policy = { key_props: key, x509_props: { subject: 'CN=bench' }, issuer: { name: 'Self' } };
  return JSON.stringify({ policy });
}

function reading(server: Target, token: string): Contender[] {
  const get = (path: string): Plan => [template(withToken(token, ['GET', path]))];
  const of = (name: string, plan: Plan) => ({
    name,
    measure: () => measure(server, { servername: vaultHost, connections: 64, seconds, plan }),
  });
  const secret = of('secret', get(getPath));
  const certificate = of('certificate', get(`/certificates/served?${apiVersion}`));
  return [secret, { ...certificate, reference: secret.name }];
}

function making(server: Target, { token, name, key, primitive }: Kind & { token: string }): Contender[] {
  const { headers, ...head } = withToken(token, ['POST', createPath('{}')]);
  const typed = { ...head, headers: [...headers, 'Content-Type: application/json'] };
  const planOf = (round: number): Plan => {
    const fills = Array.from({ length: mostMade }, (_, index) => `${name}-${round}-${index}`);
    return [template(typed, { fills, body: selfSigned(key) })];
  };
  const load = { servername: vaultHost, connections: makers, seconds, most: mostMade };
  return [
    { name: primitive, measure: () => bareLoop(primitive, { processes: 1, seconds }) },
    {
      name: server.name,
      reference: primitive,
      measure: (round) => measure(server, { ...load, plan: planOf(round) }),
    },
  ];
}

const folder = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
await main(folder);
