/**
 * Tokens for workloads on this machine, in the forms of Azure's instance metadata service, of App Service (2019 and
 * 2017) and of Cloud Shell. On the loopback listener only.
 */
import type { IncomingMessage } from 'node:http';
import { Failure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { azureIssuerNames, issuerOf, ownIssuerNames } from '../../identity/issuer-names.ts';
import {
  type IdentitySelector,
  issueManagedIdentityToken,
  type MachineIdentity,
  type ManagedIdentityToken,
} from '../../identity/managed-identity.ts';
import { readText } from '../body.ts';
import { type Exchange, header } from '../exchange.ts';
import type { Query } from '../request-target.ts';
import type { LoginDeps } from './routes.ts';
import { callerOf } from './token-reply.ts';

export interface ManagedIdentityDeps {
  readonly login: LoginDeps;
  readonly machine: MachineIdentity;
  /** The App Service form's shared secret: whoever knows it may have a token. */
  readonly identityHeader: SecretBytes;
  /** Whether any process of this machine may have a token without that secret, as on a virtual machine in Azure. */
  readonly openToMachine: boolean;
}

export const imdsPath = '/metadata/identity/oauth2/token';
export const appServicePath = '/msi/token';

/** Answers a token request to either path; throws `invalidRequest` or `unauthorized`. */
export async function answerManagedIdentity(deps: ManagedIdentityDeps, exchange: Exchange): Promise<object> {
  const { request, query } = exchange;
  // A forwarded request does not come from this machine; Azure's service refuses them too.
  if (request.headers['x-forwarded-for'] !== undefined) {
    throw new Failure('invalidRequest', 'Forwarded requests are not accepted.');
  }
  const form = formOf(exchange.path);
  if (form === undefined) throw new Failure('notFound', 'The loopback listener has no such endpoint.');
  if (form === 'imds') {
    assertOpen(deps, request);
    const token = await issue(deps, exchange, query);
    return { ...common(token), expires_in: String(token.expiresAt - token.notBefore), ...imdsExtras(token) };
  }
  if (request.method === 'POST') {
    assertOpen(deps, request);
    return common(await issue(deps, exchange, new URLSearchParams(await readText(exchange, 16 * 1024))));
  }
  assertKnowsHeader(deps, request);
  const token = await issue(deps, exchange, query);
  if (query.get('api-version') !== '2017-09-01') return common(token);
  return { ...common(token), expires_on: usDateTime(token.expiresAt) };
}

/** Whose form a path asks for; undefined for any other path. */
export function formOf(path: string): 'imds' | 'appService' | undefined {
  const plain = path.toLowerCase().replace(/\/+$/, '');
  if (plain === imdsPath) return 'imds';
  return plain === appServicePath ? 'appService' : undefined;
}

/** Without the `Metadata` header a browser, or a server that can be made to fetch a URL, could ask as well. */
function assertOpen(deps: ManagedIdentityDeps, request: IncomingMessage): void {
  if (header(request, 'metadata')?.toLowerCase() !== 'true') {
    throw new Failure('invalidRequest', 'Required metadata header not specified');
  }
  if (!deps.openToMachine)
    throw new Failure('unauthorized', 'This server gives tokens only to those who know its identity header.');
}

function assertKnowsHeader(deps: ManagedIdentityDeps, request: IncomingMessage): void {
  const presented = header(request, 'x-identity-header') ?? header(request, 'secret') ?? '';
  if (!deps.identityHeader.equals(SecretBytes.fromText(presented))) {
    throw new Failure('unauthorized', 'The identity header is missing or wrong.');
  }
}

async function issue(deps: ManagedIdentityDeps, exchange: Exchange, query: Query): Promise<Token> {
  const resource = query.get('resource');
  if (resource === null || resource === '')
    throw new Failure('invalidRequest', 'Required query variable resource is missing');
  const family = deps.login.hosts.audienceFamily(resource);
  if (family === undefined) {
    throw new Failure(
      'invalidResource',
      `The resource principal named ${resource.slice(0, 256)} was not found.`,
    );
  }
  const names = family === 'azure' ? azureIssuerNames : ownIssuerNames(deps.login.hosts.ownLoginOrigin());
  const issuer = issuerOf(names, '1.0', deps.machine.tenantId);
  const issued = await issueManagedIdentityToken(
    { store: deps.login.principals, issuer: deps.login.issuer },
    deps.machine,
    { selector: selectorOf(query), audience: resource, issuer },
  );
  exchange.principal = callerOf(issued.principal, issuer);
  return { ...issued, resource };
}

interface Token extends ManagedIdentityToken {
  readonly resource: string;
}

function selectorOf(query: Query): IdentitySelector {
  const clientId = query.get('client_id') ?? query.get('clientid');
  const objectId = query.get('object_id') ?? query.get('principal_id');
  const resourceId = query.get('msi_res_id') ?? query.get('mi_res_id');
  return {
    ...(clientId === null ? {} : { clientId }),
    ...(objectId === null ? {} : { objectId }),
    ...(resourceId === null ? {} : { resourceId }),
  };
}

function common(token: Token) {
  return {
    access_token: token.token,
    client_id: token.clientId,
    expires_on: String(token.expiresAt),
    resource: token.resource,
    token_type: 'Bearer',
  };
}

function imdsExtras(token: Token) {
  return {
    ext_expires_in: String(token.expiresAt - token.notBefore - 1),
    not_before: String(token.notBefore),
  };
}

/** `11/23/2026 12:00:00 +00:00`, as App Service's 2017 form has it. */
function usDateTime(seconds: number): string {
  const [year, month, day, time] = new Date(seconds * 1000).toISOString().split(/[-T.]/);
  return `${month}/${day}/${year} ${time} +00:00`;
}
