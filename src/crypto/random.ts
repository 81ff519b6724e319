import { randomBytes, randomUUID } from 'node:crypto';
import type { Random } from '../core/random.ts';

/** The operating system's cryptographic generator, through OpenSSL. */
export const systemRandom: Random = {
  bytes: (length) => randomBytes(length),
  guid: () => randomUUID(),
  version: () => randomBytes(16).toString('hex'),
};
