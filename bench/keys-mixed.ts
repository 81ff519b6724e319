/**
 * Whether slow signatures hold up reads. Some connections read a secret from memory and pause after each answer, so that
 * it is latency that is measured and not a queue; in turn with and without others that have more RSA-4096 signatures made
 * than there are cores for. Both are the same processes, in the same round.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { vaultHost } from './client.ts';
import { watchOthers } from './keys-others.ts';
import { percent } from './keys-report.ts';
import { type Load, type Measured, run } from './load.ts';
import type { Options } from './options.ts';
import { getPath, withToken } from './parts.ts';
import { cores, moveLoad } from './processes.ts';
import { type Bar, spread, tableRow } from './report.ts';
import { type Template, template } from './requests.ts';
import type { Target } from './servers.ts';

export interface MixedServer {
  readonly target: Target;
  readonly token: string;
  readonly slowSigning: Template;
}

export const mixedName = 'GET secret while RSA-4096 signs';

const readers = { connections: 4, pause: 2 };
const signers = { connections: 8 * cores };
/** Seconds for which signatures are made before the first reading and after the last. */
const margin = 0.5;
/** A 99th percentile needs some thousand requests, which readers that pause take some time for. */
const leastSeconds = 2;

interface MixedRound {
  readonly alone: Measured;
  readonly beside: Measured;
  readonly signatures: Measured;
}

export async function measureMixed(
  servers: readonly MixedServer[],
  { rounds, seconds }: Pick<Options, 'rounds' | 'seconds'>,
): Promise<Bar[]> {
  const each = Math.max(seconds, leastSeconds);
  const results = servers.map((): MixedRound[] => []);
  const others = watchOthers(servers.flatMap(({ target }) => target.nodes.map(({ pid }) => pid)));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [index, server] of servers.entries()) {
      const measured = await measureRound(server, each);
      if (round > 0) results[index]?.push(measured);
    }
  }
  const { connections, pause } = readers;
  console.log(
    `\n${mixedName} (${signers.connections} connections that sign, ${connections} that read and pause for ${pause} ms, ` +
      `each round ${each} s; ratios to reads alone; others had ${percent(others())} of the processors)`,
  );
  console.log(tableRow(['', 'per s', 'p50 ms', 'ratio', 'p99 ms', 'ratio', 'signatures/s']));
  return servers.map(({ target: { name } }, index) => report(name, results[index] ?? []));
}

async function measureRound(
  { target, token, slowSigning }: MixedServer,
  seconds: number,
): Promise<MixedRound> {
  moveLoad(target.processes);
  const { ports, ca } = target;
  const common = { ports, ca, servername: vaultHost, threads: 1, most: Number.POSITIVE_INFINITY };
  const measured = async (load: Load) => (await run(load, () => undefined)).measured;
  const plan = [template(withToken(token, ['GET', getPath]))];
  const reading: Load = { ...common, ...readers, seconds, plan };
  const signing: Load = { ...common, ...signers, seconds: seconds + 2 * margin, plan: [slowSigning] };
  const alone = await measured(reading);
  const [signatures, beside] = await Promise.all([
    measured(signing),
    sleep(margin * 1000).then(() => measured(reading)),
  ]);
  return { alone, beside, signatures };
}

function report(name: string, rounds: readonly MixedRound[]): Bar {
  const of = (pick: (round: MixedRound) => number) => spread(rounds.map(pick));
  const p50 = of(({ alone, beside }) => beside.p50 / alone.p50);
  const p99 = of(({ alone, beside }) => beside.p99 / alone.p99);
  for (const part of ['alone', 'beside'] as const) {
    const text = (pick: (measured: Measured) => number, digits: number) =>
      of((round) => pick(round[part])).median.toFixed(digits);
    const isBeside = part === 'beside';
    console.log(
      tableRow([
        isBeside ? `${name}, signing` : name,
        text(({ perSecond }) => perSecond, 0),
        text((measured) => measured.p50, 2),
        isBeside ? p50.median.toFixed(2) : '',
        text((measured) => measured.p99, 2),
        isBeside ? p99.median.toFixed(2) : '',
        isBeside ? of(({ signatures }) => signatures.perSecond).median.toFixed(0) : '',
      ]),
    );
  }
  return {
    text: `p99 of GET while RSA-4096 signs, ${name}, to the same without`,
    figure: p99,
    atMost: 5,
    note: `p50 ${p50.median.toFixed(2)} times`,
  };
}
