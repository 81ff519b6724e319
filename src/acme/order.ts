/** The steps of one order at an authority: its authorizations, their challenges, the certificate (RFC 8555 §7.4, §7.5). */
import { judgeIssuedChain, NotAsAsked } from '../crypto/x509/issued-chain.ts';
import type { OrderStep } from '../domain/certificates/issuer-provider.ts';
import type { AccountSigner } from './account-key.ts';
import { isChallengeToken } from './http01.ts';
import { canonicalIdentifier, type Identifier } from './identifiers.ts';
import { type OpenChallenge, type OrderState, writeBetween, writeState } from './order-state.ts';
import { AcmeProblem, readProblem, unexpectedAnswer } from './problems.ts';
import type { AcmeDeps, OrderWork } from './provider.ts';
import { type Authorization, type Challenge, type Order, readAuthorization, readOrder } from './resources.ts';
import type { AcmeReply } from './session.ts';
import type { ChallengeAnswer } from './solvers.ts';

/** Of a list, so many in one step: the time of a step is bounded, whatever the number of names. */
const batch = 10;
const day = 24 * 3600 * 1000;
/** Milliseconds: by then an order is over at every authority; nothing may be waited for without end. */
const longestOrder = 30 * day;
/** Milliseconds that an answer stays up; authorities end a pending authorization after a week at most. */
const answerLife = 8 * day;
/** Seconds from one look at an order to the next, where the authority does not say. */
const firstLook = 5;
const longestPause = 300;
/** Seconds: an authority that asks for more is looked at more often than it would like. */
const longestAskedPause = 3600;
/** RFC 8555 §6.7: whom the authority was to ask could not be reached, or nobody said where it is. */
const unreached = new Set(['connection', 'dns']);
/** Orders that may fail so before the last one. */
const mostFailures = 1;
/** Seconds from an order that failed so to the next: a server has started by then, and names are known to all. */
const pauseBetween = 60;

/** RFC 8555 §7.4: asks for the names; `before`: orders for them that have failed. */
export async function beginOrder(work: OrderWork, before: number): Promise<OrderState> {
  const { session, account, identifiers, clock } = work;
  const reply = await session.post(session.newOrder, { payload: { identifiers }, kid: account.url });
  const order = readOrder(reply);
  if (reply.location === undefined) throw unexpectedAnswer('it does not say where the order is.');
  return {
    v: 1,
    account: account.url,
    order: reply.location,
    finalize: session.checked(order.finalize),
    phase: 'read',
    authorizations: order.authorizations.map((url) => session.checked(url)),
    challenges: [],
    done: 0,
    looks: 0,
    started: clock.now(),
    before,
  };
}

export async function advanceOrder(work: OrderWork, state: OrderState): Promise<OrderStep> {
  if (work.clock.now() - state.started > longestOrder) {
    return {
      kind: 'failed',
      code: 'orderExpired',
      message: 'The authority did not finish the order in 30 days.',
    };
  }
  switch (state.phase) {
    case 'read':
      return readAuthorizations(work, state);
    case 'put':
      return putAnswers(work, state);
    case 'respond':
      return respond(work, state);
    case 'issue':
      return issue(work, state);
  }
}

function waiting(state: OrderState, seconds = 0): OrderStep {
  return { kind: 'waiting', state: writeState(state), seconds };
}

/** Which challenges there are to answer: an authorization may be valid from another order. */
async function readAuthorizations(work: OrderWork, state: OrderState): Promise<OrderStep> {
  const urls = state.authorizations.slice(state.done, state.done + batch);
  const found: OpenChallenge[] = [];
  for (const url of urls) {
    const authorization = await getAuthorization(work, url);
    if (authorization.status === 'pending') found.push(chooseChallenge(work, url, authorization));
    else if (authorization.status !== 'valid') throw problemOfAuthorization(authorization);
  }
  const read = { ...state, challenges: [...state.challenges, ...found], done: state.done + urls.length };
  if (read.done < read.authorizations.length) return waiting(read);
  return waiting({ ...read, phase: read.challenges.length > 0 ? 'put' : 'issue', done: 0 });
}

