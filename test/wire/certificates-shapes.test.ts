/** Proves the shape of every success of the certificates API, to the letter, in each api-version, and its headers. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chainFor, pemFile, quickBody } from '../support/certificate-clients.ts';
import { createIssuer, type Issuer } from '../support/certificate-files.ts';
import { manualClock } from '../support/identity.ts';
import {
  type RawResponse,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';
import { makeVault, type VaultCaller, versionOf } from '../support/vault-rest.ts';

const clock = manualClock(Date.parse('2026-11-20T12:00:00Z'));
const now = clock.now() / 1000;
const days = 86_400;
/** Ten minutes before it was made, and a year of the calendar after. */
const bounds = `"nbf":${now - 600},"exp":${Date.parse('2027-11-20T12:00:00Z') / 1000}`;

let server: TestServer;
let token: string;
let call: VaultCaller;
let issuer: Issuer;

beforeAll(async () => {
  server = await startTestServer({ clock });
  await makeVault(server, 'short', { retentionDays: 7 });
  await makeVault(server, 'lists');
  token = await tokenFor(server);
  call = vaultCaller(server, token);
  issuer = await createIssuer();
});
afterAll(() => server.close());

const origin = 'https://dev.vault.azure.net';
const level = '"recoveryLevel":"Recoverable+Purgeable","recoverableDays":90';
const waiting = `"status_details":"Pending certificate created. Please Perform Merge to complete the request."`;

/** The policy of `quickBody` as it is shown. */
function quickPolicy(name: string, of: { issuer?: string; action?: string } = {}): string {
  const { issuer: issuedBy = 'Self', action = 'AutoRenew' } = of;
  return `{"id":"${origin}/certificates/${name}/policy","key_props":{"exportable":true,"kty":"EC","key_size":256,"reuse_key":false,"crv":"P-256"},"secret_props":{"contentType":"application/x-pkcs12"},"x509_props":{"subject":"CN=quick","ekus":["1.3.6.1.5.5.7.3.1","1.3.6.1.5.5.7.3.2"],"key_usage":["digitalSignature","keyEncipherment"],"validity_months":12,"basic_constraints":{"ca":false}},"lifetime_actions":[{"trigger":{"lifetime_percentage":80},"action":{"action_type":"${action}"}}],"issuer":{"name":"${issuedBy}"},"attributes":{"enabled":true,"created":${now},"updated":${now}}}`;
}

/** Identifiers of a version with its certificate, as far as the attributes. */
function identifiers(name: string, { json }: RawResponse): string {
  const version = json.id.split('/')[5];
  return `"id":"${origin}/certificates/${name}/${version}","kid":"${origin}/keys/${name}/${version}","sid":"${origin}/secrets/${name}/${version}","x5t":"${json.x5t}","cer":"${json.cer}"`;
}

const live = `"attributes":{"enabled":true,${bounds},"created":${now},"updated":${now},${level}}`;
const unknown = { policy: { ...quickBody.policy, issuer: { name: 'Unknown', cert_transparency: false } } };

