/**
 * The statement that a released key travels in, as Azure's service signs it: what was asked for, and the key with its
 * private part wrapped under the environment's key. Clients decode `key_hsm` and look for `ciphertext`.
 */
import type { ReleasePolicy } from './release-policy.ts';

export interface ReleaseReply {
  readonly request: {
    readonly apiVersion: string;
    /** Name of the wrapping algorithm. */
    readonly enc: string;
    /** The key's address as it was asked for: without a version if there was none. */
    readonly kid: string;
    /** Returned as it came, so that a client can tell the answer to its request from an older one. */
    readonly nonce?: string | undefined;
  };
  /** Members of the key's JWK as they are shown: kid with version, kty, key_ops, public members. */
  readonly key: Readonly<Record<string, unknown>>;
  /** Attributes as they are shown. */
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly policy: ReleasePolicy;
  /** Id of the environment's key. */
  readonly environmentKeyId: string;
  /** The private key under the environment's key. */
  readonly wrapped: Uint8Array;
}

/** The payload to be signed. */
export function releasePayload({ request, ...reply }: ReleaseReply): object {
  const { apiVersion, enc, kid, nonce } = request;
  return {
    request: { 'api-version': apiVersion, enc, kid, ...(nonce === undefined ? {} : { nonce }) },
    response: {
      key: {
        key: { ...reply.key, key_hsm: keyHsm(reply, enc) },
        attributes: reply.attributes,
        release_policy: { data: reply.policy.data, immutable: reply.policy.immutable },
      },
    },
  };
}

function keyHsm({ environmentKeyId, wrapped }: Omit<ReleaseReply, 'request'>, enc: string): string {
  const envelope = {
    schema_version: '1.0',
    header: { kid: environmentKeyId, alg: 'dir', enc },
    ciphertext: Buffer.from(wrapped).toString('base64url'),
  };
  return Buffer.from(JSON.stringify(envelope), 'utf8').toString('base64url');
}
