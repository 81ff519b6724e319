/** The command of OpenSSL as the independent party: it signs, verifies and encrypts, in its own forms. */
import { execFile, spawnSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  digestFor,
  ecPair,
  ecRows,
  engines,
  type Pair,
  row,
  rsaPair,
  rsaRows,
  withKey,
} from '../../../test/support/asymmetric-keys.ts';
import { optional } from '../../../test/support/optional.ts';
import { encryptionAlgorithms, type SignatureAlgorithm } from '../algorithms.ts';
import type { DecryptionAlgorithm } from './asymmetric.ts';
import { derFromRaw, rawFromDer } from './ecdsa-form.ts';

const found = optional(
  'RSA and EC against the openssl command',
  spawnSync('openssl', ['version']).status === 0,
);
const run = promisify(execFile);
const message = Buffer.from('known to both');
const rsaPairs = found
  ? { 2048: await rsaPair(2048), 3072: await rsaPair(3072), 4096: await rsaPair(4096) }
  : {};

let folder: string;
let files = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strongroom-openssl-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function file(content: string | Uint8Array): Promise<string> {
  files += 1;
  const path = join(folder, String(files));
  await writeFile(path, content, { mode: 0o600 });
  return path;
}

async function privateFile({ pkcs8 }: Pair): Promise<string> {
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  return file(key.export({ format: 'pem', type: 'pkcs8' }));
}

async function publicFile({ publicKey }: Pair): Promise<string> {
  return file(publicKey.export({ format: 'pem', type: 'spki' }));
}

async function pkeyutl(...flags: readonly string[]): Promise<Buffer> {
  const { stdout } = await run('openssl', ['pkeyutl', ...flags], { encoding: 'buffer' });
  return stdout;
}

function settings(...options: readonly string[]): string[] {
  return options.flatMap((option) => ['-pkeyopt', option]);
}

function signatureSettings({ scheme, hash }: SignatureAlgorithm): string[] {
  const padding = {
    pkcs1: ['rsa_padding_mode:pkcs1'],
    pss: ['rsa_padding_mode:pss', 'rsa_pss_saltlen:digest'],
  };
  return settings(`digest:${hash}`, ...(padding[scheme as keyof typeof padding] ?? []));
}

async function theirSignature(algorithm: SignatureAlgorithm, pair: Pair): Promise<Buffer> {
  const digest = await file(digestFor(algorithm, message));
  const options = signatureSettings(algorithm);
  return pkeyutl('-sign', '-inkey', await privateFile(pair), '-in', digest, ...options);
}

async function theyVerify(
  algorithm: SignatureAlgorithm,
  pair: Pair,
  signature: Uint8Array,
): Promise<boolean> {
  const digest = await file(digestFor(algorithm, message));
  const inputs = [
    '-pubin',
    '-inkey',
    await publicFile(pair),
    '-in',
    digest,
    '-sigfile',
    await file(signature),
  ];
  const said = await pkeyutl('-verify', ...inputs, ...signatureSettings(algorithm)).catch(() => '');
  return said.toString().includes('Verified Successfully');
}

describe.skipIf(!found).each(engines)('%s and the command (skipped without openssl)', (_, engine) => {
  describe.each(Object.entries(rsaPairs))('by RSA of %s bits', (__, pair) => {
    test.each(rsaRows)('verify each other: $name', async (algorithm) => {
      await withKey(engine, pair, async (key) => {
        const digest = digestFor(algorithm, message);
        expect(await key.verify(algorithm, digest, await theirSignature(algorithm, pair))).toBe(true);
        const ours = await key.sign(algorithm, digest);
        expect(await theyVerify(algorithm, pair, ours)).toBe(true);
        expect(await theyVerify(algorithm, pair, Buffer.from(ours).reverse())).toBe(false);
      });
    });
  });

  test.each(ecRows)('verify each other: $name', async (algorithm) => {
    const pair = await ecPair(algorithm);
    await withKey(engine, pair, async (key) => {
      const digest = digestFor(algorithm, message);
      const ours = await key.sign(algorithm, digest);
      const theirs = rawFromDer(await theirSignature(algorithm, pair), ours.length / 2);
      expect(await key.verify(algorithm, digest, theirs)).toBe(true);
      expect(await theyVerify(algorithm, pair, derFromRaw(ours))).toBe(true);
      expect(await theyVerify(algorithm, pair, derFromRaw(Buffer.from(ours).reverse()))).toBe(false);
    });
  });

  const decryption: readonly (readonly [string, DecryptionAlgorithm, string[]])[] = [
    ...encryptionAlgorithms
      .filter(({ scheme }) => scheme === 'rsa-oaep' || (scheme === 'rsa1_5' && engine.kind === 'openssl'))
      .map((algorithm) => [algorithm.name, algorithm, encryptionSettings(algorithm)] as const),
    [
      'OAEP with SHA-384',
      { scheme: 'rsa-oaep', hash: 'sha384' },
      encryptionSettings({ scheme: 'rsa-oaep', hash: 'sha384' }),
    ],
  ];
  describe.each(Object.entries(rsaPairs))('with RSA of %s bits', (__, pair) => {
    test.each(decryption)(
      'it is decrypted what the command encrypted: %s',
      async (___, algorithm, options) => {
        const inputs = ['-pubin', '-inkey', await publicFile(pair), '-in', await file(message)];
        const ciphertext = await pkeyutl('-encrypt', ...inputs, ...options);
        await withKey(engine, pair, async (key) => {
          expect(Buffer.from(await key.decrypt(algorithm, ciphertext))).toEqual(message);
        });
      },
    );
  });
});

function encryptionSettings({ scheme, hash }: DecryptionAlgorithm): string[] {
  return scheme === 'rsa1_5'
    ? settings('rsa_padding_mode:pkcs1')
    : settings('rsa_padding_mode:oaep', `rsa_oaep_md:${hash}`, `rsa_mgf1_md:${hash}`);
}

test.skipIf(!found)(
  'a signature with another length of salt is false (skipped without openssl)',
  async () => {
    const pair = await rsaPair(2048);
    const algorithm = row('PS256');
    const digest = digestFor(algorithm, message);
    const inputs = ['-inkey', await privateFile(pair), '-in', await file(digest)];
    const options = settings('digest:sha256', 'rsa_padding_mode:pss', 'rsa_pss_saltlen:20');
    const signature = await pkeyutl('-sign', ...inputs, ...options);
    for (const [, engine] of engines)
      expect(await withKey(engine, pair, (key) => key.verify(algorithm, digest, signature))).toBe(false);
  },
);
