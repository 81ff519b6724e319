/**
 * A large vault beside a small one: 1,000,000 secrets and one secret of 100,000 versions against 1,000 of each, on a
 * server of its own each, one request under way. Also the memory of a server while everything is listed, and while a
 * secret of many versions is backed up.
 */
import { type Asked, apiVersion, type Client, createClient, tokensFor, vaultHost } from './client.ts';
import { settle } from './entrants.ts';
import { type Content, nameOf, type Place, prepare, secrets, value, versionOf } from './fill.ts';
import { measure } from './measure.ts';
import { stride, withToken } from './parts.ts';
import { residentMb } from './processes.ts';
import { type Bar, type Contender, inTurn, type Result, ratio, spread, tableRow } from './report.ts';
import { type Template, template } from './requests.ts';
import { startStrongroom, type Target } from './servers.ts';

export interface Size {
  readonly name: string;
  readonly secrets: number;
  readonly versions: number;
}

export const small: Size = { name: 'small', secrets: 1_000, versions: 1_000 };

export interface ScaleOptions {
  /** As the tables call it. */
  readonly database: string;
  readonly placeOf: (size: Size) => Promise<Place>;
  readonly databasePid?: number;
  readonly large: Size;
  readonly rounds: number;
}

/** Fills, measures, prints; answers the bars. */
export async function measureScale(options: ScaleOptions): Promise<Bar[]> {
  const { large, database, rounds } = options;
  console.log(`\nFilling on ${database}: ${large.secrets} secrets, and one of ${large.versions} versions`);
  const vaults: Vault[] = [];
  try {
    for (const size of [small, large]) vaults.push(await open(options, size));
    for (const vault of vaults) await watchMemory(vault);
    const contenders = operations.flatMap((operation) =>
      vaults.map((vault) => contenderOf(operation, vault, rounds)),
    );
    const results = await inTurn(contenders, rounds);
    print(options, results);
    return barsOf(database, results);
  } finally {
    for (const { target, client } of vaults) {
      client.close();
      for (const node of target.nodes) await node.stop();
    }
  }
}

interface Vault {
  readonly size: Size;
  readonly target: Target;
  readonly client: Client;
  readonly token: string;
  /** Paths of pages, as the lists themselves name them. */
  readonly pages: { middle: string; last: string; lastVersions: string };
}

const prefix = 'secret';
/** It comes first in lists. */
const many = 'many-versions';
/** The most versions that can be backed up. */
const backedUp: Content = { name: 'backed-up', versions: 500 };
const listPath = `/secrets?${apiVersion}`;
const versionsPath = `/secrets/${many}/versions?${apiVersion}`;

function* contentsOf(size: Size): Generator<Content> {
  yield { name: many, versions: size.versions };
  yield backedUp;
  yield* secrets(prefix, size.secrets);
}

