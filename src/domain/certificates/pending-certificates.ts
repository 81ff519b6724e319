/** The operation that is to give a certificate a version, as its caller sees it: looked at, cancelled, deleted, merged. */
import { certificateActions as actions } from '../../authorization/actions.ts';
import { assertGranted } from '../../authorization/grant.ts';
import { Failure } from '../../core/errors.ts';
import { parseX5c, readCertificate, readCertificateRequest } from '../../crypto/x509/certificate-reading.ts';
import type { VaultGrant } from '../vaults/vault.ts';
import { nameOf } from '../versioned/versioned-objects.ts';
import { changeFamily, familyKeys } from './certificate-family.ts';
import { certificateKind, toBundle } from './certificate-objects.ts';
import { isUnknownIssuer } from './certificate-policy.ts';
import { formatState, type PendingState, parsePending, parseState } from './certificate-state.ts';
import type { PendingCertificates, PendingOperation, ShownCertificate } from './certificate-types.ts';
import { endIssuance, finishIssuance, type IssuanceDeps } from './issuance.ts';
import { abandonOrder } from './ordering.ts';
import { type CertificatePlace, type OpenOperation, openOperation } from './pending-operation.ts';

export function createPendingCertificates(deps: IssuanceDeps): PendingCertificates {
  return {
    async get(grant) {
      assertGranted(grant, actions.get);
      return toOperation(nameOf(grant), await read(deps, grant));
    },
    async cancel(grant, requested) {
      assertGranted(grant, actions.update);
      return toOperation(nameOf(grant), await cancel(deps, grant, requested));
    },
    async delete(grant) {
      assertGranted(grant, actions.update);
      return toOperation(nameOf(grant), await remove(deps, grant));
    },
    async merge(grant, input) {
      assertGranted(grant, actions.create);
      return merge(deps, grant, input);
    },
  };
}

const merged = 'Pending certificate created. Please Perform Merge to complete the request.';
const requested =
  'Pending certificate created. Certificate request is in progress. This may take some time based on the issuer provider. Please check again later.';

/** Recorded: details are there as long as nothing has come of the operation, and where it has failed. */
export function toOperation(name: string, state: PendingState): PendingOperation {
  const { policy, csr, cancellationRequested, status, error, requestId, preserveCertOrder } = state;
  const hasDetails = status === 'inProgress' || status === 'failed';
  const details = isUnknownIssuer(policy.issuer) ? merged : requested;
  return {
    ...{ name, csr, cancellationRequested, status, error, requestId, preserveCertOrder },
    issuer: policy.issuer,
    statusDetails: hasDetails ? details : undefined,
  };
}

function notFound(name: string): Failure {
  return new Failure('pendingCertificateNotFound', `Pending certificate not found: ${name}`);
}

async function read(deps: IssuanceDeps, grant: VaultGrant): Promise<PendingState> {
  const name = nameOf(grant);
  const head = await deps.reader.head(familyKeys(grant.vault.id, name).pending);
  if (head === undefined || head.deletedAt !== undefined) throw notFound(name);
  return parsePending(head.detail);
}

/** An operation that has ended cannot be cancelled any more; one that is not being cancelled goes on. */
async function cancel(deps: IssuanceDeps, grant: VaultGrant, isRequested: boolean): Promise<PendingState> {
  for (;;) {
    const state = await read(deps, grant);
    if (!isRequested || state.status === 'cancelled') return state;
    if (state.status !== 'inProgress') {
      throw new Failure(
        'conflict',
        `The pending certificate cannot be cancelled: its status is ${state.status}.`,
      );
    }
    const place = { vault: grant.vault, name: nameOf(grant) };
    const ended = await endIssuance(deps, place, { state, status: 'cancelled' });
    if (ended !== undefined) return ended;
  }
}

/** Answers what was there; a certificate whose first version was to come stays as it is, disabled and without one. */
async function remove(deps: IssuanceDeps, grant: VaultGrant): Promise<PendingState> {
  const place = { vault: grant.vault, name: nameOf(grant) };
  for (;;) {
    const before = await read(deps, grant);
    // What its provider has put up is taken down.
    if (before.status === 'inProgress')
      await endIssuance(deps, place, { state: before, status: 'cancelled' });
    if (await removeEnded(deps, place, before)) return before;
  }
}

/** False if another operation has begun since. */
async function removeEnded(
  deps: IssuanceDeps,
  { vault, name }: CertificatePlace,
  { requestId }: PendingState,
): Promise<boolean> {
  return changeFamily(deps.writer, { vaultId: vault.id, name }, ({ pending, certificate }) => {
    if (pending.head === undefined || pending.head.deletedAt !== undefined) throw notFound(name);
    if (parsePending(pending.head.detail).requestId !== requestId) return { changes: {}, result: false };
    const { head, version } = certificate;
    const gone = { head: undefined, result: undefined };
    const result = true;
    if (head === undefined || version === undefined) return { changes: { pending: gone }, result };
    const detail = formatState({ ...parseState(head.detail), pending: undefined });
    const dueAt = certificateKind.dueAt?.(detail, version);
    return {
      changes: { pending: gone, certificate: { head: { ...head, detail, dueAt }, result: undefined } },
      result,
    };
  });
}

/** Any operation that is in progress can be completed by hand, whoever was to issue. */
async function merge(
  deps: IssuanceDeps,
  grant: VaultGrant,
  input: Parameters<PendingCertificates['merge']>[1],
): Promise<ShownCertificate> {
  const place = { vault: grant.vault, name: nameOf(grant) };
  const open = await openOperation(deps, place);
  if (open === undefined) throw await whyNotMerged(deps, grant);
  try {
    const { spki } = await readCertificateRequest(Buffer.from(open.state.csr, 'base64'));
    const chain = await parseX5c(input.x5c, { spki, preserveOrder: open.state.preserveCertOrder });
    const { facts, leaf } = await leafFor(chain, spki);
    const { enabled = open.state.enabled, tags = open.state.tags } = input;
    const operation: OpenOperation = { ...open, state: { ...open.state, enabled, tags, isRenewal: false } };
    const found = await finishIssuance(deps, place, { operation, chain, leaf, facts });
    if (found === undefined) throw await whyNotMerged(deps, grant);
    await abandonOrder(deps, place, open.state);
    return toBundle(found, Buffer.from(facts.der).toString('base64'));
  } finally {
    open.pair.material.wipe();
  }
}

async function leafFor(chain: readonly Uint8Array[], spki: Uint8Array) {
  for (const [leaf, der] of chain.entries()) {
    const facts = await readCertificate(der);
    if (Buffer.from(facts.spki).equals(spki)) return { facts, leaf };
  }
  throw new TypeError('a chain for the key has its certificate');
}

async function whyNotMerged(deps: IssuanceDeps, grant: VaultGrant): Promise<Failure> {
  const { status } = await read(deps, grant);
  return new Failure(
    'conflict',
    `There is nothing to merge: the status of the pending certificate is ${status}.`,
  );
}
