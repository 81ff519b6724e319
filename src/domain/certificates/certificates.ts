/**
 * Certificates as objects: asked for, taken in, shown, changed, deleted and backed up, each together with its key and
 * its secret. How one is issued is in `issuance.ts`.
 */
import { certificateActions as actions } from '../../authorization/actions.ts';
import { assertGranted } from '../../authorization/grant.ts';
import { unixSeconds } from '../../core/clock.ts';
import { isFailure } from '../../core/errors.ts';
import type { Page } from '../../core/paging.ts';
import type { SealedItems } from '../sealing/sealed-items.ts';
import type { VaultGrant } from '../vaults/vault.ts';
import { decideUpdate } from '../versioned/decisions.ts';
import { keyNoun, secretNoun } from '../versioned/nouns.ts';
import { createObjectOperations } from '../versioned/object-operations.ts';
import type { HeadAndVersion, ObjectChange } from '../versioned/object-store.ts';
import { nameOf, type VersionedObjects } from '../versioned/versioned-objects.ts';
import { createCertificateBackups } from './certificate-backup.ts';
import { changeFamily, familyKeys, isLinked } from './certificate-family.ts';
import { importCertificate } from './certificate-importing.ts';
import {
  certificateKind,
  createCertificateObjects,
  leafOf,
  type OpenCertificate,
  openValue,
  toBundle,
  toItem,
} from './certificate-objects.ts';
import {
  type CertificatePolicy,
  isSelfIssuer,
  isUnknownIssuer,
  type PolicyInput,
  parseCertificatePolicy,
  parseIssuer,
  unknownIssuer,
} from './certificate-policy.ts';
import { formatState, parseState } from './certificate-state.ts';
import type {
  CertificateChoices,
  Certificates,
  ListChoices,
  PendingOperation,
  ShownCertificate,
  ShownPolicy,
} from './certificate-types.ts';
import { deleteFamily, purgeFamily, recoverFamily } from './family-deletion.ts';
import { advanceIssuance, type IssuanceDeps } from './issuance.ts';
import { beginIssuance } from './issuance-beginning.ts';
import { wipeIssuer } from './issuers.ts';
import { abandonOrder } from './ordering.ts';
import { toOperation } from './pending-certificates.ts';
import type { CertificatePlace } from './pending-operation.ts';
import { badPolicy } from './policy-input.ts';

export interface CertificatesDeps extends IssuanceDeps {
  readonly sealedItems: SealedItems;
}

export function createCertificates(deps: CertificatesDeps): Certificates {
  const objects = createCertificateObjects(deps);
  const backups = createCertificateBackups(deps);
  const shared = createObjectOperations({ objects, backups: backups.blobs, actions, show: toItem });
  /** A bundle, with the certificate opened anew: it may be deleted, and is not kept in memory then. */
  const bundled = async ({ vault }: VaultGrant, found: HeadAndVersion): Promise<ShownCertificate> => {
    const key = familyKeys(vault.id, found.head.name).certificate;
    const stored = await deps.reader.sealedVersion(key, found.version.version);
    const value = stored && (await openValue(deps, key, stored.version));
    return toBundle(found, value && leafOf(value));
  };
  return {
    ...shared,
    async list(grant, request) {
      return withoutPending(await shared.list(grant, request), request);
    },
    async listDeleted(grant, request) {
      return withoutPending(await shared.listDeleted(grant, request), request);
    },
    async create(grant, choices) {
      assertGranted(grant, actions.create);
      return create(deps, grant, choices);
    },
    async import(grant, input) {
      assertGranted(grant, actions.import);
      return bundled(grant, await importCertificate(deps, grant, input));
    },
    known(grant, version) {
      assertGranted(grant, actions.get);
      const found = objects.knownValue(grant, version);
      return found === undefined ? undefined : toBundle(found, found.value.cer);
    },
    async get(grant, version) {
      assertGranted(grant, actions.get);
      const found = await objects.readValue(grant, version);
      return toBundle(found, found.value.cer);
    },
    async update(grant, input) {
      assertGranted(grant, actions.update);
      return bundled(grant, await update(deps, grant, input));
    },
    async getPolicy(grant) {
      assertGranted(grant, actions.get);
      return policyOf(await objects.readValue(grant, undefined));
    },
    async updatePolicy(grant, input) {
      assertGranted(grant, actions.update);
      return updatePolicy(deps, objects, { grant, input });
    },
    async delete(grant) {
      assertGranted(grant, actions.delete);
      const { found, interrupted } = await deleteFamily(deps, grant);
      const place = { vault: grant.vault, name: found.head.name };
      if (interrupted !== undefined) await abandonOrder(deps, place, interrupted);
      return bundled(grant, found);
    },
    async getDeleted(grant) {
      assertGranted(grant, actions.getDeleted);
      return bundled(grant, await objects.getDeleted(grant));
    },
    async recover(grant) {
      assertGranted(grant, actions.recover);
      return bundled(grant, await recoverFamily(deps, grant));
    },
    async purge(grant) {
      assertGranted(grant, actions.purge);
      return purgeFamily(deps, grant);
    },
    async backup(grant) {
      assertGranted(grant, actions.backup);
      return backups.backup(grant);
    },
    async restore(grant, input) {
      assertGranted(grant, actions.restore);
      return bundled(grant, await backups.restore(grant, input));
    },
  };
}

