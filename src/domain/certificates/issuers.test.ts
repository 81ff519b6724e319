/** Proves issuers and contacts over a real database: what is kept, what is sealed, what is gone, and who may. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestDomain, type TestDomain } from '../../../test/support/domain.ts';
import {
  type Action,
  certificateActions,
  contactActions,
  issuerActions,
} from '../../authorization/actions.ts';
import { systemGrant } from '../../authorization/grant.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { createObjectReader, createObjectWriter } from '../../storage/objects.ts';
import type { Vault } from '../vaults/vault.ts';
import type { IssuerInput } from './certificate-types.ts';
import { createContacts } from './contacts.ts';
import { createIssuers, type OpenIssuer } from './issuers.ts';

let domain: TestDomain;
let vault: Vault;
let issuers: ReturnType<typeof createIssuers>;
let contacts: ReturnType<typeof createContacts>;

beforeAll(async () => {
  domain = await openTestDomain();
  vault = await domain.vault('issuers');
  const { data, core, clock, tools } = domain;
  const { vaultKeys } = core;
  const [reader, writer] = [createObjectReader(data.db), createObjectWriter(data.db)];
  const deps = { reader, writer, vaultKeys, clock, random: tools.random };
  issuers = createIssuers(deps);
  contacts = createContacts(deps);
});
afterAll(() => domain.close());

const to = (action: Action, name?: string) =>
  systemGrant(vault, action, { kind: 'certificateissuers', name });
const nothing: IssuerInput = {
  provider: undefined,
  enabled: undefined,
  accountId: undefined,
  password: undefined,
  organization: undefined,
};
const set = (name: string, more: Partial<IssuerInput> & { provider?: string } = {}) =>
  issuers.set(to(issuerActions.set, name), { ...nothing, ...more, provider: more.provider ?? 'DigiCert' });
const update = (name: string, more: Partial<IssuerInput>) =>
  issuers.update(to(issuerActions.set, name), { ...nothing, ...more });
const text = (value: string) => SecretBytes.fromText(value);

async function opened(name: string): Promise<OpenIssuer> {
  const found = await issuers.open(vault.id, name);
  if (found === undefined) throw new Error(`no issuer ${name}`);
  return found;
}

/** How many rows hold an issuer's secrets. */
async function sealedRows(name: string): Promise<number> {
  const reader = createObjectReader(domain.data.db);
  const key = { vaultId: vault.id, kind: 'certificateissuers', nameKey: name.toUpperCase() } as const;
  return (await reader.listSealedVersions(key, { after: undefined, limit: 10 })).length;
}

