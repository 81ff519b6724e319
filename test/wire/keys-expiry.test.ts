/**
 * Proves that the job announces what nears its expiry and what has expired, each once for a version and its expiry;
 * and that what it has to do is kept through restarts, faults of single keys and an audit log that is full.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { day, type KeyJobs, ok, policyOf, startKeyJobs } from '../support/key-jobs.ts';

let jobs: KeyJobs;
beforeAll(async () => {
  jobs = await startKeyJobs();
});
afterAll(() => jobs.close());

async function create(name: string, body: object = {}, policy?: Parameters<typeof policyOf>[0]) {
  ok(await jobs.call('POST', `/keys/${name}/create`, { kty: 'EC', ...body }));
  if (policy !== undefined) await setPolicy(name, policy);
}

async function setPolicy(name: string, policy: Parameters<typeof policyOf>[0]) {
  ok(await jobs.call('PUT', `/keys/${name}/rotationpolicy`, policyOf(policy)));
}

/** Sets attributes of the current version; `exp` is days from now. */
async function patch(name: string, { exp, ...attributes }: { exp?: number; enabled?: boolean }) {
  const expiry = exp === undefined ? {} : { exp: jobs.now() + exp * day };
  ok(await jobs.call('PATCH', `/keys/${name}`, { attributes: { ...attributes, ...expiry } }));
}

const expiring = (days: number) => ({ attributes: { exp: jobs.now() + days * day } });

async function versionsOf(name: string): Promise<number> {
  return ok(await jobs.call('GET', `/keys/${name}/versions`)).json.value.length;
}

/** Lets so many days go by, and the job run. */
async function goOn(days: number): Promise<void> {
  await jobs.jump(days * day);
  await jobs.jobRuns();
}

const near = 'key: nearExpiry';
const expired = 'key: expired';

describe('what is announced', () => {
  test('near expiry 30 days before, or as the policy says; then expired; each once', async () => {
    await create('usual', expiring(31));
    await create('noticed', expiring(31), { notify: 'P9D', expiry: 'P28D' });
    await create('endless');
    await create('disabled', { attributes: { ...expiring(31).attributes, enabled: false } });
    await jobs.jobRuns();
    for (const name of ['usual', 'noticed', 'endless', 'disabled']) expect(jobs.told(name)).toEqual([]);
    await goOn(1);
    expect([jobs.told('usual'), jobs.told('noticed'), jobs.told('disabled')]).toEqual([[near], [], [near]]);
    await goOn(21);
    expect([jobs.told('usual'), jobs.told('noticed')]).toEqual([[], [near]]);
    await goOn(9);
    for (const name of ['usual', 'noticed', 'disabled'])
      expect([name, jobs.told(name)]).toEqual([name, [expired]]);
    await goOn(1);
    await jobs.jobRuns();
    for (const name of ['usual', 'noticed', 'endless', 'disabled']) expect(jobs.told(name)).toEqual([]);
    for (const name of ['usual', 'noticed', 'disabled'])
      expect([name, await versionsOf(name)]).toEqual([name, 1]);
  });

  test('a key that is made near its expiry is announced at once; one made expired as expired only', async () => {
    await create('short-lived', expiring(3));
    await create('stillborn', expiring(-3));
    await jobs.jobRuns();
    expect([jobs.told('short-lived'), jobs.told('stillborn')]).toEqual([[near], [expired]]);
    await jobs.jobRuns();
    expect([jobs.told('short-lived'), jobs.told('stillborn')]).toEqual([[], []]);
  });

  test('again for another exp, another version and a policy that puts it off', async () => {
    await create('moved', expiring(3));
    await create('renewed', expiring(3));
    await create('put-off', expiring(20));
    await jobs.jobRuns();
    for (const name of ['moved', 'renewed', 'put-off'])
      expect([name, jobs.told(name)]).toEqual([name, [near]]);
    await patch('moved', { exp: 31 });
    await create('renewed', expiring(31));
    await setPolicy('put-off', { notify: 'P10D', expiry: 'P28D' });
    await jobs.jobRuns();
    for (const name of ['moved', 'renewed', 'put-off']) expect([name, jobs.told(name)]).toEqual([name, []]);
    await goOn(10);
    for (const name of ['moved', 'renewed', 'put-off'])
      expect([name, jobs.told(name)]).toEqual([name, [near]]);
    // Other attributes announce nothing anew, and a policy that says the same neither.
    await patch('moved', { enabled: false });
    await patch('moved', { enabled: true });
    await setPolicy('put-off', { notify: 'P10D', expiry: 'P29D' });
    await jobs.jobRuns();
    for (const name of ['moved', 'put-off']) expect([name, jobs.told(name)]).toEqual([name, []]);
  });

  test('nothing of a deleted key; what it missed when it is recovered', async () => {
    await create('away', expiring(31));
    ok(await jobs.call('DELETE', '/keys/away'));
    await goOn(2);
    expect(jobs.told('away')).toEqual([]);
    ok(await jobs.call('POST', '/deletedkeys/away/recover'));
    await jobs.jobRuns();
    expect(jobs.told('away')).toEqual([near]);
    ok(await jobs.call('DELETE', '/keys/away'));
    ok(await jobs.call('POST', '/deletedkeys/away/recover'));
    await jobs.jobRuns();
    expect(jobs.told('away')).toEqual([]);
  });
});

