/** The device authorization endpoint (RFC 8628 §3.1), and the page on which a user types the code and signs in. */
import { Failure } from '../../core/errors.ts';
import type { PendingDevice } from '../../identity/device-codes.ts';
import { browserKey, formToken, isOwnForm, setCookie } from '../../identity/form-tokens.ts';
import { issuerOf, type TokenVersion } from '../../identity/issuer-names.ts';
import type { Answer } from '../exchange.ts';
import { foreignForm } from './authorize.ts';
import { assertProven, type Client, unproven } from './client-authentication.ts';
import { readForm, required } from './form.ts';
import { type Html, html, isRefusal, pageAnswer } from './pages.ts';
import type { LoginCall } from './routes.ts';
import { hasNumbers, resourceOf, userCaller } from './token-reply.ts';
import { scopesAsked, signIn } from './user-sessions.ts';

export const deviceLoginPath = '/devicelogin';

/** Gives a client a code to poll with and one for its user to type. */
export async function issueDeviceCode(call: LoginCall, endpoint: TokenVersion): Promise<object> {
  const { deps, exchange, tenantId } = call;
  deps.deviceCodeLimit(exchange.clientAddress);
  const form = await readForm(exchange);
  const client = await unproven(call, required(form, 'client_id').toLowerCase());
  assertProven(client);
  const asked = scopesAsked({ call, form, endpoint, client });
  const known = tenantId ?? client.application?.tenantId;
  if (known !== undefined) await resourceOf(call, { audience: asked.scopes.audience, tenantId: known });
  const { clientId } = client;
  const issued = await deps.devices.begin({ clientId, tenantId: known, scope: asked.text });
  // The user's browser does not go through the drop-in proxy as the client may: the server's own name finds it.
  const page = `${deps.hosts.ownLoginOrigin()}${deviceLoginPath}`;
  const asText = hasNumbers(call, endpoint) ? (value: number) => value : String;
  return {
    user_code: issued.userCode,
    device_code: issued.deviceCode,
    ...(endpoint === '1.0' ? { verification_url: page } : {}),
    verification_uri: page,
    expires_in: asText(issued.expiresIn),
    interval: asText(issued.interval),
    message: `To sign in, use a web browser to open the page ${page} and enter the code ${issued.userCode} to authenticate.`,
  };
}

/** GET asks for the code; POST with a code asks who it is, and with a name and password lets the client in. */
export async function answerDeviceLogin(call: LoginCall): Promise<Answer> {
  const { deps, exchange } = call;
  if (exchange.method === 'GET') return codePage(call, { typed: exchange.query.get('otc') ?? '' });
  const form = await readForm(exchange);
  const typed = (form.get('user_code') ?? '').slice(0, 64);
  if (!isOwnForm(exchange.request.headers.cookie, deviceLoginPath, form.get('token')))
    return codePage(call, { typed, failure: foreignForm() });
  deps.userCodeLimit(exchange.clientAddress);
  const pending = await deps.devices.find(typed);
  if (pending === undefined) return codePage(call, { typed, failure: noSuchCode() });
  const client = await unproven({ ...call, tenantId: pending.tenantId }, pending.clientId);
  if (form.get('action') === 'decline') {
    await deps.devices.decide(pending, undefined);
    return donePage(call, `You have not let ${client.name} in.`);
  }
  if (!form.has('username')) return confirmPage(call, { typed, client });
  try {
    await approve(call, { pending, client, form });
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return confirmPage(call, { typed, client, failure: error });
  }
  return donePage(call, `You have signed in to ${client.name}. You may close this window.`);
}

async function approve(
  call: LoginCall,
  { pending, client, form }: { pending: PendingDevice; client: Client; form: URLSearchParams },
): Promise<void> {
  const userName = (form.get('username') ?? '').trim();
  const password = form.get('password') ?? '';
  // The tenant that the client asked for is where the user is looked for.
  const { user, passwordId } = await signIn(
    { ...call, tenantId: pending.tenantId },
    { userName, password, client },
  );
  const issuer = issuerOf(call.issuerNames, '1.0', user.tenantId);
  call.exchange.principal = userCaller(user, { clientId: client.clientId, issuer });
  if (!(await call.deps.devices.decide(pending, { objectId: user.objectId, passwordId }))) throw noSuchCode();
}

function codePage(call: LoginCall, { typed, failure }: { typed: string; failure?: Failure }): Answer {
  return formPage(call, {
    title: 'Enter code',
    failure,
    fields: html`<p>Enter the code that your program or device shows.</p>
<label>Code<input name="user_code" value="${typed.slice(0, 64)}" autocomplete="off" autocapitalize="characters" autofocus></label>
<button>Next</button>`,
  });
}

function confirmPage(
  call: LoginCall,
  { typed, client, failure }: { typed: string; client: Client; failure?: Failure },
): Answer {
  return formPage(call, {
    title: 'Sign in',
    failure,
    fields: html`<p>You are about to sign in to <b>${client.name}</b> on another device or in another program.
If you did not start this yourself just now, do not go on: whoever gave you the code would be signed in as you.</p>
<input type="hidden" name="user_code" value="${typed}">
<label>User name<input name="username" autocomplete="username" autocapitalize="none" autofocus></label>
<label>Password<input name="password" type="password" autocomplete="current-password"></label>
<button name="action" value="approve">Sign in</button><button name="action" value="decline">Do not sign in</button>`,
  });
}

function formPage(
  call: LoginCall,
  { title, fields, failure }: { title: string; fields: Html; failure: Failure | undefined },
): Answer {
  const key = browserKey(call.exchange.request.headers.cookie, call.deps.random);
  return pageAnswer({
    title,
    nonce: call.nonce(),
    cookie: setCookie(key),
    ...(failure === undefined ? {} : { failure }),
    content: html`<form method="post" action="${deviceLoginPath}">
<input type="hidden" name="token" value="${formToken(key, deviceLoginPath)}">
${fields}</form>`,
  });
}

function donePage(call: LoginCall, text: string): Answer {
  return pageAnswer({ title: 'Sign in', nonce: call.nonce(), content: html`<p>${text}</p>` });
}

function noSuchCode(): Failure {
  return new Failure(
    'invalidGrant',
    'AADSTS70018: The code is wrong, or no longer good. Check it and try again.',
  );
}
