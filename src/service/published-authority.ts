/** The authority's certificate in the data folder, in the forms that clients of each ecosystem read. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import type { DataPaths } from '../config.ts';
import { createTrustStore } from '../crypto/x509/trust-store.ts';

/** Java will not open a trust store without one; what is in it is public. */
export const trustStorePassword = 'changeit';

/** Writes the authority's certificate, alone and beside the public roots, in the forms that clients read. */
export async function publishAuthority(paths: DataPaths, authorityPem: string): Promise<void> {
  const published = existsSync(paths.authority) ? readFileSync(paths.authority, 'utf8') : undefined;
  if (published === authorityPem && existsSync(paths.authorityBundle) && existsSync(paths.trustStore)) return;
  const all = [...rootCertificates, authorityPem];
  writeFileSync(paths.authorityBundle, `${all.join('\n')}\n`, { mode: 0o644 });
  writeFileSync(paths.trustStore, await createTrustStore(all, trustStorePassword), { mode: 0o644 });
  // Last, since it tells that the others are up to date.
  writeFileSync(paths.authority, authorityPem, { mode: 0o644 });
}
