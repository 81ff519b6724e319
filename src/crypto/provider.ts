/**
 * Port: who makes, keeps and uses keys. The software provider holds them in memory; a provider over PKCS#11 would hold
 * sessions and handles of a token, and its material would be a reference to a key that never leaves it.
 */
import type { SecretBytes } from '../core/secret-bytes.ts';
import type {
  CurveName,
  EncryptionAlgorithm,
  KeyTransportAlgorithm,
  MlDsaName,
  SignatureAlgorithm,
} from './algorithms.ts';

/** What kind of key: its type and the one parameter that it has. */
export type KeySpec =
  | { readonly type: 'RSA'; readonly bits: number; readonly exponent: number }
  | { readonly type: 'EC'; readonly curve: CurveName }
  | { readonly type: 'oct'; readonly bits: number }
  | { readonly type: 'AKP'; readonly parameterSet: MlDsaName };

/** The public members of a JWK (RFC 7518 §6, AKP of draft-ietf-cose-dilithium): base64url without padding; none for `oct`. */
export interface PublicJwk {
  readonly n?: string | undefined;
  readonly e?: string | undefined;
  readonly crv?: CurveName | undefined;
  readonly x?: string | undefined;
  readonly y?: string | undefined;
  readonly alg?: MlDsaName | undefined;
  readonly pub?: string | undefined;
}

/** A JWK with private members as a caller sent it: `kty` without `-HSM`, nothing checked but that members are text. */
export interface PrivateJwk {
  readonly kty: 'RSA' | 'EC' | 'oct' | 'AKP';
  readonly members: Readonly<Record<string, string>>;
}

/** A key as its provider made it or took it in. `material` is all that the provider needs to have it again. */
export interface NewKey {
  readonly spec: KeySpec;
  readonly publicJwk: PublicJwk;
  readonly material: SecretBytes;
}

export interface Encrypted {
  readonly ciphertext: Uint8Array;
  readonly iv: Uint8Array | undefined;
  readonly tag: Uint8Array | undefined;
}

export interface EncryptInput {
  readonly plaintext: Uint8Array;
  /** CBC: 16 bytes, made here if undefined. Not for others: GCM's is always made here (96 random bits). */
  readonly iv: Uint8Array | undefined;
  readonly aad: Uint8Array | undefined;
}

export interface DecryptInput {
  readonly ciphertext: Uint8Array;
  readonly iv: Uint8Array | undefined;
  readonly aad: Uint8Array | undefined;
  readonly tag: Uint8Array | undefined;
}

/**
 * The ciphertext, tag, wrapped key or padding is not one that this key made; there is one such error for every cause,
 * with no cause attached, so that nothing can be learned from it.
 */
export class NotDecrypted extends Error {
  constructor() {
    super('the value cannot be decrypted');
    this.name = 'NotDecrypted';
  }
}

/** The handle was closed: its key was disabled, deleted, or dropped from memory. Open it again. */
export class KeyHandleClosed extends Error {
  constructor() {
    super('the key handle is closed');
    this.name = 'KeyHandleClosed';
  }
}

/**
 * A key ready for use. The caller has checked that the algorithm is for the key's type, size and curve, and that a
 * digest has the right length. What the algorithm itself limits (lengths of values, IVs, tags) the handle checks:
 * `Failure('badParameter')`. Slow work is done off the event loop.
 */
export interface KeyHandle {
  readonly spec: KeySpec;
  /** ECDSA signatures are r‖s (RFC 7518 §3.4). */
  sign(algorithm: SignatureAlgorithm, value: Uint8Array): Promise<Uint8Array>;
  /** False for a signature of any wrong form; never throws for one. */
  verify(algorithm: SignatureAlgorithm, value: Uint8Array, signature: Uint8Array): Promise<boolean>;
  encrypt(algorithm: EncryptionAlgorithm, input: EncryptInput): Promise<Encrypted>;
  /** Throws `NotDecrypted`. */
  decrypt(algorithm: EncryptionAlgorithm, input: DecryptInput): Promise<SecretBytes>;
  /** The private key (PKCS#8; raw octets for `oct`) under an RSA key from elsewhere. Providers may refuse it. */
  exportWrapped(algorithm: KeyTransportAlgorithm, to: PublicJwk): Promise<Uint8Array>;
  /** Takes in a key that was wrapped under this RSA key (BYOK); `type` tells octets from PKCS#8. Throws `NotDecrypted`. */
  importWrapped(
    algorithm: KeyTransportAlgorithm,
    input: { readonly wrapped: Uint8Array; readonly isOctets: boolean },
  ): Promise<NewKey>;
  /** Wipes the key from memory once what is under way has ended; later calls throw `KeyHandleClosed`. */
  close(): void;
}

export interface KeyProvider {
  /** Kept with each of its keys, so that the key finds its provider again: `software`. */
  readonly name: string;
  /** `hsmPlatform` of its keys: `0` is software. */
  readonly platform: string;
  generate(spec: KeySpec): Promise<NewKey>;
  /** Throws `Failure('badParameter')` for a key that is malformed, weak, inconsistent or of a kind that is not served. */
  import(jwk: PrivateJwk): Promise<NewKey>;
  open(key: { readonly spec: KeySpec; readonly material: SecretBytes }): Promise<KeyHandle>;
  /**
   * PKCS#8 (DER) of a key that this provider holds in memory, as a copy that is the caller's to wipe. Throws `TypeError` for
   * a key of octets; a provider whose keys never leave it throws for all.
   */
  exportPrivate(key: { readonly spec: KeySpec; readonly material: SecretBytes }): Promise<SecretBytes>;
  close(): void;
}
