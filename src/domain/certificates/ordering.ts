/**
 * An operation in progress as an order with its issuer's provider: its next step, and its end without a certificate.
 * What is secret of the issuer is open for as long as that takes.
 */
import type { Log } from '../../core/log.ts';
import { objectKey } from '../../core/names.ts';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import type { ObjectReader } from '../versioned/object-store.ts';
import { isSelfIssuer, isUnknownIssuer, requestedContentOf } from './certificate-policy.ts';
import { type PendingState, parsePending } from './certificate-state.ts';
import type { ContactAddresses } from './contacts.ts';
import type { CertificateOrder, IssuerProvider, OrderStep, OrderVault } from './issuer-provider.ts';
import { type OpenIssuer, type OrderIssuers, wipeIssuer } from './issuers.ts';

export interface OrderingDeps {
  readonly issuers: OrderIssuers;
  /** By the provider's name as an issuer object says it; undefined for one that this server does not know. */
  readonly providerOf: (name: string) => IssuerProvider | undefined;
  readonly contacts: ContactAddresses;
  readonly log: Log;
}

/** Does the next step with the provider of the policy's issuer object. */
export async function orderedStep(
  deps: OrderingDeps,
  vault: OrderVault,
  state: PendingState,
): Promise<OrderStep> {
  const { name } = state.policy.issuer;
  const issuer = await deps.issuers.open(vault.id, name);
  if (issuer === undefined) return refusedBy('IssuerNotFound', `There is no issuer ${name} any more.`);
  try {
    return await stepWith(deps, { vault, state, issuer });
  } finally {
    wipeIssuer(issuer);
  }
}

async function stepWith(
  deps: OrderingDeps,
  of: { vault: OrderVault; state: PendingState; issuer: OpenIssuer },
): Promise<OrderStep> {
  const { vault, issuer } = of;
  if (!issuer.enabled) return refusedBy('IssuerDisabled', `The issuer ${issuer.name} is disabled.`);
  const provider = deps.providerOf(issuer.provider);
  if (provider === undefined)
    return refusedBy('ProviderNotSupported', `This server knows no provider ${issuer.provider}.`);
  const contacts = await deps.contacts.addressesOf(vault.id);
  const step = await provider.advance(orderOf({ ...of, contacts }));
  if ('keep' in step && step.keep !== undefined) await keepWith(deps, { vault, issuer, kept: step.keep });
  return step;
}

async function keepWith(
  deps: OrderingDeps,
  { vault, issuer, kept }: { vault: OrderVault; issuer: OpenIssuer; kept: SecretBytes },
): Promise<void> {
  try {
    await deps.issuers.keep(vault.id, issuer, kept);
  } finally {
    kept.wipe();
  }
}

function orderOf(of: {
  vault: OrderVault;
  state: PendingState;
  issuer: OpenIssuer;
  contacts: readonly string[];
}): CertificateOrder {
  const { vault, state, issuer, contacts } = of;
  const { policy, csr, order } = state;
  return {
    ...{ vault, issuer, contacts },
    request: Buffer.from(csr, 'base64'),
    content: requestedContentOf(policy),
    validityMonths: policy.x509.validityMonths,
    state: order,
  };
}

function refusedBy(code: string, message: string): OrderStep {
  return { kind: 'failed', code, message };
}

/** Tells the provider that nothing more is to come of an order, as far as it listens; never fails. */
export async function abandonOrder(
  deps: OrderingDeps,
  { vault, name }: { vault: OrderVault; name: string },
  state: PendingState,
): Promise<void> {
  const { policy, order } = state;
  if (order === undefined || isSelfIssuer(policy.issuer) || isUnknownIssuer(policy.issuer)) return;
  let issuer: OpenIssuer | undefined;
  try {
    issuer = await deps.issuers.open(vault.id, policy.issuer.name);
    if (issuer === undefined) return;
    await deps.providerOf(issuer.provider)?.abandon?.(orderOf({ vault, state, issuer, contacts: [] }));
  } catch (error) {
    const which = { vault: vault.name, certificate: name };
    deps.log.warn('an order that has ended could not be abandoned', { ...which, error });
  } finally {
    wipeIssuer(issuer);
  }
}

/** Operations that are read at once. */
const pageSize = 100;

/** Abandons all orders of a vault that is about to be purged. */
export async function abandonOrdersOf(
  deps: OrderingDeps & { readonly reader: Pick<ObjectReader, 'listHeads'> },
  vault: OrderVault,
): Promise<void> {
  // A certificate that was deleted by itself has abandoned its order then.
  const of = { vaultId: vault.id, kind: 'pendingcertificates', deleted: false } as const;
  let after: string | undefined;
  for (;;) {
    const page = await deps.reader.listHeads(of, { after, limit: pageSize });
    for (const { head } of page) {
      const state = parsePending(head.detail);
      if (state.status === 'inProgress') await abandonOrder(deps, { vault, name: head.name }, state);
    }
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return;
    after = objectKey(last.head.name);
  }
}
