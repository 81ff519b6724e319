/**
 * A certificate with its private key as a caller sends it for import: PFX in base64, or PEM as text or in base64. The value
 * is from outside; time, memory and counts are bounded, and no refusal repeats anything of it. Whether the certificate has
 * expired, and whether its key is strong enough, others decide.
 */
import type { KeyObject, X509Certificate } from 'node:crypto';
import { Failure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { decodeBase64 } from './base64.ts';
import { distinctCertificates, orderUpwards } from './certificate-chain.ts';
import { readPem, unexpected } from './pem-reading.ts';
import { type PfxContents, type PfxEntry, readPfx } from './pkcs12.ts';
import { assertServedKey } from './private-key.ts';

/** The content types that a certificate's secret can have. */
export type ImportFormat = 'application/x-pkcs12' | 'application/x-pem-file';

export interface CertificateImport {
  /** The value of the request, as UTF-8 text. */
  readonly value: SecretBytes;
  readonly password: string | undefined;
  /** What the request says that the value is; undefined: whatever it turns out to be. */
  readonly contentType: ImportFormat | undefined;
  /** Leaves the certificates in the order of the value. */
  readonly preserveOrder: boolean;
}

export interface ImportedCertificate {
  /** PKCS#8, DER, written anew; the caller's to wipe. */
  readonly privateKey: SecretBytes;
  /** DER, each once: the leaf, its issuers upwards, then any others; or as the value has them. */
  readonly chain: readonly Uint8Array[];
  /** Where in the chain the key's certificate is: 0 unless the order was preserved. */
  readonly leaf: number;
  readonly format: ImportFormat;
}

/** Octets of the value. */
const largest = 1024 * 1024;
/** Certificates of a chain, as for a merge. */
const mostCertificates = 32;
const pemMark = '-----BEGIN ';
const sequenceTag = 0x30;

/**
 * Reads the value: one private key, RSA or EC, and the certificate that has its public key, with any others. Throws a
 * `badParameter` failure for everything else: a wrong password, no key or several, a key without its certificate, damage.
 */
export async function parseImportedCertificate(input: CertificateImport): Promise<ImportedCertificate> {
  if (input.value.length > largest) throw refusal('it is longer than 1 MiB');
  const text = textOf(input.value);
  const format: ImportFormat = text === undefined ? 'application/x-pkcs12' : 'application/x-pem-file';
  if (input.contentType !== undefined && input.contentType !== format) throw mismatch(input.contentType);
  const contents = text === undefined ? await readPfxOf(input) : await readPemOf(text, input.password ?? '');
  return { ...imported(contents, input.preserveOrder), format };
}

/** The PEM text in the value, which may be in base64 once more (az sends it so); undefined when it is none. */
function textOf(value: SecretBytes): string | undefined {
  const text = value.exposeText();
  if (text.includes(pemMark)) return text;
  const octets = decodeBase64(text);
  try {
    // A PFX begins with a SEQUENCE, and what it holds may look like anything.
    if (octets === undefined || octets[0] === sequenceTag || !octets.includes(pemMark)) return undefined;
    return octets.toString('utf8');
  } finally {
    octets?.fill(0);
  }
}

async function readPfxOf({ value, password = '' }: CertificateImport): Promise<PfxContents> {
  const octets = decodeBase64(value.exposeText());
  if (octets === undefined) {
    throw new Failure('badParameter', 'Format of Pkcs12 value is invalid: it is not base64.');
  }
  const pfx = new SecretBytes(octets);
  try {
    return await readPfx(pfx, password);
  } finally {
    pfx.wipe();
  }
}

async function readPemOf(text: string, password: string): Promise<PfxContents> {
  const { keys, certificates } = await readPem(text, password);
  const entry = <T>(value: T): PfxEntry<T> => ({ value, localKeyId: undefined });
  return { keys: keys.map(entry), certificates: certificates.map(entry) };
}

function imported(contents: PfxContents, preserveOrder: boolean): Omit<ImportedCertificate, 'format'> {
  const key = onlyKey(contents.keys);
  assertServedKey(key.value);
  const certificates = distinctCertificates(contents.certificates.map(({ value }) => value));
  if (certificates.length > mostCertificates)
    throw refusal(`it holds more than ${mostCertificates} certificates`);
  const { fingerprint256 } = leafOf(key, contents.certificates);
  const leaves = certificates.filter((certificate) => certificate.fingerprint256 === fingerprint256);
  const ordered = preserveOrder ? certificates : orderUpwards(certificates, leaves);
  return {
    privateKey: new SecretBytes(key.value.export({ format: 'der', type: 'pkcs8' })),
    chain: ordered.map(({ raw }) => Uint8Array.from(raw)),
    leaf: ordered.findIndex((certificate) => certificate.fingerprint256 === fingerprint256),
  };
}

/** The one key, which may be there more than once. */
function onlyKey(keys: readonly PfxEntry<KeyObject>[]): PfxEntry<KeyObject> {
  const [first, ...others] = keys;
  if (first === undefined) throw refusal('it holds no private key');
  if (others.some(({ value }) => !first.value.equals(value))) throw refusal('it holds several private keys');
  return first;
}

/** The certificate of the key. When several are, the one that the file says it is (RFC 7292 §4.2), else the first. */
function leafOf(key: PfxEntry<KeyObject>, entries: readonly PfxEntry<X509Certificate>[]): X509Certificate {
  const matching = entries.filter(({ value }) => value.checkPrivateKey(key.value));
  const named = matching.find(({ localKeyId }) => localKeyId !== undefined && localKeyId === key.localKeyId);
  const leaf = named ?? matching[0];
  if (leaf !== undefined) return leaf.value;
  if (entries.length === 0) throw refusal('it holds no certificate');
  throw new Failure(
    'badParameter',
    'The public key of the end-entity certificate in the specified X.509 certificate content does not match the public part of the specified private key. Please check if certificate is valid.',
  );
}

function mismatch(said: ImportFormat): Failure {
  if (said === 'application/x-pem-file') return unexpected('it is not PEM, as its content type says');
  return new Failure(
    'badParameter',
    'Format of Pkcs12 value is invalid: it is PEM; say so by its content type.',
  );
}

function refusal(why: string): Failure {
  return new Failure('badParameter', `The specified X.509 certificate content is invalid: ${why}.`);
}
