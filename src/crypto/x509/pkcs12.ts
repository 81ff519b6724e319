/**
 * PKCS#12 (PFX, RFC 7292) to PEM. The file comes from outside: its MAC is checked before anything in it is used,
 * the work that it can ask for is bounded, and no error repeats its content. Callers bound its size.
 */
import { createHmac, createPrivateKey, type KeyObject, timingSafeEqual, X509Certificate } from 'node:crypto';
import type { PFX, SafeBag } from 'pkijs';
import { Failure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { decryptPkcs12, type Pkcs12Opener } from './pkcs12-decryption.ts';
import {
  derivePkcs12,
  encodePkcs12Password,
  newWorkBudget,
  pkcs12Digests,
  pkcs12Purpose,
  type WorkBudget,
} from './pkcs12-kdf.ts';

/** What a file holds: private keys, and certificates in the order of the file. */
interface Contents {
  readonly keys: KeyObject[];
  readonly certificates: X509Certificate[];
}

/**
 * Converts a PFX to PEM: PKCS#8 private keys first, then the certificate of each key, then their issuers
 * upwards, then any others; lines end in LF. A file without a key gives its certificates. Throws a `badParameter`
 * failure for a wrong password, a changed, malformed or unsupported file, or one that asks for too much work.
 */
export async function pfxToPem(pfx: SecretBytes, password: string): Promise<SecretBytes> {
  const pkijs = await import('pkijs');
  try {
    const parsed = pkijs.PFX.fromBER(Buffer.from(pfx.exposeBytes()));
    const { opener, authenticatedSafe } = await verifyMac(parsed, password);
    const contents: Contents = { keys: [], certificates: [] };
    for (const bag of await openSafes(opener, authenticatedSafe)) await collect(opener, bag, contents);
    return toPem(contents);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure('badParameter', 'Format of Pkcs12 value is invalid.', { cause: error });
  }
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
    if (expected.length === mac.length && timingSafeEqual(expected, mac)) {
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

async function openSafes(opener: Pkcs12Opener, authenticatedSafe: Uint8Array): Promise<SafeBag[]> {
  const { AuthenticatedSafe, ContentInfo, EncryptedData, SafeContents } = await import('pkijs');
  const bags: SafeBag[] = [];
  for (const safe of AuthenticatedSafe.fromBER(authenticatedSafe).safeContents) {
    if (safe.contentType === ContentInfo.DATA) {
      bags.push(...SafeContents.fromBER(safe.content.getValue()).safeBags);
    } else if (safe.contentType === ContentInfo.ENCRYPTED_DATA) {
      const encrypted = new EncryptedData({ schema: safe.content });
      const plain = await decryptPkcs12(opener, encrypted.encryptedContentInfo);
      bags.push(...SafeContents.fromBER(plain).safeBags);
    } else {
      throw new Failure('badParameter', 'Pkcs12 value is not supported: it is encrypted to a certificate.');
    }
  }
  return bags;
}

/** Adds what the bag holds to the contents; revocation lists and other secrets have no place in the PEM. */
async function collect(opener: Pkcs12Opener, bag: SafeBag, contents: Contents): Promise<void> {
  const { CertBag, EncryptedContentInfo, PKCS8ShroudedKeyBag, PrivateKeyInfo, SafeContents } = await import(
    'pkijs'
  );
  const value = bag.bagValue;
  if (value instanceof SafeContents) {
    for (const nested of value.safeBags) await collect(opener, nested, contents);
  } else if (value instanceof PrivateKeyInfo) {
    contents.keys.push(parsePrivateKey(new Uint8Array(value.toSchema().toBER())));
  } else if (value instanceof PKCS8ShroudedKeyBag) {
    const content = new EncryptedContentInfo({
      contentEncryptionAlgorithm: value.encryptionAlgorithm,
      encryptedContent: value.encryptedData,
    });
    contents.keys.push(parsePrivateKey(await decryptPkcs12(opener, content)));
  } else if (value instanceof CertBag && 'getValue' in value.certValue) {
    contents.certificates.push(new X509Certificate(Buffer.from(value.certValue.getValue())));
  }
}

/** Reads a PKCS#8 key and overwrites the octets that it came from. */
function parsePrivateKey(der: Uint8Array): KeyObject {
  const octets = Buffer.from(der.buffer, der.byteOffset, der.byteLength);
  try {
    return createPrivateKey({ key: octets, format: 'der', type: 'pkcs8' });
  } finally {
    octets.fill(0);
  }
}

function toPem({ keys, certificates }: Contents): SecretBytes {
  if (keys.length === 0 && certificates.length === 0) {
    throw new Failure('badParameter', 'Pkcs12 value is invalid: it holds neither a key nor a certificate.');
  }
  const blocks = [
    ...keys.map((key) => key.export({ format: 'pem', type: 'pkcs8' })),
    ...orderLeafFirst(certificates, keys).map((certificate) => certificate.toString()),
  ];
  return SecretBytes.fromText(blocks.join(''));
}

/** Leaves first, each certificate once, then every issuer that leads up from them, then what is left over. */
function orderLeafFirst(certificates: X509Certificate[], keys: KeyObject[]): X509Certificate[] {
  const left = new Map(certificates.map((certificate) => [certificate.fingerprint256, certificate]));
  const take = (certificate: X509Certificate) => {
    left.delete(certificate.fingerprint256);
    return certificate;
  };
  const ordered = findLeaves([...left.values()], keys).map(take);
  for (const certificate of ordered) {
    // The array grows while it is walked: issuers of issuers follow.
    const issuer = [...left.values()].find((candidate) => certificate.checkIssued(candidate));
    if (issuer !== undefined) ordered.push(take(issuer));
  }
  return [...ordered, ...left.values()];
}

/** The certificates of the keys; without a match those that issued no other, which leaves out the authorities. */
function findLeaves(certificates: X509Certificate[], keys: KeyObject[]): X509Certificate[] {
  const matching = certificates.filter((certificate) => keys.some((key) => certificate.checkPrivateKey(key)));
  if (matching.length > 0) return matching;
  return certificates.filter((candidate) => {
    return !certificates.some((other) => other !== candidate && other.checkIssued(candidate));
  });
}
