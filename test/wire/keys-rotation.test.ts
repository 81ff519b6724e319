/**
 * Proves the life of keys by their rotation policies, on a clock in the test's hands: when the job rotates, what the
 * new version has and what stays as it was, that each rotation is audited, and what is announced of an expiry, once.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { day, type KeyJobs, ok, policyOf, startKeyJobs } from '../support/key-jobs.ts';

let jobs: KeyJobs;
beforeAll(async () => {
  jobs = await startKeyJobs();
});
afterAll(() => jobs.close());

const preview = '?api-version=2026-05-01-preview';

async function create(name: string, body: object = {}, policy?: Parameters<typeof policyOf>[0]) {
  const made = ok(await jobs.call('POST', `/keys/${name}/create${preview}`, { kty: 'EC', ...body }));
  if (policy !== undefined) await setPolicy(name, policy);
  return made.json;
}

async function setPolicy(name: string, policy: Parameters<typeof policyOf>[0]) {
  return ok(await jobs.call('PUT', `/keys/${name}/rotationpolicy`, policyOf(policy))).json;
}

async function get(name: string, version = '') {
  const path = version === '' ? `/keys/${name}` : `/keys/${name}/${version}`;
  return ok(await jobs.call('GET', `${path}${preview}`)).json;
}

const patch = (name: string, body: object, version = '') =>
  jobs.call('PATCH', version === '' ? `/keys/${name}` : `/keys/${name}/${version}`, body).then(ok);

async function versionsOf(name: string): Promise<number> {
  return ok(await jobs.call('GET', `/keys/${name}/versions`)).json.value.length;
}

const rule = {
  version: '1.0.0',
  anyOf: [{ authority: 'https://attest.example', allOf: [{ claim: 'a', equals: 'b' }] }],
};
const release = {
  contentType: 'application/json; charset=utf-8',
  data: Buffer.from(JSON.stringify(rule)).toString('base64url'),
};

const kinds: readonly [string, object][] = [
  ['ec', { kty: 'EC', crv: 'P-384', key_ops: ['verify', 'sign'], tags: { b: '2', a: '1' } }],
  ['k256', { kty: 'EC-HSM', crv: 'P-256K', key_ops: ['sign'] }],
  ['rsa', { kty: 'RSA', key_size: 3072, public_exponent: 65_539, key_ops: ['wrapKey'], tags: {} }],
  [
    'released',
    {
      kty: 'EC-HSM',
      crv: 'P-521',
      key_ops: ['sign', 'export'],
      attributes: { exportable: true },
      release_policy: { ...release, immutable: true },
    },
  ],
  ['aes', { kty: 'oct-HSM', key_size: 192, key_ops: ['wrapKey', 'unwrapKey'] }],
  ['pq', { kty: 'AKP', alg: 'ML-DSA-44', tags: { pq: 'yes' } }],
];

describe('rotation some time after creation', () => {
  test('comes at its time and not before; the new version is of the same kind, and nothing else changes', async () => {
    const before = new Map<string, Record<string, never>>();
    const set = new Map<string, unknown>();
    for (const [name, body] of kinds) {
      before.set(name, await create(name, body));
      set.set(name, await setPolicy(name, { after: 'P10D', notify: 'P9D', expiry: 'P60D' }));
    }
    await patch('ec', { attributes: { nbf: jobs.now() - 5, exp: jobs.now() + 50 * day } });
    before.set('ec', await get('ec'));
    await jobs.jump(10 * day - 3600);
    await jobs.jobRuns();
    for (const [name] of kinds)
      expect([name, await versionsOf(name), jobs.told(name)]).toEqual([name, 1, []]);

    await jobs.jump(3600);
    const since = jobs.now();
    await jobs.jobRuns();
    for (const [name] of kinds) {
      const was = before.get(name) as unknown as Bundle;
      const is = (await get(name)) as Bundle;
      expect(jobs.told(name)).toEqual(['key: rotated']);
      expect(await versionsOf(name)).toBe(2);
      expect(await get(name, was.key.kid.split('/').at(-1))).toEqual(was);
      expect(ok(await jobs.call('GET', `/keys/${name}/rotationpolicy`)).json).toEqual(set.get(name));

      const { created, updated, exp, ...attributes } = is.attributes;
      expect(created).toBeGreaterThanOrEqual(since);
      expect([updated, exp]).toEqual([created, created + 60 * day]);
      const { created: _c, updated: _u, exp: _e, nbf: _n, ...attributesBefore } = was.attributes;
      expect(attributes).toEqual(attributesBefore);
      expect({ ...is, key: undefined, attributes: undefined }).toEqual({
        ...was,
        key: undefined,
        attributes: undefined,
      });
      expect(shapeOf(is.key)).toEqual(shapeOf(was.key));
      expect(is.key.kid).not.toBe(was.key.kid);
      for (const member of ['n', 'x', 'y', 'pub'] as const) {
        if (was.key[member] !== undefined) expect(is.key[member]).not.toBe(was.key[member]);
      }
      const [record, ...more] = await jobs.rotations(name);
      expect(more).toEqual([]);
      expect(record).toMatchObject({
        resultType: 'Success',
        callerIpAddress: '',
        properties: { id: expect.stringContaining(new URL(is.key.kid).pathname), httpStatusCode: 200 },
      });
      expect(record?.resourceId).toMatch(/\/VAULTS\/DEV$/);
    }
  });

  test('comes again with the age of the new version', async () => {
    await jobs.jump(10 * day - 3600);
    await jobs.jobRuns();
    for (const [name] of kinds) expect([name, await versionsOf(name)]).toEqual([name, 2]);
    await jobs.jump(3600);
    await jobs.jobRuns();
    for (const [name] of kinds) {
      expect([name, await versionsOf(name), (await jobs.rotations(name)).length]).toEqual([name, 3, 2]);
      await setPolicy(name, {});
    }
  });

  test('a policy that comes late is obeyed at once, and once; one that is taken away no more', async () => {
    await create('late');
    await create('stopped', {}, { after: 'P7D' });
    await jobs.jump(8 * day);
    await setPolicy('late', { after: 'P7D' });
    await setPolicy('stopped', {});
    await jobs.jobRuns();
    await jobs.jobRuns();
    expect([await versionsOf('late'), await versionsOf('stopped')]).toEqual([2, 1]);
    expect((await get('late')).attributes).not.toHaveProperty('exp');
  });

  test('by hand or by a new version it begins anew', async () => {
    await create('by-hand', {}, { after: 'P7D' });
    await create('created', {}, { after: 'P7D' });
    await jobs.jump(6 * day);
    ok(await jobs.call('POST', '/keys/by-hand/rotate'));
    await create('created', { kty: 'EC', crv: 'P-521' });
    await jobs.jump(6 * day);
    await jobs.jobRuns();
    expect([await versionsOf('by-hand'), await versionsOf('created')]).toEqual([2, 2]);
    await jobs.jump(day);
    await jobs.jobRuns();
    expect([await versionsOf('by-hand'), await versionsOf('created')]).toEqual([3, 3]);
    expect((await get('created')).key.crv).toBe('P-521');
    expect(await jobs.rotations('by-hand')).toHaveLength(1);
  });
});

interface Bundle {
  readonly key: Readonly<Record<string, string>> & { readonly kid: string };
  readonly attributes: Readonly<Record<string, number>> & { readonly created: number };
}

/** A key's JWK without what is the key itself: lengths in place of numbers. */
function shapeOf({ kid: _kid, ...key }: Bundle['key']): object {
  const lengths = Object.entries(key).map(([name, value]) =>
    ['n', 'x', 'y', 'pub'].includes(name) ? [name, value.length] : [name, value],
  );
  return Object.fromEntries(lengths);
}

