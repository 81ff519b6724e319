/** What `--dev` gives the identities that commands run by `exec` use: at its first start, and at no other. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { SecretBytes } from '../../src/core/secret-bytes.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { openData } from '../../src/service/data.ts';
import { managementCaller, subscriptionOf } from '../support/management.ts';
import { onPostgres, startTestServer, type TestServer, tokenFor } from '../support/server.ts';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.close());

interface Grant {
  readonly id: string;
  readonly role: string;
  readonly scope: string;
}

async function ownership(): Promise<Grant[]> {
  const { grants } = await server.control<{ grants: Grant[] }>('identity grants', {
    identity: server.clientId,
  });
  return grants.filter(({ role }) => role === 'Owner');
}

/** The status of making a resource group. */
async function makesGroup(name: string): Promise<number> {
  const token = await tokenFor(server, { resource: 'https://management.azure.com' });
  const group = `/subscriptions/${await subscriptionOf(server)}/resourcegroups/${name}`;
  return (await managementCaller(server, token)('PUT', group, { location: 'eastus' })).status;
}

test('each role that they have names what they are', async () => {
  const token = await tokenFor(server, { resource: 'https://management.azure.com' });
  const list = `/subscriptions/${await subscriptionOf(server)}/providers/Microsoft.Authorization/roleAssignments`;
  const { json } = await managementCaller(server, token)('GET', `${list}?api-version=2022-04-01`);
  const types = json.value.map(
    (each: { properties: { principalType: string } }) => each.properties.principalType,
  );
  expect(new Set(types)).toEqual(new Set(['ServicePrincipal']));
});

test('the developer owns the subscription, and no longer once that was taken away', async () => {
  const [owner, ...others] = await ownership();
  expect(owner?.scope).toBe(`/subscriptions/${await subscriptionOf(server)}`);
  expect(others).toEqual([]);
  expect(await makesGroup('one')).toBe(201);
  await server.control('identity revoke', { id: owner?.id });
  expect(await makesGroup('two')).toBe(403);
  await server.restart();
  expect(await ownership()).toEqual([]);
  expect(await makesGroup('two')).toBe(403);
});

test.skipIf(onPostgres)('a server from before there was anything to own makes up for it', async () => {
  const [owner] = await ownership();
  await server.control('identity revoke', { id: owner?.id });
  const { clientSecret } = server;
  await server.restart(async () => {
    const config = loadConfig({ flags: { data: server.folder, dev: true }, environment: {} });
    const data = await openData({ config, clock: systemClock, random: systemRandom, log: silentLog });
    try {
      const stored = JSON.parse((await data.items.get('dev-identities'))?.exposeText() ?? '');
      const { ownsSubscription, ...before } = stored;
      expect(ownsSubscription).toBe(true);
      await data.items.put('dev-identities', SecretBytes.fromText(JSON.stringify(before)));
    } finally {
      await data.close();
    }
  });
  expect(await ownership()).toHaveLength(1);
  const environment = await server.control<{ clientSecret: string }>('client-environment');
  expect(environment.clientSecret).toBe(clientSecret);
  expect(await makesGroup('one')).toBe(201);
});