describe('a certificate that signs itself', () => {
  let created: RawResponse;

  beforeAll(async () => {
    created = await call('POST', '/certificates/self/create', quickBody);
  });

  test('CreateCertificate answers the operation, and where and when to look at it', async () => {
    const { csr, request_id: requestId } = created.json;
    expect(created.status).toBe(202);
    expect(requestId).toMatch(/^[0-9a-f]{32}$/);
    expect(created.headers.location).toBe(
      `${origin}/certificates/self/pending?api-version=2025-07-01&request_id=${requestId}`,
    );
    expect(created.headers['retry-after']).toBe('10');
    expect(Buffer.from(csr, 'base64').toString('base64')).toBe(csr);
    const done = await call('GET', '/certificates/self/pending');
    expect(done.text).toBe(
      `{"id":"${origin}/certificates/self/pending","issuer":{"name":"Self"},"csr":"${csr}","cancellation_requested":false,"status":"completed","preserveCertOrder":false,"target":"${origin}/certificates/self","request_id":"${requestId}"}`,
    );
    expect(done.headers['retry-after']).toBeUndefined();
  });

  test('GetCertificate answers the bundle; a version by its id is without policy and operation', async () => {
    const got = await call('GET', '/certificates/self');
    expect(got.json.x5t).toMatch(/^[A-Za-z0-9_-]{27}$/);
    expect(got.text).toBe(
      `{${identifiers('self', got)},${live},"policy":${quickPolicy('self')},"pending":{"id":"${origin}/certificates/self/pending"},"preserveCertOrder":false}`,
    );
    expect((await call('GET', '/certificates/SELF/')).text).toBe(got.text);
    const version = await call('GET', `/certificates/self/${versionOf(got)}`);
    expect(version.text).toBe(`{${identifiers('self', got)},${live},"preserveCertOrder":false}`);
  });

  test('the linked key and secret are managed, and have its dates', async () => {
    const got = await call('GET', '/certificates/self');
    const version = versionOf(got);
    const key = await call('GET', '/keys/self');
    expect(key.json.key).toMatchObject({ kid: got.json.kid, kty: 'EC', key_ops: ['sign', 'verify'] });
    const dates = { enabled: true, nbf: got.json.attributes.nbf, exp: got.json.attributes.exp };
    expect(key.json).toMatchObject({ managed: true, attributes: dates });
    const secret = await call('GET', `/secrets/self/${version}`);
    expect(secret.json).toMatchObject({
      ...{ id: got.json.sid, kid: got.json.kid, managed: true },
      contentType: 'application/x-pkcs12',
      attributes: dates,
    });
    for (const list of ['/keys', '/secrets']) {
      const { value } = (await call('GET', list)).json as { value: { managed?: boolean }[] };
      expect(value).toContainEqual(expect.objectContaining({ managed: true }));
    }
  });

  test('GetCertificatePolicy answers the policy, UpdateCertificatePolicy what has become of it', async () => {
    expect((await call('GET', '/certificates/self/policy')).text).toBe(quickPolicy('self'));
    await call('POST', '/certificates/policy/create', quickBody);
    const key_props = { crv: 'P-256K', exportable: true, key_size: 256, kty: 'EC', reuse_key: true };
    const patched = await call('PATCH', '/certificates/policy/policy', { key_props });
    expect([patched.status, patched.text]).toEqual([
      200,
      quickPolicy('policy').replace('"reuse_key":false,"crv":"P-256"', '"reuse_key":true,"crv":"P-256K"'),
    ]);
  });
});

describe('what is said of a certificate', () => {
  test('comes back as it was said', async () => {
    const policy = {
      key_props: { exportable: false, kty: 'RSA', key_size: 2048, reuse_key: true },
      secret_props: { contentType: 'application/x-pem-file' },
      x509_props: {
        subject: 'C=US, ST=WA, L=Redmond, O=Test Noodle, OU=TestNugget, CN=www.example.com',
        sans: {
          ipAddresses: ['::1'],
          uris: ['urn:a:b'],
          upns: ['u@b'],
          dns_names: ['1', '*.example.com'],
          emails: ['e@b'],
        },
        ekus: ['1.3.6.1.5.5.7.3.3'],
        key_usage: ['nonRepudiation', 'digitalSignature'],
        validity_months: 24,
        basic_constraints: { ca: true, path_len_constraint: 1 },
      },
      lifetime_actions: [
        { action: { action_type: 'EmailContacts' }, trigger: { days_before_expiry: 10 } },
        { action: { action_type: 'AutoRenew' }, trigger: { lifetime_percentage: 90 } },
      ],
      issuer: { name: 'SELF', cty: 'OV', cert_transparency: true },
      attributes: { enabled: true, nbf: 1, exp: 2 },
    };
    await call('POST', '/certificates/full/create', {
      policy,
      tags: { a: '1', B: '' },
      attributes: { enabled: false, nbf: 1, exp: 2 },
      preserveCertOrder: true,
    });
    const shown = `{"id":"${origin}/certificates/full/policy","key_props":{"exportable":false,"kty":"RSA","key_size":2048,"reuse_key":true},"secret_props":{"contentType":"application/x-pem-file"},"x509_props":{"subject":"C=US, ST=WA, L=Redmond, O=Test Noodle, OU=TestNugget, CN=www.example.com","sans":{"emails":["e@b"],"dns_names":["1","*.example.com"],"upns":["u@b"],"uris":["urn:a:b"],"ipAddresses":["::1"]},"ekus":["1.3.6.1.5.5.7.3.3"],"key_usage":["digitalSignature","nonRepudiation"],"validity_months":24,"basic_constraints":{"ca":true,"path_len_constraint":1}},"lifetime_actions":[{"trigger":{"days_before_expiry":10},"action":{"action_type":"EmailContacts"}},{"trigger":{"lifetime_percentage":90},"action":{"action_type":"AutoRenew"}}],"issuer":{"name":"SELF","cty":"OV","cert_transparency":true},"attributes":{"enabled":true,"created":${now},"updated":${now}}}`;
    const got = await call('GET', '/certificates/full');
    const attributes = `"attributes":{"enabled":false,"nbf":${now - 600},"exp":${Date.parse('2028-11-20T12:00:00Z') / 1000},"created":${now},"updated":${now},${level}}`;
    expect(got.text).toBe(
      `{${identifiers('full', got)},${attributes},"policy":${shown},"pending":{"id":"${origin}/certificates/full/pending"},"tags":{"a":"1","B":""},"preserveCertOrder":true}`,
    );
  });

  test('UpdateCertificate answers the bundle; dates stay those of the certificate', async () => {
    await call('POST', '/certificates/patched/create', quickBody);
    const body = { attributes: { enabled: false, exp: now + 1 }, tags: { t: '1' } };
    const patched = await call('PATCH', '/certificates/patched/', body);
    expect([patched.status, patched.text]).toEqual([
      200,
      `{${identifiers('patched', patched)},${live.replace('true', 'false')},"policy":${quickPolicy('patched')},"pending":{"id":"${origin}/certificates/patched/pending"},"tags":{"t":"1"},"preserveCertOrder":false}`,
    ]);
    expect((await call('GET', '/certificates/patched')).text).toBe(patched.text);
    const key = await call('GET', '/keys/patched');
    expect(key.json.attributes.enabled).toBe(false);
  });
});

