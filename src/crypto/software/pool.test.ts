/** Proves what goes into which lane, so that nothing short waits for a new RSA key. */
import { expect, test } from 'vitest';
import { readVectors } from '../../../test/support/software-keys.ts';
import type { KeySpec, PrivateJwk } from '../provider.ts';
import { systemRandom as random } from '../random.ts';
import { generateKey } from './generate.ts';
import { importJwk } from './jwk-import.ts';
import { createPoolLanes, type PoolLanes } from './pool.ts';

function watchedLanes() {
  const used: string[] = [];
  const pool: PoolLanes = {
    short: (run) => {
      used.push('short');
      return run();
    },
    long: (run) => {
      used.push('long');
      return run();
    },
  };
  return { used, pool };
}

test.each<[string, KeySpec]>([
  ['long', { type: 'RSA', bits: 2048, exponent: 65_537 }],
  ['short', { type: 'EC', curve: 'P-521' }],
  ['short', { type: 'AKP', parameterSet: 'ML-DSA-87' }],
])('%s: a new pair, $type', async (lane, spec) => {
  const { used, pool } = watchedLanes();
  await generateKey({ random, pool }, spec);
  expect(used).toEqual([lane]);
});

test('the primes of an RSA key that comes in are tested in the long lane', async () => {
  const { rsaSignature } = readVectors<{ keys: { rsaSignature: PrivateJwk } }>('rfc7520.json').keys;
  const { used, pool } = watchedLanes();
  await importJwk(pool, rsaSignature);
  expect(used).toEqual(['long', 'short']);
});

test('a long call leaves the short lane free', async () => {
  const pool = createPoolLanes();
  let end: () => void = () => undefined;
  const long = Promise.all(
    Array.from({ length: 10 }, (_, index) =>
      pool.long(() => (index > 0 ? Promise.resolve() : new Promise<void>((resolve) => (end = resolve)))),
    ),
  );
  await expect(pool.short(async () => 'done')).resolves.toBe('done');
  end();
  await long;
});
