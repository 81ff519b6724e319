/** Proves how orders with an issuer go on: step by step, put off, cancelled, by one process after the other. */
import { afterEach, describe, expect, test } from 'vitest';
import {
  type CertificateDomain,
  type CertificateDomainOptions,
  openCertificateDomain,
  outsideAuthority,
  quickPolicy,
} from '../../../test/support/certificate-domain.ts';
import {
  deleteElsewhere,
  enableElsewhere,
  issuing,
  letterBox,
  partOf,
  pendingOf,
  renewAt,
  rewriteHead,
  scripted,
  setTo,
  waiting,
  whats,
} from '../../../test/support/certificate-orders.ts';
import { noChoices } from '../../../test/support/key-domain.ts';
import { certificateActions as actions, keyActions } from '../../authorization/actions.ts';
import { Failure } from '../../core/errors.ts';
import { LeaseLost } from '../../storage/database.ts';
import { createObjectWriter } from '../../storage/objects.ts';
import type { ObjectWriter } from '../versioned/object-store.ts';
import { parseState } from './certificate-state.ts';
import { type IssuerProvider, OrderPostponed } from './issuer-provider.ts';
import { NotDelivered } from './notices.ts';

let opened: CertificateDomain | undefined;
afterEach(async () => {
  await opened?.close();
  opened = undefined;
});

function current(): CertificateDomain {
  if (opened === undefined) throw new Error('nothing is open');
  return opened;
}
const issue = issuing(current);

const ordered = quickPolicy({ issuer: { name: 'issuer' }, lifetimeActions: [renewAt(50)] });

/** A certificate `c` that was asked of the provider, which has not heard of it yet. */
async function orderWith(
  provider: IssuerProvider,
  options: Omit<CertificateDomainOptions, 'provider'> = {},
): Promise<CertificateDomain> {
  opened = await openCertificateDomain({ ...options, provider });
  await opened.setIssuer('issuer');
  await opened.create('c', ordered);
  return opened;
}

