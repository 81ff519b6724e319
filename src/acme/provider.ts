/**
 * An ACME authority (RFC 8555) as an issuer of certificates. Each step does a bounded amount, tells what the next has
 * to know, and can be done again: a crash repeats one step and loses nothing else.
 */
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { CertificateOrder, IssuerProvider, OrderStep } from '../domain/certificates/issuer-provider.ts';
import {
  type AccountSigner,
  type KeptAccount,
  keepAccount,
  makeAccount,
  openAccountKey,
  readAccount,
} from './account-key.ts';
import { BadCredentials, externalKeyOf, register } from './accounts.ts';
import { type HttpLimits, openHttp } from './https.ts';
import { type Identifier, identifiersOf, NotCertifiable } from './identifiers.ts';
import { advanceOrder, beginOrder, removeAnswers } from './order.ts';
import { failedBefore, readState, writeState } from './order-state.ts';
import { AcmeProblem, outcomeOfError } from './problems.ts';
import { type AcmeSession, type Directory, openSession } from './session.ts';
import type { ChallengeSolver } from './solvers.ts';

export interface AcmeDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly solver: ChallengeSolver;
  readonly limits?: HttpLimits;
}

/** An account that is registered. */
export interface Account {
  readonly url: string;
  readonly signer: AccountSigner;
}

/** What the steps of one order work with. */
export interface OrderWork extends Omit<AcmeDeps, 'limits'> {
  readonly session: AcmeSession;
  readonly account: Account;
  readonly order: CertificateOrder;
  readonly identifiers: readonly Identifier[];
}

export function createAcmeProvider(deps: AcmeDeps, directory: Directory): IssuerProvider {
  return {
    async advance(order) {
      try {
        return await advance(deps, directory, order);
      } catch (error) {
        if (error instanceof NotCertifiable) return failed('unsupportedIdentifier', error.message);
        if (error instanceof BadCredentials) return failed('externalAccountRequired', error.message);
        return outcomeOfError(error);
      }
    },
    async abandon(order) {
      const state = readState(order.state);
      const kept = readAccount(order.issuer.kept);
      if (state === undefined || kept === undefined) return;
      await removeAnswers({ ...deps, signer: await openAccountKey(kept.jwk) }, state);
    },
  };
}

function failed(code: string, message: string): OrderStep {
  return { kind: 'failed', code, message };
}

/** Goes on at once: what is returned is persisted, and nothing has to be waited for. */
function next(order: CertificateOrder, more: { state?: string; keep?: KeptAccount }): OrderStep {
  const { state = order.state ?? '{}', keep } = more;
  const step = { kind: 'waiting', state, seconds: 0 } as const;
  return keep === undefined ? step : { ...step, keep: keepAccount(keep) };
}

async function advance(deps: AcmeDeps, directory: Directory, order: CertificateOrder): Promise<OrderStep> {
  const { clock, limits, solver } = deps;
  // Before anything is asked of anybody: what cannot be had is refused without an order for it.
  const identifiers = identifiersOf(order.content);
  for (const identifier of identifiers) {
    const refusal = solver.refusal(identifier);
    if (refusal !== undefined) throw new NotCertifiable(refusal);
  }
  const external = externalKeyOf(order.issuer);
  const of = { directory: directory.url, ...(external === undefined ? {} : { externalKeyId: external.id }) };
  const kept = readAccount(order.issuer.kept);
  // A key is kept before it is registered: one that is lost after it would take the authority's binding with it.
  if (kept === undefined || kept.directory !== of.directory || kept.externalKeyId !== of.externalKeyId) {
    return next(order, { keep: await makeAccount(of) });
  }
  const signer = await openAccountKey(kept.jwk);
  const http = openHttp(clock, { ca: directory.ca, ...(limits === undefined ? {} : { limits }) });
  try {
    const session = await openSession({ clock, http, signer }, directory);
    if (kept.url === undefined) {
      const url = await register({ session, signer, external }, order);
      return next(order, { keep: { ...kept, url } });
    }
    const work = { ...deps, session, order, identifiers, account: { url: kept.url, signer } };
    return await withKnownAccount(kept, order, () => advanceKnown(work));
  } finally {
    http.close();
  }
}

async function advanceKnown(work: OrderWork): Promise<OrderStep> {
  const state = readState(work.order.state);
  if (state === undefined || state.account !== work.account.url) {
    const before = failedBefore(work.order.state);
    return next(work.order, { state: writeState(await beginOrder(work, before)) });
  }
  return advanceOrder(work, state);
}

/** The state of an order whose account was registered again. */
const registeredAgain = '{"registeredAgain":true}';
/** Seconds; there is no hurry, and no end to what an authority may forget. */
const pauseBeforeRegistering = 60;

/** An authority that has forgotten an account (one for tests that was started anew, say) is told of it again, once. */
async function withKnownAccount(
  { url: _forgotten, ...account }: KeptAccount,
  order: CertificateOrder,
  run: () => Promise<OrderStep>,
): Promise<OrderStep> {
  try {
    return await run();
  } catch (error) {
    const isForgotten = error instanceof AcmeProblem && error.type === 'accountDoesNotExist';
    if (!isForgotten || order.state === registeredAgain) throw error;
    const keep = keepAccount(account);
    return { kind: 'waiting', state: registeredAgain, seconds: pauseBeforeRegistering, keep };
  }
}
