/**
 * The authorization endpoint (RFC 6749 §4.1, with PKCE): a page on which a user signs in, for a client whose browser is
 * then sent back with a code. The client and where it is sent back to are checked before anything else; until they are,
 * the browser is sent nowhere. Every request is checked as a whole: nothing of it is kept between page and form.
 */
import { Failure, isFailure } from '../../core/errors.ts';
import type { CodeChallenge } from '../../identity/authorization-codes.ts';
import { parseChallenge } from '../../identity/authorization-codes.ts';
import { browserKey, formToken, isOwnForm, setCookie } from '../../identity/form-tokens.ts';
import { issuerOf, type TokenVersion } from '../../identity/issuer-names.ts';
import { findPublicClient, nativeClientPath } from '../../identity/public-clients.ts';
import { isRegisteredRedirect } from '../../identity/redirect-uris.ts';
import type { UserSignIn } from '../../identity/sign-in.ts';
import { oauthError } from '../errors.ts';
import type { Answer } from '../exchange.ts';
import { type Client, unproven } from './client-authentication.ts';
import { readForm } from './form.ts';
import { html, isRefusal, pageAnswer, redirectAnswer } from './pages.ts';
import type { LoginCall } from './routes.ts';
import { resourceAsScope } from './scopes.ts';
import { resourceOf, userCaller } from './token-reply.ts';
import { parseAsked, signIn } from './user-sessions.ts';

type ResponseMode = 'query' | 'fragment' | 'form_post';

/** Where an answer goes to. */
interface Destination {
  readonly client: Client;
  readonly redirectUri: string;
  readonly mode: ResponseMode;
  readonly state: string | undefined;
}

/** What is asked for. */
interface Request {
  readonly scope: string;
  readonly audience: string;
  readonly challenge: CodeChallenge | undefined;
  readonly nonce: string | undefined;
}

/** Answers GET with the page, POST with where the browser goes. */
export async function answerAuthorize(call: LoginCall, endpoint: TokenVersion): Promise<Answer> {
  const destination = await destinationOf(call);
  try {
    const request = requestOf(call, endpoint, destination);
    if (call.exchange.method === 'GET') return signInPage(call, destination);
    return await answerForm(call, { destination, request });
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return sendBack(call, destination, { failure: error });
  }
}

async function answerForm(
  call: LoginCall,
  { destination, request }: { destination: Destination; request: Request },
): Promise<Answer> {
  const { deps, exchange } = call;
  const form = await readForm(exchange);
  const { client, redirectUri } = destination;
  const shown = form.get('token');
  if (!isOwnForm(exchange.request.headers.cookie, exchange.request.url ?? '', shown))
    return signInPage(call, destination, foreignForm());
  if (form.get('action') === 'cancel') throw new Failure('signInDeclined', 'The user declined to sign in.');
  let signedIn: UserSignIn;
  try {
    const userName = (form.get('username') ?? '').trim();
    signedIn = await signIn(call, { userName, password: form.get('password') ?? '', client });
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return signInPage(call, destination, error);
  }
  const { user, passwordId } = signedIn;
  const { tenantId, objectId } = user;
  const { clientId } = client;
  const { version } = await resourceOf(call, { audience: request.audience, tenantId });
  exchange.principal = userCaller(user, { clientId, issuer: issuerOf(call.issuerNames, version, tenantId) });
  const { scope, challenge, nonce } = request;
  const subject = { objectId, tenantId, passwordId, clientId, redirectUri, scope, challenge, nonce };
  const code = await deps.codes.issue(subject);
  return sendBack(call, destination, { code });
}

/** Fails, with a page and without going anywhere, unless the client has registered where it wants its answer. */
async function destinationOf(call: LoginCall): Promise<Destination> {
  const client = await unproven(call, (single(call, 'client_id') ?? '').toLowerCase()).catch((error) => {
    if (!isFailure(error, 'invalidClient')) throw error;
    throw new Failure('unauthorizedClient', 'AADSTS700016: The application was not found in this directory.');
  });
  const redirectUri = single(call, 'redirect_uri') ?? '';
  if (!isRegisteredRedirect(redirectUri, redirectsOf(call, client))) {
    throw new Failure(
      'invalidRequest',
      'AADSTS50011: The redirect URI specified in the request does not match the redirect URIs configured for the application.',
    );
  }
  const mode = single(call, 'response_mode') ?? 'query';
  if (mode !== 'query' && mode !== 'fragment' && mode !== 'form_post')
    throw new Failure('invalidRequest', "AADSTS900561: The parameter 'response_mode' is not valid.");
  return { client, redirectUri, mode, state: single(call, 'state') };
}

function redirectsOf({ origin }: LoginCall, { clientId, application }: Client): readonly string[] {
  if (application !== undefined) return application.detail.redirectUris ?? [];
  return [...(findPublicClient(clientId)?.redirectUris ?? []), `${origin}${nativeClientPath}`];
}

