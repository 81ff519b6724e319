/** PEM text (RFC 7468) of keys and certificates that are at hand in DER; lines end in LF. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { SecretBytes } from '../../core/secret-bytes.ts';

/** An unencrypted PKCS#8 private key, DER in, PEM out (`BEGIN PRIVATE KEY`); throws when it is not one. */
export function privateKeyPem(pkcs8: SecretBytes): SecretBytes {
  const der = Buffer.from(pkcs8.exposeBytes());
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  return SecretBytes.fromText(key.export({ format: 'pem', type: 'pkcs8' }));
}

/** A certificate, DER in, PEM out; throws when it is not one. */
export function certificatePem(der: Uint8Array): string {
  return new X509Certificate(der).toString();
}
