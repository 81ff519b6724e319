/** Proves what jobs do with certificates: by what is in the store afterwards, on a clock that only the test moves. */
import { afterEach, describe, expect, test } from 'vitest';
import {
  type CertificateDomain,
  type CertificateDomainOptions,
  openCertificateDomain,
  outsideAuthority,
  quickPolicy,
} from '../../../test/support/certificate-domain.ts';
import {
  dates,
  deleteElsewhere,
  enableElsewhere,
  letterBox,
  mailAt,
  partOf,
  renewAt,
  rewriteHead,
  setTo,
  whats,
} from '../../../test/support/certificate-orders.ts';
import { certificateActions as actions } from '../../authorization/actions.ts';
import type { CertificateOrder } from './issuer-provider.ts';
import { NotDelivered } from './notices.ts';

const day = 86_400;

let opened: CertificateDomain | undefined;
afterEach(async () => {
  await opened?.close();
  opened = undefined;
});

async function open(options: CertificateDomainOptions = {}): Promise<CertificateDomain> {
  opened = await openCertificateDomain(options);
  return opened;
}

const renewBefore = (daysBeforeExpiry: number) => ({ trigger: { daysBeforeExpiry }, type: 'AutoRenew' });

/** The public key of the current or an older version, as the linked key says. */
async function publicKeyOf(domain: CertificateDomain, name: string, version?: string): Promise<unknown> {
  const { key } = await domain.stored(name);
  const found = key?.versions.find((each) => each.version === (version ?? key.head.currentVersion));
  return JSON.parse(found?.detail ?? 'null').jwk;
}

