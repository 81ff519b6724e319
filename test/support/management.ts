/** What tests of the management plane's REST share: calls under Azure's name, and identities with rights there. */
import { type Identity, makeIdentity, type RawResponse, send, type TestServer, tokenFor } from './server.ts';

export const managementHost = 'management.azure.com';
export const managementAudience = 'https://management.azure.com';
/** One that every provider but Key Vault has. */
export const resourcesVersion = 'api-version=2021-04-01';

export interface ManagementRequest {
  readonly token?: string | undefined;
  readonly body?: unknown;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One request; the path as it goes on the wire, with `api-version=2021-04-01` if it names no version. */
export function manage(
  server: TestServer,
  [method, path]: readonly [method: string, path: string],
  { token, body, host = managementHost, headers = {} }: ManagementRequest = {},
): Promise<RawResponse> {
  const versioned = /[?&]api-version|api%2Dversion/i.test(path)
    ? path
    : `${path}${path.includes('?') ? '&' : '?'}${resourcesVersion}`;
  return send(server, {
    host,
    method,
    path: versioned,
    headers: {
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
}

export type ManagementCaller = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
) => Promise<RawResponse>;

export function managementCaller(server: TestServer, token: string): ManagementCaller {
  return (method, path, body, headers) =>
    manage(server, [method, path], { token, body, ...(headers === undefined ? {} : { headers }) });
}

export async function subscriptionOf(server: TestServer): Promise<string> {
  const { subscriptionId } = await server.control<{ subscriptionId: string }>('client-environment');
  return subscriptionId;
}

/** A new identity with a role at a scope, by default `Owner` of the subscription (null: none), and its token for the management plane. */
export async function makeManager(
  server: TestServer,
  name: string,
  grant?: { role: string; scope: string } | null,
): Promise<Identity & { objectId: string; token: string; call: ManagementCaller }> {
  const scope = `/subscriptions/${await subscriptionOf(server)}`;
  const grants = grant === null ? [] : [grant ?? { role: 'Owner', scope }];
  const identity = await makeIdentity(server, name, grants);
  const token = await tokenFor(server, { identity, resource: managementAudience });
  return { ...identity, token, call: managementCaller(server, token) };
}

/** Adds another tenant with a subscription of its own, and answers the subscription's id. Restarts the server. */
export async function addTenant(server: TestServer): Promise<{ tenantId: string; subscriptionId: string }> {
  // The server's own tenant is the first of all.
  const tenantId = 'ffffffff-ffff-4fff-bfff-fffffffffff0';
  const subscriptionId = 'ffffffff-ffff-4fff-bfff-fffffffffff1';
  await server.restart(async () => {
    await server.alter('INSERT INTO tenants (id, name) VALUES (?, ?)', tenantId, 'other.example');
    const columns = '(id, tenant_id, name) VALUES (?, ?, ?)';
    await server.alter(`INSERT INTO subscriptions ${columns}`, subscriptionId, tenantId, 'other');
  });
  return { tenantId, subscriptionId };
}

/** The whole body of a refusal, to the letter. */
export function refusal(code: string, message: string): { error: { code: string; message: string } } {
  return { error: { code, message } };
}
