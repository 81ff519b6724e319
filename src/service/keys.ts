/** Builds what keys need: their provider, the handles that are kept open, rotation and release. */

import { createSoftwareProvider } from '../crypto/software/provider.ts';
import { createKeyObjects, type KeyDeps } from '../domain/keys/key-objects.ts';
import { createKeyUse, type KeyUse } from '../domain/keys/key-use.ts';
import { createKeys, type Keys } from '../domain/keys/keys.ts';
import { type OpenKey, openKeySize } from '../domain/keys/open-key.ts';
import { createKeyRelease, type KeyRelease } from '../domain/keys/release.ts';
import { createReleaseSigner } from '../domain/keys/release-signer.ts';
import { createKeyRotation, type DueKey, type KeyRotation, runDueKeys } from '../domain/keys/rotation.ts';
import { vaultRotationLimits } from '../domain/keys/rotation-policy.ts';
import type { ServerCertificates } from '../domain/sealing/server-certificates.ts';
import type { Vault } from '../domain/vaults/vault.ts';
import { createValueCache } from '../domain/versioned/value-cache.ts';
import type { VersionedDeps } from '../domain/versioned/versioned-objects.ts';
import { createAttestationVerifier } from '../identity/attestation.ts';
import { importRs256Key } from '../identity/compact-signature.ts';
import type { Fetch } from '../identity/remote-keys.ts';
import type { Fence } from '../jobs/lease-store.ts';
import { fenced, underLocks } from '../storage/database.ts';
import { createObjectWriter } from '../storage/objects.ts';
import type { Data, Tools } from './data.ts';

export interface KeyParts {
  readonly keys: Keys;
  readonly use: KeyUse;
  readonly rotation: KeyRotation;
  readonly release: KeyRelease;
  /** The same keys for callers of the management plane, whom locks may refuse. */
  readonly underLocks: Pick<KeyParts, 'keys' | 'rotation'>;
  readonly providers: KeyDeps['providers'];
  /** What the job does with the keys of a vault: rotates those whose policy says so, marks those near their expiry. */
  readonly runDue: (fence: Fence, vault: Vault) => AsyncIterable<DueKey>;
  /** Closes every handle. */
  close(): void;
}

export function buildKeys(
  tools: Tools,
  data: Data,
  of: {
    objects: Omit<VersionedDeps<never>, 'values'>;
    fetch: Fetch;
    certificates: () => Promise<ServerCertificates>;
    /** Names of the vaults' hosts, for the certificate that signs releases. */
    signerNames: () => { dnsNames: readonly string[]; ipAddresses: readonly string[] };
  },
): KeyParts {
  const { config, clock, random, log } = tools;
  const software = createSoftwareProvider({ log, random });
  const values = createValueCache<OpenKey>(
    { clock, feed: data.db.feed },
    { sizeOf: () => openKeySize, dropped: (key) => key.close() },
  );
  const deps: KeyDeps = {
    ...of.objects,
    values,
    random,
    limits: vaultRotationLimits,
    providers: { software, hsm: config.hsmKeys === 'software' ? software : undefined },
  };
  const objects = createKeyObjects(deps);
  const use = createKeyUse({ clock, objects });
  const { unwrapPrivate } = use;
  const attestations = createAttestationVerifier(
    { fetch: of.fetch, clock, log },
    { allowed: config.attestationAuthorities },
  );
  const nouns = (under: KeyDeps & { objects: typeof objects }) => ({
    keys: createKeys({ ...under, sealedItems: data.items, attestations, unwrapPrivate }),
    rotation: createKeyRotation(under),
  });
  const locked = { ...deps, writer: createObjectWriter(underLocks(data.db)) };
  return {
    ...nouns({ ...deps, objects }),
    underLocks: nouns({ ...locked, objects: createKeyObjects(locked) }),
    use,
    providers: deps.providers,
    release: createKeyRelease({
      keys: use,
      attestations,
      random,
      signer: createReleaseSigner(
        { clock, certificates: of.certificates, importSigningKey: importRs256Key },
        of.signerNames(),
      ),
    }),
    runDue(fence, vault) {
      const under = { ...deps, writer: createObjectWriter(fenced(data.db, fence)) };
      return runDueKeys({ ...under, objects: createKeyObjects(under) }, vault);
    },
    close() {
      values.clear();
      software.close();
    },
  };
}
