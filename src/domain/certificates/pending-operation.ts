/**
 * The operation by which a certificate gets a new version, as it is stored. Every write holds only if the operation is
 * still the one that it was decided for; what has ended keeps no key.
 */
import { unixSeconds } from '../../core/clock.ts';
import { Failure } from '../../core/errors.ts';
import { unpackMaterial } from '../keys/key-detail.ts';
import type { Vault } from '../vaults/vault.ts';
import { decideAddition } from '../versioned/decisions.ts';
import { keyNoun, secretNoun } from '../versioned/nouns.ts';
import type { ObjectState, ObjectVersion } from '../versioned/object-store.ts';
import { unsealVersion } from '../versioned/sealed-versions.ts';
import { changeFamily, type Family, familyKeys } from './certificate-family.ts';
import type { KeyPair } from './certificate-key-pair.ts';
import { type CertificateDeps, certificateKind } from './certificate-objects.ts';
import {
  type CertificateState,
  dueOf,
  formatPending,
  formatState,
  type PendingState,
  parseDetail,
  parsePending,
  parseState,
  unpackPending,
} from './certificate-state.ts';
import type { IssuedVersion } from './issued-version.ts';

/** A certificate of a vault. */
export interface CertificatePlace {
  readonly vault: Vault;
  readonly name: string;
}

/** Seconds between tries: from the first to the longest, doubling. */
const backoff = { first: 30, longest: 3600 };

/** Seconds to wait after so many failures, one after the other. */
export function waitAfter(failures: number): number {
  return Math.min(backoff.longest, backoff.first * 2 ** (failures - 1));
}

/** An operation in progress, opened; the key's material is the caller's to wipe. */
export interface OpenOperation {
  readonly state: PendingState;
  readonly pair: KeyPair;
}

/** Undefined if there is none, or none in progress. */
export async function openOperation(
  deps: CertificateDeps,
  { vault, name }: CertificatePlace,
): Promise<OpenOperation | undefined> {
  const key = familyKeys(vault.id, name).pending;
  const found = await deps.reader.sealedVersion(key, undefined);
  if (found === undefined || found.head.deletedAt !== undefined) return undefined;
  const state = parsePending(found.head.detail);
  if (state.status !== 'inProgress') return undefined;
  const value = await unsealVersion(deps, key, found.version);
  if (value === undefined) return undefined;
  return { state, pair: { key: state.key, material: unpackMaterial(unpackPending(state, value)).material } };
}

export function isInProgress(): Failure {
  return new Failure(
    'conflict',
    "A new key vault certificate can not be created or imported while a pending key vault certificate's status is inProgress.",
  );
}

export function isRunning({ head }: ObjectState): boolean {
  return (
    head !== undefined && head.deletedAt === undefined && parsePending(head.detail).status === 'inProgress'
  );
}

export function isStillRunning(pending: ObjectState, { requestId }: PendingState): boolean {
  return isRunning(pending) && parsePending(pending.head?.detail).requestId === requestId;
}

/** Writes what becomes of an operation in progress; false if that one is not in progress any more. */
export async function writePending(
  deps: CertificateDeps,
  { vault, name }: CertificatePlace,
  of: {
    /** Undefined for whichever there is. */
    readonly requestId: string | undefined;
    readonly change: (state: PendingState) => { next: PendingState; dueAt: number };
  },
): Promise<boolean> {
  const key = familyKeys(vault.id, name).pending;
  return deps.writer.change<boolean>(key, { version: undefined }, (now) => {
    if (now.head === undefined || !isRunning(now)) return { head: 'same', result: false };
    const state = parsePending(now.head.detail);
    if ((of.requestId ?? state.requestId) !== state.requestId) return { head: 'same', result: false };
    const { next, dueAt } = of.change(state);
    return { head: { ...now.head, detail: formatPending(next), dueAt }, result: true };
  });
}

