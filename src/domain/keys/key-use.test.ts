/**
 * Proves that no handle outlives what it was opened for: not a change of its key, not a minute of disuse, not the end
 * of a use whose key is not kept in memory. And that a use goes on when its handle is closed under it.
 */
import { createPublicKey, verify } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type KeyDomain, noChoices, openKeyDomain } from '../../../test/support/key-domain.ts';
import { signatureRow } from '../../../test/support/software-keys.ts';
import { keyActions as actions } from '../../authorization/actions.ts';
import { isFailure } from '../../core/errors.ts';
import type { KeyChoices } from './keys.ts';

const es256 = signatureRow('ES256');
/** SHA-256 of "message". */
const message = Buffer.from('message');
const digest = Buffer.from('ab530a13e45914982b79f9b7e3fba994cfd1f3fb22f71cea1afbf02b460c6d1d', 'hex');

let domain: KeyDomain;
beforeEach(async () => {
  domain = await openKeyDomain();
});
afterEach(() => domain.close());

function create(name: string) {
  const spec = { type: 'EC', curve: 'P-256' } as const;
  return domain.keys.create(domain.grant(actions.create, name), { ...noChoices, spec });
}

async function sign(name: string, version?: string): Promise<void> {
  const input = { version, algorithm: es256, value: digest };
  const { key, result } = await domain.use.sign(domain.grant(actions.sign, name), input);
  const jwk = { kty: 'EC', ...key.detail.jwk } as Record<string, string>;
  const by = { key: createPublicKey({ format: 'jwk', key: jwk }), dsaEncoding: 'ieee-p1363' as const };
  expect(verify('sha256', message, by, result)).toBe(true);
}

function update(name: string, change: Partial<KeyChoices>) {
  const { hsm: _hsm, ...patch } = { ...noChoices, ...change };
  return domain.keys.update(domain.grant(actions.update, name), { ...patch, version: undefined });
}

const rotate = (name: string) => domain.rotation.rotate(domain.grant(actions.rotate, name));
const remove = (name: string) => domain.keys.delete(domain.grant(actions.delete, name));
const recover = (name: string) => domain.keys.recover(domain.grant(actions.recover, name));

describe('a handle', () => {
  test('is opened once for all uses of a version, and closed by any change of the key', async () => {
    const { version } = await create('a');
    await create('b');
    for (const change of [
      () => update('a', { tags: { a: '1' } }),
      () => update('a', { operations: ['sign'] }),
      () => update('a', { enabled: false }),
      () => update('a', { enabled: true }),
      () => rotate('a'),
      () => remove('a'),
      () => recover('a'),
    ]) {
      await sign('b');
      const mayFail = (work: Promise<void>) =>
        work.catch((error: unknown) => {
          if (!isFailure(error, 'keyDisabled') && !isFailure(error, 'keyNotFound')) throw error;
        });
      await Promise.all(Array.from({ length: 8 }, () => mayFail(sign('a'))));
      await mayFail(sign('a', version.version));
      await change();
      // That of the other key.
      expect(domain.openHandles()).toBe(1);
    }
  });

  test('is closed after a minute of disuse', async () => {
    await create('a');
    await sign('a');
    domain.clock.advance(59_000);
    await sign('a');
    expect(domain.openHandles()).toBe(1);
    domain.clock.advance(121_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(domain.openHandles()).toBe(0);
    await sign('a');
  });

  test('of a key that changes while it is read is closed after this use', async () => {
    await create('a');
    for (const change of [
      () => update('a', { tags: { a: '1' } }),
      () => rotate('a'),
      () => update('a', { enabled: false }),
      () => update('a', { enabled: true }),
      () => remove('a'),
    ]) {
      domain.whileReading(change);
      // Decided on what was read, which was so when the request came.
      await sign('a').catch((error: unknown) => {
        if (!isFailure(error, 'keyDisabled')) throw error;
      });
      expect(domain.openHandles()).toBe(0);
    }
    await expect(sign('a')).rejects.toMatchObject({ kind: 'keyNotFound' });
  });

  test('of such a key is closed when the use fails, too', async () => {
    await create('a');
    domain.whileReading(() => update('a', { tags: { a: '1' } }));
    const wrong = { version: undefined, algorithm: es256, value: digest.subarray(1) };
    await expect(domain.use.sign(domain.grant(actions.sign, 'a'), wrong)).rejects.toMatchObject({
      kind: 'badParameter',
    });
    expect(domain.openHandles()).toBe(0);
  });

  test('that is let go while it is used is wiped afterwards, and uses that come too late open another', async () => {
    await create('a');
    const uses = Array.from({ length: 40 }, (_, index) => {
      if (index % 5 === 4) domain.forgetAll();
      return sign('a');
    });
    domain.forgetAll();
    await Promise.all(uses);
    domain.forgetAll();
    expect(domain.openHandles()).toBe(0);
  });
});

type Step = (name: string) => Promise<unknown>;
const steps: readonly Step[] = [
  sign,
  sign,
  (name) => update(name, { tags: { a: '1' } }),
  (name) => update(name, { enabled: false }),
  (name) => update(name, { enabled: true }),
  rotate,
  remove,
  recover,
  async () => domain.forgetAll(),
];

test('whatever happens at once, each use has one of its two outcomes and no handle is left', async () => {
  const step = fc.record({ step: fc.constantFrom(...steps), name: fc.constantFrom('a', 'b', 'c') });
  for (const name of ['a', 'b', 'c']) await create(name);
  const refusals = ['keyDisabled', 'keyNotFound', 'notDeleted', 'deletedButRecoverable'] as const;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 40 }), async (all) => {
      const outcomes = await Promise.allSettled(all.map((each) => each.step(each.name)));
      for (const outcome of outcomes) {
        if (outcome.status === 'fulfilled') continue;
        if (!refusals.some((kind) => isFailure(outcome.reason, kind))) throw outcome.reason;
      }
      for (const name of ['a', 'b', 'c']) {
        await recover(name).catch(() => undefined);
        await update(name, { enabled: true });
      }
      expect(domain.openHandles()).toBe(0);
      await sign('a');
    }),
    { numRuns: 40, seed: 75 },
  );
});
