/**
 * The loopback listener's requests, plain HTTP: health, managed identity, and the metadata address as a proxy
 * request. A page in a browser must not get at it through a name of its own, so that the Host is checked.
 */
import type { RequestListener } from 'node:http';
import { Failure } from '../core/errors.ts';
import { managedIdentityBody } from './errors.ts';
import type { Answer, Exchange } from './exchange.ts';
import { answerManagedIdentity, formOf, type ManagedIdentityDeps } from './login/managed-identity.ts';
import { loginHeaders } from './response-headers.ts';
import { type ServeDeps, serveRequests } from './serve.ts';

export interface LocalDeps extends ServeDeps {
  readonly managedIdentity: ManagedIdentityDeps;
}

/** Azure's metadata address, which clients reach through the proxy in absolute form. */
const metadataOrigin = 'http://169.254.169.254';
const loopbackHost = /^(?:localhost|127\.0\.0\.1|\[::1\]|169\.254\.169\.254)(?::\d{1,5})?$/i;

export function createLocalHandler(deps: LocalDeps): RequestListener {
  const serve = serveRequests(deps, {
    methodOverride: false,
    answer: (exchange) => answer(deps, exchange),
    refusalBody: (failure, { path }) => managedIdentityBody(failure, formOf(path) ?? 'imds'),
    headers: loginHeaders,
  });
  return (request, response) => {
    if (request.url?.startsWith(`${metadataOrigin}/`)) request.url = request.url.slice(metadataOrigin.length);
    serve(request, response);
  };
}

async function answer(deps: LocalDeps, exchange: Exchange): Promise<Answer> {
  exchange.operation = 'ManagedIdentityTokenIssue';
  exchange.resourceId = `/tenants/${deps.managedIdentity.machine.tenantId}`;
  if (!loopbackHost.test(exchange.request.headers.host ?? '')) {
    throw new Failure('hostNotServed', 'The loopback listener answers to loopback addresses only.');
  }
  if (exchange.method !== 'GET' && exchange.method !== 'POST') {
    throw new Failure('methodNotAllowed', `HTTP ${exchange.method.slice(0, 16)} not allowed`);
  }
  const body = JSON.stringify(await answerManagedIdentity(deps.managedIdentity, exchange));
  return { status: 200, body, headers: [], failure: undefined, id: undefined };
}
