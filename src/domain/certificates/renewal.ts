/**
 * What is done for certificates with nobody present: orders go on, certificates are renewed by their lifetime actions,
 * contacts are told, and what comes near its end is marked once. One certificate's trouble does not hold up the others.
 */
import { certificateActions as actions } from '../../authorization/actions.ts';
import { systemGrant } from '../../authorization/grant.ts';
import { unixSeconds } from '../../core/clock.ts';
import { isFailure } from '../../core/errors.ts';
import type { Vault } from '../vaults/vault.ts';
import { listDue } from '../versioned/due.ts';
import type { HeadAndVersion, ObjectVersion } from '../versioned/object-store.ts';
import { ObjectChanged } from '../versioned/versioned-objects.ts';
import { familyKeys } from './certificate-family.ts';
import { createCertificateObjects } from './certificate-objects.ts';
import {
  type CertificateMarks,
  type CertificateState,
  dueOf,
  formatState,
  type PendingState,
  parseDetail,
  parsePending,
  parseState,
} from './certificate-state.ts';
import { type Advanced, advanceIssuance, type IssuanceDeps, isImmediate } from './issuance.ts';
import { beginIssuance } from './issuance-beginning.ts';
import { lifetimeDue } from './lifetime.ts';
import {
  expiryNotice,
  type Mailer,
  type Message,
  NotDelivered,
  renewalFailedNotice,
  renewalStalledNotice,
} from './notices.ts';
import { type CertificatePlace, waitAfter } from './pending-operation.ts';

export interface RenewalDeps extends IssuanceDeps {
  /** Undefined where no relay is configured: then nobody is told. */
  readonly mailer: Mailer | undefined;
  /** The host of the vault's address. */
  readonly hostOf: (vault: Vault) => string;
  /** Whether an error is no one certificate's: storage is away, or this process is not to do the work any more. */
  readonly endsRun: (error: unknown) => boolean;
}

/** What was done with a certificate. */
export interface DueCertificate {
  readonly name: string;
  /** The version that it was done for, or that came of it. */
  readonly version: string;
  readonly what:
    | 'renewing'
    | 'issued'
    | 'notIssued'
    | 'mailed'
    | 'stalled'
    | 'nearExpiry'
    | 'expired'
    | 'failed';
  readonly error?: unknown;
}

/** Goes on with the orders of a vault whose time has come. */
export async function* runDueOrders(deps: RenewalDeps, vault: Vault): AsyncGenerator<DueCertificate> {
  for await (const { head, version } of listDue(deps, 'pendingcertificates', vault.id)) {
    const which = { name: head.name, version: version.version };
    try {
      const advanced = await advanceIssuance(deps, { vault, name: head.name });
      yield* await ended(
        deps,
        { vault, name: head.name },
        { advanced, operation: parsePending(head.detail) },
      );
    } catch (error) {
      if (deps.endsRun(error)) throw error;
      yield { ...which, what: 'failed', error };
    }
  }
}

async function ended(
  deps: RenewalDeps,
  place: CertificatePlace,
  { advanced, operation }: { advanced: Advanced; operation: PendingState },
): Promise<DueCertificate[]> {
  const which = { name: place.name, version: operation.version };
  if (advanced.what === 'issued') return [{ ...which, what: 'issued' }];
  if (advanced.what !== 'failed') return [];
  if (operation.isRenewal) await tellOfFailure(deps, place, advanced.error);
  return [
    { ...which, what: 'notIssued', error: new Error(`${advanced.error.code}: ${advanced.error.message}`) },
  ];
}

/** Does what is due with the certificates of a vault. */
export async function* runDueCertificates(deps: RenewalDeps, vault: Vault): AsyncGenerator<DueCertificate> {
  for await (const due of listDue(deps, 'certificates', vault.id)) {
    const which = { name: due.head.name, version: due.version.version };
    try {
      yield* await runDue(deps, vault, due);
    } catch (error) {
      if (isPast(error)) continue;
      if (deps.endsRun(error)) throw error;
      yield { ...which, what: 'failed', error };
    }
  }
}