function requestOf(call: LoginCall, endpoint: TokenVersion, { client, redirectUri }: Destination): Request {
  if (single(call, 'response_type') !== 'code')
    throw new Failure('unsupportedResponseType', "The parameter 'response_type' must be 'code'.");
  // There are no sessions with the browser: who is not asked cannot be known.
  if (single(call, 'prompt') === 'none')
    throw new Failure('loginRequired', 'A silent sign-in request was sent but no user is signed in.');
  const challenge = parseChallenge(
    single(call, 'code_challenge') ?? null,
    single(call, 'code_challenge_method') ?? null,
  );
  const { spaRedirectUris = [] } = client.application?.detail ?? {};
  if (challenge === undefined && isRegisteredRedirect(redirectUri, spaRedirectUris)) {
    throw new Failure('invalidRequest', 'AADSTS9002325: Proof Key for Code Exchange is required here.');
  }
  const text = resourceAsScope({ get: (name) => single(call, name) ?? null }) ?? single(call, 'scope') ?? '';
  const { audience } = parseAsked(call, { text, endpoint }).scopes;
  return { scope: text, audience, challenge, nonce: nonceOf(call) };
}

function nonceOf(call: LoginCall): string | undefined {
  const nonce = single(call, 'nonce');
  if (nonce !== undefined && nonce.length > 512)
    throw new Failure('invalidRequest', "AADSTS90013: The parameter 'nonce' is too long.");
  return nonce;
}

/** A parameter of the query; fails with `invalidRequest` for one that is given twice. */
function single(call: LoginCall, name: string): string | undefined {
  const values = call.exchange.query.getAll(name);
  if (values.length > 1) throw new Failure('invalidRequest', 'A parameter is given more than once.');
  return values[0] === '' ? undefined : values[0];
}

function signInPage(call: LoginCall, { client, redirectUri }: Destination, failure?: Failure): Answer {
  const { request } = call.exchange;
  const key = browserKey(request.headers.cookie, call.deps.random);
  const target = request.url ?? '';
  // Only the query: a path that begins with two slashes would name another host.
  const action = target.slice(target.indexOf('?'));
  const hint = (call.exchange.query.get('login_hint') ?? '').slice(0, 256);
  return pageAnswer({
    title: 'Sign in',
    nonce: call.nonce(),
    formTarget: sourceOf(redirectUri),
    cookie: setCookie(key),
    ...(failure === undefined ? {} : { failure }),
    content: html`<p>to continue to <b>${client.name}</b></p>
<form method="post" action="${action}">
<input type="hidden" name="token" value="${formToken(key, target)}">
<label>User name<input name="username" value="${hint}" autocomplete="username" autocapitalize="none" autofocus></label>
<label>Password<input name="password" type="password" autocomplete="current-password"></label>
<button name="action" value="sign-in">Sign in</button><button name="action" value="cancel">Cancel</button>
</form>`,
  });
}

/** The answer goes to the client's own address, in the way that it asked for. */
function sendBack(
  call: LoginCall,
  { redirectUri, mode, state }: Destination,
  result: { code: string } | { failure: Failure },
): Answer {
  const failure = 'failure' in result ? result.failure : undefined;
  const members: [string, string][] =
    'code' in result ? [['code', result.code]] : refusalMembers(result.failure);
  if (state !== undefined) members.push(['state', state]);
  if (mode === 'form_post') return formPost(call, { redirectUri, members });
  const url = new URL(redirectUri);
  if (mode === 'fragment') url.hash = new URLSearchParams(members).toString();
  else for (const [name, value] of members) url.searchParams.append(name, value);
  return redirectAnswer(url.href, failure);
}

function refusalMembers(failure: Failure): [string, string][] {
  const { error, description } = oauthError(failure);
  return [
    ['error', error],
    ['error_description', description],
  ];
}

/** OAuth 2.0 Form Post Response Mode: a form that sends itself, or is sent by hand where scripts are off. */
function formPost(call: LoginCall, to: { redirectUri: string; members: [string, string][] }): Answer {
  const { redirectUri, members } = to;
  return pageAnswer({
    title: 'Signing in',
    nonce: call.nonce(),
    formTarget: sourceOf(redirectUri),
    script: 'document.forms[0].submit()',
    content: html`<form method="post" action="${redirectUri}">
${members.map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
<noscript><button>Continue</button></noscript></form>`,
  });
}

/** The address as a source of a content security policy, which has no way to write an IPv6 address. */
function sourceOf(redirectUri: string): string {
  const { protocol, host } = new URL(redirectUri);
  const isHttp = protocol === 'https:' || protocol === 'http:';
  return isHttp && !host.startsWith('[') ? `${protocol}//${host}` : protocol;
}

export function foreignForm(): Failure {
  return new Failure(
    'invalidRequest',
    'AADSTS165000: The form was not shown in this browser, or too long ago. Try again.',
  );
}