/** Ends the operation without a version, and forgets its key. Undefined if it is not in progress any more. */
export async function endOperation(
  deps: CertificateDeps,
  { vault, name }: CertificatePlace,
  of: {
    state: PendingState;
    status: 'failed' | 'cancelled';
    error?: { code: string; message: string } | undefined;
  },
): Promise<PendingState | undefined> {
  const now = unixSeconds(deps.clock.now());
  const { status, error } = of;
  return changeFamily(deps.writer, { vaultId: vault.id, name }, (states) => {
    const { head } = states.pending;
    if (head === undefined || !isStillRunning(states.pending, of.state))
      return { changes: {}, result: undefined };
    const state: PendingState = {
      ...parsePending(head.detail),
      status,
      error,
      cancellationRequested: status === 'cancelled',
    };
    const pending = {
      head: { ...head, detail: formatPending(state), dueAt: undefined },
      drop: [head.currentVersion],
      result: undefined,
    };
    return { changes: { pending, ...endedCertificate(states.certificate, state, now) }, result: state };
  });
}

/** A renewal that came to nothing is tried again after a while, longer each time. */
function endedCertificate({ head, version }: ObjectState, { isRenewal }: PendingState, now: number) {
  if (head === undefined || version === undefined) return {};
  const state = parseState(head.detail);
  const failures = isRenewal ? state.failures + 1 : state.failures;
  const detail = formatState({
    ...state,
    pending: 'ended',
    failures,
    renewAfter: isRenewal ? now + waitAfter(failures) * renewalPatience : state.renewAfter,
  });
  const dueAt = certificateKind.dueAt?.(detail, version);
  return { certificate: { head: { ...head, detail, dueAt }, result: undefined } };
}

/** A renewal begins anew less often than a step is repeated: it is from half an hour to two and a half days. */
const renewalPatience = 60;

/**
 * A renewal whose version is to be renewed at once, since clocks differ or its life is short, has changed nothing: it
 * waits as one that came to nothing does, and not a minute.
 */
function withRenewalPause(
  state: CertificateState,
  of: { version: ObjectVersion; renewedAt: number | undefined; failed: number },
): CertificateState {
  const { renew } = dueOf(state, of.version);
  if (of.renewedAt === undefined || renew === undefined || renew > of.renewedAt) return state;
  const failures = of.failed + 1;
  return { ...state, failures, renewAfter: of.renewedAt + waitAfter(failures) * renewalPatience };
}

/**
 * The changes by which an issued version becomes the current one of its certificate, key and secret; `renewedAt` (Unix
 * seconds) is for one that a job has renewed.
 */
export function additionOf(
  states: Family<ObjectState>,
  {
    name,
    sealed,
    state,
    renewedAt,
  }: {
    name: string;
    sealed: IssuedVersion;
    state?: Omit<CertificateState, 'marks' | 'renewAfter' | 'failures'>;
    renewedAt?: number | undefined;
  },
) {
  const { head, version: current } = states.certificate;
  const headDetail = (detail: string | undefined) => {
    const was = state ? { ...state, failures: 0 } : { ...parseState(detail), pending: 'ended' as const };
    const next = { ...was, marks: undefined, renewAfter: undefined, failures: 0 };
    return formatState(
      withRenewalPause(next, { version: sealed.certificate, renewedAt, failed: was.failures }),
    );
  };
  const certificate = decideAddition(certificateKind, states.certificate, {
    name,
    sealed: sealed.certificate,
    headDetail,
  });
  const isBlank =
    head !== undefined && current !== undefined && parseDetail(current.detail).x5t === undefined;
  return {
    certificate: isBlank ? { ...certificate, drop: [current.version] } : certificate,
    key: decideAddition({ noun: keyNoun }, states.key, { name, sealed: sealed.key }),
    secret: decideAddition({ noun: secretNoun }, states.secret, { name, sealed: sealed.secret }),
  };
}
