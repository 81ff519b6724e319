/**
 * Decryption of the parts of a PKCS#12 file, and of encrypted PKCS#8 keys, which are encrypted in the same schemes:
 * PBES2 with AES (RFC 8018 §6.2) by the PKCS#12 library, and the older ones of RFC 7292 appendix C by OpenSSL's ciphers.
 * Callers check a file's MAC first; a key in PEM has none.
 */
import { createDecipheriv } from 'node:crypto';
import type { AlgorithmIdentifier, EncryptedContentInfo } from 'pkijs';
import { Failure } from '../../core/errors.ts';
import { decryptRc2, Rc2Missing } from '../software/rc2.ts';
import { derivePkcs12, pkcs12Purpose, pkcs12Sha1, spendWork, type WorkBudget } from './pkcs12-kdf.ts';
import { tripleDesOid } from './pkcs12-oids.ts';

/** What opens one file: the password in the two encodings that PKCS#12 mixes, and the work still allowed. */
export interface Pkcs12Opener {
  /** UTF-8, for PBES2. */
  readonly passwordUtf8: Uint8Array;
  /** For the schemes of RFC 7292 appendix C: in the encoding that a file's MAC proved, else in the usual one. */
  readonly passwordPkcs12: Uint8Array;
  readonly budget: WorkBudget;
}

interface LegacyScheme {
  readonly keyLength: number;
  readonly decrypt: (input: LegacyInput) => Uint8Array;
}

interface LegacyInput {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** RFC 7292 appendix C, all over SHA-1. Its two rows with RC4 are in no file that is still about. */
const legacySchemes: Readonly<Record<string, LegacyScheme>> = {
  [tripleDesOid]: { keyLength: 24, decrypt: (input) => decryptDes('des-ede3-cbc', input) },
  '1.2.840.113549.1.12.1.4': { keyLength: 16, decrypt: (input) => decryptDes('des-ede-cbc', input) },
  '1.2.840.113549.1.12.1.5': { keyLength: 16, decrypt: decryptRc2 },
  '1.2.840.113549.1.12.1.6': { keyLength: 5, decrypt: decryptRc2 },
};
const legacyIvLength = 8;

const pbes2Oid = '1.2.840.113549.1.5.13';
const pbkdf2Oid = '1.2.840.113549.1.5.12';
/** AES-128, AES-192 and AES-256 in CBC mode. */
const aesCbcOids: readonly string[] = [
  '2.16.840.1.101.3.4.1.2',
  '2.16.840.1.101.3.4.1.22',
  '2.16.840.1.101.3.4.1.42',
];

/**
 * Decrypts one part; the result is the caller's to wipe. Throws a `badParameter` failure for a scheme that is not
 * supported or too much work; other errors mean content that is malformed or of another password.
 */
export async function decryptPkcs12(
  opener: Pkcs12Opener,
  content: EncryptedContentInfo,
): Promise<Uint8Array> {
  const algorithm = content.contentEncryptionAlgorithm;
  if (algorithm.algorithmId === pbes2Oid) return decryptPbes2(opener, content);
  const scheme = legacySchemes[algorithm.algorithmId];
  if (scheme === undefined) throw unsupported(`encryption ${algorithm.algorithmId}`);
  return decryptLegacy(opener, scheme, content);
}

async function decryptPbes2(opener: Pkcs12Opener, content: EncryptedContentInfo): Promise<Uint8Array> {
  const { EncryptedData, PBES2Params, PBKDF2Params } = await import('pkijs');
  const { keyDerivationFunc, encryptionScheme } = new PBES2Params({
    schema: content.contentEncryptionAlgorithm.algorithmParams,
  });
  if (keyDerivationFunc.algorithmId !== pbkdf2Oid)
    throw unsupported(`derivation ${keyDerivationFunc.algorithmId}`);
  if (!aesCbcOids.includes(encryptionScheme.algorithmId))
    throw unsupported(`cipher ${encryptionScheme.algorithmId}`);
  // The library derives with whatever count the file holds, so the count is judged first.
  spendWork(opener.budget, new PBKDF2Params({ schema: keyDerivationFunc.algorithmParams }).iterationCount);
  const password = new Uint8Array(opener.passwordUtf8).buffer;
  const data = new EncryptedData({ encryptedContentInfo: content });
  return new Uint8Array(await data.decrypt({ password }));
}

async function decryptLegacy(
  opener: Pkcs12Opener,
  scheme: LegacyScheme,
  content: EncryptedContentInfo,
): Promise<Uint8Array> {
  const { salt, iterations } = parseLegacyParameters(content.contentEncryptionAlgorithm);
  const input = { digest: pkcs12Sha1, password: opener.passwordPkcs12, salt, iterations };
  const key = await derivePkcs12(opener.budget, {
    ...input,
    purpose: pkcs12Purpose.key,
    length: scheme.keyLength,
  });
  const iv = await derivePkcs12(opener.budget, {
    ...input,
    purpose: pkcs12Purpose.iv,
    length: legacyIvLength,
  });
  try {
    return scheme.decrypt({ key, iv, ciphertext: new Uint8Array(content.getEncryptedContent()) });
  } catch (error) {
    if (error instanceof Rc2Missing) throw unsupported('the obsolete cipher RC2', error);
    throw error;
  } finally {
    key.fill(0);
  }
}

function decryptDes(
  cipher: 'des-ede3-cbc' | 'des-ede-cbc',
  { key, iv, ciphertext }: LegacyInput,
): Uint8Array {
  const decipher = createDecipheriv(cipher, key, iv);
  const blocks = decipher.update(ciphertext);
  try {
    return Buffer.concat([blocks, decipher.final()]);
  } finally {
    blocks.fill(0);
  }
}

/** `pkcs-12PbeParams ::= SEQUENCE { salt OCTET STRING, iterations INTEGER }` (RFC 7292 appendix C). */
function parseLegacyParameters(algorithm: AlgorithmIdentifier): { salt: Uint8Array; iterations: number } {
  const [salt, iterations] = algorithm.algorithmParams.valueBlock.value;
  const octets: unknown = salt.valueBlock.valueHexView;
  const count: unknown = iterations.valueBlock.valueDec;
  if (!(octets instanceof Uint8Array) || typeof count !== 'number')
    throw new TypeError('malformed PBE parameters');
  return { salt: octets, iterations: count };
}

function unsupported(what: string, cause?: unknown): Failure {
  return new Failure(
    'badParameter',
    `Pkcs12 value is not supported: ${what}. Export it again with AES-256.`,
    {
      cause,
    },
  );
}
