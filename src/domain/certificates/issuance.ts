/**
 * How a certificate comes to be: an operation begins with a key and a request, goes on step by step with whoever
 * issues, and ends with a new version, a failure or a cancellation. Each step is written before the next is done, so
 * that a process that ends loses at most one; every write holds only if the operation is still the one it was done for.
 */
import { unixSeconds } from '../../core/clock.ts';
import { Failure, isFailure } from '../../core/errors.ts';
import { createSelfSigned } from '../../crypto/x509/certificate-making.ts';
import {
  type CertificateFacts,
  readCertificate,
  readCertificateRequest,
} from '../../crypto/x509/certificate-reading.ts';
import type { Vault } from '../vaults/vault.ts';
import type { HeadAndVersion, ObjectState, SealedVersion } from '../versioned/object-store.ts';
import { withFreshKey } from '../versioned/sealed-versions.ts';
import { assertNameFree, changeFamily, type Family } from './certificate-family.ts';
import { withSigner } from './certificate-key-pair.ts';
import type { CertificateDeps } from './certificate-objects.ts';
import { type CertificatePolicy, contentOf, isSelfIssuer, isUnknownIssuer } from './certificate-policy.ts';
import { formatPending, type PendingState, parsePending } from './certificate-state.ts';
import { backdating, endOf } from './issuance-beginning.ts';
import { type IssuedVersion, sealIssued } from './issued-version.ts';
import { OrderPostponed, type OrderStep } from './issuer-provider.ts';
import { wipeIssuer } from './issuers.ts';
import { abandonOrder, type OrderingDeps, orderedStep } from './ordering.ts';
import {
  additionOf,
  type CertificatePlace,
  endOperation,
  isStillRunning,
  type OpenOperation,
  openOperation,
  waitAfter,
  writePending,
} from './pending-operation.ts';

export interface IssuanceDeps extends CertificateDeps, OrderingDeps {}

/** Whether who issues needs nobody else, so that what is asked for is issued within the request. */
export async function isImmediate(
  deps: IssuanceDeps,
  vault: Vault,
  { issuer: { name } }: Pick<CertificatePolicy, 'issuer'>,
): Promise<boolean> {
  if (isSelfIssuer({ name })) return true;
  if (isUnknownIssuer({ name })) return false;
  const issuer = await deps.issuers.open(vault.id, name);
  wipeIssuer(issuer);
  return issuer !== undefined && deps.providerOf(issuer.provider)?.isImmediate === true;
}

/** What came of a step: `gone` if the operation had ended or changed meanwhile. */
export type Advanced =
  | { readonly what: 'issued'; readonly version: string }
  | { readonly what: 'waiting' | 'postponed' | 'gone' }
  | { readonly what: 'failed'; readonly error: { readonly code: string; readonly message: string } };

/**
 * Does the next step of the operation in progress, whoever issues. Storage that fails is the only error: what else goes
 * wrong is shown with the operation, which goes on later.
 */
export async function advanceIssuance(deps: IssuanceDeps, place: CertificatePlace): Promise<Advanced> {
  let operation: OpenOperation | undefined;
  let order: string | undefined;
  const ended = async (advanced: Advanced): Promise<Advanced> => {
    // Whoever ended it meanwhile did not know of what this step has put up.
    if (advanced.what === 'gone' && operation !== undefined)
      await abandonOrder(deps, place, { ...operation.state, order });
    return advanced;
  };
  try {
    operation = await openOperation(deps, place);
    if (operation === undefined) return { what: 'gone' };
    order = operation.state.order;
    const step = await nextStep(deps, place, operation);
    if (step.kind === 'waiting') order = step.state;
    return await ended(await applyStep(deps, place, { operation, step }));
  } catch (error) {
    if (isFailure(error, 'unavailable')) throw error;
    const { requestId } = operation?.state ?? {};
    return await ended(await postpone(deps, place, { requestId, error: postponement(error) }));
  } finally {
    operation?.pair.material.wipe();
  }
}

/** What nobody foresaw may pass too, and must not be met again at once and for ever. Its text is for the log alone. */
function postponement(error: unknown): OrderPostponed {
  if (error instanceof OrderPostponed) return error;
  if (isFailure(error)) return new OrderPostponed(error.kind, error.message, { cause: error });
  const message =
    'The certificate could not be issued because of an error of this server, which its log has.';
  return new OrderPostponed('internalError', message, { cause: error });
}

async function applyStep(
  deps: IssuanceDeps,
  place: CertificatePlace,
  { operation, step }: { operation: OpenOperation; step: OrderStep },
): Promise<Advanced> {
  const { state } = operation;
  switch (step.kind) {
    case 'issued': {
      const facts = await judged(operation, step.chain);
      if (facts === undefined) return fail(deps, place, { state, error: notForTheKey });
      const issued = await finishIssuance(deps, place, { operation, chain: step.chain, leaf: 0, facts });
      return issued === undefined ? { what: 'gone' } : { what: 'issued', version: state.version };
    }
    case 'waiting': {
      const now = unixSeconds(deps.clock.now());
      const isWritten = await writePending(deps, place, {
        requestId: state.requestId,
        change: (was) => ({
          next: { ...was, order: step.state, error: step.why, failures: 0 },
          dueAt: now + step.seconds,
        }),
      });
      return { what: isWritten ? 'waiting' : 'gone' };
    }
    case 'failed':
      return fail(deps, place, { state, error: { code: step.code, message: step.message } });
  }
}