describe('an issuer', () => {
  test('is set, shown without its password, opened with it, and removed', async () => {
    const organization = { id: 'o', adminDetails: [{ email: 'a@b' }] };
    const shown = await set('One', { accountId: 'kid', password: text('hmac'), organization });
    expect(shown).toEqual({
      name: 'One',
      provider: 'DigiCert',
      enabled: true,
      accountId: 'kid',
      organization,
      created: domain.clock.now() / 1000,
      updated: domain.clock.now() / 1000,
    });
    expect(JSON.stringify(shown)).not.toContain('hmac');
    expect(await issuers.get(to(issuerActions.get, 'ONE'))).toEqual(shown);
    const { password, ...open } = await opened('one');
    expect(password?.exposeText()).toBe('hmac');
    expect(open).toEqual({
      name: 'One',
      provider: 'DigiCert',
      enabled: true,
      accountId: 'kid',
      organization,
      kept: undefined,
    });
    expect(await issuers.delete(to(issuerActions.delete, 'one'))).toEqual(shown);
    expect(await issuers.open(vault.id, 'One')).toBeUndefined();
    expect(await sealedRows('One')).toBe(0);
    await expect(issuers.get(to(issuerActions.get, 'one'))).rejects.toThrow('Issuer not found');
    await expect(issuers.delete(to(issuerActions.delete, 'one'))).rejects.toThrow('Issuer not found');
    await expect(update('one', {})).rejects.toThrow('Issuer one not found');
  });

  test('PUT leaves nothing of what was there but its beginning; no old secret stays in the database', async () => {
    const first = await set('put', { accountId: 'kid', password: text('old'), enabled: false });
    domain.clock.advance(5000);
    const second = await set('PUT', { provider: 'GlobalSign' });
    expect(second).toEqual({
      ...first,
      ...{ provider: 'GlobalSign', enabled: true, accountId: undefined },
      updated: first.updated + 5,
    });
    expect(await opened('put')).toMatchObject({ provider: 'GlobalSign', password: undefined });
    expect(await sealedRows('put')).toBe(1);
  });

  test('PATCH changes the members that are given', async () => {
    await set('patch', {
      accountId: 'kid',
      password: text('p'),
      organization: { id: 'o', adminDetails: undefined },
    });
    await update('patch', { organization: { id: undefined, adminDetails: [{ phone: '1' }] } });
    const shown = await update('patch', { enabled: false });
    expect(shown).toMatchObject({
      ...{ provider: 'DigiCert', accountId: 'kid', enabled: false },
      organization: { id: 'o', adminDetails: [{ phone: '1' }] },
    });
    expect((await opened('patch')).password?.exposeText()).toBe('p');
    await update('patch', { password: text('q') });
    expect((await opened('patch')).password?.exposeText()).toBe('q');
  });

  test('changes that meet are all there in the end', async () => {
    await set('meet', { accountId: 'kid' });
    await Promise.all([
      update('meet', { password: text('p') }),
      update('meet', { enabled: false }),
      update('meet', { organization: { id: 'o', adminDetails: undefined } }),
    ]);
    const { password, enabled, organization } = await opened('meet');
    expect([password?.exposeText(), enabled, organization?.id]).toEqual(['p', false, 'o']);
    expect(await sealedRows('meet')).toBe(1);
  });

  test('reserved and impossible names are refused', async () => {
    for (const name of ['Self', 'UNKNOWN']) await expect(set(name)).rejects.toThrow('is reserved');
    for (const provider of ['', ' ', 'a\nb', 'a/b', 'a'.repeat(65)])
      await expect(set('named', { provider })).rejects.toThrow('A provider is named by');
  });

  test('a changed row makes no password go to another authority', async () => {
    await set('altered', { accountId: 'kid', password: text('p') });
    const key = { vaultId: vault.id, kind: 'certificateissuers', nameKey: 'ALTERED' } as const;
    await createObjectWriter(domain.data.db).change(key, { version: undefined }, ({ version }) => {
      if (version === undefined) throw new Error('there is no such issuer');
      const detail = JSON.stringify({ provider: 'Evil', accountId: 'evil' });
      return { head: 'same', update: { ...version, detail }, result: undefined };
    });
    expect((await issuers.get(to(issuerActions.get, 'altered'))).provider).toBe('Evil');
    expect(await opened('altered')).toMatchObject({ provider: 'DigiCert', accountId: 'kid' });
  });

  test('lists are in order and in pages', async () => {
    const other = await domain.vault('listed');
    const grant = systemGrant(other, issuerActions.list, { kind: 'certificateissuers', name: undefined });
    for (const name of ['c', 'A', 'b'])
      await issuers.set(systemGrant(other, issuerActions.set, { kind: 'certificateissuers', name }), {
        ...nothing,
        provider: 'Test',
      });
    const first = await issuers.list(grant, { limit: 2, after: undefined });
    expect(first.items.map(({ name }) => name)).toEqual(['A', 'b']);
    const rest = await issuers.list(grant, { limit: 2, after: first.next });
    expect([rest.items.map(({ name }) => name), rest.next]).toEqual([['c'], undefined]);
  });

  test('takes the right permission', async () => {
    const wrong = to(issuerActions.get, 'patch');
    await expect(issuers.set(wrong, { ...nothing, provider: 'Test' })).rejects.toThrow(TypeError);
    await expect(issuers.update(wrong, nothing)).rejects.toThrow(TypeError);
    await expect(issuers.delete(wrong)).rejects.toThrow(TypeError);
    await expect(issuers.get(to(certificateActions.get, 'patch'))).rejects.toThrow(TypeError);
  });
});

