/**
 * Microsoft Graph, as far as Azure's clients need it: finds the row, authenticates, and lets every principal that the
 * directory knows read it, and its administrators change it.
 */
import FindMyWay from 'find-my-way';
import * as v from 'valibot';
import { Failure } from '../../core/errors.ts';
import type { Principal } from '../../core/principal.ts';
import type { Tenant } from '../../domain/resources/directory-store.ts';
import type { PrincipalRecord } from '../../identity/principals.ts';
import { validateForAnyTenant } from '../any-tenant.ts';
import { readJson } from '../body.ts';
import { bodyChecks } from '../body-issues.ts';
import { bearerToken } from '../connection.ts';
import { type Answer, type Exchange, header } from '../exchange.ts';
import type { HostTarget } from '../hosts.ts';
import { applicationRoutes } from './applications.ts';
import { resourceNotFound } from './find.ts';
import { groupRoutes } from './groups.ts';
import { objectRoutes } from './objects.ts';
import { organizationRoutes } from './organization.ts';
import { ownedRoutes } from './owners.ts';
import type { GraphCall, GraphDeps, GraphReply, GraphRoute } from './route.ts';
import { servicePrincipalRoutes } from './service-principals.ts';
import { userRoutes } from './users.ts';

/** Every operation, for the tests that walk them. */
export const graphRoutes: readonly GraphRoute[] = [
  ...userRoutes,
  ...groupRoutes,
  ...applicationRoutes,
  ...servicePrincipalRoutes,
  ...objectRoutes,
  ...ownedRoutes,
  ...organizationRoutes,
];

export interface GraphApi {
  answer(exchange: Exchange, target: HostTarget): Promise<Answer>;
}

type Router = ReturnType<typeof FindMyWay>;
const largestBody = 512 * 1024;
/** Microsoft Graph's own client id, as its challenge names it. */
const graphClientId = '00000003-0000-0000-c000-000000000000';

export function createGraphApi(deps: GraphDeps): GraphApi {
  const router = FindMyWay({ caseSensitive: false, ignoreTrailingSlash: true, ignoreDuplicateSlashes: true });
  for (const route of graphRoutes) router.on(route.method, route.path, () => undefined, route);
  return {
    async answer(exchange, target) {
      // Graph names the caller's id as the token endpoints do.
      const clientRequestId = header(exchange.request, 'client-request-id') ?? exchange.clientRequestId ?? '';
      exchange.clientRequestId = /^[\w-]{1,64}$/.test(clientRequestId) ? clientRequestId : undefined;
      exchange.operation = 'Authentication';
      const { principal, tenant } = await authenticate(deps, exchange, target);
      exchange.principal = principal;
      exchange.resourceId = `/tenants/${tenant.id}`;
      exchange.operation = 'Unknown';
      const { route, params, version, path } = findRoute(router, exchange);
      exchange.operation = route.audit;
      const callerRecord = await assertMay(deps, principal, route);
      const body = route.schema === undefined ? undefined : parse(route.schema, await bodyOf(exchange));
      const base = `${target.origin}/${version}`;
      const call = {
        deps,
        caller: principal,
        callerRecord,
        tenant,
        params,
        query: exchange.query,
        base,
        path,
      };
      return answerOf(await route.handle({ ...call, body: body as never } satisfies GraphCall<never>));
    },
  };
}

function answerOf(reply: GraphReply): Answer {
  return {
    status: reply.status,
    body: reply.body === undefined ? undefined : JSON.stringify(reply.body),
    headers: [],
    failure: undefined,
    id: reply.id,
  };
}

async function authenticate(
  deps: GraphDeps,
  exchange: Exchange,
  target: HostTarget,
): Promise<{ principal: Principal; tenant: Tenant }> {
  const token = bearerToken(exchange.request, exchange.connection);
  const uri = `${deps.hosts.loginOrigin(target)}/common/oauth2/authorize`;
  exchange.challenge = `Bearer realm="", authorization_uri="${uri}", client_id="${graphClientId}"`;
  if (token === undefined || token === '') throw new Failure('unauthorized', 'Access token is empty.');
  return validateForAnyTenant({ validator: deps.validator, tenants: await deps.tenants() }, token, {
    audiences: target.audiences,
    last: exchange.connection.lastToken,
    refusal: 'Access token validation failure.',
  });
}

/** Deny by default: the caller must be in the directory, enabled, and its administrator for whatever changes it. */
async function assertMay(deps: GraphDeps, caller: Principal, route: GraphRoute): Promise<PrincipalRecord> {
  const { principal } =
    deps.directory.known(caller.objectId) ?? (await deps.directory.entryOf(caller.objectId));
  if (principal === undefined || principal.tenantId !== caller.tenantId || !principal.enabled)
    throw insufficient();
  if (route.changes && principal.detail.directoryAdministrator !== true) throw insufficient();
  return principal;
}

function insufficient(): Failure {
  return new Failure('accessDenied', 'Insufficient privileges to complete the operation.');
}

interface Found {
  readonly route: GraphRoute;
  readonly params: Readonly<Record<string, string>>;
  readonly version: string;
  readonly path: string;
}

function findRoute(router: Router, exchange: Exchange): Found {
  const [, version = '', rest = ''] = /^\/+(v1\.0|beta)(\/.*)$/i.exec(exchange.path) ?? [];
  const path = normalized(rest);
  const found = version === '' ? null : router.find(exchange.method as FindMyWay.HTTPMethod, path);
  if (found === null) {
    const [segment = ''] = rest.split('/').filter((part) => part !== '');
    const shown = /^[\w$()=]{1,64}$/.test(segment) ? segment : '';
    throw new Failure('unknownSegment', `Resource not found for the segment '${shown}'.`);
  }
  const params: Record<string, string> = {};
  for (const [name, value = ''] of Object.entries(found.params)) {
    // PostgreSQL's text holds no U+0000, and nothing of ours has it in its name.
    if (value.includes('\0')) throw resourceNotFound(value);
    params[name] = value;
  }
  return { route: found.store as GraphRoute, params, version: version.toLowerCase(), path };
}

/** OData's other ways of writing a key: `users('name')`, `applications(appId='…')`; and `$` percent-encoded. */
function normalized(path: string): string {
  return path
    .replace(/%24/g, '$')
    .replace(/(?:\(|%28)(?:(appId)(?:=|%3D))?(?:'|%27)([^/'()]*)(?:'|%27)(?:\)|%29)/i, (_all, appId, key) =>
      appId === undefined ? `/${key}` : `/appId=${key}`,
    );
}

/** An action without parameters may come without a body. */
async function bodyOf(exchange: Exchange): Promise<unknown> {
  const { headers } = exchange.request;
  if (headers['content-length'] === '0' || !('content-length' in headers || 'transfer-encoding' in headers))
    return {};
  return readJson(exchange, largestBody);
}

function parse(schema: v.GenericSchema, body: unknown): unknown {
  const result = v.safeParse(schema, body, bodyChecks);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const where = issue.path?.map(({ key }) => String(key)).join('.') ?? '';
  const named = /^[\w@.$]{1,128}$/.test(where) ? ` '${where}'` : '';
  throw new Failure('badParameter', `Invalid value specified for property${named}. ${issue.message}`);
}
