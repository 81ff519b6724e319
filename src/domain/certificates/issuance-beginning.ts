/** How an operation begins: with a key, a request for a certificate, and one write that makes both known. */
import { unixSeconds } from '../../core/clock.ts';
import { createCertificateRequest } from '../../crypto/x509/certificate-making.ts';
import { addDuration } from '../keys/durations.ts';
import { packMaterial } from '../keys/key-detail.ts';
import { certificateNoun, deletedButRecoverable } from '../versioned/nouns.ts';
import type { ObjectHead, ObjectVersion } from '../versioned/object-store.ts';
import { sealAndWipe, sealVersion, withFreshKey } from '../versioned/sealed-versions.ts';
import { ObjectChanged } from '../versioned/versioned-objects.ts';
import { assertNameFree, changeFamily, familyKeys } from './certificate-family.ts';
import { type KeyPair, keyPairFor, withSigner } from './certificate-key-pair.ts';
import { type CertificateDeps, certificateKind } from './certificate-objects.ts';
import { type CertificatePolicy, isUnknownIssuer, requestedContentOf } from './certificate-policy.ts';
import {
  type CertificateState,
  formatDetail,
  formatPending,
  formatState,
  type PendingState,
  packPending,
  parseDetail,
  parseState,
  sealedForm,
} from './certificate-state.ts';
import { type CertificatePlace, isInProgress, isRunning } from './pending-operation.ts';

/** What a new version is to be. */
export interface IssuanceChoices {
  readonly policy: CertificatePolicy;
  readonly enabled: boolean;
  readonly tags: Readonly<Record<string, string>> | undefined;
  readonly preserveCertOrder: boolean;
  readonly isRenewal: boolean;
  /** Whether who begins it does its first step too, so that a job leaves it alone for a while. */
  readonly isImmediate: boolean;
}

export interface BegunIssuance {
  readonly operation: PendingState;
  readonly isImmediate: boolean;
}

/** Certificates start so many seconds before they are made, for clocks that are behind (recorded: 10 minutes). */
export const backdating = 600;
/** Seconds after which a job takes up what the request that began it did not end. */
const handover = 60;

/**
 * Begins an operation. `choose` says what the version is to be, from what the certificate is now, and may refuse; it is
 * asked again if the certificate changes meanwhile.
 */
export async function beginIssuance(
  deps: CertificateDeps,
  place: CertificatePlace,
  choose: (now: CertificateState | undefined, current: ObjectVersion | undefined) => Promise<IssuanceChoices>,
): Promise<BegunIssuance> {
  const keys = familyKeys(place.vault.id, place.name);
  for (;;) {
    const seen = await deps.reader.sealedVersion(keys.certificate, undefined);
    if (seen?.head.deletedAt !== undefined) throw deletedButRecoverable(certificateNoun, seen.head.name);
    const state = seen === undefined ? undefined : parseState(seen.head.detail);
    // Before a key is made, which may take seconds; decided again with the write.
    if (state?.pending === 'inProgress') throw isInProgress();
    const choices = await choose(state, seen?.version);
    const isIssued = seen !== undefined && parseDetail(seen.version.detail).x5t !== undefined;
    const current = isIssued ? seen.head.currentVersion : undefined;
    const pair = await keyPairFor(deps, { ...place, policy: choices.policy, current });
    try {
      const operation = await operationOf(deps, choices, pair);
      const { isImmediate } = choices;
      await writeBeginning(deps, place, { operation, pair, seen: seen?.head, isImmediate });
      return { operation, isImmediate };
    } catch (error) {
      if (!(error instanceof ObjectChanged)) throw error;
    } finally {
      pair.material.wipe();
    }
  }
}