/** What is put up is known to the state from before on, so that it is taken away whatever happens. */
async function putAnswers(work: OrderWork, state: OrderState): Promise<OrderStep> {
  const challenges = state.challenges.slice(state.done, state.done + batch);
  for (const challenge of challenges)
    await work.solver.present(answerOf(work.account.signer, challenge, state));
  const put = { ...state, done: state.done + challenges.length };
  if (put.done < put.challenges.length) return waiting(put);
  return waiting({ ...put, phase: 'respond', done: 0 }, work.solver.settle);
}

/** RFC 8555 §7.5.1: tells the authority to look. One that was told before a crash is not told again. */
async function respond(work: OrderWork, state: OrderState): Promise<OrderStep> {
  const { session, account } = work;
  const challenges = state.challenges.slice(state.done, state.done + batch);
  for (const { authorization: url, ...challenge } of challenges) {
    const authorization = await getAuthorization(work, url);
    if (authorization.status !== 'pending') continue;
    const shown = authorization.challenges.find(({ token }) => token === challenge.token);
    if (shown?.status === 'pending') await session.post(challenge.url, { payload: {}, kid: account.url });
  }
  const told = { ...state, done: state.done + challenges.length };
  if (told.done < told.challenges.length) return waiting(told);
  return waiting({ ...told, phase: 'issue', done: 0 }, 1);
}

/** Looks at the order and does what it is ready for. */
async function issue(work: OrderWork, state: OrderState): Promise<OrderStep> {
  const reply = await work.session.post(state.order, { kid: work.account.url });
  const order = readOrder(reply);
  switch (order.status) {
    case 'pending':
    case 'processing':
      return lookAgain(state, reply);
    case 'ready':
      return finalize(work, state);
    case 'valid':
      return download(work, state, order);
    case 'invalid':
      return orderAnew(work, state, (await failedAuthorization(work, state)) ?? readProblem(order.error));
  }
}

/**
 * An order is over when the authority once did not reach who is to answer it: a server that was just starting again,
 * say. It is made once more, and the second answer counts; authorities limit how often a name may fail.
 */
async function orderAnew(work: OrderWork, state: OrderState, problem: AcmeProblem): Promise<OrderStep> {
  if (!unreached.has(problem.type) || state.before >= mostFailures) throw problem;
  await removeAnswers({ ...work, signer: work.account.signer }, state);
  return {
    kind: 'waiting',
    state: writeBetween(state.before + 1),
    seconds: pauseBetween,
    why: { code: problem.type, message: problem.message },
  };
}

/** RFC 8555 §7.4. A crash after it is made good by the next look at the order. */
async function finalize(work: OrderWork, state: OrderState): Promise<OrderStep> {
  const { session, account, order } = work;
  const payload = { csr: Buffer.from(order.request).toString('base64url') };
  try {
    return lookAgain(state, await session.post(state.finalize, { payload, kid: account.url }));
  } catch (error) {
    if (error instanceof AcmeProblem && error.type === 'orderNotReady') return lookAgain(state);
    throw error;
  }
}

function lookAgain(state: OrderState, reply?: AcmeReply): OrderStep {
  const pause = Math.min(firstLook * 2 ** Math.min(state.looks, 10), longestPause);
  const asked = reply?.retryAfter;
  const seconds = asked === undefined ? pause : Math.min(asked, longestAskedPause);
  return waiting({ ...state, looks: state.looks + 1 }, seconds);
}