describe('renewal of what signs itself', () => {
  test('comes after a part of the lifetime, not a second before, and the old version stays valid', async () => {
    const domain = await open();
    await domain.create('c', quickPolicy({ lifetimeActions: [renewAt(80)] }));
    const old = await domain.get('c');
    setTo(domain, partOf(old, 80) - 1);
    expect(await domain.runCertificates()).toEqual([]);
    setTo(domain, partOf(old, 80));
    const done = await domain.runCertificates();
    const next = await domain.get('c');
    expect(done).toEqual([
      { name: 'c', version: next.version.version, what: 'renewing' },
      { name: 'c', version: next.version.version, what: 'issued' },
    ]);
    expect(next.version.version).not.toBe(old.version.version);
    expect([next.version.enabled, next.hasPending]).toEqual([true, true]);
    expect(dates(next)).toEqual({ notBefore: domain.now() - 600, expires: expect.any(Number) });
    expect(next.version.expires).toBeGreaterThan(old.version.expires ?? 0);
    // The version before is as it was, certificate, key and secret.
    const before = await domain.get('c', old.version.version);
    expect(before).toMatchObject({ cer: old.cer, version: { enabled: true, ...dates(old) } });
    const { key, secret } = await domain.stored('c');
    for (const object of [key, secret])
      expect(object?.versions.map(({ version }) => version).sort()).toEqual(
        [old.version.version, next.version.version].sort(),
      );
    // Done once: the new version's own time is in the future.
    expect(await domain.runCertificates()).toEqual([]);
    expect(await publicKeyOf(domain, 'c')).not.toEqual(await publicKeyOf(domain, 'c', old.version.version));
  });

  test('comes so many days before the end', async () => {
    const domain = await open();
    await domain.create('c', quickPolicy({ lifetimeActions: [renewBefore(40)] }));
    const old = await domain.get('c');
    setTo(domain, dates(old).expires - 40 * day - 1);
    expect(await domain.runCertificates()).toEqual([]);
    setTo(domain, dates(old).expires - 40 * day);
    expect(whats(await domain.runCertificates())).toEqual(['renewing', 'issued']);
    expect(await domain.versionsOf('c')).toHaveLength(2);
  });

  test('keeps tags, and what the policy says at that time', async () => {
    const domain = await open();
    await domain.create('c', quickPolicy({ lifetimeActions: [renewAt(50)] }));
    const old = await domain.get('c');
    await domain.certificates.update(domain.grant(actions.update, 'c'), {
      ...{ version: undefined, enabled: undefined },
      tags: { owner: 'web' },
      policy: { x509: { subject: 'CN=later' } },
    });
    setTo(domain, partOf(old, 50));
    await domain.runCertificates();
    const next = await domain.get('c');
    expect([next.subject, next.version.tags]).toEqual(['CN=later', { owner: 'web' }]);
    expect(await domain.versionsOf('c')).toHaveLength(2);
  });

  test('of a disabled certificate does not come; once enabled it does', async () => {
    const domain = await open();
    await domain.create('c', quickPolicy({ lifetimeActions: [renewAt(50)] }));
    const old = await domain.get('c');
    const enable = (enabled: boolean) =>
      domain.certificates.update(domain.grant(actions.update, 'c'), {
        ...{ version: undefined, tags: undefined, policy: undefined },
        enabled,
      });
    await enable(false);
    setTo(domain, partOf(old, 99));
    expect(await domain.runCertificates()).toEqual([]);
    await enable(true);
    expect(whats(await domain.runCertificates())).toEqual(['nearExpiry', 'renewing', 'issued']);
  });

  test('of a deleted certificate does not come; of one that was recovered it does', async () => {
    const domain = await open();
    await domain.create('c', quickPolicy({ lifetimeActions: [renewAt(50)] }));
    const old = await domain.get('c');
    await domain.certificates.delete(domain.grant(actions.delete, 'c'));
    setTo(domain, partOf(old, 60));
    expect(await domain.runCertificates()).toEqual([]);
    await domain.certificates.recover(domain.grant(actions.recover, 'c'));
    expect(whats(await domain.runCertificates())).toEqual(['renewing', 'issued']);
  });

  test.each([
    ['disabled', (domain: CertificateDomain) => enableElsewhere(domain, false)],
    ['deleted', deleteElsewhere],
  ])('does not come where the certificate is %s before it has begun', async (_what, meanwhile) => {
    for (const writesBefore of [0, 1]) {
      const domain = await open();
      await domain.create('c', quickPolicy({ lifetimeActions: [renewAt(50)] }));
      setTo(domain, partOf(await domain.get('c'), 60));
      // First it is written that the job has looked, then that a renewal has begun, whose key is made before that.
      domain.whileWriting(async () => {
        if (writesBefore === 0) await meanwhile(domain);
        else domain.whileWriting(() => meanwhile(domain));
      });
      expect(await domain.runCertificates()).toEqual([]);
      const { certificate, pending } = await domain.stored('c');
      expect(certificate?.versions).toHaveLength(1);
      expect(pending?.head.detail).toContain('"status":"completed"');
      await domain.close();
      opened = undefined;
    }
  });

  test('of one that cannot even begin is put off, longer each time, and does not hold up the others', async () => {
    const { letters, mailer } = letterBox();
    const domain = await open({ mailer });
    await domain.setContacts('ops@example.com');
    const policy = quickPolicy({ lifetimeActions: [renewAt(50)] });
    await domain.create('a', { ...policy, key: { ...policy.key, exportable: false, reuse: true } });
    await domain.create('b', policy);
    // What was never to leave the server cannot become exportable.
    await domain.certificates.updatePolicy(domain.grant(actions.update, 'a'), { key: { exportable: true } });
    setTo(domain, partOf(await domain.get('a'), 60));
    const done = await domain.runCertificates();
    expect(done.map(({ name, what }) => `${name} ${what}`)).toEqual(['a failed', 'b renewing', 'b issued']);
    expect(letters.map(({ subject }) => subject)).toEqual([
      expect.stringContaining('Certificate a could not be renewed'),
    ]);
    const waits: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const { certificate } = await domain.stored('a');
      const dueAt = certificate?.head.dueAt ?? 0;
      waits.push(dueAt - domain.now());
      setTo(domain, dueAt - 1);
      expect(await domain.runCertificates()).toEqual([]);
      setTo(domain, dueAt);
      expect(whats(await domain.runCertificates())).toEqual(['failed']);
    }
    expect(waits).toEqual([30, 60, 120]);
    // Its contacts are told once.
    expect(letters).toHaveLength(1);
    expect(await domain.versionsOf('a')).toHaveLength(1);
  });
});

