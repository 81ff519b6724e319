/** The identity service's endpoints, as rows, in the paths of Entra ID's v1.0 and v2.0. */
import FindMyWay from 'find-my-way';
import type { Clock } from '../../core/clock.ts';
import { Failure } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import type { Tenant } from '../../domain/resources/directory-store.ts';
import type { AttemptLimit, FailureLimit } from '../../identity/attempts.ts';
import type { AuthorizationCodes } from '../../identity/authorization-codes.ts';
import type { DeviceCodes } from '../../identity/device-codes.ts';
import type { TokenIssuer } from '../../identity/issuer.ts';
import {
  azureIssuerNames,
  type IssuerNames,
  ownIssuerNames,
  type TokenVersion,
} from '../../identity/issuer-names.ts';
import type { LoginGrantStore } from '../../identity/login-grants.ts';
import { nativeClientPath } from '../../identity/public-clients.ts';
import type { ResourceFinder } from '../../identity/resource-applications.ts';
import type { Sessions } from '../../identity/sessions.ts';
import type { PasswordVerifier } from '../../identity/sign-in.ts';
import { type Answer, type Exchange, header } from '../exchange.ts';
import type { Hosts, HostTarget } from '../hosts.ts';
import type { Method } from '../route.ts';
import { answerAuthorize } from './authorize.ts';
import type { ClientDeps } from './client-authentication.ts';
import { answerDeviceLogin, deviceLoginPath, issueDeviceCode } from './device-login.ts';
import { instanceDiscovery, keySet, openIdConfiguration } from './discovery.ts';
import { html, isRefusal, pageAnswer, refusalPage } from './pages.ts';
import { isAnyTenant, tenantNamed, tenantNotFound } from './tenants.ts';
import { issueToken } from './token.ts';
import { userRealm } from './user-realm.ts';

export interface LoginDeps extends ClientDeps {
  readonly hosts: Hosts;
  readonly issuer: TokenIssuer;
  readonly tenants: () => Promise<readonly Tenant[]>;
  readonly findResource: ResourceFinder;
  readonly verifyPassword: PasswordVerifier;
  readonly loginGrants: LoginGrantStore;
  readonly sessions: Sessions;
  readonly codes: AuthorizationCodes;
  readonly devices: DeviceCodes;
  /** How often an address may ask for device codes, try user codes, and give wrong passwords, of whichever names. */
  readonly deviceCodeLimit: AttemptLimit;
  readonly userCodeLimit: AttemptLimit;
  readonly passwordLimit: FailureLimit;
  readonly clock: Clock;
  readonly random: Random;
}

/** One request to a login endpoint. */
export interface LoginCall {
  readonly exchange: Exchange;
  readonly deps: LoginDeps;
  /** `https://host[:port]` as the client reached us. */
  readonly origin: string;
  readonly family: HostTarget['family'];
  readonly issuerNames: IssuerNames;
  /** What stands in the path for the tenant: its id, its name, or `common`, `organizations`, `adfs`. */
  readonly authority: string;
  /** The tenant meant; undefined for `common` and `organizations`. */
  readonly tenantId: string | undefined;
  /** What the path names besides, such as a user. */
  readonly name: string;
  /** Marks what of a page is ours; a new one each time. */
  readonly nonce: () => string;
}

interface LoginRoute {
  readonly audit: string;
  readonly method: Method;
  readonly path: string;
  /** For programs: the members of a JSON reply, refusals too. */
  readonly handle?: (call: LoginCall) => object | Promise<object>;
  /** For people: a page, refusals too. */
  readonly page?: (call: LoginCall) => Answer | Promise<Answer>;
}

const routes: readonly LoginRoute[] = [
  {
    audit: 'InstanceDiscoveryGet',
    method: 'GET',
    path: '/common/discovery/instance',
    handle: instanceDiscovery,
  },
  {
    audit: 'OpenIdConfigurationGet',
    method: 'GET',
    path: '/:authority/v2.0/.well-known/openid-configuration',
    handle: (call) => openIdConfiguration(call, '2.0'),
  },
  {
    audit: 'OpenIdConfigurationGet',
    method: 'GET',
    path: '/:authority/.well-known/openid-configuration',
    handle: (call) => openIdConfiguration(call, '1.0'),
  },
  { audit: 'KeySetGet', method: 'GET', path: '/:authority/discovery/v2.0/keys', handle: keySet },
  { audit: 'KeySetGet', method: 'GET', path: '/:authority/discovery/keys', handle: keySet },
  {
    audit: 'UserRealmGet',
    method: 'GET',
    path: '/common/userrealm/:name',
    handle: (call) => userRealm(call, call.name),
  },
  ...bothVersions('TokenIssue', 'POST', 'token', (version) => ({
    handle: (call) => issueToken(call, version),
  })),
  ...bothVersions('DeviceCodeIssue', 'POST', 'devicecode', (version) => ({
    handle: (call) => issueDeviceCode(call, version),
  })),
  ...bothVersions('SignInPageGet', 'GET', 'authorize', (version) => ({
    page: (call) => answerAuthorize(call, version),
  })),
  ...bothVersions('SignIn', 'POST', 'authorize', (version) => ({
    page: (call) => answerAuthorize(call, version),
  })),
  ...bothVersions('SignOutPageGet', 'GET', 'logout', () => ({ page: signedOut })),
  { audit: 'DeviceLoginPageGet', method: 'GET', path: deviceLoginPath, page: answerDeviceLogin },
  { audit: 'DeviceLogin', method: 'POST', path: deviceLoginPath, page: answerDeviceLogin },
  { audit: 'NativeClientPageGet', method: 'GET', path: nativeClientPath, page: nativeClient },
];

