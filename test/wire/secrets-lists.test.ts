/** Proves lists: their order, their pages, the form of the link to the next page, and that a link cannot be forged. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type RawResponse,
  send,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';
import { makeVault, type VaultCaller } from '../support/vault-rest.ts';

const names = ['page3', 'Page29', 'page30', 'a-b', 'aB', 'AA', 'b', 'Z', '0', '-x', 'aa1'];
/** By code unit of the upper-cased name: the hyphen, digits, letters. */
const ordered = ['-x', '0', 'a-b', 'AA', 'aa1', 'aB', 'b', 'Page29', 'page3', 'page30', 'Z'];

let server: TestServer;
let token: string;
let call: VaultCaller;

beforeAll(async () => {
  server = await startTestServer();
  await makeVault(server, 'lists');
  await makeVault(server, 'other');
  await makeVault(server, 'empty');
  token = await tokenFor(server);
  call = vaultCaller(server, token, 'lists');
  await Promise.all(names.map((name) => call('PUT', `/secrets/${name}`, { value: 'v' })));
  await Promise.all(Array.from({ length: 6 }, () => call('PUT', '/secrets/aB', { value: 'v' })));
});
afterAll(() => server.close());

function namesIn(reply: RawResponse): string[] {
  return (reply.json.value as { id: string }[]).map((item) => item.id.split('/')[4] ?? '');
}

/** Follows a link exactly as it was given. */
function follow(link: string): Promise<RawResponse> {
  const [, host = '', path = ''] = /^https:\/\/([^/]+)(\/.*)$/.exec(link) ?? [];
  return send(server, { host, path, headers: { Authorization: `Bearer ${token}` } });
}

/** All pages from this one on. */
async function pagesFrom(first: RawResponse): Promise<RawResponse[]> {
  const pages = [first];
  for (let page = first; page.json.nextLink !== null; pages.push(page)) {
    page = await follow(page.json.nextLink);
    expect(page.status).toBe(200);
  }
  return pages;
}

test('secrets come in the order of their upper-cased names, whatever the size of the pages', async () => {
  expect(namesIn(await call('GET', '/secrets'))).toEqual(ordered);
  for (const size of [1, 2, 3, 10, 11, 25]) {
    const pages = await pagesFrom(await call('GET', `/secrets?maxresults=${size}`));
    expect(pages.flatMap(namesIn)).toEqual(ordered);
    for (const page of pages.slice(0, -1)) expect(page.json.value).toHaveLength(size);
  }
});

test('versions come in the order of their ids', async () => {
  const pages = await pagesFrom(await call('GET', '/secrets/ab/versions?maxresults=2'));
  const versions = pages.flatMap((page) => (page.json.value as { id: string }[]).map((item) => item.id));
  expect(versions).toHaveLength(7);
  expect(versions).toEqual([...new Set(versions)].sort());
  for (const id of versions)
    expect(id).toMatch(/^https:\/\/lists\.vault\.azure\.net\/secrets\/aB\/[0-9a-f]{32}$/);
});

test('an empty list is 28 bytes; so are the versions of a secret that is not there or is deleted', async () => {
  const empty = vaultCaller(server, token, 'empty');
  await empty('PUT', '/secrets/d', { value: 'v' });
  await empty('DELETE', '/secrets/d');
  for (const path of ['/secrets', '/secrets/nosuch/versions', '/secrets/d/versions']) {
    const reply = await empty('GET', path);
    expect([reply.status, reply.text]).toEqual([200, '{"value":[],"nextLink":null}']);
    expect(reply.headers['content-length']).toBe('28');
  }
});

test('deleted secrets leave their list and have one of their own, paged alike', async () => {
  const other = vaultCaller(server, token, 'other');
  await Promise.all(names.map((name) => other('PUT', `/secrets/${name}`, { value: 'v' })));
  const gone = ['b', 'AA', 'page3'];
  for (const name of gone) await other('DELETE', `/secrets/${name}`);
  expect(namesIn(await other('GET', '/secrets'))).toEqual(ordered.filter((name) => !gone.includes(name)));
  const first = await other('GET', '/deletedsecrets?maxresults=2');
  expect(first.json.nextLink).toMatch(/^https:\/\/other\.vault\.azure\.net:443\/deletedsecrets\?/);
  const pages = await pagesFrom(first);
  expect(pages.map(namesIn)).toEqual([['AA', 'b'], ['page3']]);
});

