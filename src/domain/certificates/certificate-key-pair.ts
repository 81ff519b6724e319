/** The key behind a certificate: made anew or taken from the version before, and ready to sign. */
import type { SecretBytes } from '../../core/secret-bytes.ts';
import type { KeyProvider, KeySpec } from '../../crypto/provider.ts';
import type { X509Signer } from '../../crypto/x509/certificate-content.ts';
import { parseKeyDetail, unpackMaterial } from '../keys/key-detail.ts';
import { providerFor } from '../keys/key-objects.ts';
import type { Vault } from '../vaults/vault.ts';
import type { ObjectKey } from '../versioned/object-store.ts';
import { unsealVersion } from '../versioned/sealed-versions.ts';
import { familyKeys } from './certificate-family.ts';
import { keySpecOf } from './certificate-key.ts';
import { type CertificateDeps, openValue } from './certificate-objects.ts';
import type { CertificatePolicy } from './certificate-policy.ts';
import type { PendingKey } from './certificate-state.ts';
import { badPolicy } from './policy-input.ts';

/** A key with its material, which is the owner's to wipe. */
export interface KeyPair {
  readonly key: PendingKey;
  readonly material: SecretBytes;
}

/** The key of a new version by its policy: that of the version before, if it is to be used again and fits. */
export async function keyPairFor(
  deps: CertificateDeps,
  of: { vault: Vault; name: string; policy: CertificatePolicy; current: string | undefined },
): Promise<KeyPair> {
  const { spec, hsm } = keySpecOf(of.policy);
  const by = providerFor(deps.keys, of.vault, hsm);
  if (of.policy.key.reuse && of.current !== undefined) {
    const previous = await previousKeyPair(deps, { ...of, version: of.current });
    if (previous !== undefined && isSameKind(previous.key, { spec, hsm })) return previous;
    previous?.material.wipe();
  }
  const { material, publicJwk } = await by.generate(spec);
  return { key: { spec, hsm, provider: by.name, platform: by.platform, jwk: publicJwk }, material };
}

/** Undefined where there is no such version. */
async function previousKeyPair(
  deps: CertificateDeps,
  of: { vault: Vault; name: string; policy: CertificatePolicy; version: string },
): Promise<KeyPair | undefined> {
  const keys = familyKeys(of.vault.id, of.name);
  const found = await deps.reader.sealedVersion(keys.key, of.version);
  const packed = found && (await unsealVersion(deps, keys.key, found.version));
  if (found === undefined || packed === undefined) return undefined;
  try {
    if (of.policy.key.exportable) await assertExportable(deps, keys.certificate, of.version);
    const { spec, hsm, provider, platform, jwk } = parseKeyDetail(found.version.detail);
    return { key: { spec, hsm, provider, platform, jwk }, material: unpackMaterial(packed).material };
  } catch (error) {
    packed.wipe();
    throw error;
  }
}

/** As it was sealed: whoever can write to the database cannot make a key leave the server. */
async function assertExportable(deps: CertificateDeps, key: ObjectKey, version: string): Promise<void> {
  const found = await deps.reader.sealedVersion(key, version);
  if (found !== undefined && (await openValue(deps, key, found.version)).exportable) return;
  throw badPolicy('A key that was not exportable cannot be used again for an exportable certificate.');
}

function isSameKind(a: { spec: KeySpec; hsm: boolean }, b: { spec: KeySpec; hsm: boolean }): boolean {
  return a.hsm === b.hsm && JSON.stringify(a.spec) === JSON.stringify(b.spec);
}

/** Works with the key through its provider, and closes it afterwards. */
export async function withSigner<T>(
  deps: CertificateDeps,
  { key, material }: KeyPair,
  work: (signer: X509Signer) => Promise<T>,
): Promise<T> {
  const handle = await providerNamed(deps, key.provider).open({ spec: key.spec, material });
  try {
    return await work({ publicJwk: key.jwk, handle });
  } finally {
    handle.close();
  }
}

/** The provider that has a key; throws for one that this server does not have. */
export function providerNamed({ keys }: CertificateDeps, name: string): KeyProvider {
  const { software, hsm } = keys.providers;
  const found = [software, hsm].find((provider) => provider?.name === name);
  if (found === undefined) throw new Error(`the key provider '${name}' is not configured`);
  return found;
}
