/** The software key provider for tests, its algorithms by name, and the vectors of `test/vectors/`. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { silentLog } from '../../src/core/log.ts';
import { SecretBytes } from '../../src/core/secret-bytes.ts';
import {
  type EncryptionAlgorithm,
  findEncryptionAlgorithm,
  findKeyTransportAlgorithm,
  findSignatureAlgorithm,
  type KeyTransportAlgorithm,
  type SignatureAlgorithm,
} from '../../src/crypto/algorithms.ts';
import type { KeyHandle, KeyProvider, NewKey } from '../../src/crypto/provider.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { createSoftwareProvider } from '../../src/crypto/software/provider.ts';

export function testProvider(): KeyProvider {
  return createSoftwareProvider({ log: silentLog, random: systemRandom });
}

export function signatureRow(name: string): SignatureAlgorithm {
  return found(name, findSignatureAlgorithm(name));
}

export function encryptionRow(name: string): EncryptionAlgorithm {
  return found(name, findEncryptionAlgorithm(name));
}

export function transportRow(name: string): KeyTransportAlgorithm {
  return found(name, findKeyTransportAlgorithm(name));
}

/** A handle for a key of any length, also for lengths that the provider does not make (vectors of HMAC). */
export function openOctets(provider: KeyProvider, octets: Uint8Array): Promise<KeyHandle> {
  return provider.open({ spec: { type: 'oct', bits: 8 * octets.length }, material: new SecretBytes(octets) });
}

/** The PKCS#8 (octets for `oct`) of a key, as a copy. */
export function materialOf(key: NewKey): Buffer {
  return Buffer.from(key.material.exposeBytes());
}

export function hex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}

export function readVectors<T>(name: string): T {
  return JSON.parse(readFileSync(join(import.meta.dirname, '..', 'vectors', name), 'utf8'));
}

/** What the rest of RSA, AES and HMAC parameters are when a test does not care. */
export const noParameters = { iv: undefined, aad: undefined, tag: undefined } as const;

/** Whether an OpenSSL 3 command is there; a line says so if not. */
export function hasOpenSsl(part: string): boolean {
  const version = spawnSync('openssl', ['version']).stdout?.toString() ?? '';
  const isThere = version.startsWith('OpenSSL 3');
  if (!isThere) process.stdout.write(`skipped: no OpenSSL 3 command, ${part}\n`);
  return isThere;
}

function found<T>(name: string, row: T | undefined): T {
  if (row === undefined) throw new Error(`there is no algorithm ${name}`);
  return row;
}