describe('nextLink', () => {
  test('has the port written out, an unescaped $skiptoken, and maxresults last if it was asked for', async () => {
    const asked = await call('GET', '/secrets?api-version=7.4&maxresults=3');
    expect(asked.json.nextLink).toMatch(
      /^https:\/\/lists\.vault\.azure\.net:443\/secrets\?api-version=7\.4&\$skiptoken=[A-Za-z0-9_-]+&maxresults=3$/,
    );
    await Promise.all(Array.from({ length: 26 }, (_, i) => call('PUT', `/secrets/zz${i}`, { value: 'v' })));
    const usual = await call('GET', '/secrets');
    expect(usual.json.value).toHaveLength(25);
    expect(usual.json.nextLink).toMatch(
      /^https:\/\/lists\.vault\.azure\.net:443\/secrets\?api-version=2025-07-01&\$skiptoken=[A-Za-z0-9_-]+$/,
    );
    expect((await follow(usual.json.nextLink)).json.nextLink).toBeNull();
    const versions = await call('GET', '/secrets/aB/versions?api-version=7.4&maxresults=1');
    expect(versions.json.nextLink).toMatch(
      /^https:\/\/lists\.vault\.azure\.net:443\/secrets\/aB\/versions\?api-version=7\.4&\$skiptoken=[A-Za-z0-9_-]+&maxresults=1$/,
    );
  });

  test('stays in the family of names, and at the port, that was asked', async () => {
    const authority = `lists.vault.strongroom.localhost:${server.port}`;
    const reply = await follow(`https://${authority}/secrets?api-version=7.4&maxresults=5`);
    expect(reply.json.nextLink.startsWith(`https://${authority}/secrets?api-version=7.4&$skiptoken=`)).toBe(
      true,
    );
    expect(namesIn(await follow(reply.json.nextLink))).toEqual(ordered.slice(5, 10));
  });

  test('works with its $skiptoken percent-encoded, and with another page size', async () => {
    const { nextLink } = (await call('GET', '/secrets?api-version=7.4&maxresults=4')).json;
    const encoded = await follow(nextLink.replace('$skiptoken', '%24skiptoken'));
    expect(namesIn(encoded)).toEqual(ordered.slice(4, 8));
    const smaller = await follow(nextLink.replace('maxresults=4', 'maxresults=1'));
    expect(namesIn(smaller)).toEqual(ordered.slice(4, 5));
  });

  test('goes on without gap or repetition while secrets come and go', async () => {
    const moving = vaultCaller(server, token, 'empty');
    for (const name of ['c1', 'c3', 'c5', 'c7']) await moving('PUT', `/secrets/${name}`, { value: 'v' });
    const first = await moving('GET', '/secrets?maxresults=2');
    expect(namesIn(first)).toEqual(['c1', 'c3']);
    await moving('DELETE', '/secrets/c3');
    await moving('PUT', '/secrets/c2', { value: 'v' });
    await moving('PUT', '/secrets/c4', { value: 'v' });
    expect(namesIn(await follow(first.json.nextLink))).toEqual(['c4', 'c5']);
  });

  test('refuses tokens that this list did not give', async () => {
    const secrets = tokenOf(await call('GET', '/secrets?maxresults=1'));
    const versions = tokenOf(await call('GET', '/secrets/aB/versions?maxresults=1'));
    const decoded = Buffer.from(secrets, 'base64url').toString('utf8');
    const forgeries: [string, string][] = [
      ['/secrets', ''],
      ['/secrets', 'x'],
      ['/secrets', `${secrets}A`],
      ['/secrets', `${secrets}=`],
      ['/secrets', secrets.slice(0, -1)],
      ['/secrets', `%20${secrets}`],
      ['/secrets', Buffer.from(`${decoded} `).toString('base64url')],
      ['/secrets', Buffer.from('null').toString('base64url')],
      ['/secrets', Buffer.from('{"NextMarker":"2!96!","TargetLocation":0}').toString('base64url')],
      ['/secrets', "'%20OR%201=1--"],
      ['/secrets', versions],
      ['/deletedsecrets', secrets],
      ['/secrets/aB/versions', secrets],
      ['/secrets/b/versions', versions],
    ];
    for (const [path, skiptoken] of forgeries) {
      const reply = await call('GET', `${path}?$skiptoken=${skiptoken}`);
      expect([path, skiptoken, reply.status]).toEqual([path, skiptoken, 400]);
      expect(reply.json.error.code).toBe('BadParameter');
    }
    expect((await call('GET', `/secrets/AB/versions?$skiptoken=${versions}`)).status).toBe(200);
  });
});

function tokenOf(reply: RawResponse): string {
  return new URL(reply.json.nextLink).searchParams.get('$skiptoken') ?? '';
}