describe('a restart', () => {
  test('keeps what is due, and what has been announced', async () => {
    await create('kept', {}, { after: 'P7D' });
    await create('marked', expiring(20));
    await jobs.jobRuns();
    expect(jobs.told('marked')).toEqual([near]);
    await jobs.jump(5 * day);
    await jobs.restart();
    await jobs.jobRuns();
    expect([await versionsOf('kept'), jobs.told('marked')]).toEqual([1, []]);
    await goOn(2);
    expect(await versionsOf('kept')).toBe(2);
  });

  test('after a long time: what has become due meanwhile is done, once', async () => {
    await create('overdue', {}, { after: 'P7D', expiry: 'P28D' });
    await create('overdue-and-old', expiring(8));
    await jobs.jobRuns();
    jobs.told('overdue-and-old');
    await jobs.sleep(9 * day);
    await jobs.jobRuns();
    await jobs.jobRuns();
    expect(await versionsOf('overdue')).toBe(2);
    const { attributes } = ok(await jobs.call('GET', '/keys/overdue')).json;
    expect(attributes.exp).toBe(attributes.created + 28 * day);
    expect(jobs.told('overdue-and-old')).toEqual([expired]);
  });
});

describe('a key that cannot be rotated', () => {
  const failure = 'a key that is due cannot be seen to';

  test('does not hold up the others, is tried again, and is rotated when it can be', async () => {
    await create('hsm', { kty: 'EC-HSM' }, { after: 'P7D' });
    await create('hsm-near', { kty: 'EC-HSM', ...expiring(37) });
    await jobs.jump(60);
    await create('soft', {}, { after: 'P7D' });
    await jobs.jump(7 * day);
    await jobs.restart(undefined, { hsmKeys: 'refuse' });
    await jobs.jobRuns();
    expect([jobs.told('hsm'), jobs.told('hsm-near'), jobs.told('soft')]).toEqual([
      [failure],
      [near],
      ['key: rotated'],
    ]);
    await jobs.jobRuns();
    expect([jobs.told('hsm'), jobs.told('soft')]).toEqual([[failure], []]);
    expect([await versionsOf('hsm'), await versionsOf('soft')]).toEqual([1, 2]);
    expect([await jobs.rotations('hsm'), (await jobs.rotations('soft')).length]).toEqual([[], 1]);
    // It is as good as before, meanwhile.
    const digest = Buffer.alloc(32, 1).toString('base64url');
    ok(await jobs.call('POST', '/keys/hsm/sign', { alg: 'ES256', value: digest }));
    await jobs.restart();
    await jobs.jobRuns();
    expect([jobs.told('hsm'), await versionsOf('hsm')]).toEqual([['key: rotated'], 2]);
    expect(await jobs.rotations('hsm')).toHaveLength(1);
  });

  test('nor does one whose policy in the database is damaged', async () => {
    await create('damaged', {}, { after: 'P7D' });
    await jobs.jump(60);
    await create('sound', {}, { after: 'P7D' });
    await jobs.jump(7 * day);
    await jobs.restart(async () => {
      const damage = `update objects set detail = '{"policy":{"created":"then"}}' where name = ?`;
      expect(await jobs.server.alter(damage, 'damaged')).toBe(1);
    });
    await jobs.jobRuns();
    expect([jobs.told('damaged'), jobs.told('sound')]).toEqual([[failure], ['key: rotated']]);
    expect((await jobs.call('GET', '/keys/damaged')).status).toBe(200);
    ok(await jobs.call('DELETE', '/keys/damaged'));
  });
});

describe('an audit log that is full', () => {
  const isFailed = ({ message, fields }: { message: string; fields: object }) =>
    message === 'job failed' && 'job' in fields && fields.job === 'keys';

  test('stops rotation after the one that it cannot record, and it goes on when there is room', async () => {
    for (const name of ['first', 'second']) {
      await create(name, {}, { after: 'P7D' });
      await jobs.jump(60);
    }
    await jobs.jump(7 * day);
    // Nobody knows of it yet when the first has been rotated.
    jobs.whenTold('first', () => {
      jobs.faults.auditDisk = 'full';
    });
    await jobs.jobLogs(isFailed);
    await jobs.jobLogs(isFailed);
    expect([jobs.told('first'), jobs.told('second')]).toEqual([['key: rotated'], []]);
    jobs.faults.auditDisk = 'room';
    // A request finds out that there is room.
    while ((await jobs.call('GET', '/keys/first')).status !== 200);
    await jobs.jobRuns();
    expect([await versionsOf('first'), await versionsOf('second')]).toEqual([2, 2]);
    expect(await jobs.rotations('second')).toHaveLength(1);
    expect(await jobs.server.control('audit verify')).toMatchObject({ problems: [] });
  });
});
