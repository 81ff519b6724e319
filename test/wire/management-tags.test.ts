/** Tags of subscriptions, and names of tags that are made before any tag has them, as `az tag` asks for them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ManagementCaller, makeManager, refusal, subscriptionOf } from '../support/management.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let root: string;
let call: ManagementCaller;

beforeAll(async () => {
  server = await startTestServer();
  root = `/subscriptions/${await subscriptionOf(server)}`;
  ({ call } = await makeManager(server, 'manager'));
});
afterAll(() => server.close());

const az = '?api-version=2025-04-01';
const names = '/tagNames';

describe('tags of a subscription', () => {
  const at = () => `${root}/providers/Microsoft.Resources/tags/default${az}`;
  const wire = (tags: object) => ({
    id: `${root}/providers/Microsoft.Resources/tags/default`,
    name: 'default',
    type: 'Microsoft.Resources/tags',
    properties: { tags },
  });
  const shown = async () => (await call('GET', `${root}?api-version=2022-12-01`)).json.tags;

  test('are put, merged, replaced, taken away and shown with it', async () => {
    expect((await call('GET', at())).json).toEqual(wire({}));
    expect(await shown()).toBeUndefined();
    const put = await call('PUT', at(), { properties: { tags: { Env: 'dev', owner: 'me' } } });
    expect([put.status, put.json]).toEqual([200, wire({ Env: 'dev', owner: 'me' })]);
    expect(await shown()).toEqual({ Env: 'dev', owner: 'me' });
    const listed = (await call('GET', `/subscriptions?api-version=2022-12-01`)).json.value;
    expect(listed).toMatchObject([{ id: root, tags: { Env: 'dev', owner: 'me' } }]);
    const patch = (operation: string, tags: object) =>
      call('PATCH', at(), { operation, properties: { tags } });
    expect((await patch('Merge', { env: 'prod' })).json).toEqual(wire({ owner: 'me', env: 'prod' }));
    expect((await patch('Delete', { owner: 'me' })).json).toEqual(wire({ env: 'prod' }));
    expect((await patch('Replace', { x: 'y' })).json).toEqual(wire({ x: 'y' }));
    expect((await call('DELETE', at())).status).toBe(200);
    expect((await call('GET', at())).json).toEqual(wire({}));
    expect(await shown()).toBeUndefined();
  });

  test('are under the rules of all tags', async () => {
    const tooMany = Object.fromEntries(Array.from({ length: 51 }, (_, n) => [`t${n}`, 'x']));
    for (const tags of [tooMany, { 'a/b': 'x' }, { a: 'x'.repeat(257) }]) {
      const reply = await call('PUT', at(), { properties: { tags } });
      expect([reply.status, reply.json.error.code]).toEqual([400, 'InvalidRequestContent']);
    }
  });

  test('are for those who may tag the subscription', async () => {
    const reader = await makeManager(server, 'reader', { role: 'Reader', scope: root });
    expect((await reader.call('GET', at())).status).toBe(200);
    const refused = await reader.call('PUT', at(), { properties: { tags: {} } });
    expect([refused.status, refused.json.error.code]).toEqual([403, 'AuthorizationFailed']);
  });

  test('change for nobody while it is read-only, and for many at once one after the other', async () => {
    const lock = `${root}/providers/Microsoft.Authorization/locks/still?api-version=2020-05-01`;
    await call('PUT', lock, { properties: { level: 'ReadOnly' } });
    for (const [method, path] of [
      ['PUT', at()],
      ['PUT', `${root}${names}/locked${az}`],
    ] as const) {
      const refused = await call(method, path, { properties: { tags: { a: 'b' } } });
      expect([refused.status, refused.json.error.code]).toEqual([409, 'ScopeLocked']);
    }
    const removal = await call('DELETE', `${root}${names}/none${az}`);
    expect(removal.status).toBe(204);
    await call('DELETE', lock);
    const letters = ['a', 'b', 'c', 'd', 'e', 'f'];
    const replies = await Promise.all(
      letters.map((letter) =>
        call('PATCH', at(), { operation: 'Merge', properties: { tags: { [letter]: letter } } }),
      ),
    );
    expect(replies.map(({ status }) => status)).toEqual(letters.map(() => 200));
    const merged = Object.fromEntries(letters.map((letter) => [letter, letter]));
    expect((await call('GET', at())).json.properties.tags).toEqual(merged);
    await call('DELETE', at());
  });

  test('are on no tenant and no management group', async () => {
    const path = `/providers/Microsoft.Resources/tags/default${az}`;
    const administrator = await makeManager(server, 'root-owner', { role: 'Owner', scope: '/' });
    const reply = await administrator.call('PUT', path, { properties: { tags: {} } });
    expect([reply.status, reply.json]).toEqual([
      400,
      refusal('BadRequest', 'Subscriptions, resource groups and resources have tags, and nothing else.'),
    ]);
  });
});

describe('names of tags', () => {
  const name = (text: string) => `${root}${names}/${text}${az}`;
  const value = (of: string, text: string) =>
    `${root}${names}/${of}/tagValues/${encodeURIComponent(text)}${az}`;
  const counted = (text: string, count: number, values: Record<string, number> = {}) => ({
    id: `${root}${names}/${text}`,
    tagName: text,
    count: { type: 'Total', value: count },
    values: Object.entries(values).map(([tagValue, number]) => ({
      id: `${root}${names}/${text}/tagValues/${tagValue}`,
      tagValue,
      count: { type: 'Total', value: number },
    })),
  });
  const listed = async (text: string) =>
    (await call('GET', `${root}${names}${az}`)).json.value.filter(
      ({ tagName }: { tagName: string }) => tagName.toLowerCase() === text.toLowerCase(),
    );

  test('are made once, with their values, counted where a tag has them, and removed', async () => {
    const made = await call('PUT', name('Cost'));
    expect([made.status, made.json]).toEqual([201, counted('Cost', 0)]);
    const again = await call('PUT', name('COST'));
    expect([again.status, again.json]).toEqual([200, counted('Cost', 0)]);
    const valued = await call('PUT', value('cost', 'a b'));
    const [wire] = counted('Cost', 0, { 'a b': 0 }).values;
    expect([valued.status, valued.json]).toEqual([201, wire]);
    expect((await call('PUT', value('Cost', 'a b'))).status).toBe(200);
    await call('PUT', `${root}/resourceGroups/costly`, {
      location: 'local',
      tags: { cost: 'a b', other: 'x' },
    });
    expect(await listed('cost')).toEqual([counted('Cost', 1, { 'a b': 1 })]);
    expect(await listed('other')).toEqual([counted('other', 1, { x: 1 })]);
    expect((await call('DELETE', value('Cost', 'a b'))).status).toBe(200);
    expect((await call('DELETE', value('Cost', 'a b'))).status).toBe(204);
    await call('DELETE', `${root}/resourceGroups/costly`);
    expect(await listed('cost')).toEqual([counted('Cost', 0)]);
    expect((await call('DELETE', name('cost'))).status).toBe(200);
    expect((await call('DELETE', name('cost'))).status).toBe(204);
    expect(await listed('cost')).toEqual([]);
  });

  test('are made before their values, and are what names of tags can be', async () => {
    for (const method of ['PUT', 'DELETE']) {
      const absent = await call(method, value('absent', 'x'));
      expect([absent.status, absent.json]).toEqual([
        404,
        refusal('NotFound', "The tag name 'absent' could not be found."),
      ]);
    }
    const refused = await call('PUT', name('a%3Eb'));
    expect([refused.status, refused.json.error.code]).toEqual([400, 'InvalidRequestContent']);
    expect((await call('PUT', name('__proto__'))).status).toBe(201);
    expect(await listed('__proto__')).toEqual([counted('__proto__', 0)]);
    expect((await call('DELETE', name('__proto__'))).status).toBe(200);
  });

  test('are bounded in number', async () => {
    const replies = [];
    for (let n = 0; n <= 100; n += 1) replies.push((await call('PUT', name(`n${n}`))).status);
    expect(replies.slice(0, 100)).toEqual(Array.from({ length: 100 }, () => 201));
    expect(replies[100]).toBe(400);
    for (let n = 0; n <= 100; n += 1) await call('DELETE', name(`n${n}`));
  });

  test('go although something in the subscription may not be deleted', async () => {
    const group = `${root}/resourceGroups/default`;
    const lock = `${group}/providers/Microsoft.Authorization/locks/keep?api-version=2020-05-01`;
    await call('PUT', lock, { properties: { level: 'CanNotDelete' } });
    await call('PUT', name('going'));
    expect((await call('DELETE', name('going'))).status).toBe(200);
    await call('DELETE', lock);
  });
});