describe('a certificate that waits to be merged', () => {
  test('the operation, the certificate without any, the list, and the merge', async () => {
    const created = await call('POST', '/certificates/asked/create', unknown);
    const { csr, request_id: requestId } = created.json;
    const operation = `{"id":"${origin}/certificates/asked/pending","issuer":{"name":"Unknown"},"csr":"${csr}","cancellation_requested":false,"status":"inProgress",${waiting},"preserveCertOrder":false,"request_id":"${requestId}"}`;
    expect([created.status, created.text]).toEqual([202, operation]);
    const polled = await call('GET', '/certificates/asked/pending');
    expect([polled.text, polled.headers['retry-after']]).toEqual([operation, '10']);

    const got = await call('GET', '/certificates/asked');
    const policy = quickPolicy('asked', { issuer: 'Unknown', action: 'EmailContacts' }).replace(
      '"name":"Unknown"',
      '"name":"Unknown","cert_transparency":false',
    );
    expect(got.text).toBe(
      `{"id":"${got.json.id}",${live.replace('true', 'false')},"policy":${policy},"pending":{"id":"${origin}/certificates/asked/pending"},"preserveCertOrder":false}`,
    );
    const listed = (await call('GET', '/certificates?includePending=true')).json.value as { id: string }[];
    expect(JSON.stringify(listed.find(({ id }) => id.endsWith('/asked')))).toBe(
      `{"id":"${origin}/certificates/asked","attributes":{"enabled":false,${bounds},"created":${now},"updated":${now}},"subject":""}`,
    );

    const merged = await call('POST', '/certificates/asked/pending/merge', {
      x5c: await chainFor(issuer, csr),
      tags: { merged: 'yes' },
    });
    expect(merged.status).toBe(201);
    expect(merged.headers.location).toBe(`${origin}/certificates/asked?api-version=2025-07-01`);
    const dates = `"nbf":${Date.parse('2027-01-01') / 1000},"exp":${Date.parse('2037-01-01') / 1000}`;
    const attributes = `"attributes":{"enabled":true,${dates},"created":${now},"updated":${now},${level}}`;
    expect(merged.text).toBe(
      `{${identifiers('asked', merged)},${attributes},"policy":${policy},"pending":{"id":"${origin}/certificates/asked/pending"},"tags":{"merged":"yes"},"preserveCertOrder":false}`,
    );
    const done = await call('GET', '/certificates/asked/pending');
    expect(done.text).toBe(
      operation
        .replace(`"inProgress",${waiting}`, '"completed"')
        .replace('"request_id"', `"target":"${origin}/certificates/asked","request_id"`),
    );
  });

  test('cancelled, and deleted', async () => {
    const created = await call('POST', '/certificates/cancelled/create', unknown);
    const cancelled = await call('PATCH', '/certificates/cancelled/pending', {
      cancellation_requested: true,
    });
    expect(cancelled.text).toBe(
      created.text
        .replace('"cancellation_requested":false', '"cancellation_requested":true')
        .replace(`"inProgress",${waiting}`, '"cancelled"'),
    );
    expect(cancelled.headers['retry-after']).toBeUndefined();
    const deleted = await call('DELETE', '/certificates/cancelled/pending');
    expect([deleted.status, deleted.text]).toEqual([200, cancelled.text]);
    expect((await call('GET', '/certificates/cancelled')).json.pending).toBeUndefined();
  });
});