describe('an order', () => {
  test('goes on step by step, each from where the last one ended, and ends with a version', async () => {
    const { provider, orders } = scripted(waiting('one', 7), waiting('two', 9), issue);
    const domain = await orderWith(provider);
    await domain.setContacts('ops@example.com');
    expect(orders).toEqual([]);
    for (const seconds of [0, 7, 9]) {
      setTo(domain, domain.now() + seconds - 1);
      expect(await domain.runOrders()).toEqual([]);
      setTo(domain, domain.now() + 1);
      const isLast = seconds === 9;
      expect(whats(await domain.runOrders())).toEqual(isLast ? ['issued'] : []);
      // The key is kept no longer than it takes.
      expect((await domain.stored('c')).pending?.versions).toHaveLength(isLast ? 0 : 1);
    }
    expect(orders.map(({ state }) => state)).toEqual([undefined, 'one', 'two']);
    expect(orders[0]).toMatchObject({
      validityMonths: 12,
      contacts: ['ops@example.com'],
      issuer: { name: 'issuer', accountId: undefined },
      content: { subject: 'CN=quick' },
    });
    expect(await domain.runOrders()).toEqual([]);
    expect((await domain.get('c')).version.enabled).toBe(true);
  });

  test('that cannot go on is put off, longer each time, says why, and comes to its end', async () => {
    const away = (seconds?: number) => () => {
      throw new OrderPostponed('connection', 'The authority does not answer.', { seconds });
    };
    const { provider, orders } = scripted(waiting('one', 1), away(), away(), away(600), away(), issue);
    const domain = await orderWith(provider);
    await domain.runOrders();
    setTo(domain, domain.now() + 1);
    const waits: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      expect(await domain.runOrders()).toEqual([]);
      expect(await pendingOf(domain)).toMatchObject({
        status: 'inProgress',
        error: { code: 'connection', message: 'The authority does not answer.' },
      });
      const dueAt = (await domain.stored('c')).pending?.head.dueAt ?? 0;
      waits.push(dueAt - domain.now());
      setTo(domain, dueAt - 1);
      expect(await domain.runOrders()).toEqual([]);
      setTo(domain, dueAt);
    }
    expect(waits).toEqual([30, 60, 600, 240]);
    expect(whats(await domain.runOrders())).toEqual(['issued']);
    // Nothing of the state was lost on the way.
    expect(orders.slice(1).map(({ state }) => state)).toEqual(Array(5).fill('one'));
    expect(await pendingOf(domain)).toMatchObject({ status: 'completed', error: undefined });
  });

  test('that meets a defect is put off too, and the text of that is shown to nobody', async () => {
    const { provider, orders } = scripted();
    const domain = await orderWith(provider);
    expect(await domain.runOrders()).toEqual([]);
    expect(await domain.runOrders()).toEqual([]);
    expect(orders).toHaveLength(1);
    const { error } = await pendingOf(domain);
    expect(error?.code).toBe('internalError');
    expect(JSON.stringify(error)).not.toContain('foreseen');
    expect(domain.warnings).toEqual(['a certificate cannot be issued yet']);
  });

  test('that brings a certificate for another key has failed', async () => {
    const { provider, abandoned } = scripted(waiting('one'), async (order) => {
      const [leaf, root] = await (await outsideAuthority(current().clock)).issue(order);
      if (leaf === undefined || root === undefined) throw new Error('a chain of two');
      return { kind: 'issued', chain: [root, leaf] };
    });
    const domain = await orderWith(provider);
    await domain.runOrders();
    expect(whats(await domain.runOrders())).toEqual(['notIssued']);
    expect(await pendingOf(domain)).toMatchObject({
      status: 'failed',
      error: { code: 'Invalid certificate' },
    });
    expect(abandoned.map(({ state }) => state)).toEqual(['one']);
    const { certificate, key, secret, pending } = await domain.stored('c');
    expect([key, secret, pending?.versions]).toEqual([undefined, undefined, []]);
    expect(certificate?.versions.map(({ enabled }) => enabled)).toEqual([false]);
  });

  test.each([
    ['no certificate', []],
    ['what is none', [Buffer.from('no certificate')]],
  ])('that brings %s has failed', async (_what, chain) => {
    const { provider } = scripted(() => ({ kind: 'issued', chain }));
    const domain = await orderWith(provider);
    expect(whats(await domain.runOrders())).toEqual(['notIssued']);
    expect((await pendingOf(domain)).status).toBe('failed');
  });

  test('whose request is another in the database than the one that was made is not sent', async () => {
    const { provider, orders } = scripted();
    const domain = await orderWith(provider);
    const { csr } = await pendingOf(domain);
    const theirs = await domain.create('theirs', quickPolicy({ issuer: { name: 'Unknown' } }));
    await rewriteHead(domain, 'pendingcertificates', (text) => text.replace(csr, theirs.csr));
    expect(await domain.runOrders()).toEqual([]);
    expect(orders).toEqual([]);
    expect((await pendingOf(domain)).error?.code).toBe('internalError');
  });

  test.each([
    ['names', 'CN=quick', 'CN=bank.example.com'],
    ['validity', '"validityMonths":12', '"validityMonths":120'],
    ['rights', '"ca":false', '"ca":true'],
    ['issuer', '"name":"issuer"', '"name":"Self"'],
  ])('whose %s are others in the database than were asked for is not sent', async (_what, was, is) => {
    const { provider, orders } = scripted();
    const domain = await orderWith(provider);
    await rewriteHead(domain, 'pendingcertificates', (text) => text.replace(was, is));
    expect(await domain.runOrders()).toEqual([]);
    expect(orders).toEqual([]);
    expect((await pendingOf(domain)).error?.code).toBe('internalError');
    const { certificate } = await domain.stored('c');
    expect(certificate?.versions.map(({ enabled }) => enabled)).toEqual([false]);
  });

  test('fails where its issuer is disabled by then', async () => {
    const { provider, orders } = scripted();
    const domain = await orderWith(provider);
    await domain.setIssuer('issuer', false);
    expect(whats(await domain.runOrders())).toEqual(['notIssued']);
    expect((await pendingOf(domain)).error?.code).toBe('IssuerDisabled');
    expect(orders).toEqual([]);
  });

  test('that is cancelled goes no further, and its provider is told once', async () => {
    const { provider, orders, abandoned } = scripted(waiting('one'));
    const domain = await orderWith(provider);
    await domain.runOrders();
    const grant = domain.grant(actions.update, 'c');
    const cancelled = { status: 'cancelled', cancellationRequested: true };
    expect(await domain.pending.cancel(grant, true)).toMatchObject(cancelled);
    expect(await domain.pending.cancel(grant, true)).toMatchObject(cancelled);
    expect(await domain.runOrders()).toEqual([]);
    expect(orders).toHaveLength(1);
    expect(abandoned.map(({ state }) => state)).toEqual(['one']);
    expect((await domain.stored('c')).pending?.versions).toEqual([]);
  });

  test.each([
    ['goes on', () => ({ kind: 'waiting', state: 'two', seconds: 0 }) as const, 'two'],
    ['cannot go on', () => Promise.reject(new OrderPostponed('busy', 'not now')), 'one'],
  ])('that is cancelled while its provider %s leaves nothing up', async (_what, end, last) => {
    const { provider, abandoned } = scripted(waiting('one'), async () => {
      const { elsewhere, grant } = current();
      await elsewhere.pending.cancel(grant(actions.update, 'c'), true);
      return end();
    });
    const domain = await orderWith(provider);
    await domain.runOrders();
    await domain.runOrders();
    expect(abandoned.map(({ state }) => state)).toEqual(['one', last]);
    expect(await pendingOf(domain)).toMatchObject({ status: 'cancelled', error: undefined });
  });

  test('that is deleted is cancelled first, and the one after it as well', async () => {
    const { provider, abandoned } = scripted(waiting('one'), waiting('two'));
    const domain = await orderWith(provider);
    await domain.runOrders();
    const grant = domain.grant(actions.update, 'c');
    // After the cancellation and before the removal another one begins, and is on its way.
    domain.whileWriting(async () => {
      domain.whileWriting(async () => {
        const create = domain.grant(actions.create, 'c');
        const more = { enabled: undefined, tags: undefined, preserveCertOrder: undefined };
        await domain.elsewhere.certificates.create(create, { ...more, policy: ordered });
        await domain.runOrders({ writer: createObjectWriter(domain.domain.data.db) });
      });
    });
    await domain.pending.delete(grant);
    expect(abandoned.map(({ state }) => state)).toEqual(['one', 'two']);
    expect((await domain.stored('c')).pending).toBeUndefined();
    await expect(domain.pending.delete(grant)).rejects.toMatchObject({ kind: 'pendingCertificateNotFound' });
  });

  test.each([
    [
      'cancelled',
      ({ elsewhere, grant }: CertificateDomain) => elsewhere.pending.cancel(grant(actions.update, 'c'), true),
    ],
    [
      'deleted',
      ({ elsewhere, grant }: CertificateDomain) => elsewhere.pending.delete(grant(actions.update, 'c')),
    ],
    ['deleted with its certificate', deleteElsewhere],
  ])('that is %s while its provider issues gives no version', async (_what, meanwhile) => {
    const { provider } = scripted(async (order) => {
      const step = await issue(order);
      await meanwhile(current());
      return step;
    });
    const domain = await orderWith(provider);
    expect(await domain.runOrders()).toEqual([]);
    const { key, secret, certificate } = await domain.stored('c');
    expect([key, secret]).toEqual([undefined, undefined]);
    expect(certificate?.versions.map(({ enabled }) => enabled)).toEqual([false]);
  });

  test('of a certificate that is deleted is abandoned, and begins anew where that is recovered', async () => {
    const { provider, orders, abandoned } = scripted(waiting('one'), waiting('two'));
    const domain = await orderWith(provider);
    await domain.runOrders();
    await deleteElsewhere(domain);
    // Before a purge, however it comes: nothing is up any more that it would have to take away.
    expect(abandoned.map(({ state }) => state)).toEqual(['one']);
    expect(await domain.runOrders()).toEqual([]);
    await expect(pendingOf(domain)).rejects.toMatchObject({ kind: 'pendingCertificateNotFound' });
    await domain.certificates.recover(domain.grant(actions.recover, 'c'));
    await domain.runOrders();
    expect(orders.map(({ state }) => state)).toEqual([undefined, undefined]);
    expect((await pendingOf(domain)).csr).not.toBe('');
    expect(abandoned).toHaveLength(1);
  });

  test('is abandoned where its vault is purged, and no other', async () => {
    const { provider, abandoned } = scripted(waiting('one'), issue);
    const domain = await orderWith(provider);
    await domain.runOrders();
    await domain.create('done', ordered);
    await domain.create('byhand', quickPolicy({ issuer: { name: 'Unknown' } }));
    setTo(domain, domain.now() + 1);
    await domain.abandonOrders();
    expect(abandoned.map(({ state }) => state)).toEqual(['one']);
  });

  test('that somebody ends by a certificate of his own leaves nothing up', async () => {
    const { provider, abandoned } = scripted(waiting('one'));
    const domain = await orderWith(provider);
    await domain.runOrders();
    const request = Buffer.from((await pendingOf(domain)).csr, 'base64');
    const sans = { emails: [], dnsNames: [], upns: [], uris: [], ipAddresses: [] };
    const content = { subject: 'CN=quick', sans, keyUsage: [], ekus: [], ca: false };
    const chain = await (await outsideAuthority(domain.clock)).issue({ request, content });
    await domain.pending.merge(domain.grant(actions.create, 'c'), {
      ...{ enabled: undefined, tags: undefined },
      x5c: chain.map((der) => Buffer.from(der).toString('base64')),
    });
    expect(abandoned.map(({ state }) => state)).toEqual(['one']);
  });

  test('whose provider says what went wrong shows it until the next step', async () => {
    const why = { code: 'connection', message: 'nobody there' };
    const { provider } = scripted(() => ({ kind: 'waiting', state: 'one', seconds: 0, why }), waiting('two'));
    const domain = await orderWith(provider);
    await domain.runOrders();
    expect(await pendingOf(domain)).toMatchObject({ status: 'inProgress', error: why });
    await domain.runOrders();
    expect((await pendingOf(domain)).error).toBeUndefined();
  });

  test('waits where somebody has made a key of its name, and goes on when that is gone', async () => {
    const { provider } = scripted(issue, issue);
    const domain = await orderWith(provider);
    const { keys } = domain.domain.core.keys;
    const spec = { type: 'EC', curve: 'P-256' } as const;
    await keys.create(domain.grant(keyActions.create, 'c', 'keys'), { ...noChoices, spec });
    expect(await domain.runOrders()).toEqual([]);
    expect((await pendingOf(domain)).error).toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('belongs to no certificate'),
    });
    await keys.delete(domain.grant(keyActions.delete, 'c', 'keys'));
    await keys.purge(domain.grant(keyActions.purge, 'c', 'keys'));
    setTo(domain, domain.now() + 30);
    expect(whats(await domain.runOrders())).toEqual(['issued']);
  });
});

