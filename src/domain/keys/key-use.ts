/**
 * What keys do. Every operation checks, in this order: the key is there, enabled, within its times where the operation
 * asks for that, has the operation, and is of the type, size and curve that the algorithm is for.
 */
import { keyActions as actions } from '../../authorization/actions.ts';
import { assertGranted, systemGrant } from '../../authorization/grant.ts';
import { unixSeconds } from '../../core/clock.ts';
import { Failure } from '../../core/errors.ts';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import type { EncryptionAlgorithm, SignatureAlgorithm } from '../../crypto/algorithms.ts';
import {
  type DecryptInput,
  type Encrypted,
  type EncryptInput,
  KeyHandleClosed,
  type KeySpec,
  type NewKey,
  NotDecrypted,
} from '../../crypto/provider.ts';
import type { VaultGrant } from '../vaults/vault.ts';
import type { VersionedObjects } from '../versioned/versioned-objects.ts';
import { type KeyOperation, ktyOf } from './key-detail.ts';
import { type Key, type KeyDeps, toKey } from './key-objects.ts';
import type { WrappedKey } from './keys.ts';
import type { OpenKey, ReadyKey } from './open-key.ts';

/** What a key is wanted for; release is not an operation of its own. */
type UsedFor = KeyOperation | 'release';

/** A key that has the second may be used for the first. */
const stands: Readonly<Partial<Record<UsedFor, KeyOperation>>> = {
  secureWrapKey: 'wrapKey',
  secureUnwrapKey: 'unwrapKey',
};

/** A result and the key that made it. */
export interface Used<T> {
  readonly key: Key;
  readonly result: T;
}

/** `version` undefined is the current one. */
interface Asked<A> {
  readonly version: string | undefined;
  readonly algorithm: A;
}

export interface KeyUse {
  sign(
    grant: VaultGrant,
    input: Asked<SignatureAlgorithm> & { value: Uint8Array },
  ): Promise<Used<Uint8Array>>;
  verify(
    grant: VaultGrant,
    input: Asked<SignatureAlgorithm> & { value: Uint8Array; signature: Uint8Array },
  ): Promise<Used<boolean>>;
  /** `encrypt` or `wrapKey`, by the grant's action. */
  encrypt(grant: VaultGrant, input: Asked<EncryptionAlgorithm> & EncryptInput): Promise<Used<Encrypted>>;
  /** `decrypt` or `unwrapKey`, by the grant's action. */
  decrypt(grant: VaultGrant, input: Asked<EncryptionAlgorithm> & DecryptInput): Promise<Used<SecretBytes>>;
  /** The private key that was wrapped for a key of this vault, for the import of another. */
  unwrapPrivate(grant: VaultGrant, wrapped: WrappedKey): Promise<NewKey>;
  /** Reads a key and does `work` with it, once more when it was dropped from memory meanwhile. */
  use<T>(
    grant: VaultGrant,
    input: { version: string | undefined; operation: UsedFor },
    work: (key: Key, ready: ReadyKey) => Promise<T>,
  ): Promise<Used<T>>;
}

interface Deps extends Pick<KeyDeps, 'clock'> {
  readonly objects: VersionedObjects<OpenKey>;
}

export function createKeyUse(deps: Deps): KeyUse {
  const use: KeyUse['use'] = (grant, input, work) => withKey(deps, grant, { ...input, work });
  return {
    use,
    async sign(grant, { version, algorithm, value }) {
      assertGranted(grant, actions.sign);
      return use(grant, { version, operation: 'sign' }, (key, { handle }) => {
        assertSigns(key, algorithm, value);
        return handle.sign(algorithm, value);
      });
    },
    async verify(grant, { version, algorithm, value, signature }) {
      assertGranted(grant, actions.verify);
      return use(grant, { version, operation: 'verify' }, (key, { handle }) => {
        assertSigns(key, algorithm, value);
        return handle.verify(algorithm, value, signature);
      });
    },
    async encrypt(grant, { version, algorithm, ...input }) {
      assertGranted(grant, actions.encrypt, actions.wrapKey);
      const operation = grant.action === actions.wrapKey ? 'wrapKey' : 'encrypt';
      return use(grant, { version, operation }, (key, { handle }) => {
        assertFits(key, algorithm, operation);
        return handle.encrypt(algorithm, input);
      });
    },
    async decrypt(grant, { version, algorithm, ...input }) {
      assertGranted(grant, actions.decrypt, actions.unwrapKey);
      const operation = grant.action === actions.unwrapKey ? 'unwrapKey' : 'decrypt';
      return use(grant, { version, operation }, (key, { handle }) => {
        assertFits(key, algorithm, operation);
        return opaque(() => handle.decrypt(algorithm, input));
      });
    },
    async unwrapPrivate({ vault }, { under, type, algorithm, wrapped }) {
      // The caller was granted the import; which key it was wrapped for is said by the blob.
      const grant = systemGrant(vault, actions.import, { kind: 'keys', name: under.name });
      const asked = { version: under.version, operation: 'import' as const };
      const { result } = await use(grant, asked, (_key, { handle }) =>
        opaque(() => handle.importWrapped(algorithm, { wrapped, isOctets: type === 'oct' })),
      );
      return result;
    },
  };
}