/** Names whose first version is pending are listed only where they are asked for. */
function withoutPending(
  page: Page<ShownCertificate>,
  { includePending }: ListChoices,
): Page<ShownCertificate> {
  if (includePending) return page;
  return { ...page, items: page.items.filter(({ x5t }) => x5t !== undefined) };
}

async function create(
  deps: CertificatesDeps,
  grant: VaultGrant,
  choices: CertificateChoices,
): Promise<PendingOperation> {
  const place = { vault: grant.vault, name: nameOf(grant) };
  const begun = await beginIssuance(deps, place, async (now) => {
    const { enabled = true, tags, preserveCertOrder = false } = choices;
    const policy = choices.policy === undefined ? now?.policy : parseCertificatePolicy(choices.policy);
    if (policy === undefined) throw badPolicy('A certificate that is new needs one.');
    const isNow = await assertIssuerServed(deps, grant, policy);
    return { policy, enabled, tags, preserveCertOrder, isRenewal: false, isImmediate: isNow };
  });
  if (begun.isImmediate) await advanceNow(deps, place);
  // As it was when it began, which is how Azure answers (recorded); the next look says what has become of it.
  return toOperation(place.name, begun.operation);
}

/** What has begun goes on with a job, so that storage that is lost now is no reason to refuse it. */
async function advanceNow(deps: CertificatesDeps, place: CertificatePlace): Promise<void> {
  try {
    await advanceIssuance(deps, place);
  } catch (error) {
    if (!isFailure(error, 'unavailable')) throw error;
    const which = { vault: place.vault.name, certificate: place.name };
    deps.log.warn('a certificate that has begun goes on later', { ...which, error });
  }
}

/** Refuses an issuer that the vault has not, or that nobody here could go to; answers whether it issues at once. */
async function assertIssuerServed(
  deps: CertificatesDeps,
  { vault }: VaultGrant,
  { issuer: { name } }: Pick<CertificatePolicy, 'issuer'>,
): Promise<boolean> {
  if (isSelfIssuer({ name }) || isUnknownIssuer({ name })) return isSelfIssuer({ name });
  const issuer = await deps.issuers.open(vault.id, name);
  if (issuer === undefined) throw badPolicy(`There is no issuer ${name} in this vault.`);
  wipeIssuer(issuer);
  if (!issuer.enabled) throw badPolicy(`The issuer ${name} is disabled.`);
  const provider = deps.providerOf(issuer.provider);
  if (provider === undefined)
    throw badPolicy(`This server knows no provider ${issuer.provider}, which the issuer ${name} is of.`);
  return provider.isImmediate === true;
}

/** Attributes go to the key and the secret of the version too. */
async function update(
  deps: CertificatesDeps,
  grant: VaultGrant,
  input: Parameters<Certificates['update']>[1],
): Promise<HeadAndVersion> {
  const { version, enabled, tags } = input;
  const name = nameOf(grant);
  if (input.policy?.issuer !== undefined) await assertNewIssuer(deps, grant, input.policy);
  const now = unixSeconds(deps.clock.now());
  const patch = { enabled, tags, notBefore: undefined, expires: undefined, detail: undefined };
  const of = { name, version, patch, now };
  return changeFamily(deps.writer, { vaultId: grant.vault.id, name, version }, (states) => {
    const changed = decideUpdate(certificateKind, states.certificate, of);
    const certificate =
      input.policy === undefined ? changed : withPolicy(changed, { policy: input.policy, now });
    return {
      changes: {
        certificate,
        ...(isLinked(states.key) && { key: decideUpdate({ noun: keyNoun }, states.key, of) }),
        ...(isLinked(states.secret) && { secret: decideUpdate({ noun: secretNoun }, states.secret, of) }),
      },
      result: certificate.result,
    };
  });
}

function withPolicy(
  changed: ObjectChange<HeadAndVersion>,
  { policy, now }: { policy: PolicyInput; now: number },
): ObjectChange<HeadAndVersion> {
  const { head, version } = changed.result;
  const detail = changedPolicy(head.detail, policy, now);
  // Of a version that is not the current one nothing follows: a job looks at it, and knows when it is to look again.
  const isCurrent = head.currentVersion === version.version;
  const newHead = { ...head, detail, dueAt: isCurrent ? certificateKind.dueAt?.(detail, version) : now };
  return { ...changed, head: newHead, result: { head: newHead, version } };
}

async function updatePolicy(
  deps: CertificatesDeps,
  objects: VersionedObjects<OpenCertificate>,
  { grant, input }: { grant: VaultGrant; input: PolicyInput },
): Promise<ShownPolicy> {
  if (input.issuer !== undefined) await assertNewIssuer(deps, grant, input);
  const now = unixSeconds(deps.clock.now());
  return policyOf(await objects.updateHead(grant, (detail) => changedPolicy(detail, input, now)));
}

async function assertNewIssuer(
  deps: CertificatesDeps,
  grant: VaultGrant,
  { issuer }: PolicyInput,
): Promise<void> {
  await assertIssuerServed(deps, grant, { issuer: parseIssuer(issuer, unknownIssuer) });
}

function changedPolicy(detail: string | undefined, input: PolicyInput, now: number): string {
  const state = parseState(detail);
  return formatState({
    ...state,
    policy: parseCertificatePolicy(input, { previous: state.policy }),
    updated: now,
  });
}

function policyOf({ head }: HeadAndVersion): ShownPolicy {
  const { policy, created, updated } = parseState(head.detail);
  return { name: head.name, policy, created, updated };
}
