/** Port between the validator and whoever knows an issuer's keys: the embedded service, or a fetched JWKS. */
import type { CryptoKey } from 'jose';

/** A public key and the one algorithm that it is used with; a token's header does not choose. */
export interface VerificationKey {
  readonly key: CryptoKey;
  /** JWS algorithm name (RFC 7518 §3.1). */
  readonly algorithm: string;
}

export interface VerificationKeys {
  /** The key of that id, looked up at its source if need be; undefined if the issuer has none. */
  find(kid: string): Promise<VerificationKey | undefined>;
  /** True if the key is known and need not be looked up again: a verified token may go on being accepted. */
  has(kid: string): boolean;
}
