/**
 * Proves that a change of access through one node holds on another within the bound that is stated: role assignments,
 * a tenant's own roles and groups, on the data plane and the management plane.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshFor } from '../../src/storage/postgres-changes.ts';
import {
  type Application,
  type Connection,
  connectTo,
  connectVault,
  controlOf,
} from '../support/cluster-client.ts';
import { type Node, startNodes } from '../support/cluster-nodes.ts';
import { until } from '../support/cluster-processes.ts';
import { managementAudience, managementHost } from '../support/management.ts';
import { hasPostgres, newPostgresDatabase } from '../support/postgres.ts';
import type { TestDatabase } from '../support/postgres-cluster.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/process.ts';

const provider = '/providers/Microsoft.Authorization';
const version = '?api-version=2022-04-01';
const reader = 'acdd72a7-3385-48ef-bd42-f606fba81ae7';
const secretsUser = '4633458b-17de-408a-b874-0445c86b69e6';

interface Environment extends Application {
  readonly tenantId: string;
  readonly subscriptionId: string;
}

describe.skipIf(!hasPostgres)('two nodes on one PostgreSQL', () => {
  let folder: TemporaryFolder;
  let database: TestDatabase;
  let nodes: Node[] = [];
  let subscription: string;
  let vault: string;
  /** The owner's, through the first node. */
  let owner: Connection;
  /** The other's, through the second. */
  let data: Connection;
  let management: Connection;
  let objectId: string;
  const open: Connection[] = [];
  const opened = (connection: Connection) => {
    open.push(connection);
    return connection;
  };

  beforeAll(async () => {
    folder = await temporaryFolder();
    database = await newPostgresDatabase();
    nodes = await startNodes(folder.path, database.url, { nodes: 2 });
    const [first, second] = nodes;
    if (first === undefined || second === undefined) throw new Error('two nodes were started');
    const is = await controlOf<Environment>(first, 'client-environment');
    subscription = `/subscriptions/${is.subscriptionId}`;
    vault = `${subscription}/resourceGroups/default/providers/Microsoft.KeyVault/vaults/dev`;
    const made = await controlOf<{ clientId: string; objectId: string }>(first, 'identity create', {
      name: 'someone',
    });
    objectId = made.objectId;
    const { secret } = await controlOf<{ secret: string }>(first, 'identity secret', { identity: objectId });
    const someone = { clientId: made.clientId, clientSecret: secret };
    const bearer = async (as: Application, audience: string) => ({
      Authorization: `Bearer ${await tokenOf(first, { as, tenantId: is.tenantId, audience })}`,
    });
    owner = opened(connectTo(first, managementHost, await bearer(is, managementAudience)));
    const token = await tokenOf(first, { ...is, as: someone, audience: 'https://vault.azure.net' });
    data = opened(connectVault(second, token));
    management = opened(connectTo(second, managementHost, await bearer(someone, managementAudience)));
  });
  afterAll(async () => {
    for (const connection of open) connection.close();
    for (const node of nodes) await node.kill();
    await database?.drop();
    await folder?.remove();
  });

  const send = async (method: string, path: string, body?: object) => {
    const reply = await owner.send(method, `${path}${version}`, body);
    expect([200, 201]).toContain(reply.status);
    return reply;
  };
  const give = async (role: string, to: string) => {
    const path = `${vault}${provider}/roleAssignments/${randomUUID()}`;
    const roleDefinitionId = `${provider}/roleDefinitions/${role}`;
    await send('PUT', path, { properties: { roleDefinitionId, principalId: to } });
    return path;
  };
  /** What the second node says of the other: reading a secret that is not there, listing secrets, seeing the vault. */
  const statuses = async () => [
    (await data.send('GET', '/secrets/none?api-version=7.4')).status,
    (await data.send('GET', '/secrets?api-version=7.4')).status,
    (await management.send('GET', `${vault}?api-version=2026-04-01`)).status,
  ];
  /** The same to a request that begins when the bound has passed since now. */
  const afterwards = async () => {
    const answered = performance.now();
    await until(() => performance.now() - answered > freshFor);
    return statuses();
  };

  test('an assignment is given and taken', async () => {
    expect(await statuses()).toEqual([403, 403, 403]);
    const secrets = await give(secretsUser, objectId);
    expect(await afterwards()).toEqual([404, 200, 403]);
    const resource = await give(reader, objectId);
    expect(await afterwards()).toEqual([404, 200, 200]);
    for (const path of [secrets, resource]) await send('DELETE', path);
    expect(await afterwards()).toEqual([403, 403, 403]);
  });

  test("a tenant's own role changes", async () => {
    const id = randomUUID();
    const path = `${subscription}${provider}/roleDefinitions/${id}`;
    const put = (permissions: object, assignableScopes = [subscription]) =>
      send('PUT', path, { properties: { roleName: 'own', permissions: [permissions], assignableScopes } });
    await put({ dataActions: ['Microsoft.KeyVault/vaults/secrets/*'] });
    const given = await give(id, objectId);
    expect(await afterwards()).toEqual([404, 200, 403]);
    await put({ actions: ['Microsoft.KeyVault/vaults/read'], dataActions: ['*/readMetadata/action'] });
    expect(await afterwards()).toEqual([403, 200, 200]);
    await put({ actions: ['*'], dataActions: ['*'] }, [`${subscription}/resourceGroups/other`]);
    expect(await afterwards()).toEqual([403, 403, 403]);
    await send('DELETE', given);
  });

  test('a group of a group has a member, and loses it', async () => {
    const [first] = nodes;
    if (first === undefined) throw new Error('two nodes were started');
    const group = async (name: string) =>
      (await controlOf<{ objectId: string }>(first, 'identity create-group', { name })).objectId;
    const [inner, outer] = [await group('inner'), await group('outer')];
    await controlOf(first, 'identity add-member', { group: inner, member: objectId });
    const given = await give(secretsUser, outer);
    expect(await afterwards()).toEqual([403, 403, 403]);
    await controlOf(first, 'identity add-member', { group: outer, member: inner });
    expect(await afterwards()).toEqual([404, 200, 403]);
    await controlOf(first, 'identity remove-member', { group: outer, member: inner });
    expect(await afterwards()).toEqual([403, 403, 403]);
    await send('DELETE', given);
  });
});

async function tokenOf(
  node: Node,
  { as, tenantId, audience }: { as: Application; tenantId: string; audience: string },
): Promise<string> {
  const login = connectTo(node, 'login.microsoftonline.com');
  const reply = await login.send('POST', `/${tenantId}/oauth2/v2.0/token`, {
    grant_type: 'client_credentials',
    client_id: as.clientId,
    client_secret: as.clientSecret,
    scope: `${audience}/.default`,
  });
  login.close();
  if (reply.status !== 200) throw new Error(`no token: ${JSON.stringify(reply)}`);
  return reply.json.access_token;
}