test('ImportCertificate answers the bundle, its policy as the certificate is, and no operation', async () => {
  const policy = { secret_props: { contentType: 'application/x-pem-file' } };
  const imported = await call('POST', '/certificates/imported/import', {
    value: await pemFile(issuer),
    policy,
    attributes: { enabled: false },
  });
  const dates = `"nbf":${Date.parse('2027-01-01') / 1000},"exp":${Date.parse('2037-01-01') / 1000}`;
  const attributes = `"attributes":{"enabled":false,${dates},"created":${now},"updated":${now},${level}}`;
  const shown = `{"id":"${origin}/certificates/imported/policy","key_props":{"exportable":true,"kty":"EC","key_size":256,"reuse_key":false,"crv":"P-256"},"secret_props":{"contentType":"application/x-pem-file"},"x509_props":{"subject":"CN=p-256","ekus":[],"key_usage":[],"validity_months":120,"basic_constraints":{"ca":false}},"lifetime_actions":[{"trigger":{"lifetime_percentage":80},"action":{"action_type":"EmailContacts"}}],"issuer":{"name":"Unknown"},"attributes":{"enabled":true,"created":${now},"updated":${now}}}`;
  expect([imported.status, imported.text]).toEqual([
    200,
    `{${identifiers('imported', imported)},${attributes},"policy":${shown},"preserveCertOrder":false}`,
  ]);
});

describe('deletion', () => {
  test('the deleted bundle has its recovery facts first; recovered, it is as before', async () => {
    await call('POST', '/certificates/deleted/create', { ...quickBody, tags: { t: '1' } });
    const bundle = (await call('GET', '/certificates/deleted')).text;
    const facts = `"recoveryId":"${origin}/deletedcertificates/deleted","deletedDate":${now},"scheduledPurgeDate":${now + 90 * days}`;
    const deleted = await call('DELETE', '/certificates/deleted');
    expect([deleted.status, deleted.text]).toEqual([200, `{${facts},${bundle.slice(1)}`]);
    expect((await call('GET', '/deletedcertificates/deleted')).text).toBe(deleted.text);
    const item = (await call('GET', '/deletedcertificates')).json.value[0] as { x5t: string };
    expect(JSON.stringify(item)).toBe(
      `{${facts},"id":"${origin}/certificates/deleted","x5t":"${item.x5t}",${live},"tags":{"t":"1"}}`,
    );
    const recovered = await call('POST', '/deletedcertificates/deleted/recover');
    expect([recovered.status, recovered.text]).toEqual([200, bundle]);
    await call('DELETE', '/certificates/deleted');
    const purged = await call('DELETE', '/deletedcertificates/deleted');
    expect([purged.status, purged.text]).toEqual([204, '']);
  });

  test('backup is base64url; restored, the certificate has its version, and no operation', async () => {
    await call('POST', '/certificates/kept/create', quickBody);
    const bundle = (await call('GET', '/certificates/kept')).text;
    const backup = await call('POST', '/certificates/kept/backup');
    expect(Object.keys(backup.json)).toEqual(['value']);
    expect(backup.json.value).toMatch(/^[A-Za-z0-9_-]{100,}$/);
    await call('DELETE', '/certificates/kept');
    await call('DELETE', '/deletedcertificates/kept');
    const restored = await call('POST', '/certificates/restore', backup.json);
    const pending = `"pending":{"id":"${origin}/certificates/kept/pending"},`;
    expect([restored.status, restored.text]).toEqual([200, bundle.replace(pending, '')]);
  });
});

