/** Proves each limit of the secrets API at its edge: the last that is accepted, and the first that is not. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import { errorBody, type VaultCaller, versionOf } from '../support/vault-rest.ts';

let server: TestServer;
let call: VaultCaller;

beforeAll(async () => {
  server = await startTestServer();
  call = vaultCaller(server, await tokenFor(server));
});
afterAll(() => server.close());

/** Sets and reads back; the status, and whether what was read is what was set. */
async function roundTrip(body: object): Promise<[number, boolean]> {
  const set = await call('PUT', '/secrets/limit', body);
  if (set.status !== 200) {
    expect(set.json.error.code).toBe('BadParameter');
    return [set.status, false];
  }
  const got = await call('GET', '/secrets/limit');
  const same = Object.entries(body).every(
    ([name, value]) => name === 'attributes' || JSON.stringify(got.json[name]) === JSON.stringify(value),
  );
  return [got.status, same];
}

const kept = [200, true];
const refused = [400, false];

describe('value', () => {
  const most = 25_600;
  test.each([
    ['none', '', kept],
    ['the most', 'x'.repeat(most), kept],
    ['one more', 'x'.repeat(most + 1), refused],
    ['the most in two-byte characters', 'é'.repeat(most / 2), kept],
    ['one byte more in two-byte characters', `x${'é'.repeat(most / 2)}`, refused],
    ['the most in four-byte characters', '🔑'.repeat(most / 4), kept],
    ['fewer characters than the most, but more bytes', '語'.repeat(most / 3 + 1), refused],
    ['the most, each character escaped in JSON', '\u0000'.repeat(most), kept],
  ])('%s', async (_, value, outcome) => {
    expect(await roundTrip({ value })).toEqual(outcome);
  });

  test('every character that UTF-8 can hold comes back; half of a pair is refused', async () => {
    const value = `\u0000\u0001\u007f\u0080\u2028\u2029\ufeff\ufffd\uffff${String.fromCodePoint(0x10ffff)} "\\/\r\n\t`;
    expect(await roundTrip({ value, contentType: value, tags: { [value]: value } })).toEqual(kept);
    for (const half of ['\\ud83d', '\\udd11', '\\udd11\\ud83d', 'a\\ud83db']) {
      const bodies = [
        `{"value":"${half}"}`,
        `{"value":"v","contentType":"${half}"}`,
        `{"value":"v","tags":{"${half}":"v"}}`,
        `{"value":"v","tags":{"t":"${half}"}}`,
      ];
      for (const body of bodies) {
        const reply = await call('PUT', '/secrets/half', body);
        expect([body, reply.status]).toEqual([body, 400]);
      }
    }
    expect((await call('GET', '/secrets/half')).status).toBe(404);
  });
});

describe('contentType', () => {
  test.each([
    [0, kept],
    [255, kept],
    [256, refused],
  ])('of %d characters', async (length, outcome) => {
    expect(await roundTrip({ value: 'v', contentType: 'c'.repeat(length) })).toEqual(outcome);
  });

  test('PATCH has the same limit', async () => {
    await call('PUT', '/secrets/patched', { value: 'v' });
    expect((await call('PATCH', '/secrets/patched', { contentType: 'c'.repeat(255) })).status).toBe(200);
    expect((await call('PATCH', '/secrets/patched', { contentType: 'c'.repeat(256) })).status).toBe(400);
  });
});

describe('tags', () => {
  const many = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, `${i}`]));
  test.each([
    ['fifteen', many(15), kept],
    ['sixteen', many(16), refused],
    ['the longest name', { ['n'.repeat(512)]: '' }, kept],
    ['a longer name', { ['n'.repeat(513)]: '' }, refused],
    ['the longest value', { t: 'v'.repeat(512) }, kept],
    ['a longer value', { t: 'v'.repeat(513) }, refused],
    ['an empty name', { '': 'v' }, refused],
    ['names that differ in case alone', { a: '1', A: '2' }, kept],
    ['names that JavaScript objects have', { constructor: '1', prototype: '2', toString: '3' }, kept],
  ])('%s', async (_, tags, outcome) => {
    expect(await roundTrip({ value: 'v', tags })).toEqual(outcome);
  });

  test('a tag named __proto__ is a tag like any other, in every answer', async () => {
    const tags = '"tags":{"__proto__":"p","t":"1"}';
    const set = await call('PUT', '/secrets/proto', `{"value":"v",${tags}}`);
    expect(set.text).toContain(tags);
    expect((await call('GET', '/secrets/proto')).text).toContain(tags);
    expect((await call('PATCH', '/secrets/proto', `{${tags}}`)).text).toContain(tags);
    expect((await call('GET', '/secrets/proto/versions')).text).toContain(tags);
    const { value } = (await call('POST', '/secrets/proto/backup')).json;
    await call('DELETE', '/secrets/proto');
    await call('DELETE', '/deletedsecrets/proto');
    expect((await call('POST', '/secrets/restore', { value })).text).toContain(tags);
  });

  test('PATCH has the same limits', async () => {
    await call('PUT', '/secrets/patched', { value: 'v' });
    expect((await call('PATCH', '/secrets/patched', { tags: many(15) })).status).toBe(200);
    expect((await call('PATCH', '/secrets/patched', { tags: many(16) })).status).toBe(400);
  });
});