describe('renewal with an issuer', () => {
  /** The certificate `c`, at the time when it is to be renewed. */
  async function dueWith(
    provider: IssuerProvider,
    options: Omit<CertificateDomainOptions, 'provider'> = {},
  ): Promise<CertificateDomain> {
    const domain = await orderWith(provider, options);
    expect(whats(await domain.runOrders())).toEqual(['issued']);
    setTo(domain, partOf(await domain.get('c'), 50));
    return domain;
  }

  test('goes its way with the other orders, while the old version serves', async () => {
    const { provider, orders } = scripted(issue, waiting('one'), issue);
    const domain = await dueWith(provider);
    const old = await domain.get('c');
    expect(whats(await domain.runCertificates())).toEqual(['renewing']);
    // Begun once, and no step of it is done by two.
    expect(await domain.runCertificates()).toEqual([]);
    expect(orders).toHaveLength(1);
    expect((await domain.get('c')).version).toEqual(old.version);
    expect(await domain.runOrders()).toEqual([]);
    expect(await pendingOf(domain)).toMatchObject({ status: 'inProgress' });
    expect(whats(await domain.runOrders())).toEqual(['issued']);
    expect(await domain.versionsOf('c')).toHaveLength(2);
    expect((await domain.get('c')).version.version).not.toBe(old.version.version);
  });

  test.each([
    [
      'put off',
      () => Promise.reject(new OrderPostponed('away', 'Nobody\r\nanswers.')),
      /away: Nobody answers\./,
    ],
    ['kept waiting', waiting('one', 3600), /has not issued a new version yet/],
  ])('that is only ever %s is told of once, when half of its time is over', async (_what, again, reason) => {
    const { letters, mailer } = letterBox();
    const { provider } = scripted(issue, ...Array<typeof again>(3).fill(again), issue);
    const domain = await dueWith(provider, { mailer });
    await domain.setContacts('ops@example.com');
    const old = await domain.get('c');
    expect(whats(await domain.runCertificates())).toEqual(['renewing']);
    expect(whats(await domain.runOrders())).toEqual([]);
    // It is renewed after half of its life, and told of after three quarters.
    setTo(domain, partOf(old, 75) - 1);
    expect(whats(await domain.runOrders())).toEqual([]);
    expect(whats(await domain.runCertificates())).toEqual(['nearExpiry']);
    setTo(domain, partOf(old, 75));
    expect(whats(await domain.runCertificates())).toEqual(['stalled']);
    expect(letters.map(({ to }) => to)).toEqual([['ops@example.com']]);
    expect(letters[0]?.subject).toContain('Certificate c is not renewed yet');
    expect(letters[0]?.text).toMatch(reason);
    setTo(domain, partOf(old, 90));
    expect(whats(await domain.runOrders())).toEqual([]);
    expect(await domain.runCertificates()).toEqual([]);
    expect(letters).toHaveLength(1);
    setTo(domain, domain.now() + 3600);
    expect(whats(await domain.runOrders())).toEqual(['issued']);
  });

  test('that nobody could be told of yet is told of later', async () => {
    const refusals: Error[] = [new NotDelivered('away', { postponed: ['ops@example.com'], refused: [] })];
    const { letters, mailer } = letterBox(() => refusals.shift());
    const { provider } = scripted(issue, waiting('one'));
    const domain = await dueWith(provider, { mailer });
    await domain.setContacts('ops@example.com');
    await domain.runCertificates();
    setTo(domain, partOf(await domain.get('c'), 75));
    expect(whats(await domain.runCertificates())).toEqual(['nearExpiry']);
    setTo(domain, domain.now() + 899);
    expect(whats(await domain.runCertificates())).not.toContain('stalled');
    setTo(domain, domain.now() + 1);
    expect(whats(await domain.runCertificates())).toEqual(['stalled']);
    expect(letters).toHaveLength(1);
  });

  test('that has begun late is given an hour before anybody is told of it', async () => {
    const { letters, mailer } = letterBox();
    const { provider } = scripted(issue, waiting('one'));
    const domain = await dueWith(provider, { mailer });
    await domain.setContacts('ops@example.com');
    setTo(domain, partOf(await domain.get('c'), 95));
    expect(whats(await domain.runCertificates())).toEqual(['nearExpiry', 'renewing']);
    setTo(domain, domain.now() + 3599);
    expect(await domain.runCertificates()).toEqual([]);
    setTo(domain, domain.now() + 1);
    expect(whats(await domain.runCertificates())).toEqual(['stalled']);
    expect(letters).toHaveLength(1);
  });

  test('that fails is tried again later, and contacts are told of each failure', async () => {
    const { letters, mailer } = letterBox();
    const refused = () => ({ kind: 'failed', code: 'rejected', message: 'Not for\r\nyou.' }) as const;
    const { provider } = scripted(issue, refused, refused, issue);
    const domain = await dueWith(provider, { mailer });
    await domain.setContacts('ops@example.com');
    const old = await domain.get('c');
    for (const wait of [1800, 3600]) {
      expect(whats(await domain.runCertificates())).toEqual(['renewing']);
      expect(whats(await domain.runOrders())).toEqual(['notIssued']);
      expect(await pendingOf(domain)).toMatchObject({ status: 'failed', error: { code: 'rejected' } });
      const again = (await domain.stored('c')).certificate?.head.dueAt ?? 0;
      expect(again - domain.now()).toBe(wait);
      expect(letters.at(-1)?.text).toContain('rejected: Not for you.');
      setTo(domain, again - 1);
      expect(await domain.runCertificates()).toEqual([]);
      setTo(domain, again);
    }
    expect(letters).toHaveLength(2);
    expect((await domain.get('c')).version).toEqual(old.version);
    expect(whats(await domain.runCertificates())).toEqual(['renewing']);
    expect(whats(await domain.runOrders())).toEqual(['issued']);
    const state = parseState((await domain.stored('c')).certificate?.head.detail);
    expect(state).toMatchObject({ failures: 0, renewAfter: undefined, pending: 'ended' });
  });

  test('that brings what is to be renewed at once comes again later, and less often each time', async () => {
    const stale = issuing(() => {
      const { clock, ...rest } = current();
      // Ninety days from then on, of which more than half are over.
      return { ...rest, clock: { ...clock, now: () => clock.now() - 50 * 86_400_000 } };
    });
    const { provider } = scripted(issue, stale, stale, issue);
    const domain = await dueWith(provider);
    for (const wait of [1800, 3600]) {
      expect(whats(await domain.runCertificates())).toEqual(['renewing']);
      expect(whats(await domain.runOrders())).toEqual(['issued']);
      const again = (await domain.stored('c')).certificate?.head.dueAt ?? 0;
      expect(again - domain.now()).toBe(wait);
      setTo(domain, again - 1);
      expect(await domain.runCertificates()).toEqual([]);
      setTo(domain, again);
    }
    expect(whats(await domain.runCertificates())).toEqual(['renewing']);
    expect(whats(await domain.runOrders())).toEqual(['issued']);
    const state = parseState((await domain.stored('c')).certificate?.head.detail);
    expect(state).toMatchObject({ failures: 0, renewAfter: undefined });
  });

  test('that is cancelled is put off as well', async () => {
    const { provider } = scripted(issue, waiting('one'));
    const domain = await dueWith(provider);
    await domain.runCertificates();
    await domain.runOrders();
    await domain.pending.cancel(domain.grant(actions.update, 'c'), true);
    expect(await domain.runCertificates()).toEqual([]);
    setTo(domain, domain.now() + 1800);
    expect(whats(await domain.runCertificates())).toEqual(['renewing']);
  });

  test('of what is disabled while it is under way makes no enabled version', async () => {
    const { provider } = scripted(issue, waiting('one'), issue);
    const domain = await dueWith(provider);
    await domain.runCertificates();
    await domain.runOrders();
    await enableElsewhere(domain, false);
    expect(whats(await domain.runOrders())).toEqual(['issued']);
    const { certificate, key, secret } = await domain.stored('c');
    for (const object of [certificate, key, secret])
      expect(object?.versions.map(({ enabled }) => enabled)).toEqual([false, false]);
  });

  test('does not come while another operation is in progress', async () => {
    const { provider } = scripted(issue, waiting('one', 100_000));
    const domain = await dueWith(provider);
    await domain.create('c', ordered);
    expect(await domain.runCertificates()).toEqual([]);
    expect(await domain.versionsOf('c')).toHaveLength(1);
  });
});

