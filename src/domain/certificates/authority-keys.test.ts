/** Proves when an authority of a vault signs: not below a certificate of the vault that is disabled or deleted. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type CertificateDomain,
  openCertificateDomain,
  quickPolicy,
} from '../../../test/support/certificate-domain.ts';
import { setTo } from '../../../test/support/certificate-orders.ts';
import { certificateActions as actions } from '../../authorization/actions.ts';

let domain: CertificateDomain;
beforeEach(async () => {
  domain = await openCertificateDomain();
  await authority('root', 'Self');
  await authority('upper', 'by-root');
  await authority('lower', 'by-upper');
});
afterEach(() => domain.close());

const leaf = quickPolicy({ issuer: { name: 'by-lower' }, x509: { subject: 'CN=leaf' } });

/** An authority of the vault, and the issuer object by which it signs. */
async function authority(name: string, issuer: string): Promise<void> {
  const x509 = { subject: `CN=${name}`, ca: true, validityMonths: 120 };
  await domain.create(name, quickPolicy({ issuer: { name: issuer }, x509 }));
  expect((await domain.get(name)).cer).toBeDefined();
  await domain.setAuthority(`by-${name}`, name);
}

function enable(name: string, enabled: boolean, version?: string) {
  const unchanged = { tags: undefined, policy: undefined };
  return domain.certificates.update(domain.grant(actions.update, name), { ...unchanged, version, enabled });
}

async function ask(name: string): Promise<[status: string, code: string | undefined]> {
  await domain.create(name, leaf);
  return state(name);
}

async function state(name: string): Promise<[status: string, code: string | undefined]> {
  const { status, error } = await domain.pending.get(domain.grant(actions.get, name));
  return [status, error?.code];
}

async function goOn(): Promise<void> {
  setTo(domain, domain.now() + 3600);
  await domain.runOrders();
}

const waits = ['inProgress', 'AuthorityStopped'];
const issued = ['completed', undefined];

test.each(['root', 'upper'])('waits while %s is disabled, and goes on when it is not', async (name) => {
  await enable(name, false);
  expect(await ask('leaf')).toEqual(waits);
  const { error } = await domain.pending.get(domain.grant(actions.get, 'leaf'));
  expect(error?.message).toContain(`The certificate ${name}, `);
  await goOn();
  expect(await state('leaf')).toEqual(waits);
  await enable(name, true);
  await goOn();
  expect(await state('leaf')).toEqual(issued);
});

test('waits while the root is deleted, and goes on when it is recovered', async () => {
  await domain.certificates.delete(domain.grant(actions.delete, 'root'));
  expect(await ask('leaf')).toEqual(waits);
  await domain.certificates.recover(domain.grant(actions.recover, 'root'));
  await goOn();
  expect(await state('leaf')).toEqual(issued);
});

test('looks at the version that is in the chain, not at another of the same name', async () => {
  const { version: signed } = (await domain.get('root')).version;
  await domain.create('root', quickPolicy({ x509: { subject: 'CN=root', ca: true } }));
  await enable('root', false);
  expect(await ask('one')).toEqual(issued);
  await enable('root', true);
  await enable('root', false, signed);
  expect(await ask('two')).toEqual(waits);
});

test('is stopped by nothing that is not in this vault', async () => {
  // A root that was taken away after it had signed.
  await domain.certificates.delete(domain.grant(actions.delete, 'root'));
  await domain.certificates.purge(domain.grant(actions.purge, 'root'));
  expect(await ask('one')).toEqual(issued);
  // Another of its name is another certificate.
  await domain.create('root', quickPolicy({ x509: { subject: 'CN=root', ca: true } }));
  await enable('root', false);
  expect(await ask('two')).toEqual(issued);
});

test('is stopped by no root whose issuer leads elsewhere: it is kept out of reach, and not stopped', async () => {
  await domain.setAuthority('by-root', 'elsewhere');
  await enable('root', false);
  expect(await ask('leaf')).toEqual(issued);
});

test('ends where issuers lead in a circle', async () => {
  await domain.setAuthority('by-upper', 'lower');
  expect(await ask('one')).toEqual(issued);
  await domain.setAuthority('by-root', 'lower');
  await domain.setAuthority('by-upper', 'upper');
  expect(await ask('two')).toEqual(issued);
});