async function operationOf(
  deps: CertificateDeps,
  { policy, enabled, tags, preserveCertOrder, isRenewal }: IssuanceChoices,
  pair: KeyPair,
): Promise<PendingState> {
  const csr = await withSigner(deps, pair, (signer) =>
    createCertificateRequest(signer, requestedContentOf(policy)),
  );
  return {
    requestId: deps.random.version(),
    version: deps.random.version(),
    policy,
    csr: Buffer.from(csr).toString('base64'),
    status: 'inProgress',
    cancellationRequested: false,
    error: undefined,
    ...{ preserveCertOrder, enabled, tags, isRenewal },
    key: pair.key,
    order: undefined,
    failures: 0,
  };
}

async function writeBeginning(
  deps: CertificateDeps,
  { vault, name }: CertificatePlace,
  of: BegunIssuance & { readonly pair: KeyPair; readonly seen: ObjectHead | undefined },
): Promise<void> {
  const { operation, pair, seen } = of;
  const keys = familyKeys(vault.id, name);
  const now = unixSeconds(deps.clock.now());
  await withFreshKey(deps, vault.id, async () => {
    const first = blankVersion(operation, now);
    const blank = await sealVersion(deps, keys.certificate, first);
    const { exportable } = operation.policy.key;
    const packed = packMaterial(pair.material, { exportable, policy: undefined });
    const value = packPending(operation, packed);
    packed.wipe();
    const version = { ...first.version, enabled: true, detail: undefined };
    const material = await sealAndWipe(deps, keys.pending, { version, value });
    await changeFamily(deps.writer, { vaultId: vault.id, name }, (states) => {
      assertNameFree(states);
      if (isRunning(states.pending)) throw isInProgress();
      const { head, version: current } = states.certificate;
      if (JSON.stringify(head) !== JSON.stringify(seen)) throw new ObjectChanged();
      const detail = formatState(stateAt(head, operation, now));
      // A version that was never issued makes room for the one that may be.
      const isBlank = current === undefined || parseDetail(current.detail).x5t === undefined;
      const next = isBlank ? blank : current;
      const certificate: ObjectHead = {
        name: head?.name ?? name,
        currentVersion: next.version,
        deletedAt: undefined,
        purgeAt: undefined,
        detail,
        dueAt: certificateKind.dueAt?.(detail, next),
      };
      const pending: ObjectHead = {
        ...certificate,
        currentVersion: operation.version,
        detail: formatPending(operation),
        dueAt: firstLook(of, now),
      };
      return {
        changes: {
          certificate: {
            head: certificate,
            ...(isBlank && { add: [blank], drop: current === undefined ? [] : [current.version] }),
            result: undefined,
          },
          pending: { head: pending, add: [material], result: undefined },
        },
        result: undefined,
      };
    });
  });
}

/** A job looks at what is done by who begins it only if that does not come to its end. */
function firstLook({ operation, isImmediate }: BegunIssuance, now: number): number | undefined {
  if (isUnknownIssuer(operation.policy.issuer)) return undefined;
  return isImmediate ? now + handover : now;
}

/** The first version while it is pending: disabled, with the dates that it would have (recorded). */
function blankVersion({ version, policy, tags, preserveCertOrder }: PendingState, now: number) {
  const { subject } = policy.x509;
  return {
    version: {
      version,
      enabled: false,
      notBefore: now - backdating,
      expires: endOf(policy, now),
      created: now,
      updated: now,
      managed: false,
      tags,
      detail: formatDetail({ x5t: undefined, subject, preserveCertOrder }),
    },
    value: sealedForm({ chain: [], leaf: 0, exportable: false }),
  };
}

/** When a certificate that is made now ends, in Unix seconds. */
export function endOf({ x509 }: CertificatePolicy, now: number): number {
  return addDuration(now, { months: x509.validityMonths, seconds: 0 });
}

function stateAt(head: ObjectHead | undefined, { policy }: PendingState, now: number): CertificateState {
  const was = head === undefined ? undefined : parseState(head.detail);
  return {
    policy,
    created: was?.created ?? now,
    updated: now,
    pending: 'inProgress',
    marks: was?.marks,
    renewAfter: was?.renewAfter,
    failures: was?.failures ?? 0,
  };
}