describe('a process that does not lead any more', () => {
  /** A store in which every write is refused, as after the lease was lost. */
  function fencedOff({ domain }: CertificateDomain, error: () => Error): ObjectWriter {
    return createObjectWriter({ read: domain.data.db.read, write: () => Promise.reject(error()) });
  }

  test.each([
    ['the lease is lost', () => new LeaseLost('jobs')],
    ['storage is away', () => new Failure('unavailable', 'away')],
  ])(
    'takes no step but the one that it is in when %s, and who leads takes that again',
    async (_what, error) => {
      const { provider, orders } = scripted(waiting('lost'), waiting('a'), waiting('b'));
      const domain = await orderWith(provider);
      await domain.create('d', ordered);
      await expect(domain.runOrders({ writer: fencedOff(domain, error) })).rejects.toThrow();
      expect(orders).toHaveLength(1);
      expect(await domain.runOrders()).toEqual([]);
      expect(orders.map(({ state }) => state)).toEqual([undefined, undefined, undefined]);
      expect((await domain.stored('c')).pending?.head.detail).toContain('"order":"a"');
    },
  );

  test('begins no renewal', async () => {
    const domain = await openCertificateDomain();
    opened = domain;
    await domain.create('c', quickPolicy({ lifetimeActions: [renewAt(50)] }));
    setTo(domain, partOf(await domain.get('c'), 50));
    const writer = fencedOff(domain, () => new LeaseLost('jobs'));
    await expect(domain.runCertificates({ writer })).rejects.toThrow(LeaseLost);
    expect(await domain.versionsOf('c')).toHaveLength(1);
    expect(whats(await domain.runCertificates())).toEqual(['renewing', 'issued']);
  });
});