/** RFC 8555 §7.4.2. */
async function download(work: OrderWork, state: OrderState, order: Order): Promise<OrderStep> {
  const { session, account, identifiers, clock } = work;
  if (order.certificate === undefined) throw unexpectedAnswer('it has no certificate.');
  const reply = await session.post(order.certificate, {
    kid: account.url,
    accept: 'application/pem-certificate-chain',
  });
  const valuesOf = (wanted: Identifier['type']) =>
    identifiers.flatMap(({ type, value }) => (type === wanted ? [value] : []));
  try {
    const chain = await judgeIssuedChain(reply.body.toString('latin1'), {
      request: work.order.request,
      dnsNames: valuesOf('dns'),
      ipAddresses: valuesOf('ip'),
      now: clock.now(),
    });
    await removeAnswers({ ...work, signer: account.signer }, state);
    return { kind: 'issued', chain };
  } catch (error) {
    if (!(error instanceof NotAsAsked)) throw error;
    const message = `The certificate that the authority issued is not what was asked for: ${error.message}.`;
    return { kind: 'failed', code: 'badCertificate', message };
  }
}

/** Takes away what was put up. Best effort: what stays up proves nothing once the authorizations are over. */
export async function removeAnswers(
  { solver, signer, log }: Pick<AcmeDeps, 'solver' | 'log'> & { signer: AccountSigner },
  state: OrderState,
): Promise<void> {
  if (state.phase === 'read') return;
  for (const challenge of state.challenges) {
    try {
      await solver.remove(answerOf(signer, challenge, state));
    } catch (error) {
      log.warn('The answer to a challenge could not be taken away.', { name: challenge.name, error });
      // Whoever does not answer for one will not for a hundred.
      return;
    }
  }
}

function answerOf(signer: AccountSigner, challenge: OpenChallenge, state: OrderState): ChallengeAnswer {
  const { name, token } = challenge;
  return {
    name,
    token,
    keyAuthorization: signer.keyAuthorization(token),
    expires: state.started + answerLife,
  };
}

async function getAuthorization({ session, account }: OrderWork, url: string): Promise<Authorization> {
  return readAuthorization(await session.post(url, { kid: account.url }));
}

/** Throws an `AcmeProblem` when there is none that we answer, or that is about a name which was not asked for. */
function chooseChallenge(work: OrderWork, url: string, authorization: Authorization): OpenChallenge {
  const { solver, identifiers, session } = work;
  const { type, value: name } = canonicalIdentifier(authorization.identifier);
  const isAsked = identifiers.some(
    (asked) => asked.type === type && (asked.value === name || asked.value === `*.${name}`),
  );
  if (!isAsked) throw unexpectedAnswer('it is about a name that was not asked for.');
  const challenge = authorization.challenges.find((offered) => offered.type === solver.type);
  if (challenge?.url === undefined || challenge.token === undefined) {
    throw new AcmeProblem('unauthorized', `The authority offers no ${solver.type} challenge for ${name}.`);
  }
  if (!isChallengeToken(challenge.token)) throw unexpectedAnswer('a token in it is none.');
  return { authorization: url, url: session.checked(challenge.url), name, token: challenge.token };
}

/** Why one of the names could not be proven; undefined if none failed. */
async function failedAuthorization(work: OrderWork, state: OrderState): Promise<AcmeProblem | undefined> {
  for (const { authorization: url } of state.challenges) {
    const authorization = await getAuthorization(work, url);
    if (!['pending', 'valid'].includes(authorization.status)) return problemOfAuthorization(authorization);
  }
  return undefined;
}

/** Why a name could not be proven: the error of its challenge (RFC 8555 §7.1.4, §8). */
function problemOfAuthorization({ status, identifier, challenges }: Authorization): AcmeProblem {
  const hasError = ({ error }: Challenge) => error !== undefined && error !== null;
  const error = challenges.find(hasError)?.error;
  const { type, message } = error === undefined ? new AcmeProblem('unauthorized', '') : readProblem(error);
  const reason = message === '' ? `the authorization is ${status}` : message;
  return new AcmeProblem(type, `${identifier.value.slice(0, 253)}: ${reason}`);
}
