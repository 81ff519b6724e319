/**
 * Proves that a certificate, its key, its secret and its pending operation are one thing to whoever comes when: after
 * every operation, in every mixture of them from two processes, and where the process ends between two writes.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type CertificateDomain,
  noChoices,
  openCertificateDomain,
  outsideAuthority,
  quickPolicy,
  type Served,
} from '../../../test/support/certificate-domain.ts';
import {
  issuing,
  partOf,
  renewAt,
  scripted,
  setTo,
  waiting,
} from '../../../test/support/certificate-orders.ts';
import { randomFrom } from '../../../test/support/history.ts';
import { noChoices as noKeyChoices } from '../../../test/support/key-domain.ts';
import { expectWhole } from '../../../test/support/whole-certificates.ts';
import { certificateActions as actions, keyActions, secretActions } from '../../authorization/actions.ts';
import { isFailure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { createObjectReader, createObjectWriter } from '../../storage/objects.ts';
import { purgeDue } from '../versioned/due.ts';
import type { ObjectWriter } from '../versioned/object-store.ts';
import type { Certificates, PendingCertificates } from './certificate-types.ts';

const day = 86_400;
const unknown = quickPolicy({ issuer: { name: 'Unknown' } });

let domain: CertificateDomain;
beforeEach(async () => {
  domain = await openCertificateDomain();
});
afterEach(() => domain.close());

const remove = (name = 'c') => domain.certificates.delete(domain.grant(actions.delete, name));
const recover = (name = 'c') => domain.certificates.recover(domain.grant(actions.recover, name));
const purge = (name = 'c') => domain.certificates.purge(domain.grant(actions.purge, name));
const everything = async (name = 'c') => expectWhole(await domain.stored(name));

function purgeJob(writer?: ObjectWriter): Promise<number> {
  const { data } = domain.domain;
  const reader = createObjectReader(data.db);
  const { clock, vault } = domain;
  return purgeDue({ reader, writer: writer ?? createObjectWriter(data.db), clock }, vault.id);
}

describe('a certificate and what belongs to it', () => {
  test('go and come back together', async () => {
    await domain.create('c');
    await domain.create('c');
    await everything();
    await remove();
    await everything();
    const { certificate, key, secret, pending } = await domain.stored('c');
    for (const object of [certificate, key, secret, pending])
      expect(object?.head.deletedAt).toBe(domain.now());
    await recover();
    await everything();
    expect((await domain.get('c')).version.enabled).toBe(true);
    expect(await domain.secret('c')).not.toBe('');
    await remove();
    await purge();
    expect(Object.values(await domain.stored('c'))).toEqual([undefined, undefined, undefined, undefined]);
  });

  test('are purged together when their retention ends', async () => {
    await domain.create('c');
    await domain.create('other');
    await remove();
    const { softDeleteRetentionInDays } = domain.vault;
    setTo(domain, domain.now() + softDeleteRetentionInDays * day - 1);
    expect(await purgeJob()).toBe(0);
    setTo(domain, domain.now() + 1);
    expect(await purgeJob()).toBe(4);
    expect(Object.values(await domain.stored('c'))).toEqual([undefined, undefined, undefined, undefined]);
    await everything('other');
  });

  test('are all there when they are recovered while the purge goes through them', async () => {
    await domain.create('c');
    await remove();
    setTo(domain, domain.now() + 400 * day);
    const { db } = domain.domain.data;
    let writes = 0;
    const purger = createObjectWriter({
      read: db.read,
      async write(procedure, input, fence) {
        writes += 1;
        if (writes === 1) await recover();
        return db.write(procedure, input, fence);
      },
    });
    expect(await purgeJob(purger)).toBe(0);
    await everything();
    expect(await domain.secret('c')).not.toBe('');
  });

  test('keep nothing of an operation that had ended, once another certificate is brought (recorded)', async () => {
    await domain.create('other', quickPolicy({ contentType: 'application/x-pem-file' }));
    const value = async () => SecretBytes.fromText(await domain.secret('other'));
    const bring = async (name: string) =>
      domain.certificates.import(domain.grant(actions.import, name), {
        ...noChoices,
        ...{ value: await value(), password: undefined },
      });
    await domain.create('c');
    expect((await domain.get('c')).hasPending).toBe(true);
    const brought = await bring('c');
    expect([brought.hasPending, (await domain.get('c')).hasPending]).toEqual([false, false]);
    const pending = domain.pending.get(domain.grant(actions.get, 'c'));
    await expect(pending).rejects.toMatchObject({ kind: 'pendingCertificateNotFound' });
    await everything();
    // One that is in progress is in the way.
    await domain.create('c', unknown);
    await expect(bring('c')).rejects.toMatchObject({ kind: 'conflict' });
  });

  test('change their attributes together, those of an older version too', async () => {
    await domain.create('c');
    const { version: first } = (await domain.get('c')).version;
    await domain.create('c');
    const change = { enabled: false, tags: { a: 'b' }, policy: undefined };
    await domain.certificates.update(domain.grant(actions.update, 'c'), { ...change, version: first });
    await everything();
    await domain.certificates.update(domain.grant(actions.update, 'c'), { ...change, version: undefined });
    await everything();
    const secret = domain.secret('c');
    await expect(secret).rejects.toMatchObject({ kind: 'secretDisabled' });
  });
});

/** What is thrown where a process would have ended. */
class Ended extends Error {}

