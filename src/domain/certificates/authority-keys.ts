/** Authorities that are certificates of a vault: the certificate, its chain, and its linked key ready to sign. */
import { objectKey } from '../../core/names.ts';
import { readCertificate } from '../../crypto/x509/certificate-reading.ts';
import { parseKeyDetail, unpackMaterial } from '../keys/key-detail.ts';
import type { HeadAndVersion, ObjectVersion } from '../versioned/object-store.ts';
import { unsealVersion } from '../versioned/sealed-versions.ts';
import { type AuthorityKeys, authorityName, isAuthorityProvider } from './authority-provider.ts';
import { familyKeys } from './certificate-family.ts';
import { providerNamed } from './certificate-key-pair.ts';
import { type CertificateDeps, openValue } from './certificate-objects.ts';
import { parseDetail, parseState } from './certificate-state.ts';
import type { OrderVault } from './issuer-provider.ts';
import { type OrderIssuers, wipeIssuer } from './issuers.ts';

export interface AuthorityKeysDeps extends CertificateDeps {
  readonly issuers: Pick<OrderIssuers, 'open'>;
}

export function createAuthorityKeys(deps: AuthorityKeysDeps): AuthorityKeys {
  return {
    async current(vault, name) {
      const keys = familyKeys(vault.id, name);
      const found = await deps.reader.sealedVersion(keys.certificate, undefined);
      if (found === undefined || found.head.deletedAt !== undefined || !found.version.enabled)
        return undefined;
      const { chain, leaf } = await openValue(deps, keys.certificate, found.version);
      const ders = chain.map((der) => new Uint8Array(Buffer.from(der, 'base64')));
      const [certificate] = ders.splice(leaf, 1);
      const stoppedBy = await stoppedAbove(deps, vault, { found, chain: ders });
      const linked = await deps.reader.sealedVersion(keys.key, found.version.version);
      const packed = linked && (await unsealVersion(deps, keys.key, linked.version));
      if (certificate === undefined || linked === undefined || packed === undefined) return undefined;
      const { spec, provider, jwk } = parseKeyDetail(linked.version.detail);
      try {
        const { material } = unpackMaterial(packed);
        const handle = await providerNamed(deps, provider).open({ spec, material });
        const signer = { publicJwk: jwk, handle };
        return { certificate, chain: ders, signer, stoppedBy, close: () => handle.close() };
      } finally {
        packed.wipe();
      }
    },
  };
}

/**
 * The first certificate above an authority that is disabled or deleted, as far up as the issuers of this vault lead to
 * certificates that are in the authority's own chain. What is not here cannot be looked at, and stops nothing.
 */
async function stoppedAbove(
  deps: AuthorityKeysDeps,
  vault: OrderVault,
  { found, chain }: { found: HeadAndVersion; chain: readonly Uint8Array[] },
): Promise<string | undefined> {
  const above = new Set<string | undefined>();
  for (const der of chain) above.add((await readCertificate(der)).x5t);
  let below = found;
  // Each goes one level up, and there are no more levels than certificates.
  for (let left = above.size; left > 0; left -= 1) {
    const parent = await signerOf(deps, vault, { below, above });
    if (parent === undefined) return undefined;
    if (parent.head.deletedAt !== undefined || !parent.version.enabled) return parent.head.name;
    below = parent;
  }
  return undefined;
}

/** The version of this vault's that signed a certificate, by its issuer; undefined where there is none in the chain. */
async function signerOf(
  deps: AuthorityKeysDeps,
  vault: OrderVault,
  of: { below: HeadAndVersion; above: ReadonlySet<string | undefined> },
): Promise<HeadAndVersion | undefined> {
  const { policy } = parseState(of.below.head.detail);
  const issuer = await deps.issuers.open(vault.id, policy.issuer.name);
  wipeIssuer(issuer);
  if (issuer === undefined || !isAuthorityProvider(issuer.provider)) return undefined;
  const name = authorityName(vault, issuer);
  if (name === undefined || objectKey(name) === objectKey(of.below.head.name)) return undefined;
  const key = familyKeys(vault.id, name).certificate;
  const head = await deps.reader.head(key);
  if (head === undefined) return undefined;
  const version = await versionIn(deps, { key, above: of.above });
  return version && { head, version };
}

/** Versions that are read at once. */
const pageSize = 100;

async function versionIn(
  { reader }: AuthorityKeysDeps,
  { key, above }: { key: Parameters<typeof reader.listVersions>[0]; above: ReadonlySet<string | undefined> },
): Promise<ObjectVersion | undefined> {
  let after: string | undefined;
  for (;;) {
    const page = await reader.listVersions(key, { after, limit: pageSize });
    const version = page.find(({ detail }) => {
      const { x5t } = parseDetail(detail);
      return x5t !== undefined && above.has(x5t);
    });
    if (version !== undefined || page.length < pageSize) return version;
    after = page.at(-1)?.version;
  }
}
