/**
 * Signatures on certificates and requests: made by a key's handle alone, so that the key may be in an
 * HSM, and verified before anything that bears one is given out.
 */
import { createHash, type KeyObject, verify } from 'node:crypto';
import type { BitString } from 'asn1js';
import type { AlgorithmIdentifier } from 'pkijs';
import { findSignatureAlgorithm, type HashName } from '../algorithms.ts';
import type { KeySpec } from '../provider.ts';
import { derFromRaw } from '../software/ecdsa-form.ts';
import type { Asn1Libraries } from './asn1-libraries.ts';
import type { X509Signer } from './certificate-content.ts';
import { publicKeyOf } from './public-keys.ts';

/** A signature algorithm of X.509: its name here, its hash, its identifier (RFC 4055, RFC 5758). */
interface Row {
  readonly name: string;
  readonly type: 'RSA' | 'EC';
  readonly hash: HashName;
  readonly oid: string;
}

const rs256: Row = { name: 'RS256', type: 'RSA', hash: 'sha256', oid: '1.2.840.113549.1.1.11' };
/** The hash is as strong as the curve (RFC 5480 §4). */
const byCurve: Readonly<Record<string, Row>> = {
  'P-256': { name: 'ES256', type: 'EC', hash: 'sha256', oid: '1.2.840.10045.4.3.2' },
  'P-384': { name: 'ES384', type: 'EC', hash: 'sha384', oid: '1.2.840.10045.4.3.3' },
  'P-521': { name: 'ES512', type: 'EC', hash: 'sha512', oid: '1.2.840.10045.4.3.4' },
  'P-256K': { name: 'ES256K', type: 'EC', hash: 'sha256', oid: '1.2.840.10045.4.3.2' },
};
/** What else is verified in requests of others; SHA-1 is not (RFC 9155). */
const verified: readonly Omit<Row, 'name'>[] = [
  rs256,
  { type: 'RSA', hash: 'sha384', oid: '1.2.840.113549.1.1.12' },
  { type: 'RSA', hash: 'sha512', oid: '1.2.840.113549.1.1.13' },
  ...Object.values(byCurve),
];

/** How one signer signs, and its public key. */
export interface Signing {
  readonly publicKey: KeyObject;
  readonly identifier: AlgorithmIdentifier;
  /** The signature over these octets, as X.509 has it. */
  sign(octets: Uint8Array): Promise<BitString>;
}

/** Throws `RangeError` for keys that are neither RSA nor EC. */
export function signingOf({ asn1, pki }: Asn1Libraries, { publicJwk, handle }: X509Signer): Signing {
  const row = rowOf(handle.spec);
  const algorithm = findSignatureAlgorithm(row.name);
  if (algorithm === undefined) throw new RangeError(`there is no algorithm ${row.name}`);
  const publicKey = publicKeyOf({ spec: handle.spec, publicJwk });
  // RFC 4055 §5 has NULL for RSA, RFC 5758 §3.2 nothing for ECDSA.
  const parameters = row.type === 'RSA' ? { algorithmParams: new asn1.Null() } : {};
  return {
    publicKey,
    identifier: new pki.AlgorithmIdentifier({ algorithmId: row.oid, ...parameters }),
    async sign(octets) {
      const raw = await handle.sign(algorithm, createHash(row.hash).update(octets).digest());
      const signature = row.type === 'EC' ? derFromRaw(raw) : raw;
      // A fault while signing, or a handle that is not the public key's, must not get out.
      if (!verify(row.hash, octets, publicKey, signature)) throw new Error('a signature did not verify');
      return new asn1.BitString({ valueHex: Uint8Array.from(signature) });
    },
  };
}

/** Whether a signature with the named algorithm is of the key; false for algorithms that are not verified here. */
export function isSignedBy(
  publicKey: KeyObject,
  input: { readonly octets: Uint8Array; readonly signature: Uint8Array; readonly oid: string },
): boolean {
  const type = publicKey.asymmetricKeyType === 'rsa' ? 'RSA' : 'EC';
  const row = verified.find((one) => one.oid === input.oid && one.type === type);
  return row !== undefined && verify(row.hash, input.octets, publicKey, input.signature);
}

function rowOf(spec: KeySpec): Row {
  const row = spec.type === 'RSA' ? rs256 : spec.type === 'EC' ? byCurve[spec.curve] : undefined;
  if (row === undefined) throw new RangeError('the key is neither RSA nor EC');
  return row;
}
