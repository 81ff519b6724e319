/**
 * Whether the time of an RSA decryption tells why a ciphertext was refused. Every kind of ciphertext in turn, in random
 * order, through the engine that the software keys use; for each its median, and Welch's t against all other refusals
 * together. A t beyond ±4.5 in run after run would be a leak; noise stays well below. `success` is shown for comparison
 * alone: that a ciphertext was refused is what the API answers.
 */
import { generateKeyPairSync, randomBytes, randomInt } from 'node:crypto';
import { silentLog } from '../src/core/log.ts';
import { findEncryptionAlgorithm } from '../src/crypto/algorithms.ts';
import { type AsymmetricKey, createAsymmetricEngine } from '../src/crypto/software/asymmetric.ts';
import { badCiphertexts, type Ciphertext, encrypt, type Padding } from '../test/support/rsa-ciphertexts.ts';
import { spread, tableRow } from './report.ts';

const algorithms: Readonly<Record<string, Padding>> = {
  RSA1_5: { scheme: 'rsa1_5' },
  'RSA-OAEP': { scheme: 'rsa-oaep', hash: 'sha1' },
  'RSA-OAEP-256': { scheme: 'rsa-oaep', hash: 'sha256' },
};
const success = 'success';
const secondsEach = 6;
const warmUpRounds = 20;
/** What the machine did meanwhile is in the slowest; the bound is one for all kinds. */
const keptShare = 0.9;
/** Ciphertexts of each kind, so that no kind stands for one number. */
const variants = 32;

interface Timed {
  readonly kind: string;
  /** Microseconds. */
  readonly times: number[];
}

async function main(): Promise<void> {
  const engine = createAsymmetricEngine({ log: silentLog });
  if (engine.kind !== 'openssl')
    throw new Error('OpenSSL cannot be called here: there is nothing to measure');
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = engine.load(privateKey.export({ format: 'der', type: 'pkcs8' }));
  for (const [name, padding] of Object.entries(algorithms)) {
    const supply = Array.from({ length: variants }, () => [
      { kind: success, ciphertext: encrypt(publicKey, padding, randomBytes(32)) },
      ...badCiphertexts(publicKey, padding),
    ]);
    printTable(name, await measure({ key, name, supply }));
  }
  key.close();
}

interface Run {
  readonly key: AsymmetricKey;
  readonly name: string;
  readonly supply: readonly (readonly Ciphertext[])[];
}

async function measure({ key, name, supply }: Run): Promise<readonly Timed[]> {
  const algorithm = findEncryptionAlgorithm(name);
  if (algorithm === undefined) throw new Error(`${name} is not in the table`);
  const results = new Map<string, number[]>(supply[0]?.map(({ kind }) => [kind, []]));
  const end = performance.now() + 1000 * secondsEach;
  for (let round = 0; performance.now() < end; round += 1) {
    for (const { kind, ciphertext } of shuffled(supply[round % variants] ?? [])) {
      const start = performance.now();
      const outcome = await key.decrypt(algorithm, ciphertext).then(
        () => true,
        () => false,
      );
      const time = performance.now() - start;
      if (outcome !== (kind === success)) throw new Error(`${name}: '${kind}' had the wrong outcome`);
      if (round >= warmUpRounds) results.get(kind)?.push(1000 * time);
    }
  }
  return [...results].map(([kind, times]) => ({ kind, times }));
}

function shuffled<T>(values: readonly T[]): T[] {
  const left = [...values];
  return values.flatMap(() => left.splice(randomInt(left.length), 1));
}

function printTable(name: string, results: readonly Timed[]): void {
  const all = results.flatMap(({ times }) => times).sort((a, b) => a - b);
  const bound = all[Math.floor(keptShare * all.length)] ?? Number.POSITIVE_INFINITY;
  const kept = results.map(({ kind, times }) => ({ kind, times: times.filter((time) => time <= bound) }));
  const refusals = kept.filter(({ kind }) => kind !== success);
  console.log(`\n${name}, RSA-2048, times in µs`);
  console.log(tableRow(['', 'count', 'median', 'mean', 't']));
  for (const { kind, times } of kept) {
    const others = refusals.filter((other) => other.kind !== kind).flatMap((other) => other.times);
    const figures = [spread(times).median, moments(times).mean].map((figure) => figure.toFixed(1));
    console.log(tableRow([kind, String(times.length), ...figures, welch(times, others).toFixed(1)]));
  }
}

function moments(values: readonly number[]): { mean: number; variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, variance: squares / (values.length - 1) };
}

/** Welch's t of two samples of unequal sizes and variances. */
function welch(one: readonly number[], other: readonly number[]): number {
  const [a, b] = [moments(one), moments(other)];
  return (a.mean - b.mean) / Math.sqrt(a.variance / one.length + b.variance / other.length);
}

await main();
