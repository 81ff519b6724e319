/** Proves the commands that make vaults and say who may use them: their options arrive, and wrong ones are refused. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { strongroom } from '../support/process.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const run = (...words: string[]) => strongroom([...words, '--data', server.folder]);

test('vault create hands over each of its options', async () => {
  const made = await run(
    ...['vault', 'create', 'fenced', '--access-policies', '--default-action', 'Deny'],
    ...['--ip-rule', '10.0.0.0/8', '--ip-rule', '::1', '--public-network-access', 'Disabled'],
    ...['--retention-days', '8', '--purge-protection', '--sku', 'premium', '--location', 'here', '--json'],
  );
  expect([made.code, made.stderr]).toEqual([0, '']);
  expect(JSON.parse(made.stdout)).toMatchObject({
    name: 'fenced',
    enableRbacAuthorization: false,
    networkRules: { defaultAction: 'Deny', ipRules: ['10.0.0.0/8', '::1'] },
    publicNetworkAccess: 'Disabled',
    softDeleteRetentionInDays: 8,
    enablePurgeProtection: true,
    sku: 'premium',
    location: 'here',
    accessPolicies: [],
  });
  expect((await run('vault', 'show', 'fenced')).stdout).toContain('open to trusted services; to no one else');
  expect((await run('vault', 'create', 'bad', '--default-action', 'Maybe')).code).toBe(2);
  expect((await run('vault', 'create', 'bad', '--ip-rule', '10.0.0.0/64')).code).toBe(1);
});

test('vault set-policy gives, replaces and takes away what an identity may do', async () => {
  expect((await run('vault', 'create', 'policies', '--access-policies')).code).toBe(0);
  const set = async (secrets: string) => {
    const done = await run('vault', 'set-policy', 'policies', 'developer', '--secrets', secrets, '--json');
    return done.code === 0 ? JSON.parse(done.stdout).accessPolicies : done.code;
  };
  expect(await set('get, List')).toMatchObject([{ permissions: { secrets: ['get', 'list'] } }]);
  expect(await set('all')).toMatchObject([{ permissions: { secrets: ['all'] } }]);
  expect(await set('fly')).toBe(1);
  expect((await run('vault', 'show', 'policies')).stdout).toContain(': secrets all\n');
  const policy = ['--secrets', 'get', '--keys', 'wrapKey,get', '--certificates', 'get,ManageIssuers'];
  const all = await run('vault', 'set-policy', 'policies', 'developer', ...policy);
  expect(all.stdout).toContain(': secrets get; keys wrapkey, get; certificates get, manageissuers\n');
  const unknown = await run('vault', 'set-policy', 'policies', 'developer', '--certificates', 'sign');
  expect(unknown.code).toBe(1);
  expect(await set('none')).toEqual([]);
});

test('identity create and grant take what names the data folder besides their own options', async () => {
  expect((await run('identity', 'create', 'reader')).code).toBe(0);
  const granted = await run('identity', 'grant', 'reader', '--role', 'Key Vault Reader', '--vault', 'dev');
  expect([granted.code, granted.stdout]).toEqual([
    0,
    expect.stringContaining('Key Vault Reader at /subscriptions/'),
  ]);
});

test('a location that no header could carry is refused', async () => {
  const create = (location: string) =>
    server.control('vault create', { name: `at-${location.length}`, location });
  await expect(create('Zürich')).rejects.toMatchObject({ kind: 'badParameter' });
  await expect(create('a\r\nb')).rejects.toMatchObject({ kind: 'badParameter' });
  expect(await create('West US')).toMatchObject({ location: 'westus' });
});
