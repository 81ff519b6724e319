/**
 * Keys in this process's memory: made by OpenSSL, kept as PKCS#8 (raw octets for `oct`) that the caller seals, used
 * through handles. `hsmPlatform` says so: 0 is software.
 */
import type { Log } from '../../core/log.ts';
import type { Random } from '../../core/random.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { KeyProvider } from '../provider.ts';
import { type AsymmetricEngine, createAsymmetricEngine } from './asymmetric.ts';
import { generateKey } from './generate.ts';
import { importJwk } from './jwk-import.ts';
import { SoftwareKeyHandle } from './key-handle.ts';
import { createPoolLanes } from './pool.ts';
import { lowerPoolPriority } from './pool-priority.ts';

/** `engine` is for tests of the fallback. */
export function createSoftwareProvider(deps: {
  readonly log: Log;
  readonly random: Random;
  readonly engine?: AsymmetricEngine;
}): KeyProvider {
  const { random } = deps;
  const pool = createPoolLanes();
  void lowerPoolPriority(deps.log);
  const engine = deps.engine ?? createAsymmetricEngine({ log: deps.log });
  return {
    name: 'software',
    platform: '0',
    generate: (spec) => generateKey({ random, pool }, spec),
    import: (jwk) => importJwk(pool, jwk),
    open: async (key) => new SoftwareKeyHandle({ engine, random, pool }, key),
    async exportPrivate({ spec, material }) {
      if (spec.type === 'oct') throw new TypeError('a key of octets has no PKCS#8');
      return new SecretBytes(Uint8Array.from(material.exposeBytes()));
    },
    // Keys are the handles'; the provider itself holds nothing.
    close: () => undefined,
  };
}