/** A key that is dropped from memory just when it is used is read again; more often than this it is not by chance. */
const mostReads = 5;

async function withKey<T>(
  deps: Deps,
  grant: VaultGrant,
  of: {
    version: string | undefined;
    operation: UsedFor;
    work: (key: Key, ready: ReadyKey) => Promise<T>;
  },
): Promise<Used<T>> {
  for (let reads = 1; ; reads += 1) {
    const found =
      deps.objects.knownValue(grant, of.version) ?? (await deps.objects.readValue(grant, of.version));
    const key = toKey(found, found.value.detail);
    assertUsable(key, of.operation, unixSeconds(deps.clock.now()));
    try {
      return { key, result: await of.work(key, await found.value.open()) };
    } catch (error) {
      if (!(error instanceof KeyHandleClosed) || reads === mostReads) throw error;
    } finally {
      if ('isOwn' in found) found.value.close();
    }
  }
}

/** What an expired or not yet valid key still does (Azure's key attributes: decrypt, release, unwrap, verify). */
const timeless: ReadonlySet<UsedFor> = new Set([
  'decrypt',
  'unwrapKey',
  'secureUnwrapKey',
  'verify',
  'release',
]);

function assertUsable({ version, detail }: Key, operation: UsedFor, now: number): void {
  if (!version.enabled)
    throw new Failure('keyDisabled', `Operation ${operation} is not allowed on a disabled key.`);
  if (!timeless.has(operation)) {
    const { notBefore, expires } = version;
    if (expires !== undefined && now >= expires)
      throw new Failure('keyExpired', `Operation ${operation} is not allowed on an expired key.`);
    if (notBefore !== undefined && now < notBefore)
      throw new Failure(
        'keyNotYetValid',
        `Operation ${operation} is not allowed on a key that is not yet valid.`,
      );
  }
  // A release is decided by the policy alone.
  const has = (wanted: UsedFor | undefined) => detail.operations.some((one) => one === wanted);
  if (operation !== 'release' && !has(operation) && !has(stands[operation]))
    throw new Failure('keyOperationForbidden', `Operation ${operation} is not permitted on this key.`);
}

function assertSigns(key: Key, algorithm: SignatureAlgorithm, value: Uint8Array): void {
  const { spec } = key.detail;
  const only = algorithm.only;
  const fits = spec.type === algorithm.keyType && (only === undefined || only === parameterOf(spec));
  if (!fits) throw incompatible(key, algorithm.name);
  if (algorithm.digestBytes !== undefined && value.length !== algorithm.digestBytes) {
    throw new Failure(
      'badParameter',
      `Invalid length of 'value': ${value.length} bytes. ${algorithm.name} requires ${algorithm.digestBytes} bytes, encoded with base64url.`,
    );
  }
}

/** Refuses an algorithm that is not one of the operation, or not for the key. */
export function assertFits(
  key: Key,
  algorithm: EncryptionAlgorithm,
  operation: 'encrypt' | 'decrypt' | 'wrapKey' | 'unwrapKey',
): void {
  const { spec } = key.detail;
  const allowed = operation === 'encrypt' || operation === 'decrypt' ? algorithm.encrypts : algorithm.wraps;
  if (!allowed) {
    throw new Failure('badParameter', `The algorithm ${algorithm.name} is not one of ${operation}.`);
  }
  const fits =
    spec.type === algorithm.keyType &&
    (algorithm.bits === undefined || (spec.type === 'oct' && spec.bits === algorithm.bits));
  if (!fits) throw incompatible(key, algorithm.name);
}

function parameterOf(spec: KeySpec): string | undefined {
  if (spec.type === 'EC') return spec.curve;
  return spec.type === 'AKP' ? spec.parameterSet : undefined;
}

function incompatible({ detail }: Key, algorithm: string): Failure {
  const { spec } = detail;
  const size = spec.type === 'RSA' || spec.type === 'oct' ? `${spec.bits} bits` : parameterOf(spec);
  return new Failure(
    'badParameter',
    `Key and algorithm are incompatible: the key is of type '${ktyOf(detail)}' (${size}), for which there is no ${algorithm}.`,
  );
}

/** Every failure to decrypt is told in the same words, whatever was wrong. */
export async function opaque<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof NotDecrypted) throw new Failure('badParameter', 'The parameter is incorrect.\r\n');
    throw error;
  }
}