describe("what a provider keeps with an issuer's account", () => {
  test('stays for that account alone', async () => {
    await set('kept', { accountId: 'kid', password: text('p') });
    await issuers.keep(vault.id, await opened('kept'), text('account key'));
    expect((await opened('kept')).kept?.exposeText()).toBe('account key');
    await update('kept', { enabled: false });
    await set('kept', { accountId: 'kid', password: text('p') });
    expect((await opened('kept')).kept?.exposeText()).toBe('account key');

    for (const change of [{ provider: 'GlobalSign' }, { accountId: 'other' }, { password: text('other') }]) {
      await set('kept', { accountId: 'kid', password: text('p') });
      await issuers.keep(vault.id, await opened('kept'), text('account key'));
      await update('kept', change);
      expect((await opened('kept')).kept, Object.keys(change)[0]).toBeUndefined();
    }
  });

  test('is dropped where the account has changed, or is gone, while an order was under way', async () => {
    for (const change of [{ provider: 'GlobalSign' }, { accountId: 'other' }, { password: text('other') }]) {
      await set('order', { accountId: 'kid', password: text('p') });
      const was = await opened('order');
      await update('order', change);
      await issuers.keep(vault.id, was, text('account key'));
      expect((await opened('order')).kept, Object.keys(change)[0]).toBeUndefined();
    }
    const before = await opened('order');
    await issuers.delete(to(issuerActions.delete, 'order'));
    await issuers.keep(vault.id, before, text('account key'));
    expect(await issuers.open(vault.id, 'order')).toBeUndefined();
  });
});

describe('contacts', () => {
  const grant = () =>
    systemGrant(vault, contactActions.manage, { kind: 'certificatecontacts', name: undefined });

  test('are one list: set, shown, removed', async () => {
    await expect(contacts.get(grant())).rejects.toThrow('Contacts not found');
    await expect(contacts.delete(grant())).rejects.toThrow('Contacts not found');
    expect(await contacts.addressesOf(vault.id)).toEqual([]);
    const list = [{ email: 'a@b', name: 'A', phone: '1' }, { email: 'ü@ö.example' }, { email: 'a@b' }];
    expect(await contacts.set(grant(), list)).toEqual(list);
    expect(await contacts.get(grant())).toEqual(list);
    expect(await contacts.addressesOf(vault.id)).toEqual(['a@b', 'ü@ö.example']);
    await contacts.set(grant(), [{ email: 'c@d' }]);
    expect(await contacts.addressesOf(vault.id)).toEqual(['c@d']);
    expect(await contacts.delete(grant())).toEqual([{ email: 'c@d' }]);
    await expect(contacts.get(grant())).rejects.toThrow('Contacts not found');
  });

  test('an address is one and nothing else', async () => {
    const wrong = [
      '',
      'a',
      '@b',
      'a@',
      'a@b, c@d',
      'A <a@b>',
      'a@b\r\nBcc: c@d',
      'a b@c',
      'a@b;c',
      `${'a'.repeat(65)}@b`,
      'a@b@c',
    ];
    for (const email of wrong)
      await expect(contacts.set(grant(), [{ email }]), email).rejects.toThrow('e-mail address');
    await expect(contacts.set(grant(), [{ name: 'A' }])).rejects.toThrow('e-mail address');
    await expect(contacts.set(grant(), [{ email: 'a@b', name: 'A\r\nB' }])).rejects.toThrow('one line');
  });

  test('take the permission to manage them', async () => {
    const wrong = systemGrant(vault, issuerActions.get, { kind: 'certificatecontacts', name: undefined });
    await expect(contacts.get(wrong)).rejects.toThrow(TypeError);
    await expect(contacts.set(wrong, [])).rejects.toThrow(TypeError);
    await expect(contacts.delete(wrong)).rejects.toThrow(TypeError);
  });
});