/** A writer whose process ends after so many writes. */
function endingAfter(writes: number): ObjectWriter {
  const { db } = domain.domain.data;
  let left = writes;
  return createObjectWriter({
    read: db.read,
    async write(procedure, input, fence) {
      if (left === 0) throw new Ended();
      left -= 1;
      return db.write(procedure, input, fence);
    },
  });
}

describe('keys and secrets that somebody made under the name of a certificate that is pending', () => {
  const spec = { type: 'EC', curve: 'P-256' } as const;
  const keys = () => domain.domain.core.keys.keys;
  const secrets = () => domain.domain.core.secrets;
  const key = () => keys().get(domain.grant(keyActions.get, 'c', 'keys'), undefined);
  const noAttributes = {
    ...{ enabled: undefined, notBefore: undefined, expires: undefined, tags: undefined },
    contentType: undefined,
  };

  beforeEach(async () => {
    await domain.create('c', unknown);
    await keys().create(domain.grant(keyActions.create, 'c', 'keys'), { ...noKeyChoices, spec });
    const value = SecretBytes.fromText('of somebody');
    await secrets().set(domain.grant(secretActions.set, 'c', 'secrets'), { ...noAttributes, value });
  });

  test('are not deleted, recovered or purged with it', async () => {
    await remove();
    expect((await key()).version.enabled).toBe(true);
    expect(await domain.secret('c')).toBe('of somebody');
    await purge();
    expect((await key()).version.enabled).toBe(true);
    expect(await domain.secret('c')).toBe('of somebody');
    await keys().delete(domain.grant(keyActions.delete, 'c', 'keys'));
    await keys().purge(domain.grant(keyActions.purge, 'c', 'keys'));
    await secrets().delete(domain.grant(secretActions.delete, 'c', 'secrets'));
    await secrets().purge(domain.grant(secretActions.purge, 'c', 'secrets'));
    await domain.create('c', unknown);
    await keys().create(domain.grant(keyActions.create, 'c', 'keys'), { ...noKeyChoices, spec });
    await remove();
    await keys().delete(domain.grant(keyActions.delete, 'c', 'keys'));
    await recover();
    await expect(key()).rejects.toMatchObject({ kind: 'keyNotFound' });
    await purgeDeletedKey();
  });

  const purgeDeletedKey = () => keys().purge(domain.grant(keyActions.purge, 'c', 'keys'));

  test('do not change with its attributes', async () => {
    await domain.certificates.update(domain.grant(actions.update, 'c'), {
      ...{ version: undefined, policy: undefined },
      enabled: false,
      tags: { by: 'certificate' },
    });
    expect((await key()).version).toMatchObject({ enabled: true, tags: undefined });
    expect(await domain.secret('c')).toBe('of somebody');
  });

  test('keep it from being completed, with a refusal, and from being made anew', async () => {
    const { csr } = await domain.pending.get(domain.grant(actions.get, 'c'));
    const merge = merging(domain.pending, csr);
    await expect(merge).rejects.toMatchObject({ kind: 'conflict' });
    expect((await domain.pending.get(domain.grant(actions.get, 'c'))).status).toBe('inProgress');
    await domain.pending.delete(domain.grant(actions.update, 'c'));
    await expect(domain.create('c')).rejects.toMatchObject({ kind: 'conflict' });
    expect((await domain.stored('c')).certificate?.versions).toHaveLength(1);
  });
});

const content = {
  subject: 'CN=quick',
  sans: { emails: [], dnsNames: [], upns: [], uris: [], ipAddresses: [] },
  keyUsage: ['digitalSignature'],
  ekus: [],
  ca: false,
} as const;

async function merging(pending: PendingCertificates, csr: string): Promise<unknown> {
  const authority = await outsideAuthority(domain.clock);
  const chain = await authority.issue({ request: Buffer.from(csr, 'base64'), content });
  const x5c = chain.map((der) => Buffer.from(der).toString('base64'));
  return pending.merge(domain.grant(actions.create, 'c'), { enabled: undefined, tags: undefined, x5c });
}

