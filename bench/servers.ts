/** The servers that are compared: Strongroom in its forms, and the bare one. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAuthority, issueLeaf } from '../src/crypto/x509/authority.ts';
import type { Reply } from './client.ts';
import type { Place } from './fill.ts';
import type { PrimitiveName } from './keys-primitives.ts';
import { placeFor, type ServerProcess, start } from './processes.ts';
import type { TokenWork } from './tokens-work.ts';

export interface Target {
  readonly name: string;
  /** Processes that serve, of all its nodes. */
  readonly processes: number;
  readonly nodes: readonly ServerProcess[];
  readonly ports: readonly number[];
  readonly ca: string;
  /** The first process of its PostgreSQL, whose cost is counted apart. */
  readonly databasePid?: number | undefined;
}

const root = join(import.meta.dirname, '..');

/** One node of so many worker processes, on the data of the place. */
export async function startStrongroom(
  name: string,
  place: Place,
  { workers, databasePid }: { workers: number; databasePid?: number },
): Promise<Target> {
  const node = await startNode(place, { workers, serving: workers });
  const ca = readFileSync(join(place.data, 'ca.pem'), 'utf8');
  return { name, processes: workers, nodes: [node], ports: [portOf(node)], ca, databasePid };
}

/** So many nodes of one process each, on one PostgreSQL database. */
export async function startNodes(
  name: string,
  place: Place,
  { nodes: count, databasePid }: { nodes: number; databasePid: number },
): Promise<Target> {
  const nodes: ServerProcess[] = [];
  let ca = '';
  for (let index = 0; index < count; index += 1) {
    const data = `${place.data}-${count}-${index}`;
    mkdirSync(data, { mode: 0o700 });
    // Each node has its own copy of the root key, and nothing else to begin with.
    copyFileSync(join(place.data, 'root-key.json'), join(data, 'root-key.json'));
    nodes.push(await startNode({ ...place, data }, { workers: 1, serving: count }));
    ca = readFileSync(join(data, 'ca.pem'), 'utf8');
  }
  return { name, processes: count, nodes, ports: nodes.map(portOf), ca, databasePid };
}

/** A bare server of so many processes, under a certificate of the same kind. */
export async function startBare(
  name: string,
  folder: string,
  { processes, replies }: { processes: number; replies: BareReplies },
): Promise<Target> {
  const now = Date.now();
  const names = ['vault.azure.net', 'login.microsoftonline.com'];
  const permitted = { permittedDnsNames: names, permittedIpRanges: [] };
  const authority = await createAuthority({ commonName: 'bench', ...permitted, now, validityDays: 2 });
  const leaf = await issueLeaf(authority, {
    dnsNames: ['*.vault.azure.net', 'login.microsoftonline.com'],
    ipAddresses: [],
    now,
    validityDays: 1,
  });
  const file = (kind: string) => join(folder, `bare-${processes}-${kind}`);
  writeFileSync(file('cert.pem'), leaf.chainPem);
  writeFileSync(file('key.pem'), leaf.privateKeyPem.exposeBytes(), { mode: 0o600 });
  writeFileSync(file('replies.json'), JSON.stringify(replies));
  const script = join(root, 'bench/bare-server.ts');
  const files = [file('cert.pem'), file('key.pem'), file('replies.json')];
  const command = [process.execPath, script, ...files, String(processes)];
  const node = await start(command, { cores: placeFor(processes)?.server });
  return { name, processes, nodes: [node], ports: [Number(node.firstLine)], ca: authority.certificatePem };
}

/** What the bare server answers: by path, and everywhere else. */
export interface BareReplies {
  readonly other: Omit<Reply, 'status'>;
  readonly paths: readonly (readonly [string, BareReply])[];
}

/** `work` is done before the answer, once the body is there. */
export interface BareReply extends Omit<Reply, 'status'> {
  readonly work?: PrimitiveName | TokenWork;
}

function startNode(
  { data, databaseUrl }: Place,
  { workers, serving }: { workers: number; serving: number },
): Promise<ServerProcess> {
  const command = [
    join(root, 'bin/strongroom'),
    ...['start', '--dev', '--data', data, '--listen', '127.0.0.1', '--workers', String(workers)],
    ...['--port', '0', '--local-port', '0', '--log-level', 'error'],
    ...(databaseUrl === undefined ? [] : ['--database-url', databaseUrl]),
  ];
  return start(command, {
    cores: placeFor(serving)?.server,
    environment: { STRONGROOM_NODE: process.execPath },
  });
}

function portOf({ firstLine }: ServerProcess): number {
  const port = /at port (\d+)/.exec(firstLine)?.[1];
  if (port === undefined) throw new Error(`the server began with: ${firstLine}`);
  return Number(port);
}