const notForTheKey = {
  code: 'Invalid certificate',
  message: 'What was issued is not a certificate for the key that was requested for.',
};

/** The leaf's facts; undefined if it cannot be read or is for another key. */
async function judged(
  { state }: OpenOperation,
  [leaf]: readonly Uint8Array[],
): Promise<CertificateFacts | undefined> {
  if (leaf === undefined) return undefined;
  try {
    const facts = await readCertificate(leaf);
    const { spki } = await readCertificateRequest(Buffer.from(state.csr, 'base64'));
    return Buffer.from(spki).equals(facts.spki) ? facts : undefined;
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

async function nextStep(
  deps: IssuanceDeps,
  { vault }: CertificatePlace,
  { state, pair }: OpenOperation,
): Promise<OrderStep> {
  const { policy } = state;
  if (isUnknownIssuer(policy.issuer)) throw new TypeError('whoever asked for the certificate brings it');
  if (isSelfIssuer(policy.issuer)) {
    const content = contentOf(policy);
    const now = unixSeconds(deps.clock.now());
    const times = { notBefore: (now - backdating) * 1000, notAfter: endOf(policy, now) * 1000 };
    const der = await withSigner(deps, pair, (signer) => createSelfSigned(signer, { content, ...times }));
    return { kind: 'issued', chain: [der] };
  }
  return orderedStep(deps, vault, state);
}

/**
 * Ends the operation with a version, in one write with the key and the secret. Undefined if the operation is not in
 * progress any more.
 */
export async function finishIssuance(
  deps: IssuanceDeps,
  { vault, name }: CertificatePlace,
  of: { operation: OpenOperation; chain: readonly Uint8Array[]; leaf: number; facts: CertificateFacts },
): Promise<HeadAndVersion | undefined> {
  const { state, pair } = of.operation;
  const { version, policy, enabled, tags, preserveCertOrder } = state;
  return withFreshKey(deps, vault.id, async () => {
    const { chain, leaf, facts } = of;
    const input = { vaultId: vault.id, name, version, policy, pair, chain, leaf, facts };
    const sealed = await sealIssued(deps, { ...input, enabled, tags, preserveCertOrder });
    return changeFamily(deps.writer, { vaultId: vault.id, name }, (states) => {
      const { head } = states.pending;
      if (head === undefined || !isStillRunning(states.pending, state))
        return { changes: {}, result: undefined };
      assertNameFree(states);
      const ended = formatPending({ ...parsePending(head.detail), status: 'completed', error: undefined });
      const family = state.isRenewal
        ? additionOf(states, { name, sealed: renewed(sealed, states), renewedAt: sealed.certificate.updated })
        : additionOf(states, { name, sealed });
      const pending = {
        head: { ...head, detail: ended, dueAt: undefined },
        drop: [head.currentVersion],
        result: undefined,
      };
      return { changes: { ...family, pending }, result: family.certificate.result };
    });
  });
}

/** A renewal enables nothing that was disabled while it was under way, and takes no tags back. */
function renewed(sealed: IssuedVersion, { certificate }: Family<ObjectState>): IssuedVersion {
  if (certificate.version === undefined) return sealed;
  const { enabled, tags } = certificate.version;
  const like = (version: SealedVersion) => ({ ...version, enabled, tags });
  return { certificate: like(sealed.certificate), key: like(sealed.key), secret: like(sealed.secret) };
}

/** Without `requestId` whichever operation is in progress. */
async function postpone(
  deps: IssuanceDeps,
  place: CertificatePlace,
  of: { requestId: string | undefined; error: OrderPostponed },
): Promise<Advanced> {
  const { error } = of;
  deps.log.warn('a certificate cannot be issued yet', {
    vault: place.vault.name,
    certificate: place.name,
    code: error.code,
    error,
  });
  const now = unixSeconds(deps.clock.now());
  const isWritten = await writePending(deps, place, {
    requestId: of.requestId,
    change: (state) => {
      const failures = state.failures + 1;
      return {
        next: { ...state, error: { code: error.code, message: error.message }, failures },
        dueAt: now + Math.max(error.seconds ?? 0, waitAfter(failures)),
      };
    },
  });
  return { what: isWritten ? 'postponed' : 'gone' };
}

async function fail(
  deps: IssuanceDeps,
  place: CertificatePlace,
  of: { state: PendingState; error: { code: string; message: string } },
): Promise<Advanced> {
  const ended = await endIssuance(deps, place, { ...of, status: 'failed' });
  return ended === undefined ? { what: 'gone' } : { what: 'failed', error: of.error };
}

/** Ends the operation without a version, and tells the provider. Undefined if it is not in progress any more. */
export async function endIssuance(
  deps: IssuanceDeps,
  place: CertificatePlace,
  of: Parameters<typeof endOperation>[2],
): Promise<PendingState | undefined> {
  const ended = await endOperation(deps, place, of);
  if (ended !== undefined) await abandonOrder(deps, place, ended);
  return ended;
}
