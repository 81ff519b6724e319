/**
 * The path of a request to the management plane: api-version, authenticate, the subscription, route, authorize, the
 * resource group and what the scope names, locks, parse, handle. What refuses does so by throwing a `Failure`.
 */
import type { RoleHolder } from '../../authorization/assignment-cache.ts';
import { allowingAssignment, authorizeManagement } from '../../authorization/authorize-management.ts';
import type { PrincipalRoles } from '../../authorization/principal-roles.ts';
import { keysAbove, scopeCovers, scopeKey } from '../../authorization/scopes.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase, isGuid } from '../../core/names.ts';
import type { Principal } from '../../core/principal.ts';
import type { DirectoryStore, Subscription } from '../../domain/resources/directory-store.ts';
import { type Locks, resourceGroupNotFound } from '../../domain/resources/locks.ts';
import type { ResourceGroups } from '../../domain/resources/resource-groups.ts';
import type { Resources } from '../../domain/resources/resources.ts';
import type { Answer, Exchange } from '../exchange.ts';
import type { Hosts, HostTarget } from '../hosts.ts';
import { type Authentication, authenticate } from './authenticate.ts';
import type { Metadata } from './metadata.ts';
import { resourceNotFound } from './not-found.ts';
import { joinPath, parsePath, placeOf, type Segments } from './path.ts';
import type { ManagementCall, ManagementReply } from './route.ts';
import type { FoundManagementRoute, ManagementRouter } from './router.ts';
import { apiVersionOf, assertApiVersion, assertThereBy } from './versions.ts';
import { readBody } from './wire.ts';

export interface ManagementDeps extends Authentication {
  readonly hosts: Hosts;
  readonly directory: Pick<DirectoryStore, 'tenants' | 'subscriptions'>;
  readonly groups: Pick<ResourceGroups, 'find'>;
  readonly resources: Pick<Resources, 'find'>;
  readonly locks: Pick<Locks, 'assertAllow'>;
  readonly rolesOf: (principal: RoleHolder) => Promise<PrincipalRoles>;
  readonly router: ManagementRouter;
  readonly metadata: Metadata;
}

export interface ManagementApi {
  answer(exchange: Exchange, target: HostTarget): Promise<Answer>;
}

export function createManagementApi(deps: ManagementDeps): ManagementApi {
  return {
    async answer(exchange, target) {
      const segments = parsePath(exchange.path);
      // What describes the cloud is asked for before anybody has a token.
      const metadata = deps.metadata.answer(exchange, segments, target);
      if (metadata !== undefined) return metadata;
      return answerOf(await replyTo(deps, { exchange, segments, target }));
    },
  };
}

interface Request {
  readonly exchange: Exchange;
  readonly segments: Segments;
  readonly target: HostTarget;
}

async function replyTo(deps: ManagementDeps, request: Request): Promise<ManagementReply> {
  const { exchange, segments } = request;
  const apiVersion = apiVersionOf(exchange.query);
  const caller = await identify(deps, request);
  const found = deps.router.find(methodOf(exchange), segments);
  const { route, scope } = found;
  exchange.operation = route.audit;
  exchange.resourceId = scope;
  assertApiVersion(route.provider, apiVersion);
  assertThereBy(route, apiVersion);
  const { principal } = caller;
  const roles = await deps.rolesOf(principal);
  if (route.action !== undefined) {
    const conditions = route.asksAgain === true ? { request: 'pending' as const } : {};
    const question = { principal, action: route.action, scope, ...conditions };
    authorizeManagement(question, roles);
  }
  await assertPlace(deps, request, found);
  await assertUnlocked(deps, request, found);
  const body = route.schema === undefined ? undefined : await readBody(route.schema, exchange);
  const call = { ...caller, ...found, ...requestOf(request), ...permissions(principal, roles) };
  return route.handle({ ...call, apiVersion, body: body as never });
}

/** What a call has of its request. */
function requestOf({ exchange, segments, target }: Request) {
  const { origin, family } = target;
  return { query: exchange.query, path: joinPath(segments), origin, family };
}

