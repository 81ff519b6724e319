/** Authorities that are certificates of a vault: the certificate, its chain, and its linked key ready to sign. */
import { parseKeyDetail, unpackMaterial } from '../keys/key-detail.ts';
import { unsealVersion } from '../versioned/sealed-versions.ts';
import type { AuthorityKeys } from './authority-provider.ts';
import { familyKeys } from './certificate-family.ts';
import { providerNamed } from './certificate-key-pair.ts';
import { type CertificateDeps, openValue } from './certificate-objects.ts';

export function createAuthorityKeys(deps: CertificateDeps): AuthorityKeys {
  return {
    async current(vault, name) {
      const keys = familyKeys(vault.id, name);
      const found = await deps.reader.sealedVersion(keys.certificate, undefined);
      if (found === undefined || found.head.deletedAt !== undefined || !found.version.enabled)
        return undefined;
      const { chain, leaf } = await openValue(deps, keys.certificate, found.version);
      const ders = chain.map((der) => new Uint8Array(Buffer.from(der, 'base64')));
      const [certificate] = ders.splice(leaf, 1);
      const linked = await deps.reader.sealedVersion(keys.key, found.version.version);
      const packed = linked && (await unsealVersion(deps, keys.key, linked.version));
      if (certificate === undefined || linked === undefined || packed === undefined) return undefined;
      const { spec, provider, jwk } = parseKeyDetail(linked.version.detail);
      try {
        const { material } = unpackMaterial(packed);
        const handle = await providerNamed(deps, provider).open({ spec, material });
        const signer = { publicJwk: jwk, handle };
        return { certificate, chain: ders, signer, close: () => handle.close() };
      } finally {
        packed.wipe();
      }
    },
  };
}
