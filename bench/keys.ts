/**
 * Operations of keys through HTTPS, in one process and in several, beside the same operation alone on the same cores and in
 * the same round: `openssl speed` where it has the operation, else a loop in Node.js. How they are compared: keys-report.ts.
 */
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createClient, tokensFor, vaultHost } from './client.ts';
import { severalProcesses, type Workplace } from './entrants.ts';
import { prepare } from './fill.ts';
import { bareLoop, openssl, opensslVersion } from './keys-ceilings.ts';
import { type MixedServer, measureMixed, mixedName } from './keys-mixed.ts';
import {
  askFor,
  type KeyOperation,
  keyOperations,
  prepareRequests,
  type ReadyRequest,
  slowestSigning,
  templateOf,
} from './keys-operations.ts';
import { watchOthers } from './keys-others.ts';
import { barsOf, type Names, printOperation } from './keys-report.ts';
import { measure } from './measure.ts';
import type { Options } from './options.ts';
import { type Bar, type Contender, inTurn } from './report.ts';
import { type BareReplies, startBare, startStrongroom, type Target } from './servers.ts';

type Bench = Workplace & { readonly options: Options };

/** Strongroom in so many processes, and a bare server that does the same with its keys and answers the same. */
interface Side {
  readonly processes: number;
  readonly strongroom: Target;
  readonly bare: Target;
  readonly token: string;
  /** By the operation's name. */
  readonly requests: ReadonlyMap<string, ReadyRequest>;
}

const counts = [1, ...severalProcesses];

export async function measureKeys(bench: Bench): Promise<Bar[]> {
  const { options } = bench;
  const closers: Bench['closers'] = [];
  const folder = join(bench.folder, 'keys');
  mkdirSync(folder);
  try {
    const sides = await startSides({ ...bench, folder, closers });
    const openssl = opensslVersion();
    console.log(
      `\nKeys: ${openssl ?? 'no command openssl'}, and OpenSSL ${process.versions.openssl} in Node.js`,
    );
    const bars: Bar[] = [];
    for (const operation of keyOperations.filter(({ name }) => name.includes(options.operation))) {
      const measured = openssl === undefined ? { ...operation, speed: undefined } : operation;
      const contenders = sides.flatMap((side) => contendersOf(measured, side, options));
      const others = watchOthers(pidsOf(sides));
      const results = await inTurn(contenders, options.rounds);
      const all = counts.map((processes) => namesOf(measured, processes));
      printOperation(measured.name, results, { all, options, others: others() });
      if (measured.bar !== undefined) bars.push(...barsOf(measured.bar, results, all));
    }
    if (mixedName.includes(options.operation))
      bars.push(...(await measureMixed(sides.map(mixedOf), options)));
    return bars;
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

/** Each on a copy of one data folder, so that the identity is the same; the keys are each server's own. */
async function startSides({ folder, closers }: Bench): Promise<Side[]> {
  const data = join(folder, 'data');
  const identity = await prepare({ data }, [{ name: 'bench', versions: 1 }]);
  const sides: Side[] = [];
  for (const processes of counts) {
    const copy = { data: `${data}-${processes}` };
    cpSync(data, copy.data, { recursive: true });
    const strongroom = await startStrongroom(`Strongroom × ${processes}`, copy, { workers: processes });
    closers.push(() => stop(strongroom));
    const client = createClient({ port: strongroom.ports[0] ?? 0, ca: strongroom.ca });
    closers.push(async () => client.close());
    const [token = ''] = await tokensFor(client, identity, { count: 1 });
    const requests = await prepareRequests(client, token);
    const paths: BareReplies['paths'][number][] = [];
    for (const { name, primitive } of keyOperations) {
      const request = requestFor(name, requests);
      paths.push([request.head.path, { ...(await askFor(client, request)), work: primitive }]);
    }
    const replies = { paths, other: { headers: [], body: '' } };
    const bare = await startBare(`bare node:https × ${processes}`, folder, { processes, replies });
    closers.push(() => stop(bare));
    sides.push({ processes, strongroom, bare, token, requests });
  }
  return sides;
}

function pidsOf(sides: readonly Side[]): number[] {
  return sides.flatMap(({ strongroom, bare }) => [...strongroom.nodes, ...bare.nodes].map(({ pid }) => pid));
}

function mixedOf(side: Side): MixedServer {
  const slowSigning = templateOf(requestFor(slowestSigning.name, side.requests));
  return { target: side.strongroom, token: side.token, slowSigning };
}

async function stop({ nodes }: Target): Promise<void> {
  await Promise.all(nodes.map((node) => node.stop()));
}

function namesOf({ speed }: Pick<KeyOperation, 'speed'>, processes: number): Names {
  const loop = `loop in Node.js × ${processes}`;
  const openssl = speed && `openssl speed × ${processes}`;
  return {
    processes,
    openssl,
    loop,
    ceiling: openssl ?? loop,
    bare: `in bare node:https × ${processes}`,
    strongroom: `Strongroom × ${processes}`,
  };
}

function contendersOf(operation: KeyOperation, side: Side, options: Options): Contender[] {
  const { primitive, speed } = operation;
  const { processes, strongroom, bare } = side;
  const { connections, seconds } = options;
  const plan = [templateOf(requestFor(operation.name, side.requests))];
  const load = { servername: vaultHost, connections, seconds, plan };
  const names = namesOf(operation, processes);
  const alone = { processes, seconds };
  const contenders: Contender[] = [
    { name: names.loop, measure: () => bareLoop(primitive, alone) },
    { name: names.bare, measure: () => measure(bare, load) },
    { name: names.strongroom, measure: () => measure(strongroom, load) },
  ];
  if (speed !== undefined && names.openssl !== undefined)
    contenders.unshift({ name: names.openssl, measure: () => openssl(speed, alone) });
  return contenders;
}

function requestFor(operation: string, requests: Side['requests']): ReadyRequest {
  const request = requests.get(operation);
  if (request === undefined) throw new TypeError(`the request for '${operation}' was not prepared`);
  return request;
}
