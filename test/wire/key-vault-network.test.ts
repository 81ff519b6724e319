/** A vault's network as the management plane sets it, for callers from everywhere and by every way; forged ways, too. */
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditedDuring } from '../support/audit-records.ts';
import { makeManager, subscriptionOf } from '../support/management.ts';
import { type RawResponse, send, startTestServer, type TestServer, tokenFor } from '../support/server.ts';

const subnet =
  '/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/s';
const az = '?api-version=2023-07-01';

/** A server, and somebody who may read and write whatever vault it has. */
async function start(settings: object) {
  const server = await startTestServer({ settings: { ...settings } });
  const root = `/subscriptions/${await subscriptionOf(server)}`;
  const { call, ...manager } = await makeManager(server, 'manager');
  await server.control('identity grant', {
    identity: manager.objectId,
    role: 'Key Vault Administrator',
    scope: root,
  });
  const token = await tokenFor(server, { identity: manager });
  const at = (name: string) => `${root}/resourceGroups/default/providers/Microsoft.KeyVault/vaults/${name}`;
  const put = async (name: string, properties: object) => {
    const sku = { family: 'A', name: 'standard' };
    const made = await call('PUT', `${at(name)}${az}`, {
      location: 'local',
      properties: { tenantId: server.tenantId, sku, enableRbacAuthorization: true, ...properties },
    });
    expect(made.status).toBe(200);
    return made.json;
  };
  return { server, root, call, token, at, put };
}

interface From {
  readonly token?: string;
  readonly localAddress?: string;
  readonly headers?: Record<string, string>;
}

async function read(
  of: { server: TestServer; token: string },
  vault: string,
  { token = of.token, localAddress = '127.0.0.1', headers = {} }: From = {},
): Promise<RawResponse> {
  return send(of.server, {
    host: `${vault}.vault.azure.net`,
    path: '/secrets?api-version=7.4',
    headers: { Authorization: `Bearer ${token}`, ...headers },
    localAddress,
  });
}

const outcome = ({ status, json }: RawResponse): string | number =>
  status === 200 ? 200 : json.error.innererror.code;
const deny = (...ipRules: string[]) => ({
  networkAcls: { defaultAction: 'Deny', bypass: 'None', ipRules: ipRules.map((value) => ({ value })) },
});

