/**
 * Slow hashes of secrets: Argon2id (RFC 9106) in the PHC string format, parameters inside, computed off the event
 * loop. Stored hashes outlive the parameters of today, and absurd ones are refused before any work is done.
 */
import { argon2, timingSafeEqual } from 'node:crypto';
import { Failure } from '../core/errors.ts';
import type { Random } from '../core/random.ts';
import type { SecretBytes } from '../core/secret-bytes.ts';

interface Parameters {
  /** KiB. */
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
}

/** OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane. */
const current: Parameters = { memory: 19456, passes: 2, parallelism: 1 };
const saltLength = 16;
const tagLength = 32;

/** What a stored hash may ask of this process: a forged row must not hold a core or eat the memory. */
const most: Parameters = { memory: 256 * 1024, passes: 10, parallelism: 4 };

const phc =
  /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;

/** Hashes a secret with a fresh salt; resolves to `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. */
export async function hashPassword(secret: SecretBytes, random: Random): Promise<string> {
  const salt = random.bytes(saltLength);
  const tag = await derive(secret, { salt, parameters: current, length: tagLength });
  return encode(current, salt, tag);
}

/** True if the secret is the hashed one. Fails with `internal` for a hash that is not of this format. */
export async function verifyPassword(secret: SecretBytes, encoded: string): Promise<boolean> {
  const { parameters, salt, tag } = decode(encoded);
  return timingSafeEqual(await derive(secret, { salt, parameters, length: tag.length }), tag);
}

/** A well-formed hash of no known secret: verifying against it costs what verifying a real one costs. */
export const decoyHash: string = encode(current, Buffer.alloc(saltLength), Buffer.alloc(tagLength));

function encode(parameters: Parameters, salt: Uint8Array, tag: Uint8Array): string {
  const { memory, passes, parallelism } = parameters;
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${unpadded(salt)}$${unpadded(tag)}`;
}

function decode(encoded: string): { parameters: Parameters; salt: Buffer; tag: Buffer } {
  const [, memory, passes, parallelism, salt, tag] = phc.exec(encoded) ?? [];
  const parameters = {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
  };
  if (salt === undefined || tag === undefined || !isAffordable(parameters)) {
    throw new Failure('internal', 'A stored secret hash is not readable.');
  }
  return { parameters, salt: Buffer.from(salt, 'base64'), tag: Buffer.from(tag, 'base64') };
}

/** Within RFC 9106 §3.1 (at least one pass and lane, 8 KiB of memory a lane) and this process's means. */
function isAffordable({ memory, passes, parallelism }: Parameters): boolean {
  return (
    parallelism >= 1 &&
    parallelism <= most.parallelism &&
    passes >= 1 &&
    passes <= most.passes &&
    memory >= 8 * parallelism &&
    memory <= most.memory
  );
}

function derive(
  secret: SecretBytes,
  { salt, parameters, length }: { salt: Uint8Array; parameters: Parameters; length: number },
): Promise<Buffer> {
  const input = { message: secret.exposeBytes(), nonce: salt, tagLength: length, ...parameters };
  return new Promise((resolve, reject) => {
    argon2('argon2id', input, (error, tag) => (error === null ? resolve(tag) : reject(error)));
  });
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '');
}