describe('a key that is used again', () => {
  test('is the same in the new version', async () => {
    const domain = await open();
    const policy = quickPolicy({ lifetimeActions: [renewAt(50)] });
    await domain.create('c', { ...policy, key: { ...policy.key, reuse: true } });
    const old = await domain.get('c');
    const pem = await domain.secret('c');
    setTo(domain, partOf(old, 50));
    expect(whats(await domain.runCertificates())).toEqual(['renewing', 'issued']);
    expect(await publicKeyOf(domain, 'c')).toEqual(await publicKeyOf(domain, 'c', old.version.version));
    expect(await domain.secret('c')).not.toBe(pem);
  });

  test('is another where the policy asks for another kind by then', async () => {
    const domain = await open();
    const policy = quickPolicy({ lifetimeActions: [renewAt(50)] });
    await domain.create('c', { ...policy, key: { ...policy.key, reuse: true } });
    const old = await domain.get('c');
    await domain.certificates.updatePolicy(domain.grant(actions.update, 'c'), { key: { curve: 'P-384' } });
    setTo(domain, partOf(old, 50));
    await domain.runCertificates();
    expect(await publicKeyOf(domain, 'c')).toMatchObject({ crv: 'P-384' });
  });

  test('does not leave the server because a row of the database says that it may', async () => {
    const domain = await open();
    const policy = quickPolicy({ lifetimeActions: [renewAt(50)], contentType: 'application/x-pem-file' });
    await domain.create('c', { ...policy, key: { ...policy.key, reuse: true, exportable: false } });
    const old = await domain.get('c');
    expect(await domain.secret('c')).not.toContain('PRIVATE KEY');
    await rewriteHead(domain, 'certificates', (text) =>
      text.replace('"exportable":false', '"exportable":true'),
    );
    setTo(domain, partOf(old, 50));
    expect(whats(await domain.runCertificates())).toEqual(['failed']);
    expect(await domain.versionsOf('c')).toHaveLength(1);
    expect(await domain.secret('c')).not.toContain('PRIVATE KEY');
  });

  test('nor that of an operation that is under way', async () => {
    const domain = await open();
    const policy = quickPolicy({ issuer: { name: 'Unknown' }, contentType: 'application/x-pem-file' });
    const begun = await domain.create('c', { ...policy, key: { ...policy.key, exportable: false } });
    await rewriteHead(domain, 'pendingcertificates', (text) =>
      text.replace('"exportable":false', '"exportable":true'),
    );
    const authority = await outsideAuthority(domain.clock);
    const request = Buffer.from(begun.csr, 'base64');
    const content = await contentFor();
    const chain = await authority.issue({ request, content });
    const merged = domain.pending.merge(domain.grant(actions.create, 'c'), {
      ...{ enabled: undefined, tags: undefined },
      x5c: chain.map((der) => Buffer.from(der).toString('base64')),
    });
    await expect(merged).rejects.toThrow('what was sealed');
    expect((await domain.stored('c')).secret).toBeUndefined();
  });

  async function contentFor(): Promise<CertificateOrder['content']> {
    const sans = { emails: [], dnsNames: [], upns: [], uris: [], ipAddresses: [] };
    return { subject: 'CN=quick', sans, keyUsage: ['digitalSignature'], ekus: [], ca: false };
  }
});