/** Who changed or deleted it meanwhile may have made it not due; if it still is, the next run sees it. */
function isPast(error: unknown): boolean {
  return error instanceof ObjectChanged || isFailure(error, 'certificateNotFound');
}

async function runDue(
  deps: RenewalDeps,
  vault: Vault,
  { head, version }: HeadAndVersion,
): Promise<DueCertificate[]> {
  const now = unixSeconds(deps.clock.now());
  const place = { vault, name: head.name };
  const which = { name: head.name, version: version.version };
  const state = parseState(head.detail);
  const due = dueOf(state, version);
  const done: DueCertificate[] = [];
  const marks = { ...noMarks(version), ...(state.marks?.version === version.version && state.marks) };
  const isTold = isDue(due.mail, now) && (await tellOfExpiry(deps, place, { state, version }));
  if (isTold) done.push({ ...which, what: 'mailed' });
  const isStalled = isDue(due.stalled, now) && (await tellOfStall(deps, place, version));
  if (isStalled) done.push({ ...which, what: 'stalled' });
  const isUnsent = (isDue(due.mail, now) && !isTold) || (isDue(due.stalled, now) && !isStalled);
  if (isDue(due.nearExpiry, now) && !isDue(due.expired, now)) done.push({ ...which, what: 'nearExpiry' });
  if (isDue(due.expired, now)) done.push({ ...which, what: 'expired' });
  const isMarked = await mark(deps, place, {
    version,
    marks: {
      ...marks,
      mailed: marks.mailed || isTold,
      stalled: marks.stalled || isStalled,
      mailAfter: isUnsent ? now + mailPause : undefined,
      nearExpiry: marks.nearExpiry || isDue(due.nearExpiry, now),
      expired: marks.expired || isDue(due.expired, now),
    },
  });
  if (!isMarked) return [];
  return isDue(due.renew, now) ? [...done, ...(await renew(deps, place, version))] : done;
}

/** Seconds after which a letter that did not go out is tried again. */
const mailPause = 900;

function noMarks({ version }: ObjectVersion): CertificateMarks {
  return { version, mailed: false, stalled: false, mailAfter: undefined, nearExpiry: false, expired: false };
}

/** Writes what was done, and when there is something to do again. False if the certificate has another version by now. */
async function mark(
  deps: RenewalDeps,
  { vault, name }: CertificatePlace,
  { version, marks }: { version: ObjectVersion; marks: CertificateMarks },
): Promise<boolean> {
  const grant = systemGrant(vault, actions.update, { kind: 'certificates', name });
  let isSame = false;
  await createCertificateObjects(deps).updateHead(grant, (detail, current) => {
    isSame = current.version === version.version && current.expires === version.expires;
    return formatState({ ...parseState(detail), ...(isSame && { marks }) });
  });
  return isSame;
}

/** Begins the next version, as the policy says; what the current one has of tags stays. */
async function renew(
  deps: RenewalDeps,
  place: CertificatePlace,
  version: ObjectVersion,
): Promise<DueCertificate[]> {
  try {
    const { operation, isImmediate: isNow } = await beginIssuance(deps, place, async (state, current) => {
      const isSame = state !== undefined && current?.version === version.version;
      if (!isSame || !current.enabled) throw new ObjectChanged();
      const { policy } = state;
      return {
        policy,
        enabled: true,
        tags: current.tags,
        preserveCertOrder: parseDetail(current.detail).preserveCertOrder,
        isRenewal: true,
        isImmediate: await isImmediate(deps, place.vault, policy),
      };
    });
    const begun: DueCertificate = { name: place.name, version: operation.version, what: 'renewing' };
    // What others take part in goes on with the other orders, where no two do the same step.
    if (!isNow) return [begun];
    const advanced = await advanceIssuance(deps, place);
    return [begun, ...(await ended(deps, place, { advanced, operation }))];
  } catch (error) {
    if (isPast(error) || deps.endsRun(error)) throw error;
    await putOff(deps, place, error);
    throw error;
  }
}

