import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  digestFor,
  ecPair,
  ecRows,
  engines,
  fallback,
  generate,
  nodeVerifies,
  openssl,
  pairOf,
  row,
  rsaPair,
  rsaRows,
  withKey,
} from '../../../test/support/asymmetric-keys.ts';
import { encrypt } from '../../../test/support/rsa-ciphertexts.ts';
import { silentLog } from '../../core/log.ts';
import { findEncryptionAlgorithm } from '../algorithms.ts';
import { KeyHandleClosed, NotDecrypted } from '../provider.ts';
import { createAsymmetricEngine } from './asymmetric.ts';

const rsa = {
  1025: await rsaPair(1025),
  1031: await rsaPair(1031),
  2048: await rsaPair(2048),
  3072: await rsaPair(3072),
  4096: await rsaPair(4096),
};
const others = {
  Ed25519: pairOf(await generate('ed25519')),
  X25519: pairOf(await generate('x25519')),
  'ML-DSA': pairOf(await generate('ml-dsa-44')),
  'RSA that is only for PSS': pairOf(await generate('rsa-pss', { modulusLength: 1024 })),
  'a curve that is not served': pairOf(await generate('ec', { namedCurve: 'brainpoolP256r1' })),
};
const oaep256 = { scheme: 'rsa-oaep', hash: 'sha256' } as const;

describe.each(engines)('signatures of %s', (_, engine, other) => {
  const message = Buffer.from('what is signed');

  describe.each([
    ['2048 bits', rsa[2048]],
    ['3072 bits', rsa[3072]],
    ['4096 bits', rsa[4096]],
    ['1025 bits, whose encodings are a byte shorter', rsa[1025]],
    ['1031 bits, not a whole number of bytes', rsa[1031]],
  ])('by RSA of %s', (__, pair) => {
    const bits = pair.publicKey.asymmetricKeyDetails?.modulusLength ?? 0;
    // PSS needs room for two hashes.
    const rows = rsaRows.filter(
      ({ scheme, hash }) => bits >= 2048 || !(scheme === 'pss' && hash === 'sha512'),
    );
    test.each(rows)('$name are taken by the other and by node:crypto', async (algorithm) => {
      const digest = digestFor(algorithm, message);
      const signature = await withKey(engine, pair, (key) => key.sign(algorithm, digest));
      expect(signature).toHaveLength(Math.ceil(bits / 8));
      expect(await withKey(other, pair, (key) => key.verify(algorithm, digest, signature))).toBe(true);
      expect(await withKey(engine, pair, (key) => key.verify(algorithm, digest, signature))).toBe(true);
      expect(nodeVerifies(algorithm, pair, [message, signature])).toBe(true);
    });
  });

  test.each(ecRows)('by $name are taken by the other and by node:crypto', async (algorithm) => {
    const pair = await ecPair(algorithm);
    const digest = digestFor(algorithm, message);
    const signature = await withKey(engine, pair, (key) => key.sign(algorithm, digest));
    expect(signature).toHaveLength({ 'P-521': 132, 'P-384': 96 }[algorithm.only as string] ?? 64);
    expect(await withKey(other, pair, (key) => key.verify(algorithm, digest, signature))).toBe(true);
    expect(await withKey(engine, pair, (key) => key.verify(algorithm, digest, signature))).toBe(true);
    expect(nodeVerifies(algorithm, pair, [message, signature])).toBe(true);
  });

  test('PSS is salted anew', async () => {
    const digest = digestFor(row('PS256'), message);
    const sign = () => withKey(engine, rsa[2048], (key) => key.sign(row('PS256'), digest));
    expect(await sign()).not.toEqual(await sign());
  });

  test.each([...rsaRows.slice(0, 1), ...rsaRows.slice(3, 4), ...ecRows])(
    'are false for whatever else is taken for one: $name',
    async (algorithm) => {
      const pair = algorithm.keyType === 'RSA' ? rsa[2048] : await ecPair(algorithm);
      const digest = digestFor(algorithm, message);
      await withKey(engine, pair, async (key) => {
        const good = Buffer.from(await key.sign(algorithm, digest));
        const verifies = (signature: Uint8Array) => key.verify(algorithm, digest, signature);
        const half = good.length / 2;
        for (const wrong of [
          Buffer.alloc(0),
          Buffer.alloc(1),
          good.subarray(1),
          good.subarray(0, -1),
          Buffer.concat([good, Buffer.of(0)]),
          Buffer.concat([Buffer.of(0), good]),
          Buffer.alloc(good.length),
          Buffer.alloc(good.length, 0xff),
          Buffer.concat([Buffer.alloc(half), good.subarray(half)]),
          Buffer.concat([good.subarray(0, half), Buffer.alloc(half)]),
          Buffer.concat([good.subarray(half), good.subarray(0, half)]),
          Buffer.alloc(100_000, 1),
          Buffer.concat([good.subarray(0, -1), Buffer.of((good.at(-1) ?? 0) ^ 1)]),
        ]) {
          expect(await verifies(wrong)).toBe(false);
        }
        expect(await key.verify(algorithm, digestFor(algorithm, randomBytes(8)), good)).toBe(false);
        expect(await verifies(good)).toBe(true);
      });
    },
  );

  test('are false for RSA with another padding or hash', async () => {
    await withKey(engine, rsa[2048], async (key) => {
      const digest = digestFor(row('RS256'), message);
      expect(await key.verify(row('PS256'), digest, await key.sign(row('RS256'), digest))).toBe(false);
      expect(await key.verify(row('RS256'), digest, await key.sign(row('PS256'), digest))).toBe(false);
      const long = digestFor(row('RS512'), message);
      expect(await key.verify(row('RS384'), long.subarray(0, 48), await key.sign(row('RS512'), long))).toBe(
        false,
      );
    });
  });

  test('need the algorithm of the key and a digest of its length', async () => {
    const ec = await ecPair(row('ES256'));
    const digest = digestFor(row('RS256'), message);
    await withKey(engine, rsa[2048], async (key) => {
      for (const algorithm of [row('ES256'), row('HS256'), row('ML-DSA-65')]) {
        await expect(key.sign(algorithm, digest)).rejects.toThrow(TypeError);
        await expect(key.verify(algorithm, digest, digest)).rejects.toThrow(TypeError);
      }
      for (const value of [Buffer.alloc(0), digest.subarray(1), Buffer.alloc(33), Buffer.alloc(64)]) {
        await expect(key.sign(row('RS256'), value)).rejects.toThrow(TypeError);
        await expect(key.sign(row('PS256'), value)).rejects.toThrow(TypeError);
        await expect(key.verify(row('RS256'), value, Buffer.alloc(256))).rejects.toThrow(TypeError);
      }
    });
    await withKey(engine, ec, async (key) => {
      for (const algorithm of [row('ES256K'), row('ES384'), row('ES512'), row('RS256'), row('HS256')]) {
        const value = Buffer.alloc(algorithm.digestBytes ?? 32);
        await expect(key.sign(algorithm, value)).rejects.toThrow(TypeError);
        await expect(key.verify(algorithm, value, Buffer.alloc(64))).rejects.toThrow(TypeError);
      }
      for (const value of [Buffer.alloc(0), digest.subarray(1), Buffer.alloc(64)])
        await expect(key.sign(row('ES256'), value)).rejects.toThrow(TypeError);
      await expect(key.decrypt(oaep256, digest)).rejects.toThrow(TypeError);
    });
  });
});

