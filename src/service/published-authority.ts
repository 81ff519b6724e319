/** The authority's certificate in the data folder, in the forms that clients of each ecosystem read. */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import type { DataPaths } from '../config.ts';
import { createTrustStore } from '../crypto/x509/trust-store.ts';

/** Java will not open a trust store without one; what is in it is public. */
export const trustStorePassword = 'changeit';

/** Writes the certificate alone and beside the public roots, unless both are there for this very authority. */
export function publishAuthority(paths: DataPaths, authorityPem: string): void {
  const published = existsSync(paths.authority) ? readFileSync(paths.authority, 'utf8') : undefined;
  if (published === authorityPem && existsSync(paths.authorityBundle)) return;
  rmSync(paths.trustStore, { force: true });
  replace(paths.authorityBundle, `${[...rootCertificates, authorityPem].join('\n')}\n`);
  // Last, since it tells that the other is up to date.
  replace(paths.authority, authorityPem);
}

/** Writes the trust store for Java when a client is first told of it: making one takes a library that a start does not. */
export async function publishTrustStore(paths: DataPaths): Promise<void> {
  if (existsSync(paths.trustStore) || !existsSync(paths.authority)) return;
  const certificates = [...rootCertificates, readFileSync(paths.authority, 'utf8')];
  replace(paths.trustStore, await createTrustStore(certificates, trustStorePassword));
}

function replace(path: string, content: string | Uint8Array): void {
  writeFileSync(`${path}.new`, content, { mode: 0o644 });
  renameSync(`${path}.new`, path);
}