describe('letters to contacts', () => {
  test('go out once, when their time has come', async () => {
    const { letters, mailer } = letterBox();
    const domain = await open({ mailer });
    await domain.setContacts('a@example.com', 'b@example.com');
    await domain.create('c', quickPolicy({ lifetimeActions: [mailAt(50)] }));
    const certificate = await domain.get('c');
    setTo(domain, partOf(certificate, 50) - 1);
    expect(await domain.runCertificates()).toEqual([]);
    setTo(domain, partOf(certificate, 50));
    expect(whats(await domain.runCertificates())).toEqual(['mailed']);
    expect(await domain.runCertificates()).toEqual([]);
    const [letter] = letters;
    expect(letters).toHaveLength(1);
    expect(letter?.to).toEqual(['a@example.com', 'b@example.com']);
    expect(letter?.text).toContain('certificates.vault.example.com');
    expect(letter?.text).toContain('will not be renewed automatically');
    expect(letter?.id).toBe(`<expiry.c.${certificate.version.version}@certificates.vault.example.com>`);
    // Of the end nobody is told by letter; both are marked once.
    setTo(domain, dates(certificate).expires - 30 * day);
    expect(whats(await domain.runCertificates())).toEqual(['nearExpiry']);
    setTo(domain, dates(certificate).expires);
    expect(whats(await domain.runCertificates())).toEqual(['expired']);
    expect(await domain.runCertificates()).toEqual([]);
    expect(letters).toHaveLength(1);
  });

  test('that do not go out are tried again, until they do', async () => {
    const refusals = [
      new NotDelivered('away', { postponed: ['a@example.com'], refused: [] }),
      new TypeError('x'),
    ];
    const { letters, mailer } = letterBox(() => refusals.shift());
    const domain = await open({ mailer });
    await domain.setContacts('a@example.com');
    await domain.create('c', quickPolicy({ lifetimeActions: [mailAt(50)] }));
    setTo(domain, partOf(await domain.get('c'), 50));
    expect(await domain.runCertificates()).toEqual([]);
    expect(await domain.runCertificates()).toEqual([]);
    expect(refusals).toHaveLength(1);
    setTo(domain, domain.now() + 900);
    expect(await domain.runCertificates()).toEqual([]);
    setTo(domain, domain.now() + 900);
    expect(whats(await domain.runCertificates())).toEqual(['mailed']);
    expect(letters).toHaveLength(1);
    expect(domain.warnings).toHaveLength(2);
  });

  test('whose addresses are refused for good are not sent for ever', async () => {
    const { letters, mailer } = letterBox(
      () => new NotDelivered('no', { postponed: [], refused: ['a@example.com'] }),
    );
    const domain = await open({ mailer });
    await domain.setContacts('a@example.com');
    await domain.create('c', quickPolicy({ lifetimeActions: [mailAt(50)] }));
    setTo(domain, partOf(await domain.get('c'), 50));
    expect(whats(await domain.runCertificates())).toEqual(['mailed']);
    expect(await domain.runCertificates()).toEqual([]);
    expect(letters).toEqual([]);
  });

  test('that cannot be sent keep no certificate from being renewed', async () => {
    const { mailer } = letterBox(() => new Error('a defect of the relay'));
    const domain = await open({ mailer });
    await domain.setContacts('a@example.com');
    await domain.create('c', quickPolicy({ lifetimeActions: [mailAt(50), renewAt(60)] }));
    setTo(domain, partOf(await domain.get('c'), 60));
    expect(whats(await domain.runCertificates())).toEqual(['renewing', 'issued']);
  });

  test('are for nobody where there are no contacts', async () => {
    const { letters, mailer } = letterBox();
    const domain = await open({ mailer });
    await domain.create('c', quickPolicy({ lifetimeActions: [mailAt(50)] }));
    setTo(domain, partOf(await domain.get('c'), 50));
    await domain.runCertificates();
    expect(await domain.runCertificates()).toEqual([]);
    expect(letters).toEqual([]);
  });
});