describe('the rules', () => {
  let of: Awaited<ReturnType<typeof start>>;
  const services = new Map<string, string>();

  beforeAll(async () => {
    of = await start({
      virtualNetworks: { [subnet]: ['127.0.1.0/24', '2001:db8::/32'] },
      privateEndpoints: { 'PRIVATE/Ours': ['127.0.2.0/24'], 'private/theirs': ['127.0.3.0/24'] },
    });
    for (const service of ['deployment', 'diskEncryption', 'templateDeployment', 'other']) {
      const { server } = of;
      const made = await server.control<{ clientId: string; objectId: string }>('identity create', {
        name: service,
        firstParty: service,
      });
      const { objectId, clientId } = made;
      const { secret } = await server.control<{ secret: string }>('identity secret', { identity: objectId });
      const role = 'Key Vault Secrets User';
      await server.control('identity grant', { identity: objectId, role, scope: of.root });
      services.set(service, await tokenFor(server, { identity: { clientId, clientSecret: secret } }));
    }
  });
  afterAll(() => of.server.close());

  test('let in who they name, from the moment on when they do', async () => {
    await of.put('ranged', { networkAcls: { defaultAction: 'Allow' } });
    expect(outcome(await read(of, 'ranged'))).toBe(200);
    await of.put('ranged', deny('127.0.0.2', '127.0.4.0/24'));
    const from = async (localAddress: string) => outcome(await read(of, 'ranged', { localAddress }));
    expect(await Promise.all(['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.4.9'].map(from))).toEqual([
      'ForbiddenByFirewall',
      200,
      'ForbiddenByFirewall',
      200,
    ]);
    await of.put('ranged', deny());
    expect(await from('127.0.0.2')).toBe('ForbiddenByFirewall');
  });

  test('that name a subnet let in the addresses that the configuration gives it', async () => {
    const other = subnet.replace(/s$/, 'unknown');
    const virtualNetworkRules = [{ id: subnet, ignoreMissingVnetServiceEndpoint: true }, { id: other }];
    const { networkAcls } = deny();
    const made = await of.put('subnetted', { networkAcls: { ...networkAcls, virtualNetworkRules } });
    expect(made.properties.networkAcls.virtualNetworkRules).toEqual([
      { id: subnet.toLowerCase(), ignoreMissingVnetServiceEndpoint: true },
      { id: other.toLowerCase() },
    ]);
    expect(outcome(await read(of, 'subnetted', { localAddress: '127.0.1.5' }))).toBe(200);
    expect(outcome(await read(of, 'subnetted'))).toBe('ForbiddenByFirewall');
  });

  test('give way to an approved private endpoint, and to nothing else, when public access is off', async () => {
    await of.put('private', { publicNetworkAccess: 'Disabled', networkAcls: { defaultAction: 'Allow' } });
    const connection = `${of.at('private')}/privateEndpointConnections/ours`;
    const change = async (status: string) => {
      const state = { status, description: 'because' };
      const body = { properties: { privateLinkServiceConnectionState: state } };
      const put = await of.call('PUT', `${connection}${az}`, body);
      expect([put.status, put.json.properties.privateLinkServiceConnectionState]).toEqual([
        200,
        { ...state, actionsRequired: 'None' },
      ]);
    };
    const inside = async () => outcome(await read(of, 'private', { localAddress: '127.0.2.1' }));
    expect(await inside()).toBe('ForbiddenByConnection');
    await change('Pending');
    expect(await inside()).toBe('ForbiddenByConnection');
    await change('Approved');
    expect(await inside()).toBe(200);
    for (const localAddress of ['127.0.0.1', '127.0.3.1'])
      expect(outcome(await read(of, 'private', { localAddress }))).toBe('ForbiddenByConnection');
    // Another vault's connection of the same name is another one.
    await of.put('private2', { publicNetworkAccess: 'Disabled' });
    await of.call('PUT', `${of.at('private2')}/privateEndpointConnections/ours${az}`, {
      properties: { privateLinkServiceConnectionState: { status: 'Approved' } },
    });
    expect(outcome(await read(of, 'private2', { localAddress: '127.0.2.1' }))).toBe('ForbiddenByConnection');
    await change('Rejected');
    expect(await inside()).toBe('ForbiddenByConnection');
    await change('Approved');
    expect((await of.call('DELETE', `${connection}${az}`)).status).toBe(200);
    expect(await inside()).toBe('ForbiddenByConnection');
    expect((await of.call('DELETE', `${connection}${az}`)).status).toBe(204);
    expect((await of.call('GET', `${connection}${az}`)).status).toBe(204);
    for (const bad of ['a%20b', '.', 'x'.repeat(81)]) {
      const refused = await of.call('PUT', `${of.at('private')}/privateEndpointConnections/${bad}${az}`, {
        properties: { privateLinkServiceConnectionState: { status: 'Approved' } },
      });
      expect(refused.status).toBe(400);
    }
  });

  test('let services past that the vault trusts, each with its own flag', async () => {
    const closed = (bypass: string) => ({ networkAcls: { defaultAction: 'Deny', bypass } });
    const flags = ['deployment', 'diskEncryption', 'templateDeployment'] as const;
    const memberOf = (flag: string) => `enabledFor${flag[0]?.toUpperCase()}${flag.slice(1)}`;
    const off = Object.fromEntries(flags.map((flag) => [memberOf(flag), false]));
    const let_in = async () => {
      const found: string[] = [];
      for (const [service, token] of services)
        if (outcome(await read(of, 'trusting', { token })) === 200) found.push(service);
      return found;
    };
    await of.put('trusting', { ...closed('AzureServices'), ...off });
    expect(await let_in()).toEqual(['other']);
    for (const flag of flags) {
      await of.put('trusting', { ...off, [memberOf(flag)]: true });
      expect(await let_in()).toEqual([flag, 'other']);
    }
    await of.put('trusting', { ...off, publicNetworkAccess: 'Disabled' });
    expect(await let_in()).toEqual(['other']);
    await of.put('trusting', { ...closed('None'), enabledForDeployment: true });
    expect(await let_in()).toEqual([]);
    // Being a service is no permission.
    await of.put('trusting', { ...closed('AzureServices'), publicNetworkAccess: 'Enabled' });
    const token = services.get('other') ?? '';
    const reply = await send(of.server, {
      host: 'trusting.vault.azure.net',
      method: 'PUT',
      path: '/secrets/s?api-version=7.4',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: '{"value":"v"}',
    });
    expect(reply.json.error.innererror.code).toBe('ForbiddenByRbac');
    expect(outcome(await read(of, 'trusting'))).toBe('ForbiddenByFirewall');
  });
});

