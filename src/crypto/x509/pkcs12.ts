/**
 * PKCS#12 (PFX, RFC 7292): what is in it, and its PEM. The file comes from outside: its MAC is checked before anything in
 * it is used, its size, its bags and the work that it can ask for are bounded, and no error repeats its content.
 */
import { createHmac, type KeyObject, type X509Certificate } from 'node:crypto';
import type { ContentInfo, PFX, SafeBag } from 'pkijs';
import { Failure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { areSameMacs } from '../hmac.ts';
import { parseBer } from './ber.ts';
import { distinctCertificates, findLeaves, orderUpwards, parseCertificate } from './certificate-chain.ts';
import { decryptPkcs12, type Pkcs12Opener } from './pkcs12-decryption.ts';
import {
  derivePkcs12,
  encodePkcs12Password,
  newWorkBudget,
  pkcs12Digests,
  pkcs12Purpose,
  type WorkBudget,
} from './pkcs12-kdf.ts';
import { localKeyIdOid } from './pkcs12-oids.ts';
import { takePrivateKey } from './private-key.ts';

/** A key or certificate of a file. Its `localKeyId` (RFC 2985 §5.5.2, in hexadecimal) is there when it has one. */
export interface PfxEntry<T> {
  readonly value: T;
  readonly localKeyId: string | undefined;
}

/** What a file holds, in the order of the file. */
export interface PfxContents {
  readonly keys: readonly PfxEntry<KeyObject>[];
  readonly certificates: readonly PfxEntry<X509Certificate>[];
}

interface Found {
  readonly keys: PfxEntry<KeyObject>[];
  readonly certificates: PfxEntry<X509Certificate>[];
  bags: number;
}

/** Octets of a file. */
const largest = 1024 * 1024;
/** Files in use have two safes, and one bag a certificate or key. What follows looks at each pair of them. */
const mostSafes = 10;
const mostBags = 100;

/**
 * Reads all keys and certificates of a PFX (DER or BER). Throws a `badParameter` failure for a wrong password, a changed,
 * malformed or unsupported file, one above 1 MiB, and one that asks for too much work.
 */
export async function readPfx(pfx: SecretBytes, password: string): Promise<PfxContents> {
  if (pfx.length > largest) throw new Failure('badParameter', 'Pkcs12 value is invalid: it is too long.');
  const octets = Uint8Array.from(pfx.exposeBytes());
  try {
    const pkijs = await import('pkijs');
    const { opener, authenticatedSafe } = await verifyMac(
      new pkijs.PFX({ schema: await parseBer(octets) }),
      password,
    );
    try {
      return await readSafes(opener, authenticatedSafe);
    } finally {
      authenticatedSafe.fill(0);
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure('badParameter', 'Format of Pkcs12 value is invalid.', { cause: error });
  } finally {
    octets.fill(0);
  }
}

/**
 * Converts a PFX to PEM: PKCS#8 private keys first, then the certificate of each key, then their issuers
 * upwards, then any others; lines end in LF. A file without a key gives its certificates. Throws as `readPfx` does.
 */
export async function pfxToPem(pfx: SecretBytes, password: string): Promise<SecretBytes> {
  const contents = await readPfx(pfx, password);
  const keys = contents.keys.map(({ value }) => value);
  const certificates = distinctCertificates(contents.certificates.map(({ value }) => value));
  if (keys.length === 0 && certificates.length === 0) {
    throw new Failure('badParameter', 'Pkcs12 value is invalid: it holds neither a key nor a certificate.');
  }
  const blocks = [
    ...keys.map((key) => key.export({ format: 'pem', type: 'pkcs8' })),
    ...orderUpwards(certificates, findLeaves(certificates, keys)).map((certificate) =>
      certificate.toString(),
    ),
  ];
  return SecretBytes.fromText(blocks.join(''));
}

/** Proves file and password (RFC 7292 §5.1) and returns the octets that the MAC covers. */
async function verifyMac(
  pfx: PFX,
  password: string,
): Promise<{ opener: Pkcs12Opener; authenticatedSafe: Uint8Array }> {
  const { ContentInfo } = await import('pkijs');
  if (pfx.authSafe.contentType !== ContentInfo.DATA || pfx.macData === undefined) {
    throw new Failure('badParameter', 'Pkcs12 value is not supported: it has no MAC.');
  }
  const authenticatedSafe = new Uint8Array(pfx.authSafe.content.getValue());
  const budget = newWorkBudget();
  for (const passwordPkcs12 of passwordEncodings(password)) {
    const mac = await computeMac(pfx.macData, { authenticatedSafe, passwordPkcs12, budget });
    const expected = new Uint8Array(pfx.macData.mac.digest.getValue());
    if (areSameMacs(expected, mac)) {
      return { opener: { passwordUtf8: Buffer.from(password), passwordPkcs12, budget }, authenticatedSafe };
    }
  }
  throw new Failure(
    'badParameter',
    'Pkcs12 value is invalid: the password is wrong or the content was changed.',
  );
}

/** An empty password is written as a lone closing zero by some programs and as no octets at all by others. */
function passwordEncodings(password: string): Uint8Array[] {
  const encoded = encodePkcs12Password(password);
  return password === '' ? [encoded, new Uint8Array()] : [encoded];
}

async function computeMac(
  macData: NonNullable<PFX['macData']>,
  input: { authenticatedSafe: Uint8Array; passwordPkcs12: Uint8Array; budget: WorkBudget },
): Promise<Buffer> {
  const oid = macData.mac.digestAlgorithm.algorithmId;
  const digest = pkcs12Digests[oid];
  if (digest === undefined)
    throw new Failure('badParameter', `Pkcs12 value is not supported: MAC with ${oid}.`);
  const key = await derivePkcs12(input.budget, {
    digest,
    purpose: pkcs12Purpose.mac,
    password: input.passwordPkcs12,
    salt: new Uint8Array(macData.macSalt.getValue()),
    iterations: macData.iterations ?? 1,
    length: digest.output,
  });
  return createHmac(digest.name, key).update(input.authenticatedSafe).digest();
}

async function readSafes(opener: Pkcs12Opener, authenticatedSafe: Uint8Array): Promise<PfxContents> {
  const { AuthenticatedSafe } = await import('pkijs');
  const { safeContents } = new AuthenticatedSafe({ schema: await parseBer(authenticatedSafe) });
  if (safeContents.length > mostSafes) throw tooMany();
  const found: Found = { keys: [], certificates: [], bags: 0 };
  for (const safe of safeContents) await openSafe(opener, safe, found);
  return found;
}

async function openSafe(opener: Pkcs12Opener, safe: ContentInfo, found: Found): Promise<void> {
  const { SafeContents } = await import('pkijs');
  const octets = await octetsOf(opener, safe);
  try {
    const { safeBags } = new SafeContents({ schema: await parseBer(octets) });
    for (const bag of safeBags) await collect(opener, bag, found);
  } finally {
    octets.fill(0);
  }
}

async function octetsOf(opener: Pkcs12Opener, safe: ContentInfo): Promise<Uint8Array> {
  const { ContentInfo, EncryptedData } = await import('pkijs');
  switch (safe.contentType) {
    case ContentInfo.DATA:
      return new Uint8Array(safe.content.getValue());
    case ContentInfo.ENCRYPTED_DATA:
      return decryptPkcs12(opener, new EncryptedData({ schema: safe.content }).encryptedContentInfo);
    default:
      throw new Failure('badParameter', 'Pkcs12 value is not supported: it is encrypted to a certificate.');
  }
}

/** Adds what the bag holds; revocation lists and other secrets are left out. */
async function collect(opener: Pkcs12Opener, bag: SafeBag, found: Found): Promise<void> {
  found.bags += 1;
  if (found.bags > mostBags) throw tooMany();
  const { CertBag, EncryptedContentInfo, PKCS8ShroudedKeyBag, PrivateKeyInfo, SafeContents } = await import(
    'pkijs'
  );
  const value = bag.bagValue;
  const localKeyId = localKeyIdOf(bag);
  if (value instanceof SafeContents) {
    for (const nested of value.safeBags) await collect(opener, nested, found);
  } else if (value instanceof PrivateKeyInfo) {
    found.keys.push({ value: takePrivateKey(new Uint8Array(value.toSchema().toBER())), localKeyId });
  } else if (value instanceof PKCS8ShroudedKeyBag) {
    const content = new EncryptedContentInfo({
      contentEncryptionAlgorithm: value.encryptionAlgorithm,
      encryptedContent: value.encryptedData,
    });
    found.keys.push({ value: takePrivateKey(await decryptPkcs12(opener, content)), localKeyId });
  } else if (value instanceof CertBag && 'getValue' in value.certValue) {
    const der = new Uint8Array(value.certValue.getValue());
    found.certificates.push({ value: parseCertificate(der), localKeyId });
  }
}

function localKeyIdOf(bag: SafeBag): string | undefined {
  const value: unknown = bag.bagAttributes?.find(({ type }) => type === localKeyIdOid)?.values[0];
  if (typeof value !== 'object' || value === null || !('getValue' in value)) return undefined;
  const octets = typeof value.getValue === 'function' ? value.getValue() : undefined;
  return octets instanceof ArrayBuffer ? Buffer.from(octets).toString('hex') : undefined;
}

function tooMany(): Failure {
  return new Failure('badParameter', 'Pkcs12 value is not supported: it has too many parts.');
}