describe('rotation some time before expiry', () => {
  test('follows the version’s own exp, waits for a young version, and does nothing without exp', async () => {
    const policy = { before: 'P10D', expiry: 'P30D' };
    const from = jobs.now();
    await create('timed', { attributes: { exp: from + 18 * day } }, policy);
    await create('young', { attributes: { exp: from + 12 * day } }, policy);
    await create('endless', {}, policy);
    await jobs.jump(7 * day - 3600);
    await jobs.jobRuns();
    expect([await versionsOf('timed'), await versionsOf('young')]).toEqual([1, 1]);
    await jobs.jump(3600);
    await jobs.jobRuns();
    expect([await versionsOf('timed'), await versionsOf('young')]).toEqual([1, 2]);
    await jobs.jump(day);
    await jobs.jobRuns();
    expect([await versionsOf('timed'), await versionsOf('endless')]).toEqual([2, 1]);
    const { exp, created } = (await get('timed')).attributes;
    expect(exp).toBe(created + 30 * day);
    // Its exp is moved: so is its rotation.
    await patch('young', { attributes: { exp: jobs.now() + 17 * day } });
    await jobs.jump(7 * day);
    await jobs.jobRuns();
    expect([await versionsOf('timed'), await versionsOf('young')]).toEqual([2, 3]);
  });
});

describe('a key that is not to be rotated', () => {
  test('because it is disabled, is when it is enabled; an older version does not matter', async () => {
    await create('off', {}, { after: 'P7D' });
    await create('on', {}, { after: 'P7D' });
    const [, old] = /([^/]+)$/.exec((await get('on')).key.kid) ?? [];
    ok(await jobs.call('POST', '/keys/on/rotate'));
    await patch('off', { attributes: { enabled: false } });
    await patch('on', { attributes: { enabled: false } }, old);
    await jobs.jump(8 * day);
    await jobs.jobRuns();
    expect([await versionsOf('off'), await versionsOf('on'), jobs.told('off')]).toEqual([1, 3, []]);
    await patch('off', { attributes: { enabled: true } });
    await jobs.jobRuns();
    expect([await versionsOf('off'), jobs.told('off')]).toEqual([2, ['key: rotated']]);
    expect((await get('off')).attributes.enabled).toBe(true);
  });

  test('because it is deleted, is when it is recovered, and not when it is purged', async () => {
    for (const name of ['lost', 'purged']) await create(name, {}, { after: 'P7D' });
    for (const name of ['lost', 'purged']) ok(await jobs.call('DELETE', `/keys/${name}`));
    await jobs.jump(8 * day);
    await jobs.jobRuns();
    expect((await jobs.call('DELETE', '/deletedkeys/purged')).status).toBe(204);
    await create('purged');
    ok(await jobs.call('POST', '/deletedkeys/lost/recover'));
    await jobs.jobRuns();
    expect([await versionsOf('lost'), await versionsOf('purged')]).toEqual([2, 1]);
    expect([jobs.told('lost'), jobs.told('purged')]).toEqual([['key: rotated'], []]);
  });

  test('a backup brings the policy and its time with it', async () => {
    await create('saved', {}, { after: 'P7D' });
    const { value } = ok(await jobs.call('POST', '/keys/saved/backup')).json;
    ok(await jobs.call('DELETE', '/keys/saved'));
    expect((await jobs.call('DELETE', '/deletedkeys/saved')).status).toBe(204);
    await jobs.jump(8 * day);
    ok(await jobs.call('POST', '/keys/restore', { value }));
    await jobs.jobRuns();
    expect([await versionsOf('saved'), jobs.told('saved')]).toEqual([2, ['key: rotated']]);
  });
});
