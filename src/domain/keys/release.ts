/** What is done for attested environments, by a key's policy: its release, and secure wrapping under it. */
import { keyActions as actions } from '../../authorization/actions.ts';
import { assertGranted } from '../../authorization/grant.ts';
import { Failure } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { EncryptionAlgorithm, KeyTransportAlgorithm } from '../../crypto/algorithms.ts';
import type { VaultGrant } from '../vaults/vault.ts';
import { type AttestationVerifier, assertAttested, environmentKey } from './attestation.ts';
import { withSealed } from './key-detail.ts';
import type { Key } from './key-objects.ts';
import { assertFits, type KeyUse, opaque, type Used } from './key-use.ts';
import { releasePayload } from './release-reply.ts';
import type { ReleaseSigner } from './release-signer.ts';

export interface ReleaseInput {
  readonly version: string | undefined;
  /** The environment's attestation, a JWT. */
  readonly token: string;
  readonly nonce: string | undefined;
  readonly algorithm: KeyTransportAlgorithm;
  readonly apiVersion: string;
  /** The key's address as it was asked for. */
  readonly kid: string;
  /** The key's JWK and attributes as they are shown. */
  readonly show: (key: Key) => {
    readonly key: Readonly<Record<string, unknown>>;
    readonly attributes: Readonly<Record<string, unknown>>;
  };
}

export interface KeyRelease {
  /** A compact JWS that holds the key, wrapped for the environment. */
  release(grant: VaultGrant, input: ReleaseInput): Promise<Used<string>>;
  /** Makes an AES-256 key that nobody sees, and answers it wrapped. */
  secureWrap(grant: VaultGrant, input: Wrapping): Promise<Used<Uint8Array>>;
  /** Unwraps such a key for an environment whose attestation satisfies the wrapping key's policy. */
  secureUnwrap(
    grant: VaultGrant,
    input: Wrapping & { wrapped: Uint8Array; token: string },
  ): Promise<Used<SecretBytes>>;
}

interface Wrapping {
  readonly version: string | undefined;
  readonly algorithm: EncryptionAlgorithm;
}

/** Bytes of the keys that secure wrapping makes. */
const secureKeyLength = 32;

export function createKeyRelease(deps: {
  readonly keys: Pick<KeyUse, 'use'>;
  readonly attestations: Pick<AttestationVerifier, 'verify'>;
  readonly signer: ReleaseSigner;
  readonly random: Random;
}): KeyRelease {
  return {
    async release(grant, { version, token, nonce, algorithm, apiVersion, kid, show }) {
      assertGranted(grant, actions.release);
      return deps.keys.use(grant, { version, operation: 'release' }, async (key, { handle, sealed }) => {
        // What is sealed with the material decides: a row of the database alone makes no key leave.
        const { exportable, releasePolicy: policy } = withSealed(key.detail, sealed);
        if (!exportable || policy === undefined)
          throw new Failure('keyOperationForbidden', 'Operation release is not permitted on this key.');
        const { claims } = await assertAttested(deps.attestations, { policy, token });
        const environment = environmentKey(claims);
        const wrapped = await handle.exportWrapped(algorithm, environment.jwk);
        const request = { apiVersion, enc: algorithm.name, kid, nonce };
        const environmentKeyId = environment.id;
        return deps.signer.sign(releasePayload({ request, ...show(key), policy, environmentKeyId, wrapped }));
      });
    },
    async secureWrap(grant, { version, algorithm }) {
      assertGranted(grant, actions.wrapKey);
      return deps.keys.use(grant, { version, operation: 'secureWrapKey' }, async (key, { handle }) => {
        assertFits(key, algorithm, 'wrapKey');
        const made = new SecretBytes(deps.random.bytes(secureKeyLength));
        const input = { plaintext: made.exposeBytes(), iv: undefined, aad: undefined };
        const { ciphertext } = await handle.encrypt(algorithm, input);
        made.wipe();
        return ciphertext;
      });
    },
    async secureUnwrap(grant, { version, algorithm, wrapped, token }) {
      assertGranted(grant, actions.unwrapKey);
      const operation = 'secureUnwrapKey';
      return deps.keys.use(grant, { version, operation }, async (key, { handle, sealed }) => {
        assertFits(key, algorithm, 'unwrapKey');
        const { releasePolicy: policy } = withSealed(key.detail, sealed);
        if (policy === undefined) {
          throw new Failure('keyOperationForbidden', `Operation ${operation} is not permitted on this key.`);
        }
        await assertAttested(deps.attestations, { policy, token });
        const input = { ciphertext: wrapped, iv: undefined, aad: undefined, tag: undefined };
        return opaque(() => handle.decrypt(algorithm, input));
      });
    },
  };
}
