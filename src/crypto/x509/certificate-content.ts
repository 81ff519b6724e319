/**
 * What a certificate says, apart from its key, serial and times: the part that a policy decides, a request carries and
 * an issuer signs. Types only; nothing here is checked.
 */
import type { KeyHandle, PublicJwk } from '../provider.ts';
import type { PermittedNames } from './server-names.ts';

/** The names of RFC 5280 §4.2.1.6 that are served, each kind in the order given. */
export interface SubjectAlternativeNames {
  readonly emails: readonly string[];
  /** A-labels only; a wildcard only as the whole first label. */
  readonly dnsNames: readonly string[];
  /** User principal names: an otherName, OID 1.3.6.1.4.1.311.20.2.3. */
  readonly upns: readonly string[];
  readonly uris: readonly string[];
  /** IPv4 and IPv6 in text, no prefix length. */
  readonly ipAddresses: readonly string[];
}

/** The bits of RFC 5280 §4.2.1.3. */
export type KeyUsage =
  | 'digitalSignature'
  | 'nonRepudiation'
  | 'keyEncipherment'
  | 'dataEncipherment'
  | 'keyAgreement'
  | 'keyCertSign'
  | 'cRLSign'
  | 'encipherOnly'
  | 'decipherOnly';

/** The content of a certificate or of a request for one. */
export interface CertificateContent {
  /** RFC 4514 text; may be empty when there are alternative names. */
  readonly subject: string;
  readonly sans: SubjectAlternativeNames;
  readonly keyUsage: readonly KeyUsage[];
  /** Extended key usages as dotted object identifiers. */
  readonly ekus: readonly string[];
  readonly ca: boolean;
  /** How many authorities may follow below; for authorities only. */
  readonly pathLength?: number | undefined;
  /** For authorities only: the only DNS names and IP addresses that they may certify. */
  readonly nameConstraints?: PermittedNames | undefined;
}

/** Who signs: a key through its provider, and its public half. */
export interface X509Signer {
  readonly publicJwk: PublicJwk;
  readonly handle: Pick<KeyHandle, 'spec' | 'sign'>;
}