describe('behind proxies', () => {
  let of: Awaited<ReturnType<typeof start>>;

  beforeAll(async () => {
    of = await start({ trustedProxies: ['127.0.9.0/24'] });
    await of.put('fenced', deny('203.0.113.5', '2001:db8::5'));
  });
  afterAll(() => of.server.close());

  const through = async (localAddress: string, forwarded: string) =>
    outcome(await read(of, 'fenced', { localAddress, headers: { 'X-Forwarded-For': forwarded } }));

  test("the proxy's word counts, as far as it is the proxy's", async () => {
    expect(await through('127.0.9.1', '203.0.113.5')).toBe(200);
    expect(await through('127.0.9.1', '198.51.100.1, [2001:db8::5]:4711, 127.0.9.2')).toBe(200);
    expect(await through('127.0.9.1', '203.0.113.5, 198.51.100.1')).toBe('ForbiddenByFirewall');
    expect(await through('127.0.9.1', '203.0.113.5, nobody')).toBe('ForbiddenByFirewall');
  });

  test("nobody else's does, in any header", async () => {
    expect(await through('127.0.8.1', '203.0.113.5')).toBe('ForbiddenByFirewall');
    const headers = {
      Forwarded: 'for=203.0.113.5',
      'X-Real-IP': '203.0.113.5',
      'X-Client-IP': '203.0.113.5',
      'X-Azure-ClientIP': '203.0.113.5',
    };
    for (const localAddress of ['127.0.8.1', '127.0.9.1'])
      expect(outcome(await read(of, 'fenced', { localAddress, headers }))).toBe('ForbiddenByFirewall');
  });

  test('what is told, and recorded, is the address that counted', async () => {
    const headers = { 'X-Forwarded-For': '198.51.100.7' };
    let reply: RawResponse | undefined;
    const records = await auditedDuring(of.server, async () => {
      reply = await read(of, 'fenced', { localAddress: '127.0.9.1', headers });
    });
    expect(reply?.json.error.message).toContain('Client address: 198.51.100.7\r\n');
    expect(reply?.headers['x-ms-keyvault-network-info']).toBe(
      'conn_type=Ipv4;addr=198.51.100.7;act_addr_fam=InterNetwork;',
    );
    expect(records).toMatchObject([{ callerIpAddress: '198.51.100.7' }]);
  });
});

describe('with the PROXY protocol', () => {
  let of: Awaited<ReturnType<typeof start>>;

  beforeAll(async () => {
    of = await start({ trustedProxies: ['127.0.9.0/24'], proxyProtocol: true });
    await of.put('fenced', deny('203.0.113.5'));
  });
  afterAll(() => of.server.close());

  /** One request over TLS on a connection that begins with `start`; the status line, or what became of it. */
  function request(localAddress: string, start: string | Buffer): Promise<string> {
    const { server, token } = of;
    const servername = 'fenced.vault.azure.net';
    return new Promise((resolve) => {
      const raw = connectTcp({ host: '127.0.0.1', port: server.port, localAddress });
      raw.on('error', () => resolve('ended'));
      raw.on('close', () => resolve('ended'));
      raw.once('connect', () => {
        if (start.length > 0) raw.write(start);
        const socket = connectTls({ socket: raw, servername, ca: server.ca });
        socket.on('error', () => resolve('ended'));
        socket.once('secureConnect', () =>
          socket.write(
            `GET /secrets?api-version=7.4 HTTP/1.1\r\nHost: ${servername}\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
          ),
        );
        socket.once('data', (data: Buffer) => {
          resolve(data.toString('latin1').split(' ')[1] ?? '');
          raw.destroy();
        });
      });
    });
  }
  const line = (address: string) => `PROXY TCP4 ${address} 192.0.2.2 1234 443\r\n`;

  test('the address at the start of the connection counts, from the proxies alone', async () => {
    expect(await request('127.0.9.1', line('203.0.113.5'))).toBe('200');
    expect(await request('127.0.9.1', line('198.51.100.1'))).toBe('403');
    expect(await request('127.0.9.1', 'PROXY UNKNOWN\r\n')).toBe('403');
    // From elsewhere it is a broken handshake; and a proxy must send it.
    expect(await request('127.0.8.1', line('203.0.113.5'))).toBe('ended');
    expect(await request('127.0.8.1', '')).toBe('403');
    expect(await request('127.0.9.1', '')).toBe('ended');
    expect(await request('127.0.9.1', line('203.0.113.500'))).toBe('ended');
  });

  test('in binary form too', async () => {
    const header = Buffer.concat([
      Buffer.from('0d0a0d0a000d0a515549540a2111000c', 'hex'),
      Buffer.from([203, 0, 113, 5, 192, 0, 2, 2, 0x04, 0xd2, 0x01, 0xbb]),
    ]);
    expect(await request('127.0.9.1', header)).toBe('200');
  });
});