/** What a call can ask about its caller. */
function permissions(
  principal: Principal,
  roles: PrincipalRoles,
): Pick<ManagementCall, 'authorize' | 'may' | 'hasRoleIn'> {
  return {
    authorize: (action, scope) => authorizeManagement({ principal, action, scope }, roles),
    may: (action, scope) => allowingAssignment({ principal, action, scope }, roles) !== undefined,
    hasRoleIn: (scope) => hasRoleIn(roles, { scope, tenantId: principal.tenantId }),
  };
}

/** Who calls, and in which tenant. Whether a subscription exists is nobody's business but its own tenant's. */
async function identify(
  deps: ManagementDeps,
  { exchange, segments, target }: Request,
): Promise<{ principal: Principal; tenantId: string }> {
  exchange.operation = 'Authentication';
  const subscription = await subscriptionOf(deps, segments);
  const principal = await authenticate(deps, exchange, { target, subscription });
  exchange.principal = principal;
  exchange.operation = 'Unknown';
  if (subscription === 'malformed' || subscription === 'unknown')
    throw noSubscription(subscription, segments[1] ?? '');
  return { principal, tenantId: principal.tenantId };
}

/** Another verb is never meant by a header here: locks and permissions go by the verb that was sent. */
function methodOf({ request }: Exchange): string {
  return request.method ?? 'GET';
}

type SubscriptionInPath = Subscription | undefined | 'malformed' | 'unknown';

/** Undefined for a path that names none. */
async function subscriptionOf(deps: ManagementDeps, segments: Segments): Promise<SubscriptionInPath> {
  const { subscriptionId } = placeOf(segments);
  if (subscriptionId === undefined) return undefined;
  if (!isGuid(subscriptionId)) return 'malformed';
  const id = foldCase(subscriptionId);
  return (await deps.directory.subscriptions()).find((entry) => entry.id === id) ?? 'unknown';
}

function noSubscription(why: 'malformed' | 'unknown', id: string): Failure {
  const shown = id.slice(0, 64);
  return why === 'unknown'
    ? new Failure('subscriptionNotFound', `The subscription '${shown}' could not be found.`)
    : new Failure(
        'invalidSubscriptionId',
        `The provided subscription identifier '${shown}' is malformed or invalid.`,
      );
}

/** Throws for a resource group that is not there, and for an id below which nothing can be, since it is not there. */
async function assertPlace(
  deps: ManagementDeps,
  { segments }: Request,
  { below }: FoundManagementRoute,
): Promise<void> {
  const { subscriptionId, resourceGroup, isInGroup } = placeOf(segments);
  if (subscriptionId === undefined || resourceGroup === undefined || !isInGroup) return;
  if ((await deps.groups.find(foldCase(subscriptionId), resourceGroup)) === undefined)
    throw resourceGroupNotFound(resourceGroup.slice(0, 128));
  if (below === undefined || !/\/providers\//i.test(below)) return;
  if ((await deps.resources.find(below)) === undefined) throw resourceNotFound(below, resourceGroup);
}

async function assertUnlocked(
  deps: ManagementDeps,
  { segments }: Request,
  { route, scope, below }: FoundManagementRoute,
): Promise<void> {
  if (route.passesLocks === true || route.method === 'GET' || route.method === 'HEAD') return;
  const verb = route.action?.slice(route.action.lastIndexOf('/') + 1);
  if (verb === 'read') return;
  // What stands below an id is not what is around it: a role goes from a subscription that has locked vaults.
  const id = below === undefined ? scope : `/${segments.join('/')}`;
  await deps.locks.assertAllow(verb === 'delete' ? 'delete' : 'write', id);
}

function hasRoleIn(roles: PrincipalRoles, at: { scope: string; tenantId: string }): boolean {
  // Those of the tenant's root group too, of which an id says nothing.
  const above = keysAbove(at.scope, at.tenantId);
  return roles.assignments.some(
    ({ assignment }) =>
      assignment.tenantId === at.tenantId &&
      (above.includes(scopeKey(assignment.scope)) || scopeCovers(at.scope, assignment.scope)),
  );
}

function answerOf(reply: ManagementReply): Answer {
  return {
    status: reply.status,
    body: reply.body === undefined ? undefined : JSON.stringify(reply.body),
    headers: (reply.headers ?? []).flat(),
    failure: undefined,
    id: reply.id,
  };
}