async function open(options: ScaleOptions, size: Size): Promise<Vault> {
  const place = await options.placeOf(size);
  const started = performance.now();
  const identity = await prepare(place, contentsOf(size));
  if (place.databaseUrl !== undefined) await settle(place.databaseUrl);
  console.log(`${size.name}: filled in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  const { databasePid } = options;
  const more = databasePid === undefined ? {} : { databasePid };
  const target = await startStrongroom(size.name, place, { workers: 1, ...more });
  const client = createClient({ port: target.ports[0] ?? 0, ca: target.ca });
  const [token = ''] = await tokensFor(client, identity, { count: 1 });
  return { size, target, client, token, pages: { middle: '', last: '', lastVersions: '' } };
}

/** Goes through both lists, keeping the paths of pages on the way, and backs up; says how the memory grew. */
async function watchMemory(vault: Vault): Promise<void> {
  const { target, pages, size } = vault;
  const memory = sampleMemory(target);
  const atRest = memory.take();
  const listed = await crawl(vault, listPath);
  pages.middle = listed.middle;
  pages.last = listed.last;
  const versions = await crawl(vault, versionsPath);
  if (!listed.isWhole || !versions.isWhole) {
    console.log(`${size.name}: MISS, the lists were too slow to be followed to their ends`);
  }
  pages.lastVersions = versions.last;
  const afterLists = memory.take();
  const path = (name: string) => `/secrets/${name}/backup?${apiVersion}`;
  const backups = 20;
  for (let index = 0; index < backups; index += 1) {
    await send(vault, { method: 'POST', path: path(backedUp.name) });
  }
  const tooMany = size.versions > backedUp.versions;
  const refusal = { method: 'POST', path: path(many) };
  const started = performance.now();
  if (tooMany) await send(vault, refusal, 400);
  const refusedIn = performance.now() - started;
  const afterBackups = memory.take();
  memory.stop();
  console.log(
    `${size.name}: ${listed.items} secrets and ${versions.items} versions listed in ${((listed.ms + versions.ms) / 1000).toFixed(1)} s; ` +
      `resident at rest ${atRest.toFixed(0)} MB, most while listing ${afterLists.toFixed(0)} MB, ` +
      `most during ${backups} backups of ${backedUp.versions} versions ${afterBackups.toFixed(0)} MB` +
      (tooMany ? `; a backup of ${size.versions} versions refused in ${refusedIn.toFixed(0)} ms` : ''),
  );
}

/** Looks at the memory ten times a second. */
function sampleMemory(target: Target) {
  const now = () => residentMb(target.nodes.map(({ pid }) => pid));
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, now());
  }, 100);
  return {
    /** The most since it was last asked. */
    take(): number {
      const taken = Math.max(most, now());
      most = 0;
      return taken;
    },
    stop: () => clearInterval(timer),
  };
}

interface Crawled {
  readonly items: number;
  readonly middle: string;
  readonly last: string;
  readonly ms: number;
  /** Whether it came to the end in time. */
  readonly isWhole: boolean;
}

/** Milliseconds for a whole list: some times what it takes where a page of a large list costs that of a small one. */
const crawlPatience = 300_000;

/** Follows a list to its end, or until the time is up. */
async function crawl(vault: Vault, first: string): Promise<Crawled> {
  const started = performance.now();
  const paths: string[] = [];
  let items = 0;
  let path: string | undefined = first;
  while (path !== undefined && performance.now() - started < crawlPatience) {
    paths.push(path);
    const reply = await send(vault, { method: 'GET', path });
    const page = JSON.parse(reply.body) as { value: unknown[]; nextLink: string | null };
    items += page.value.length;
    path = page.nextLink === null ? undefined : pathOf(page.nextLink);
  }
  const middle = paths[Math.floor(paths.length / 2)] ?? first;
  return {
    items,
    middle,
    last: paths.at(-1) ?? first,
    ms: performance.now() - started,
    isWhole: path === undefined,
  };
}

function pathOf(link: string): string {
  const { pathname, search } = new URL(link);
  return pathname + search;
}

function send({ client, token }: Vault, asked: Pick<Asked, 'method' | 'path'>, expected?: number) {
  const headers = { Authorization: `Bearer ${token}` };
  return client.ask({ host: vaultHost, headers, ...asked }, expected);
}

interface Operation {
  readonly name: string;
  readonly isBarred?: boolean;
  /** `turn` picks what has not been touched before. */
  template(vault: Vault, turn: (count: number) => readonly number[]): Template;
}

const body = JSON.stringify({ value });

/** Picks, for each round, others than before among `count`; the small vault has to have enough for all rounds. */
function turnOf(rounds: number, round: number) {
  return (count: number): number[] => {
    const size = Math.floor(small.secrets / (rounds + 1));
    return Array.from({ length: size }, (_, index) => ((round * size + index) * stride) % count);
  };
}

const operations: readonly Operation[] = [
  {
    name: 'get, uncached',
    isBarred: true,
    template: (vault, turn) => named(vault, ['GET', `/secrets/{}?${apiVersion}`], turn),
  },
  {
    name: 'get, cached',
    isBarred: true,
    template: ({ token }) =>
      template(withToken(token, ['GET', `/secrets/${nameOf(prefix, 0)}?${apiVersion}`])),
  },
  {
    name: 'get by version, uncached',
    isBarred: true,
    template: ({ token, size }, turn) => {
      const fills = turn(size.versions).map((index) => versionOf(many, index));
      return template(withToken(token, ['GET', `/secrets/${many}/{}?${apiVersion}`]), { fills });
    },
  },
  page('list, first page', () => listPath),
  page('list, middle page', ({ pages }) => pages.middle),
  page('list, last page', ({ pages }) => pages.last),
  page('versions, first page', () => versionsPath),
  page('versions, last page', ({ pages }) => pages.lastVersions),
  {
    name: 'set',
    template: (vault, turn) => named(vault, ['PUT', `/secrets/{}?${apiVersion}`], turn, body),
  },
  {
    name: 'set, one more of many versions',
    template: ({ token }) => template(withToken(token, ['PUT', `/secrets/${many}?${apiVersion}`]), { body }),
  },
  {
    name: 'delete',
    template: (vault, turn) => named(vault, ['DELETE', `/secrets/{}?${apiVersion}`], turn),
  },
  {
    name: 'recover',
    template: (vault, turn) => named(vault, ['POST', `/deletedsecrets/{}/recover?${apiVersion}`], turn),
  },
];

function page(name: string, path: (vault: Vault) => string): Operation {
  const isBarred = name.startsWith('list');
  return { name, isBarred, template: (vault) => template(withToken(vault.token, ['GET', path(vault)])) };
}

function named(
  { token, size }: Vault,
  line: readonly [string, string],
  turn: (count: number) => readonly number[],
  ...[text]: readonly string[]
): Template {
  const fills = turn(size.secrets).map((index) => nameOf(prefix, index));
  return template(withToken(token, line), { fills, ...(text === undefined ? {} : { body: text }) });
}

function contenderOf(operation: Operation, vault: Vault, rounds: number): Contender {
  return {
    name: `${operation.name} ${vault.size.name}`,
    measure: (round) =>
      measure(vault.target, {
        servername: vaultHost,
        connections: 1,
        seconds: 60,
        most: Math.floor(small.secrets / (rounds + 1)),
        plan: [operation.template(vault, turnOf(rounds, round))],
      }),
  };
}

function print({ database, large }: ScaleOptions, results: readonly Result[]): void {
  console.log(
    `\nLarge (${large.secrets} secrets, one of ${large.versions} versions) beside small (${small.secrets}, ${small.versions}), ${database}`,
  );
  const heads = ['p50 small', 'p50 large', 'ratio', 'cpu small', 'cpu large', 'ratio', 'db cpu'];
  console.log(tableRow(['', ...heads]));
  for (const { name } of operations) {
    const of = (size: string, pick: (sample: Result['samples'][number]) => number | undefined) => {
      const { samples } = results.find((result) => result.name === `${name} ${size}`) ?? { samples: [] };
      return spread(samples.map((sample) => pick(sample) ?? Number.NaN)).median;
    };
    const pair = [`${name} large`, `${name} small`] as const;
    const databaseCpu =
      of('large', (sample) => sample.databaseCpu) / of('small', (sample) => sample.databaseCpu);
    const cells = [
      of('small', (sample) => sample.p50).toFixed(2),
      of('large', (sample) => sample.p50).toFixed(2),
      ratio(results, pair, (sample) => sample.p50)?.median.toFixed(2) ?? '',
      of('small', (sample) => sample.cpu).toFixed(0),
      of('large', (sample) => sample.cpu).toFixed(0),
      ratio(results, pair, (sample) => sample.cpu ?? 0)?.median.toFixed(2) ?? '',
      Number.isNaN(databaseCpu) ? '' : databaseCpu.toFixed(2),
    ];
    console.log(tableRow([name, ...cells]));
  }
}

function barsOf(database: string, results: readonly Result[]): Bar[] {
  return operations
    .filter(({ isBarred }) => isBarred === true)
    .map(({ name }) => ({
      text: `${name}, ${database}, large to small, p50`,
      figure: ratio(results, [`${name} large`, `${name} small`], (sample) => sample.p50),
      atMost: 1.2,
    }));
}
