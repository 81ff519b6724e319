/** A certificate that is taken in with its private key: PFX or PEM. */
import { unixSeconds } from '../../core/clock.ts';
import { Failure } from '../../core/errors.ts';
import { parseImportedCertificate } from '../../crypto/x509/certificate-import.ts';
import { readCertificate } from '../../crypto/x509/certificate-reading.ts';
import { privateJwkOf } from '../../crypto/x509/private-key.ts';
import { providerFor } from '../keys/key-objects.ts';
import type { VaultGrant } from '../vaults/vault.ts';
import type { HeadAndVersion, ObjectChange } from '../versioned/object-store.ts';
import { withFreshKey } from '../versioned/sealed-versions.ts';
import { nameOf } from '../versioned/versioned-objects.ts';
import { assertNameFree, changeFamily, familyKeys, unchanged } from './certificate-family.ts';
import { keySpecOf } from './certificate-key.ts';
import type { KeyPair } from './certificate-key-pair.ts';
import type { CertificateDeps } from './certificate-objects.ts';
import type { CertificatePolicy } from './certificate-policy.ts';
import { parseState } from './certificate-state.ts';
import type { Certificates } from './certificate-types.ts';
import { importedPolicy } from './imported-policy.ts';
import { sealIssued } from './issued-version.ts';
import { additionOf, isInProgress, isRunning } from './pending-operation.ts';

type Input = Parameters<Certificates['import']>[1];

const gone: ObjectChange<unknown> = { head: undefined, result: undefined };

/** Makes it the current version of its name. Refuses what has expired (Azure does), and a key that does not match. */
export async function importCertificate(
  deps: CertificateDeps,
  grant: VaultGrant,
  input: Input,
): Promise<HeadAndVersion> {
  const { vault } = grant;
  const { preserveCertOrder = false, enabled = true, tags } = input;
  const taken = await takeIn(deps, grant, input);
  const { policy, pair, chain, leaf, facts } = taken;
  const name = nameOf(grant);
  const version = deps.random.version();
  const issued = { vaultId: vault.id, name, version, policy, pair, chain, leaf, facts };
  try {
    return await withFreshKey(deps, vault.id, async () => {
      const sealed = await sealIssued(deps, { ...issued, enabled, tags, preserveCertOrder });
      const now = unixSeconds(deps.clock.now());
      return changeFamily(deps.writer, { vaultId: vault.id, name }, (states) => {
        assertNameFree(states);
        if (isRunning(states.pending)) throw isInProgress();
        const { head } = states.certificate;
        const was = head === undefined ? undefined : parseState(head.detail);
        const dates = { created: was?.created ?? now, updated: now };
        // Recorded: nothing is left of an operation that had ended.
        const state = { policy, ...dates, pending: undefined };
        const pending = states.pending.head === undefined ? unchanged : gone;
        const changes = { ...additionOf(states, { name, sealed, state }), pending };
        return { changes, result: changes.certificate.result };
      });
    });
  } finally {
    pair.material.wipe();
  }
}

async function takeIn(deps: CertificateDeps, grant: VaultGrant, input: Input) {
  const { vault } = grant;
  const { privateKey, chain, leaf, format } = await parseImportedCertificate({
    value: input.value,
    password: input.password,
    contentType: undefined,
    preserveOrder: input.preserveCertOrder ?? false,
  });
  try {
    const der = chain[leaf];
    if (der === undefined) throw new TypeError('the leaf is in the chain');
    const facts = await readCertificate(der);
    if (facts.notAfter <= unixSeconds(deps.clock.now()))
      throw new Failure('badParameter', 'X509 Certificate is already expired');
    const { content, spec, notBefore, notAfter: expires } = facts;
    const policy = importedPolicy(input.policy ?? {}, {
      certificate: { content, spec, notBefore, expires, format },
      previous: await previousPolicy(deps, grant),
    });
    const { hsm } = keySpecOf(policy);
    const by = providerFor(deps.keys, vault, hsm);
    const made = await by.import(privateJwkOf(privateKey));
    const key = { spec: made.spec, hsm, provider: by.name, platform: by.platform, jwk: made.publicJwk };
    const pair: KeyPair = { key, material: made.material };
    return { policy, pair, chain, leaf, facts };
  } finally {
    privateKey.wipe();
  }
}

async function previousPolicy(
  deps: CertificateDeps,
  grant: VaultGrant,
): Promise<CertificatePolicy | undefined> {
  const head = await deps.reader.head(familyKeys(grant.vault.id, nameOf(grant)).certificate);
  return head === undefined || head.deletedAt !== undefined ? undefined : parseState(head.detail).policy;
}
