/** Proves that a handle outlives nothing: closed, it refuses everything, lets end what is under way and wipes its key. */
import { hash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  encryptionRow,
  materialOf,
  noParameters,
  signatureRow,
  testProvider,
} from '../../../test/support/software-keys.ts';
import { silentLog } from '../../core/log.ts';
import { KeyHandleClosed, type KeyProvider, type KeySpec, type NewKey, NotDecrypted } from '../provider.ts';
import { systemRandom as random } from '../random.ts';
import type { AsymmetricEngine, AsymmetricKey } from './asymmetric.ts';
import { createSoftwareProvider } from './provider.ts';

const specs: Readonly<Record<string, KeySpec>> = {
  'RSA-2048': { type: 'RSA', bits: 2048, exponent: 65_537 },
  'RSA-4096': { type: 'RSA', bits: 4096, exponent: 65_537 },
  'P-256': { type: 'EC', curve: 'P-256' },
  'P-521': { type: 'EC', curve: 'P-521' },
  'oct-256': { type: 'oct', bits: 256 },
  'ML-DSA-44': { type: 'AKP', parameterSet: 'ML-DSA-44' },
  'ML-DSA-87': { type: 'AKP', parameterSet: 'ML-DSA-87' },
};

let provider: KeyProvider;
const keys = new Map<string, NewKey>();

beforeAll(async () => {
  provider = testProvider();
  for (const [name, spec] of Object.entries(specs)) keys.set(name, await provider.generate(spec));
});

afterAll(() => provider.close());

function made(name: string): NewKey {
  const found = keys.get(name);
  if (found === undefined) throw new Error(`no key ${name}`);
  return found;
}

function digestOf(algorithm: string): Uint8Array {
  return hash(signatureRow(algorithm).hash ?? 'sha256', 'm', 'buffer');
}

describe('a closed handle', () => {
  test.each(['RSA-2048', 'P-256', 'oct-256', 'ML-DSA-44'])(
    'of %s refuses everything, and closing twice is no harm',
    async (name) => {
      const handle = await provider.open(made(name));
      handle.close();
      handle.close();
      const sign = signatureRow('RS256');
      const wrap = encryptionRow('RSA-OAEP');
      const transport = { name: 'CKM_RSA_AES_KEY_WRAP', oaepHash: 'sha1' } as const;
      const some = new Uint8Array(32);
      for (const run of [
        handle.sign(sign, some),
        handle.verify(sign, some, some),
        handle.encrypt(wrap, { plaintext: some, iv: undefined, aad: undefined }),
        handle.decrypt(wrap, { ...noParameters, ciphertext: some }),
        handle.exportWrapped(transport, made('RSA-2048').publicJwk),
        handle.importWrapped(transport, { wrapped: some, isOctets: true }),
      ])
        await expect(run).rejects.toBeInstanceOf(KeyHandleClosed);
    },
  );

  test('lets end what is under way', async () => {
    for (const [algorithm, name] of [
      ['PS512', 'RSA-4096'],
      ['ES512', 'P-521'],
      ['ML-DSA-87', 'ML-DSA-87'],
    ] as const) {
      const handle = await provider.open(made(name));
      const value = digestOf(algorithm);
      const running = Array.from({ length: 8 }, () => handle.sign(signatureRow(algorithm), value));
      handle.close();
      await expect(handle.sign(signatureRow(algorithm), value)).rejects.toThrow(KeyHandleClosed);
      const verifier = await provider.open(made(name));
      for (const signature of await Promise.all(running))
        await expect(verifier.verify(signatureRow(algorithm), value, signature)).resolves.toBe(true);
      verifier.close();
    }
  });

  test('leaves the material of the caller as it was', async () => {
    const key = made('P-256');
    const before = materialOf(key);
    const handle = await provider.open(key);
    await handle.sign(signatureRow('ES256'), new Uint8Array(32));
    handle.close();
    expect(materialOf(key).equals(before)).toBe(true);
  });

  test('is not touched by what the caller does to the material', async () => {
    const key = await provider.generate({ type: 'oct', bits: 256 });
    const handle = await provider.open(key);
    const mac = await handle.sign(signatureRow('HS256'), Buffer.from('m'));
    key.material.wipe();
    expect(await handle.sign(signatureRow('HS256'), Buffer.from('m'))).toEqual(mac);
    handle.close();
  });
});

describe('memory', () => {
  /** An engine that shows the octets which it was given, and signs when it is told to. */
  function watchedEngine() {
    const loaded: Uint8Array[] = [];
    const waiting: (() => void)[] = [];
    const events: string[] = [];
    const key: AsymmetricKey = {
      sign: () =>
        new Promise((resolve) => {
          waiting.push(() => resolve(new Uint8Array(1)));
        }),
      verify: async () => Promise.reject(new Error('broken')),
      decrypt: async () => Promise.reject(new NotDecrypted()),
      close: () => events.push('closed'),
    };
    const engine: AsymmetricEngine = {
      kind: 'fallback',
      load: (pkcs8) => {
        loaded.push(pkcs8);
        return key;
      },
    };
    return { engine, loaded, events, endOne: () => waiting.shift()?.() };
  }

  const isWiped = (bytes: Uint8Array | undefined) => bytes?.every((byte) => byte === 0);

  test('is parsed once, when first needed, and wiped when the last use has ended', async () => {
    const { engine, loaded, events, endOne } = watchedEngine();
    const handle = await createSoftwareProvider({ log: silentLog, random, engine }).open(made('P-256'));
    expect(loaded).toHaveLength(0);
    const row = signatureRow('ES256');
    const running = [handle.sign(row, new Uint8Array(32)), handle.sign(row, new Uint8Array(32))];
    expect(loaded).toHaveLength(1);
    expect(Buffer.from(loaded[0] ?? []).equals(materialOf(made('P-256')))).toBe(true);
    handle.close();
    expect([isWiped(loaded[0]), events]).toEqual([false, []]);
    endOne();
    await running[0];
    expect([isWiped(loaded[0]), events]).toEqual([false, []]);
    endOne();
    await running[1];
    expect([isWiped(loaded[0]), events]).toEqual([true, ['closed']]);
  });

  test('is wiped also after a use that failed', async () => {
    const { engine, loaded, events } = watchedEngine();
    const handle = await createSoftwareProvider({ log: silentLog, random, engine }).open(made('P-256'));
    const failing = handle.verify(signatureRow('ES256'), new Uint8Array(32), new Uint8Array(64));
    handle.close();
    await expect(failing).rejects.toThrow('broken');
    expect([isWiped(loaded[0]), events]).toEqual([true, ['closed']]);
  });

  test('a handle that was never used has nothing to close but its copy', async () => {
    const { engine, events } = watchedEngine();
    const handle = await createSoftwareProvider({ log: silentLog, random, engine }).open(made('P-256'));
    handle.close();
    expect(events).toEqual([]);
  });

  test('material of another size than the key is refused', async () => {
    const { material } = made('oct-256');
    await expect(provider.open({ spec: { type: 'oct', bits: 128 }, material })).rejects.toThrow(TypeError);
  });
});
