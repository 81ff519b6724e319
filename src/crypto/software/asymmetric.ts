/**
 * RSA and EC private keys for digests and ciphertexts: on OpenSSL's functions off the event loop, else on a plain
 * fallback. The choice is made once, by a self-test, and logged.
 */
import { availableParallelism } from 'node:os';
import type { Log } from '../../core/log.ts';
import type { EncryptionAlgorithm, HashName, SignatureAlgorithm } from '../algorithms.ts';
import { KeyHandleClosed, NotDecrypted } from '../provider.ts';
import { type Evp, openEvp, type PreparedCall } from './evp.ts';
import { createFallbackEngine } from './fallback.ts';
import { loadOpenSslKey, type OpenSslKey } from './openssl-key.ts';
import { selfTest } from './self-test.ts';
import { createTurns, type Turns } from './turns.ts';

/** A row for RSA, or OAEP with a hash that has none (key transport). */
export type DecryptionAlgorithm = EncryptionAlgorithm | { scheme: 'rsa-oaep'; hash: HashName };

/**
 * An RSA or EC private key, parsed once, that is used off the event loop. Throws `TypeError` for an algorithm that is not
 * for the key and for a digest of the wrong length.
 */
export interface AsymmetricKey {
  /** ECDSA: r‖s (RFC 7518 §3.4). */
  sign(algorithm: SignatureAlgorithm, digest: Uint8Array): Promise<Uint8Array>;
  /** False for a signature of any wrong form. */
  verify(algorithm: SignatureAlgorithm, digest: Uint8Array, signature: Uint8Array): Promise<boolean>;
  /** RSA only. Throws `NotDecrypted`, for whatever cause, after the same work. The plaintext is the caller's to wipe. */
  decrypt(algorithm: DecryptionAlgorithm, ciphertext: Uint8Array): Promise<Uint8Array>;
  /** Wipes the key when the last call before this one has ended; later calls throw `KeyHandleClosed`. Must be called. */
  close(): void;
}

export interface AsymmetricEngine {
  /** Reads PKCS#8 (DER), of which nothing is kept. Throws for what is not an RSA key or a key on a served curve. */
  load(pkcs8: Uint8Array): AsymmetricKey;
  readonly kind: 'openssl' | 'fallback';
}

export interface AsymmetricEngineDeps {
  readonly log: Log;
  readonly insecureForceFallback?: boolean;
  /** Who may use libuv's pool; by default this engine alone, with as many calls at once as processors, at most 3. */
  readonly turns?: Turns;
}

/** libuv's pool has 4 threads unless `UV_THREADPOOL_SIZE` says otherwise; one must be left for files and names. */
const mostInPool = 3;

/** Native when it loads and passes its self-test, else the plain fallback; `log` says which and why. */
export function createAsymmetricEngine(deps: AsymmetricEngineDeps): AsymmetricEngine {
  return chooseEngine(deps, () => {
    if (deps.insecureForceFallback === true) throw new Error('the fallback was asked for');
    // Never another libcrypto that happens to be loaded: two of them in one process can mix, and crash it.
    return openEvp(null);
  });
}

/** The engine on this library if it can be opened and passes the self-test, else the fallback. */
export function chooseEngine(deps: AsymmetricEngineDeps, openLibrary: () => Evp): AsymmetricEngine {
  const { log, turns = createTurns(Math.min(availableParallelism(), mostInPool)) } = deps;
  try {
    const evp = openLibrary();
    selfTest(evp);
    log.debug('RSA and EC keys are used through OpenSSL.');
    return openSslEngine(evp, turns);
  } catch (error) {
    log.warn('OpenSSL cannot be called: RSA and EC keys are used slowly, and RSA1_5 is not decrypted.', {
      error,
    });
    return createFallbackEngine();
  }
}

function openSslEngine(evp: Evp, turns: Turns): AsymmetricEngine {
  return { kind: 'openssl', load: (pkcs8) => openSslKey(loadOpenSslKey(evp, pkcs8), turns) };
}

/**
 * Which calls are too cheap for the pool, which costs 15 to 20 µs of the event loop's time and 30 µs of processor time in
 * all (Node 24 and 26, x86-64). P-256 takes 21 µs to sign and 60 to verify, RSA-2048, 3072 and 4096 take 21, 41 and 67 to
 * verify: behind a queue of RSA-4096 signatures (1.5 ms each there, 7 on older processors) they would only lose. P-521,
 * P-384 and secp256k1 take 350 µs and more, and RSA-2048 250 to sign or decrypt.
 */
function isCheap(operation: 'sign' | 'verify', { curve }: OpenSslKey): boolean {
  return curve === 'P-256' || (curve === undefined && operation === 'verify');
}

/** Bytes. A private operation with a longer one takes 0.7 ms and more: nothing is to wait for several of these. */
const shortModulus = 256;

function openSslKey(key: OpenSslKey, turns: Turns): AsymmetricKey {
  const isShort = key.curve === undefined && key.size <= shortModulus;
  let isOpen = true;
  function assertOpen() {
    if (!isOpen) throw new KeyHandleClosed();
  }
  // Calls are set up when they come, not when it is their turn, so that each holds the key, and `close` has no count to keep.
  function run<T>(call: PreparedCall<T>, isHere: boolean): T | Promise<T> {
    return isHere ? call.here() : turns(() => call.inPool(), { isShort });
  }
  return {
    async sign(algorithm, digest) {
      assertOpen();
      return run(key.sign(algorithm, digest), isCheap('sign', key));
    },
    async verify(algorithm, digest, signature) {
      assertOpen();
      const call = key.verify(algorithm, digest, signature);
      return call === undefined ? false : run(call, isCheap('verify', key));
    },
    async decrypt(algorithm, ciphertext) {
      assertOpen();
      // Made, with its stack, before it is known whether it is needed: a success costs as much as a failure.
      const refusal = new NotDecrypted();
      const plaintext = await run(key.decrypt(algorithm, ciphertext), false);
      if (plaintext === undefined) throw refusal;
      return plaintext;
    },
    close() {
      if (isOpen) key.free();
      isOpen = false;
    },
  };
}