function bothVersions(
  audit: string,
  method: Method,
  name: string,
  rest: (version: TokenVersion) => Pick<LoginRoute, 'handle' | 'page'>,
): readonly LoginRoute[] {
  return [
    { audit, method, path: `/:authority/oauth2/v2.0/${name}`, ...rest('2.0') },
    { audit, method, path: `/:authority/oauth2/${name}`, ...rest('1.0') },
  ];
}

/** No session is kept with the browser, and so none ends; and nobody is sent on to an address that a link names. */
function signedOut(call: LoginCall): Answer {
  return pageAnswer({
    title: 'Signed out',
    nonce: call.nonce(),
    content: html`<p>Nobody is signed in with this browser.</p>`,
  });
}

/** What the query says is for the program whose window this is. */
function nativeClient(call: LoginCall): Answer {
  return pageAnswer({
    title: 'Signing in',
    nonce: call.nonce(),
    content: html`<p>You may close this window.</p>`,
  });
}

export interface LoginApi {
  answer(exchange: Exchange, target: HostTarget): Promise<Answer>;
}

export function createLoginApi(deps: LoginDeps): LoginApi {
  const router = FindMyWay({ caseSensitive: false, ignoreTrailingSlash: true, ignoreDuplicateSlashes: true });
  for (const route of routes) router.on(route.method, route.path, () => undefined, route);
  const nonce = () => Buffer.from(deps.random.bytes(16)).toString('base64');
  return {
    async answer(exchange, target) {
      // The token endpoints name the caller's id differently from the data plane (seen with MSAL's clients).
      const clientRequestId = header(exchange.request, 'client-request-id') ?? '';
      exchange.clientRequestId = /^[\w-]{1,64}$/.test(clientRequestId) ? clientRequestId : undefined;
      const found = router.find(exchange.method as FindMyWay.HTTPMethod, exchange.path);
      if (found === null) throw new Failure('notFound', 'The identity service has no such endpoint.');
      const route = found.store as LoginRoute;
      exchange.operation = route.audit;
      try {
        return await answerTo(route, await callOf(deps, { exchange, target, params: found.params, nonce }));
      } catch (error) {
        if (route.page === undefined || !isRefusal(error)) throw error;
        return refusalPage(error, nonce());
      }
    },
  };
}

async function callOf(
  deps: LoginDeps,
  of: {
    exchange: Exchange;
    target: HostTarget;
    params: Readonly<Record<string, string | undefined>>;
    nonce: () => string;
  },
): Promise<LoginCall> {
  const { exchange, target, params, nonce } = of;
  const authority = params.authority ?? 'common';
  const tenantId = await tenantOf(deps, authority);
  if (tenantId !== undefined) exchange.resourceId = `/tenants/${tenantId}`;
  const { family } = target;
  const issuerNames = family === 'azure' ? azureIssuerNames : ownIssuerNames(deps.hosts.ownLoginOrigin());
  const origin = `https://${target.authority}`;
  return { exchange, deps, origin, family, issuerNames, authority, tenantId, name: params.name ?? '', nonce };
}

async function answerTo(route: LoginRoute, call: LoginCall): Promise<Answer> {
  if (route.page !== undefined) return route.page(call);
  const body = JSON.stringify(await route.handle?.(call));
  return { status: 200, body, headers: [], failure: undefined, id: undefined };
}

async function tenantOf(deps: LoginDeps, authority: string): Promise<string | undefined> {
  if (isAnyTenant(authority)) return undefined;
  const tenantId = tenantNamed(await deps.tenants(), authority);
  if (tenantId === undefined) throw tenantNotFound(authority);
  return tenantId;
}
