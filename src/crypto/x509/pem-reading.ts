/**
 * Private keys and certificates out of a PEM text (RFC 7468) from outside: in any order, with text around the blocks, with
 * any line ends. Blocks of other kinds are refused, not passed over; no error repeats the text.
 */
import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { Failure } from '../../core/errors.ts';
import { decodeBase64 } from './base64.ts';
import { parseBer } from './ber.ts';
import { parseCertificate } from './certificate-chain.ts';
import { decryptPkcs12 } from './pkcs12-decryption.ts';
import { encodePkcs12Password, newWorkBudget, type WorkBudget } from './pkcs12-kdf.ts';
import { takePrivateKey } from './private-key.ts';

/** What a text holds, in its order. */
export interface PemContents {
  readonly keys: readonly KeyObject[];
  readonly certificates: readonly X509Certificate[];
}

interface Block {
  readonly label: string;
  readonly body: string;
}

interface Reader {
  readonly password: string;
  readonly budget: WorkBudget;
  readonly keys: KeyObject[];
  readonly certificates: X509Certificate[];
}

const mostBlocks = 100;
const longestLabel = 40;

type Read = (reader: Reader, der: Buffer) => void | Promise<void>;

/** By label (RFC 7468 §5, §10, §11; the others are OpenSSL's). A map, since labels come from outside. */
const readers: ReadonlyMap<string, Read> = new Map<string, Read>([
  ['CERTIFICATE', readCertificate],
  ['X509 CERTIFICATE', readCertificate],
  ['PRIVATE KEY', (reader, der) => addKey(reader, der, 'pkcs8')],
  ['RSA PRIVATE KEY', (reader, der) => addKey(reader, der, 'pkcs1')],
  ['EC PRIVATE KEY', (reader, der) => addKey(reader, der, 'sec1')],
  ['ENCRYPTED PRIVATE KEY', readEncryptedKey],
  // OpenSSL writes the curve, which the key names too, before an EC key.
  ['EC PARAMETERS', () => undefined],
]);

/**
 * Reads PKCS#8, PKCS#1 and SEC 1 keys and certificates. The password opens encrypted PKCS#8 keys only. Throws a
 * `badParameter` failure for anything malformed, unknown or encrypted in another way.
 */
export async function readPem(text: string, password: string): Promise<PemContents> {
  const reader: Reader = { password, budget: newWorkBudget(), keys: [], certificates: [] };
  for (const { label, body } of splitBlocks(text)) {
    const read = readers.get(label);
    if (read === undefined)
      throw unexpected('it has a block that is neither a certificate nor a private key');
    const der = decodeBody(body);
    try {
      await read(reader, der);
    } finally {
      der.fill(0);
    }
  }
  return { keys: reader.keys, certificates: reader.certificates };
}

/** The refusal of a PEM text, in Azure's words and with our reason. */
export function unexpected(why: string, cause?: unknown): Failure {
  const text = 'The specified PEM X.509 certificate content is in an unexpected format';
  return new Failure('badParameter', `${text}: ${why}.`, { cause });
}

/** Goes through the text once. */
function splitBlocks(text: string): Block[] {
  const begin = '-----BEGIN ';
  const dashes = '-----';
  const blocks: Block[] = [];
  for (let at = text.indexOf(begin); at >= 0; at = text.indexOf(begin, at)) {
    const labelEnd = text.indexOf(dashes, at + begin.length);
    const label = text.slice(at + begin.length, Math.min(labelEnd, at + begin.length + longestLabel));
    const closing = `${dashes}END ${label}${dashes}`;
    const end = labelEnd < 0 ? -1 : text.indexOf(closing, labelEnd);
    if (end < 0) throw unexpected('a block does not end');
    blocks.push({ label, body: text.slice(labelEnd + dashes.length, end) });
    if (blocks.length > mostBlocks) throw unexpected(`it has more than ${mostBlocks} blocks`);
    at = end + closing.length;
  }
  return blocks;
}

function decodeBody(body: string): Buffer {
  if (body.includes('Proc-Type')) {
    throw unexpected('a private key is encrypted in the old way of PEM; convert it to PKCS#8');
  }
  const octets = decodeBase64(body);
  if (octets === undefined) throw unexpected('a block is not base64');
  return octets;
}

function readCertificate({ certificates }: Reader, der: Buffer): void {
  try {
    certificates.push(parseCertificate(der));
  } catch (cause) {
    throw unexpected('a certificate can not be read', cause);
  }
}

function addKey({ keys }: Reader, der: Buffer, type: 'pkcs8' | 'pkcs1' | 'sec1'): void {
  try {
    keys.push(createPrivateKey({ key: der, format: 'der', type }));
  } catch (cause) {
    throw unexpected('a private key can not be read', cause);
  }
}

/** EncryptedPrivateKeyInfo (RFC 5958 §3), which a key of a PKCS#12 file is too. */
async function readEncryptedKey(reader: Reader, der: Buffer): Promise<void> {
  const { password, budget } = reader;
  const opener = {
    passwordUtf8: Buffer.from(password),
    passwordPkcs12: encodePkcs12Password(password),
    budget,
  };
  try {
    const { EncryptedContentInfo, PKCS8ShroudedKeyBag } = await import('pkijs');
    const key = new PKCS8ShroudedKeyBag({ schema: await parseBer(der) });
    const content = new EncryptedContentInfo({
      contentEncryptionAlgorithm: key.encryptionAlgorithm,
      encryptedContent: key.encryptedData,
    });
    reader.keys.push(takePrivateKey(await decryptPkcs12(opener, content)));
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    // One text for a wrong password and for damage: which of them it was is known by chance only.
    throw unexpected('the password is wrong or the encrypted private key can not be read', cause);
  }
}