test('both agree about whatever is given as a signature', async () => {
  const algorithms = [row('RS256'), row('PS384'), row('ES256'), row('ES256K')];
  const keys = await Promise.all(
    algorithms.map(async (algorithm) => {
      const { pkcs8 } = algorithm.keyType === 'RSA' ? rsa[2048] : await ecPair(algorithm);
      const [one, two] = [openssl.load(pkcs8), fallback.load(pkcs8)];
      const digest = randomBytes(algorithm.digestBytes ?? 0);
      return { algorithm, one, two, digest, good: await one.sign(algorithm, digest) };
    }),
  );
  const change = fc.record({ at: fc.nat(255), by: fc.integer({ min: 0, max: 255 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...keys),
      change,
      async ({ algorithm, one, two, digest, good }, { at, by }) => {
        const signature = good.map((octet, index) => (index === at % good.length ? octet ^ by : octet));
        const verdict = await one.verify(algorithm, digest, signature);
        expect(verdict).toBe(by === 0);
        expect(await two.verify(algorithm, digest, signature)).toBe(verdict);
      },
    ),
    { numRuns: 60 },
  );
  for (const { one, two } of keys) for (const key of [one, two]) key.close();
});

describe.each(engines)('a key of %s', (_, engine) => {
  test.each<readonly [string, Uint8Array]>([
    ['nothing', Buffer.alloc(0)],
    ['noise', randomBytes(64)],
    ...Object.entries(others).map(([name, { pkcs8 }]) => [name, pkcs8] as const),
  ])('is not read from %s', (__, bytes) => {
    expect(() => engine.load(bytes)).toThrow();
  });

  test('does nothing any more once it is closed', async () => {
    const key = engine.load(rsa[2048].pkcs8);
    key.close();
    key.close();
    const digest = randomBytes(32);
    await expect(key.sign(row('RS256'), digest)).rejects.toThrow(KeyHandleClosed);
    await expect(key.verify(row('RS256'), digest, digest)).rejects.toThrow(KeyHandleClosed);
    await expect(key.decrypt(oaep256, digest)).rejects.toThrow(KeyHandleClosed);
  });

  test('does what was asked of it before it was closed', async () => {
    const key = engine.load(rsa[2048].pkcs8);
    const message = Buffer.from('in flight');
    const digest = digestFor(row('PS256'), message);
    const ciphertext = encrypt(rsa[2048].publicKey, oaep256, message);
    const signing = Array.from({ length: 10 }, () => key.sign(row('PS256'), digest));
    const opening = Array.from({ length: 10 }, () => key.decrypt(oaep256, ciphertext));
    const late = expect(signing[0]?.then(() => key.sign(row('PS256'), digest))).rejects.toThrow(
      KeyHandleClosed,
    );
    key.close();
    for (const signature of await Promise.all(signing))
      expect(nodeVerifies(row('PS256'), rsa[2048], [message, signature])).toBe(true);
    for (const opened of await Promise.all(opening)) expect(Buffer.from(opened)).toEqual(message);
    await late;
  });
});

test('200 calls on several keys at once all end as they should', async () => {
  const ec = await ecPair(row('ES384'));
  const rsa15 = findEncryptionAlgorithm('RSA1_5');
  if (rsa15?.scheme !== 'rsa1_5') throw new Error('no RSA1_5');
  const padding = { scheme: rsa15.scheme };
  const keys = { rsa: openssl.load(rsa[2048].pkcs8), ec: openssl.load(ec.pkcs8) };
  const calls = Array.from({ length: 200 }, async (_, index) => {
    const message = Buffer.from(`message ${index}`);
    switch (index % 4) {
      case 0: {
        const signature = await keys.rsa.sign(row('PS512'), digestFor(row('PS512'), message));
        return nodeVerifies(row('PS512'), rsa[2048], [message, signature]);
      }
      case 1: {
        const signature = await keys.ec.sign(row('ES384'), digestFor(row('ES384'), message));
        return keys.ec.verify(row('ES384'), digestFor(row('ES384'), message), signature);
      }
      case 2: {
        const opened = await keys.rsa.decrypt(rsa15, encrypt(rsa[2048].publicKey, padding, message));
        return Buffer.from(opened).equals(message);
      }
      default:
        return keys.rsa.decrypt(rsa15, Buffer.alloc(256)).then(
          () => false,
          (error: unknown) => error instanceof NotDecrypted,
        );
    }
  });
  expect((await Promise.all(calls)).every((isRight) => isRight)).toBe(true);
  keys.rsa.close();
  keys.ec.close();
});

test('slow signatures leave the event loop free, and cheap ones do not queue behind them', async () => {
  const slow = openssl.load(rsa[4096].pkcs8);
  const quick = openssl.load((await ecPair(row('ES256'))).pkcs8);
  const digest = randomBytes(32);
  const ended: string[] = [];
  const signatures = Array.from({ length: 12 }, () =>
    slow.sign(row('RS256'), digest).then(() => ended.push('slow')),
  );
  const cheap = quick.sign(row('ES256'), digest).then(() => ended.push('cheap'));
  await cheap;
  // The event loop has not turned: what was done on it would have ended by now, and first.
  expect(ended).toEqual(['cheap']);
  await Promise.all(signatures);
  expect(ended).toHaveLength(13);
  slow.close();
  quick.close();
});

test('calls take the pool only when it is their turn', async () => {
  const waiting: (() => void)[] = [];
  const engine = createAsymmetricEngine({
    log: silentLog,
    turns: async (run) => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      return run();
    },
  });
  const key = engine.load(rsa[2048].pkcs8);
  const digest = randomBytes(32);
  let ended = 0;
  const calls = [
    key.sign(row('RS256'), digest),
    key.decrypt(oaep256, encrypt(rsa[2048].publicKey, oaep256, digest)),
  ];
  for (const call of calls) call.finally(() => (ended += 1));
  expect(await key.verify(row('RS256'), digest, Buffer.alloc(256))).toBe(false);
  // Time enough for both, several times over, on the thread that they would have had.
  await withKey(openssl, rsa[2048], async (other) => {
    for (let round = 0; round < 20; round += 1) await other.sign(row('RS256'), digest);
  });
  expect(ended).toBe(0);
  expect(waiting).toHaveLength(2);
  key.close();
  for (const start of waiting) start();
  expect(await Promise.all(calls)).toHaveLength(2);
});
