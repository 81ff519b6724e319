/** Which algorithm is for which key and operation, as the page of the documentation that is made from the rows. */
import {
  type EncryptionAlgorithm,
  encryptionAlgorithms,
  keyTransportAlgorithms,
  type SignatureAlgorithm,
  signatureAlgorithms,
} from '../../src/crypto/algorithms.ts';

export const algorithmsPage = new URL('../../docs/algorithms.md', import.meta.url);

const schemes: Readonly<Record<SignatureAlgorithm['scheme'] | EncryptionAlgorithm['scheme'], string>> = {
  pkcs1: 'RSASSA-PKCS1-v1_5 (RFC 8017 §8.2)',
  pss: 'RSASSA-PSS, salt as long as the hash (RFC 8017 §8.1)',
  ecdsa: 'ECDSA, r‖s (FIPS 186-5, RFC 7518 §3.4)',
  hmac: 'HMAC (RFC 2104)',
  'ml-dsa': 'ML-DSA, pure, empty context (FIPS 204)',
  'rsa-oaep': 'RSAES-OAEP (RFC 8017 §7.1)',
  rsa1_5: 'RSAES-PKCS1-v1_5 (RFC 8017 §7.2)',
  'aes-gcm': 'AES-GCM, 96-bit IV, 128-bit tag (SP 800-38D)',
  'aes-cbc': 'AES-CBC (SP 800-38A)',
  'aes-kw': 'AES key wrap (RFC 3394)',
  'aes-kwp': 'AES key wrap with padding (RFC 5649)',
};

function signatureLine(row: SignatureAlgorithm): string[] {
  const value = row.digestBytes === undefined ? 'the message' : `a digest of ${row.digestBytes} bytes`;
  return [row.name, row.only ?? row.keyType, schemes[row.scheme], row.hash ?? '', value];
}

function encryptionLine(row: EncryptionAlgorithm): string[] {
  const key = row.keyType === 'RSA' ? 'RSA' : `oct ${row.bits ?? '128, 192, 256'}`;
  const padding = row.padded ? `${schemes[row.scheme]}, PKCS#7 padding` : schemes[row.scheme];
  const yes = (can: boolean) => (can ? '✔' : '');
  return [row.name, key, padding, row.hash ?? '', yes(row.encrypts), yes(row.wraps)];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

export function algorithmMatrix(): string {
  return `# Algorithms

Made from the rows of \`src/crypto/algorithms.ts\` by \`node scripts/golden.ts\`. Keys of type EC are on P-256, P-384, P-521 or
P-256K (secp256k1), RSA keys have 2048, 3072 or 4096 bits, and each type has its \`-HSM\` form in premium vaults.

## Signatures

${table(['name', 'key', 'scheme', 'hash', '`sign` takes'], signatureAlgorithms.map(signatureLine))}

## Encryption and wrapping

${table(['name', 'key', 'scheme', 'hash', 'encrypt, decrypt', 'wrapKey, unwrapKey'], encryptionAlgorithms.map(encryptionLine))}

## Transport of private keys

For \`release\`, and for the import of keys that were wrapped for a key of the vault: an AES-256 key under RSA-OAEP, and under
that the private key with AES-KWP (PKCS#11 \`CKM_RSA_AES_KEY_WRAP\`).

${table(
  ['name', 'hash of OAEP'],
  keyTransportAlgorithms.map((row) => [row.name, row.oaepHash]),
)}
`;
}