describe('a process that ends between two writes', () => {
  test('while it makes a certificate leaves one that is whole, and that somebody completes', async () => {
    // The beginning and the end are one write each: 0 and 1 are all the moments between them.
    for (const [lives, versions] of [
      [0, 0],
      [1, 1],
    ] as const) {
      const name = `c${lives}`;
      const dying = domain.through(endingAfter(lives));
      const created = dying.certificates.create(domain.grant(actions.create, name), {
        ...noChoices,
        policy: quickPolicy(),
      });
      await expect(created).rejects.toThrow(Ended);
      await everything(name);
      setTo(domain, domain.now() + 60);
      await domain.runOrders();
      await everything(name);
      const { certificate } = await domain.stored(name);
      expect(certificate?.versions.length ?? 0).toBe(versions);
      if (versions > 0) expect((await domain.get(name)).version.enabled).toBe(true);
    }
  });

  test.each([
    'delete',
    'purge',
    'recover',
    'update',
    'import',
    'cancel',
    'delete the operation',
    'purge job',
  ])('before the one write of %s leaves all as it was', async (what) => {
    const file = await importable();
    await domain.create('c', what === 'import' ? quickPolicy() : unknown);
    if (['purge', 'recover', 'purge job'].includes(what)) await remove();
    setTo(domain, domain.now() + (what === 'purge job' ? 400 * day : 1));
    const before = await domain.stored('c');
    const writer = endingAfter(0);
    const dying = domain.through(writer);
    const named = operationsOn(dying.certificates, dying.pending, file).find(([name]) => name === what);
    const operation = named === undefined ? () => purgeJob(writer) : named[1];
    await expect(operation()).rejects.toThrow(Ended);
    expect(await domain.stored('c')).toEqual(before);
    await everything();
  });
});

test.each([1, 2, 3, 4])(
  'whatever two processes do to one certificate at once, it stays whole (%i)',
  async (seed) => {
    await domain.close();
    const issue = issuing(() => domain);
    const steps = Array.from({ length: 400 }, (_, index) => (index % 3 === 2 ? issue : waiting(`${index}`)));
    const { provider } = scripted(...steps);
    domain = await openCertificateDomain({ provider });
    await domain.setIssuer('issuer');
    const random = randomFrom(seed);
    const file = await importable();
    const outcomes = { done: new Set<string>(), refused: new Set<string>() };
    const act = async ({ certificates, pending }: Served) => {
      const all = operationsOn(certificates, pending, file);
      const [name, operation] = all[Math.floor(random() * all.length)] ?? [];
      if (name === undefined || operation === undefined) throw new Error('there is an operation');
      try {
        await operation();
        outcomes.done.add(name);
      } catch (error) {
        if (!isFailure(error) || error.kind === 'unavailable') throw error;
        outcomes.refused.add(name);
      }
    };
    for (let round = 0; round < 50; round += 1) {
      await Promise.all([act(domain), act(domain.elsewhere), act(domain.elsewhere)]);
      await everything();
    }
    expect(outcomes.done.size).toBeGreaterThan(7);
    expect(outcomes.refused.size).toBeGreaterThan(3);
  },
);

async function importable(): Promise<string> {
  await domain.create('source', quickPolicy({ contentType: 'application/x-pem-file' }));
  return domain.secret('source');
}

function operationsOn(
  certificates: Certificates,
  pending: PendingCertificates,
  file: string,
): [string, () => Promise<unknown>][] {
  const { grant } = domain;
  const create = (issuer: string) =>
    certificates.create(grant(actions.create, 'c'), {
      ...noChoices,
      policy: quickPolicy({ issuer: { name: issuer }, lifetimeActions: [renewAt(1)] }),
    });
  return [
    ['create', () => create('Self')],
    ['create', () => create('Self')],
    ['create with an issuer', () => create('issuer')],
    ['create a request', () => create('Unknown')],
    [
      'import',
      () =>
        certificates.import(grant(actions.import, 'c'), {
          ...noChoices,
          value: SecretBytes.fromText(file),
          password: undefined,
          policy: quickPolicy({ contentType: 'application/x-pem-file' }),
        }),
    ],
    [
      'merge',
      async () => {
        const { csr } = await pending.get(grant(actions.get, 'c'));
        await merging(pending, csr);
      },
    ],
    [
      'update',
      () =>
        certificates.update(grant(actions.update, 'c'), {
          ...noChoices,
          version: undefined,
          tags: { a: 'b' },
        }),
    ],
    ['delete', () => certificates.delete(grant(actions.delete, 'c'))],
    ['recover', () => certificates.recover(grant(actions.recover, 'c'))],
    ['recover', () => certificates.recover(grant(actions.recover, 'c'))],
    ['purge', () => certificates.purge(grant(actions.purge, 'c'))],
    ['cancel', () => pending.cancel(grant(actions.update, 'c'), true)],
    ['delete the operation', () => pending.delete(grant(actions.update, 'c'))],
    ['go on with orders', () => domain.runOrders()],
    [
      'renew',
      async () => {
        setTo(domain, partOf(await certificates.get(grant(actions.get, 'c'), undefined), 2));
        await domain.runCertificates();
      },
    ],
  ];
}
