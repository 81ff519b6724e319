/** Signs statements that are no tokens: a JWS in compact form (RFC 7515 §7.1) over JSON, with RS256. */
import { type CompactJWSHeaderParameters, CompactSign, importPKCS8 } from 'jose';
import type { SecretBytes } from '../core/secret-bytes.ts';

/** Signs the payload's JSON; the header's members stay in their order. */
export type SignCompact = (header: Readonly<Record<string, unknown>>, payload: object) => Promise<string>;

/** Takes in an RSA key (PKCS#8, PEM); the handle cannot be exported. Rejects what is no such key. */
export async function importRs256Key(privateKeyPem: SecretBytes): Promise<SignCompact> {
  const key = await importPKCS8(privateKeyPem.exposeText(), 'RS256');
  return (header, payload) =>
    new CompactSign(Buffer.from(JSON.stringify(payload), 'utf8'))
      .setProtectedHeader({ ...header, alg: 'RS256' } as CompactJWSHeaderParameters)
      .sign(key);
}