describe('name', () => {
  test.each([
    ['a', 200],
    ['-', 200],
    ['0', 200],
    ['n'.repeat(127), 200],
    ['n'.repeat(128), 400],
    ['versions', 200],
    ['backup', 200],
    ['constructor', 200],
  ])('%s: %d', async (name, status) => {
    const set = await call('PUT', `/secrets/${name}`, { value: name });
    expect(set.status).toBe(status);
    if (status !== 200)
      return expect(set.json.error.message).toBe(`The request URI contains an invalid name: ${name}`);
    expect((await call('GET', `/secrets/${name}`)).json.value).toBe(name);
    expect((await call('GET', `/secrets/${name}/${versionOf(set)}`)).json.value).toBe(name);
  });
});

describe('nbf and exp', () => {
  const last = 253_402_300_799;
  test.each([
    [{ nbf: 0, exp: 0 }, 200],
    [{ nbf: last, exp: last }, 200],
    [{ exp: last + 1 }, 400],
    [{ nbf: last + 1 }, 400],
    [{ nbf: -1 }, 400],
    [{ exp: -1 }, 400],
    [{ exp: 1e300 }, 400],
    [{ nbf: 20, exp: 10 }, 200],
  ])('%j: %d', async (attributes, status) => {
    const reply = await call('PUT', '/secrets/times', { value: 'v', attributes });
    expect(reply.status).toBe(status);
    if (status === 200) expect(reply.json.attributes).toMatchObject(attributes);
  });
});

describe('maxresults', () => {
  test.each(['0', '26', '-1', 'x', '', '1.5', '1e1', '0x5', '%20', '99999999999999999999', '١'])(
    '%j is refused on every list',
    async (text) => {
      for (const path of ['/secrets', '/secrets/limit/versions', '/deletedsecrets']) {
        const reply = await call('GET', `${path}?maxresults=${encodeURIComponent(decodeURIComponent(text))}`);
        expect([reply.status, reply.json.error.code]).toEqual([400, 'BadParameter']);
      }
    },
  );

  test.each([1, 25])('%d is the most that a page has', async (count) => {
    await Promise.all(Array.from({ length: 26 }, (_, i) => call('PUT', `/secrets/m${i}`, { value: 'v' })));
    expect((await call('GET', `/secrets?maxresults=${count}`)).json.value).toHaveLength(count);
  });
});

test('a secret of 500 versions can be backed up and restored, one of 501 cannot be backed up', async () => {
  const add = async (count: number) => {
    const replies = await Promise.all(
      Array.from({ length: count }, () => call('PUT', '/secrets/old', { value: 'v' })),
    );
    return replies.map((reply) => reply.status);
  };
  for (let batch = 0; batch < 10; batch += 1) expect(new Set(await add(50))).toEqual(new Set([200]));
  const backup = await call('POST', '/secrets/old/backup');
  expect(backup.status).toBe(200);
  await add(1);
  const refusal = await call('POST', '/secrets/old/backup');
  expect([refusal.status, refusal.text]).toEqual([
    400,
    errorBody('BadParameter', 'A secret with more than 500 versions cannot be backed up.'),
  ]);
  await call('DELETE', '/secrets/old');
  await call('DELETE', '/deletedsecrets/old');
  expect((await call('POST', '/secrets/restore', { value: backup.json.value })).status).toBe(200);
  let path = '/secrets/old/versions';
  let count = 0;
  while (path !== '') {
    const page = await call('GET', path);
    count += page.json.value.length;
    path =
      page.json.nextLink === null ? '' : page.json.nextLink.slice('https://dev.vault.azure.net:443'.length);
  }
  expect(count).toBe(500);
});
