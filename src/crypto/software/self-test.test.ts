import { describe, expect, test } from 'vitest';
import type { Log } from '../../core/log.ts';
import { chooseEngine, createAsymmetricEngine } from './asymmetric.ts';
import { type Evp, type EvpKey, openEvp, type PreparedCall } from './evp.ts';
import { selfTest } from './self-test.ts';

const evp = openEvp(null);

function recordingLog() {
  const lines: string[] = [];
  const write = (message: string, fields?: Readonly<Record<string, unknown>>) => {
    const error = fields?.error;
    lines.push(error instanceof Error ? `${message} ${error.message}` : message);
  };
  const log: Log = { debug: write, info: write, warn: write, error: write };
  return { log, lines };
}

/** The real library with one function of its keys gone wrong. */
function broken(change: (key: EvpKey) => Partial<EvpKey>): Evp {
  return {
    load(pkcs8) {
      const key = evp.load(pkcs8);
      return { ...key, ...change(key) };
    },
  };
}

function answering<T>(result: T): PreparedCall<T> {
  return { here: () => result, inPool: async () => result };
}

function altered<T extends Uint8Array | undefined>(call: PreparedCall<T>): PreparedCall<T> {
  return answering(call.here()?.map((octet, index) => (index === 8 ? octet ^ 1 : octet)) as T);
}

const faults: readonly (readonly [string, Evp, RegExp])[] = [
  ['RSA signatures', broken((key) => ({ sign: (...call) => altered(key.sign(...call)) })), /RS256/],
  [
    'PSS signatures alone',
    broken((key) => ({
      sign: (settings, digest) =>
        settings.length > 2 ? altered(key.sign(settings, digest)) : key.sign(settings, digest),
    })),
    /PS256/,
  ],
  [
    'another length of salt',
    broken((key) => ({
      sign: (settings, digest) =>
        key.sign(
          settings.map(([name, value]) => [name, name === 'rsa_pss_saltlen' ? '10' : value]),
          digest,
        ),
    })),
    /PS256/,
  ],
  [
    'ECDSA signatures alone',
    broken((key) => ({
      sign: (settings, digest) =>
        key.size < 128 ? altered(key.sign(settings, digest)) : key.sign(settings, digest),
    })),
    /ES256/,
  ],
  ['verification that takes everything', broken(() => ({ verify: () => answering(true) })), /takes/],
  ['verification that takes nothing', broken(() => ({ verify: () => answering(false) })), /refuses/],
  [
    'decryption',
    broken((key) => ({ decrypt: (...call) => altered(key.decrypt(...call)) })),
    /OAEP with sha1 does not/,
  ],
  ['decryption that refuses', broken(() => ({ decrypt: () => answering(undefined) })), /does not decrypt/],
  [
    'OAEP that ignores its hash',
    broken((key) => ({
      decrypt: (settings, ciphertext) =>
        key.decrypt(
          settings.map(([name, value]) => [name, value === 'sha256' ? 'sha1' : value]),
          ciphertext,
        ),
    })),
    /OAEP with sha256/,
  ],
  [
    'implicit rejection that cannot be switched off',
    broken((key) => ({
      decrypt: (settings, ciphertext) =>
        key.decrypt(
          settings.filter(([name]) => name !== 'rsa_pkcs1_implicit_rejection'),
          ciphertext,
        ),
    })),
    /RSA1_5 takes a wrong padding/,
  ],
  [
    'keys that cannot be read',
    {
      load() {
        throw new Error('nothing is read');
      },
    },
    /nothing is read/,
  ],
];

test('passes with the library of this Node.js', () => {
  expect(() => selfTest(evp)).not.toThrow();
});

describe.each(faults)('a library with a fault: %s', (_, library, message) => {
  test('does not pass', () => {
    expect(() => selfTest(library)).toThrow(message);
  });

  test('is not used, for the reason in the log', () => {
    const { log, lines } = recordingLog();
    expect(chooseEngine({ log }, () => library).kind).toBe('fallback');
    expect(lines).toEqual([expect.stringMatching(message)]);
  });
});

test('the fallback serves where the library cannot be opened', () => {
  const { log, lines } = recordingLog();
  const engine = chooseEngine({ log }, () => openEvp('/nowhere/libcrypto.so'));
  expect(engine.kind).toBe('fallback');
  expect(lines).toEqual([expect.stringMatching(/OpenSSL cannot be called.*Failed to load/)]);
});

test('the engine that is used is said in the log', () => {
  const { log, lines } = recordingLog();
  expect(createAsymmetricEngine({ log }).kind).toBe('openssl');
  expect(createAsymmetricEngine({ log, insecureForceFallback: true }).kind).toBe('fallback');
  expect(lines).toEqual([
    expect.stringContaining('used through OpenSSL'),
    expect.stringContaining('the fallback was asked for'),
  ]);
});