/** What could not even begin is tried again later, less often each time; the contacts are told once. */
async function putOff(deps: RenewalDeps, place: CertificatePlace, error: unknown): Promise<void> {
  const { vault, name } = place;
  const grant = systemGrant(vault, actions.update, { kind: 'certificates', name });
  const now = unixSeconds(deps.clock.now());
  const { head } = await createCertificateObjects(deps).updateHead(grant, (detail) => {
    const state = parseState(detail);
    const failures = state.failures + 1;
    return formatState({ ...state, failures, renewAfter: now + waitAfter(failures) });
  });
  if (parseState(head.detail).failures > 1) return;
  const { kind: code, message } = isFailure(error) ? error : unforeseen;
  await tellOfFailure(deps, place, { code, message });
}

/** What an error's own text might show is for the log alone. */
const unforeseen = { kind: 'internalError', message: 'An error of the server, which its log has.' };

/** Whether the contacts were told, or there is nobody to be told. */
async function tellOfExpiry(
  deps: RenewalDeps,
  { vault, name }: CertificatePlace,
  { state, version }: { state: CertificateState; version: ObjectVersion },
): Promise<boolean> {
  const { notBefore = 0, expires = 0 } = version;
  const { renewAt } = lifetimeDue(state.policy, { notBefore, expires });
  const about = { vaultHost: deps.hostOf(vault), certificate: name, version: version.version, expires };
  const now = unixSeconds(deps.clock.now());
  return send(deps, { vault, name }, () => expiryNotice({ ...about, renewAt, now }));
}

/** The same for a new version that should have been there by now. */
async function tellOfStall(
  deps: RenewalDeps,
  { vault, name }: CertificatePlace,
  { version, expires = 0 }: ObjectVersion,
): Promise<boolean> {
  const head = await deps.reader.head(familyKeys(vault.id, name).pending);
  const operation = head && parsePending(head.detail);
  // What has ended since has had its own consequences.
  if (operation?.status !== 'inProgress') return true;
  const about = { vaultHost: deps.hostOf(vault), certificate: name, version, expires };
  return send(deps, { vault, name }, () => renewalStalledNotice({ ...about, error: operation.error }));
}

async function tellOfFailure(
  deps: RenewalDeps,
  { vault, name }: CertificatePlace,
  error: { code: string; message: string },
): Promise<void> {
  const found = await deps.reader.sealedVersion(familyKeys(vault.id, name).certificate, undefined);
  if (found === undefined || found.head.deletedAt !== undefined) return;
  const { head, version } = found;
  const { expires = 0 } = version;
  const { renewAfter: retryAt } = parseState(head.detail);
  const about = { vaultHost: deps.hostOf(vault), certificate: name, version: version.version, expires };
  await send(deps, { vault, name }, () => renewalFailedNotice({ ...about, error, retryAt }));
}

/** Whatever is wrong with letters, certificates are renewed. */
async function send(
  deps: RenewalDeps,
  { vault, name }: CertificatePlace,
  write: () => Message,
): Promise<boolean> {
  const to = await deps.contacts.addressesOf(vault.id);
  if (to.length === 0) return true;
  const which = { vault: vault.name, certificate: name };
  if (deps.mailer === undefined) {
    deps.log.info('no mail relay is configured: the contacts are not told', which);
    return true;
  }
  try {
    await deps.mailer.send({ ...write(), to });
    return true;
  } catch (error) {
    deps.log.warn('a letter did not go out to all contacts', { ...which, error });
    // Those who got it would get it again for the sake of addresses that will never be accepted.
    return error instanceof NotDelivered && error.postponed.length === 0;
  }
}

function isDue(time: number | undefined, now: number): boolean {
  return time !== undefined && time <= now;
}