describe('lists', () => {
  test('items, versions, pages and their links', async () => {
    const there = vaultCaller(server, token, 'lists');
    const made: string[] = [];
    for (const name of ['b', 'a', 'c', 'a']) {
      await there('POST', `/certificates/${name}/create`, quickBody);
      made.push(versionOf(await there('GET', `/certificates/${name}`)));
    }
    const host = 'https://lists.vault.azure.net';
    const attributes = `{"enabled":true,${bounds},"created":${now},"updated":${now}}`;
    const first = await there('GET', '/certificates?maxresults=2&includePending=true');
    const items = first.json.value as { x5t: string }[];
    expect(JSON.stringify(items[0])).toBe(
      `{"id":"${host}/certificates/a","x5t":"${items[0]?.x5t}","attributes":${attributes},"subject":"CN=quick"}`,
    );
    expect(first.json.nextLink).toMatch(
      /^https:\/\/lists\.vault\.azure\.net:443\/certificates\?api-version=2025-07-01&\$skiptoken=[\w-]+&maxresults=2&includePending=true$/,
    );
    const { pathname, search } = new URL(first.json.nextLink as string);
    const second = await there('GET', `${pathname}${search}`);
    expect([second.json.value.length, second.json.nextLink]).toEqual([1, null]);

    const versions = (await there('GET', '/certificates/a/versions')).json.value as { id: string }[];
    expect(versions.map(({ id }) => id.split('/')[5])).toEqual([made[1], made[3]].sort());
    expect(Object.keys(versions[0] ?? {})).toEqual(['id', 'x5t', 'attributes', 'subject']);
    expect((await there('GET', '/certificates/nosuch/versions')).text).toBe('{"value":[],"nextLink":null}');
    expect((await there('GET', '/deletedcertificates')).text).toBe('{"value":[],"nextLink":null}');
  });

  test('includePending is true or false', async () => {
    await call('POST', '/certificates/hidden/create', unknown);
    const names = async (query: string) =>
      ((await call('GET', `/certificates?${query}`)).json.value as { id: string }[]).map(({ id }) => id);
    const hidden = `${origin}/certificates/hidden`;
    for (const query of ['includePending=true', 'includePending=True'])
      expect(await names(query)).toContain(hidden);
    for (const query of ['', 'includePending=false']) expect(await names(query)).not.toContain(hidden);
    const refused = await call('GET', '/certificates?includePending=yes');
    expect([refused.status, refused.json.error.code]).toEqual([400, 'BadParameter']);
  });
});

describe('api-versions', () => {
  const older = ['2016-10-01', '7.0', '7.1', '7.2', '7.3', '7.4', '7.5'];

  test('names that came with 2025-07-01 are neither taken nor shown before it', async () => {
    const x509_props = {
      subject: 'CN=a',
      sans: { dns_names: ['a'], uris: ['urn:a:b'], ipAddresses: ['::1'] },
    };
    const policy = { ...quickBody.policy, x509_props };
    await call('POST', '/certificates/names/create?api-version=7.6', { policy });
    const shown = await call('GET', '/certificates/names/policy');
    expect(shown.json.x509_props.sans).toEqual({ dns_names: ['a'] });
    await call('POST', '/certificates/names/create', { policy });
    const sans = async (version: string) =>
      (await call('GET', `/certificates/names/policy?api-version=${version}`)).json.x509_props.sans;
    expect(await sans('2025-07-01')).toEqual(x509_props.sans);
    expect(await sans('7.6')).toEqual({ dns_names: ['a'] });
  });

  test('the order of a chain came with 7.6; restores with 7.0', async () => {
    await call('POST', '/certificates/order/create?api-version=7.5', {
      ...quickBody,
      preserveCertOrder: true,
    });
    expect((await call('GET', '/certificates/order?api-version=7.6')).json.preserveCertOrder).toBe(false);
    for (const version of older) {
      const got = await call('GET', `/certificates/order?api-version=${version}`);
      expect(got.text, version).not.toContain('preserveCertOrder');
      const pending = await call('GET', `/certificates/order/pending?api-version=${version}`);
      expect(pending.text, version).not.toContain('preserveCertOrder');
      const backup = await call('POST', `/certificates/order/backup?api-version=${version}`);
      expect(backup.status, version).toBe(version === '2016-10-01' ? 400 : 200);
    }
  });

  test('the location of an operation names the version that was asked in', async () => {
    const created = await call('POST', '/certificates/located/create?api-version=7.4', quickBody);
    expect(created.headers.location).toContain('/pending?api-version=7.4&request_id=');
  });
});

test('recovery level and days are those of the vault', async () => {
  const there = vaultCaller(server, token, 'short');
  await there('POST', '/certificates/a/create', quickBody);
  const { attributes } = (await there('GET', '/certificates/a')).json;
  expect(attributes).toMatchObject({ recoveryLevel: 'CustomizedRecoverable+Purgeable', recoverableDays: 7 });
  const deleted = (await there('DELETE', '/certificates/a')).json;
  expect(deleted.scheduledPurgeDate).toBe(now + 7 * days);
});
