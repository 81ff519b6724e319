/** A certificate's end, and its way back: its key, its secret and its pending operation go with it. */
import { unixSeconds } from '../../core/clock.ts';
import type { VaultGrant } from '../vaults/vault.ts';
import { decideDeletion, decidePurge, decideRecovery } from '../versioned/decisions.ts';
import { certificateNoun, keyNoun, type Noun, secretNoun } from '../versioned/nouns.ts';
import type { HeadAndVersion, ObjectChange, ObjectState } from '../versioned/object-store.ts';
import { nameOf } from '../versioned/versioned-objects.ts';
import { changeFamily, isLinked, unchanged } from './certificate-family.ts';
import { type CertificateDeps, certificateKind } from './certificate-objects.ts';
import { isUnknownIssuer } from './certificate-policy.ts';
import { formatPending, type PendingState, parsePending } from './certificate-state.ts';
import { isRunning } from './pending-operation.ts';

/** What a deletion answers, and the operation that was in progress before it. */
export interface DeletedFamily {
  readonly found: HeadAndVersion;
  readonly interrupted: PendingState | undefined;
}

/**
 * Deletes all of it. An order that was under way is forgotten, so that nothing of it has to be kept up until the purge:
 * it is the caller's to abandon, and begins anew if the certificate is recovered.
 */
export async function deleteFamily(deps: CertificateDeps, grant: VaultGrant): Promise<DeletedFamily> {
  const of = { name: nameOf(grant), vault: grant.vault, now: unixSeconds(deps.clock.now()) };
  const linked = (noun: Noun, state: ObjectState): ObjectChange<unknown> =>
    isLinked(state) && isLive(state) ? decideDeletion(noun, state, of) : unchanged;
  return changeFamily(deps.writer, { vaultId: grant.vault.id, name: of.name }, (states) => {
    const certificate = decideDeletion(certificateNoun, states.certificate, of);
    const { deletedAt, purgeAt } = certificate.result.head;
    const { head } = states.pending;
    const interrupted = isRunning(states.pending) ? parsePending(head?.detail) : undefined;
    const pending: ObjectChange<unknown> =
      head === undefined
        ? unchanged
        : {
            head: {
              ...head,
              ...(interrupted && { detail: formatPending({ ...interrupted, ...notBegun }) }),
              ...{ deletedAt, purgeAt, dueAt: undefined },
            },
            result: undefined,
          };
    const changes = {
      ...{ certificate, pending },
      key: linked(keyNoun, states.key),
      secret: linked(secretNoun, states.secret),
    };
    return { changes, result: { found: certificate.result, interrupted } };
  });
}

const notBegun = { order: undefined, error: undefined, failures: 0 };

export async function recoverFamily(deps: CertificateDeps, grant: VaultGrant): Promise<HeadAndVersion> {
  const name = nameOf(grant);
  const now = unixSeconds(deps.clock.now());
  const linked = (noun: Noun, state: ObjectState): ObjectChange<unknown> =>
    isLinked(state) && !isLive(state) ? decideRecovery({ noun }, state, { name }) : unchanged;
  return changeFamily(deps.writer, { vaultId: grant.vault.id, name }, (states) => {
    const certificate = decideRecovery(certificateKind, states.certificate, { name });
    const changes = {
      certificate,
      key: linked(keyNoun, states.key),
      pending: recoveredOperation(states.pending, now),
      secret: linked(secretNoun, states.secret),
    };
    return { changes, result: certificate.result };
  });
}

/** An operation that was in progress is, with an order of its own. */
function recoveredOperation({ head }: ObjectState, now: number): ObjectChange<unknown> {
  if (head === undefined) return unchanged;
  const { status, policy } = parsePending(head.detail);
  const goesOn = status === 'inProgress' && !isUnknownIssuer(policy.issuer);
  const live = { ...head, deletedAt: undefined, purgeAt: undefined, dueAt: goesOn ? now : undefined };
  return { head: live, result: undefined };
}

export async function purgeFamily(deps: CertificateDeps, grant: VaultGrant): Promise<void> {
  const of = { name: nameOf(grant), vault: grant.vault };
  const gone: ObjectChange<unknown> = { head: undefined, result: undefined };
  const linked = (state: ObjectState) => (isLinked(state) ? gone : unchanged);
  return changeFamily(deps.writer, { vaultId: grant.vault.id, name: of.name }, (states) => ({
    changes: {
      certificate: decidePurge(certificateNoun, states.certificate, of),
      key: linked(states.key),
      pending: states.pending.head === undefined ? unchanged : gone,
      secret: linked(states.secret),
    },
    result: undefined,
  }));
}

function isLive({ head }: ObjectState): boolean {
  return head !== undefined && head.deletedAt === undefined;
}
