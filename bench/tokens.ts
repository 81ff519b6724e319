/**
 * What tokens cost, one process each, in turn: `node bench/tokens.ts [rounds] [seconds]`. Issuing, beside a bare server
 * that signs such a token and answers the same bytes; and a secret read with a token that was not seen before, beside one
 * with a token that is remembered, and beside a bare server that verifies such a token.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createClient,
  type Identity,
  loginHost,
  type Reply,
  tokenRequest,
  tokensFor,
  vaultHost,
} from './client.ts';
import { prepare } from './fill.ts';
import { measure, type Round } from './measure.ts';
import { getPath, withToken } from './parts.ts';
import { type Contender, inTurn, printTable } from './report.ts';
import { type Plan, template } from './requests.ts';
import { startBare, startStrongroom, type Target } from './servers.ts';
import type { TokenWork } from './tokens-work.ts';

const [rounds = 5, seconds = 2] = process.argv.slice(2).map(Number);
const connections = 64;
/** A process that has not seen the client secret yet refuses many first sign-ins at the same time. */
const signIns = 16;
/** Of a round, each sent once. */
const freshTokens = 4000;

const login = { servername: loginHost, connections: signIns, seconds };
const vault = { servername: vaultHost, connections, seconds };

async function main(folder: string): Promise<void> {
  const data = join(folder, 'data');
  const identity = await prepare({ data }, [{ name: 'bench', versions: 1 }]);
  const targets: Target[] = [];
  try {
    const server = await startStrongroom('Strongroom', { data }, { workers: 1 });
    targets.push(server);
    const { tokens, issued, read } = await lookAt(server, identity);
    const bare = async (name: string, work?: TokenWork) => {
      const at = work === undefined ? {} : { work };
      const paths = [
        [tokenRequest(identity).path, { ...issued, ...at }],
        [getPath, { ...read, ...at }],
      ] as const;
      const under = mkdtempSync(join(folder, 'bare-'));
      const target = await startBare(name, under, { processes: 1, replies: { other: read, paths } });
      targets.push(target);
      return target;
    };
    const signs = await bare('bare, signs a token', 'sign a JWT');
    const verifies = await bare('bare, verifies a token', 'verify a JWT');
    const answers = await bare('bare, only answers');
    const all = { identity, tokens, server, signs, verifies, answers };
    printTable('Token, issued (16 connections)', await inTurn(issuing(all), rounds));
    printTable('GET secret, cached (64 connections)', await inTurn(validating(all), rounds));
    console.log(`\nload average ${loadavg()[0]?.toFixed(1)}`);
  } finally {
    await Promise.all(targets.flatMap(({ nodes }) => nodes.map((node) => node.stop())));
  }
}

interface All {
  readonly identity: Identity;
  readonly tokens: readonly string[];
  readonly server: Target;
  readonly signs: Target;
  readonly verifies: Target;
  readonly answers: Target;
}

/** What the server answers, and tokens enough for all rounds. */
async function lookAt(server: Target, identity: Identity) {
  const client = createClient({ port: server.ports[0] ?? 0, ca: server.ca });
  const { path, type, body } = tokenRequest(identity);
  const ask = { host: loginHost, method: 'POST', path, headers: { 'Content-Type': type }, body };
  const issued: Reply = await client.ask(ask);
  const tokens = await tokensFor(client, identity, { count: 1 + freshTokens * (rounds + 1) });
  const headers = { Authorization: `Bearer ${tokens[0]}` };
  const read: Reply = await client.ask({ host: vaultHost, method: 'GET', path: getPath, headers });
  client.close();
  return { tokens, issued, read };
}

function issuing({ identity, server, signs, answers }: All): Contender[] {
  const { path, type, body } = tokenRequest(identity);
  const head = { host: loginHost, method: 'POST', path, headers: [`Content-Type: ${type}`] };
  const plan = [template(head, { body })];
  const of = (target: Target) => contender(target.name, target, () => ({ ...login, plan }));
  return [of(answers), of(signs), { ...of(server), reference: signs.name }];
}

function validating({ tokens, server, verifies, answers }: All): Contender[] {
  const [token = '', ...fresh] = tokens;
  const known: Plan = [template(withToken(token, ['GET', getPath]))];
  const remembered = 'Strongroom, token remembered';
  const again = (name: string, target: Target) => contender(name, target, () => ({ ...vault, plan: known }));
  const first = (round: number): Round => {
    const fills = fresh.slice(round * freshTokens, (round + 1) * freshTokens);
    const plan = [template(withToken('{}', ['GET', getPath]), { fills })];
    return { ...vault, most: fills.length, plan };
  };
  const name = 'Strongroom, token not seen before';
  return [
    again(answers.name, answers),
    again(verifies.name, verifies),
    { ...again(remembered, server), reference: answers.name },
    { ...contender(name, server, first), reference: verifies.name },
  ];
}

function contender(name: string, target: Target, roundOf: (round: number) => Round): Contender {
  return { name, measure: (round) => measure(target, roundOf(round)) };
}

const folder = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
await main(folder);
