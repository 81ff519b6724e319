/** Proves which issuers are trusted, with which keys. */
import { expect, it } from 'vitest';
import { manualClock } from '../../test/support/identity.ts';
import { silentLog } from '../core/log.ts';
import { azureIssuerNames } from './issuer-names.ts';
import type { ExternalIssuer } from './token-claims.ts';
import { createTrustedIssuers } from './trusted-issuers.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const otherTenant = '22222222-2222-4222-8222-222222222222';
const ownKeys = { has: () => false, find: async () => undefined };
const outside: ExternalIssuer = { issuer: 'https://issuer.example', audiences: [], tenantId };

function trusting(externalIssuers: readonly ExternalIssuer[]) {
  const fetch = () => Promise.reject(new Error('no network'));
  return createTrustedIssuers(
    { ownKeys, clock: manualClock(), log: silentLog, fetch },
    { ownIssuers: [azureIssuerNames], externalIssuers },
  );
}

it('trusts its own in every tenant and version, those of the configuration, and nobody else', () => {
  const find = trusting([outside]);
  const own = { keys: ownKeys, isOwn: true, names: azureIssuerNames };
  expect(find(`https://sts.windows.net/${tenantId}/`)).toEqual({ ...own, version: '1.0', tenantId });
  expect(find(`https://login.microsoftonline.com/${otherTenant}/v2.0`)).toEqual({
    ...own,
    version: '2.0',
    tenantId: otherTenant,
  });
  expect(find(outside.issuer)).toMatchObject({ isOwn: false, row: outside });
  for (const issuer of [
    '',
    'https://sts.windows.net/',
    'https://sts.windows.net/common/',
    `https://sts.windows.net/${tenantId}`,
    `https://sts.windows.net/${tenantId}/v2.0`,
    `https://STS.windows.net/${tenantId}/`,
    'https://issuer.example/',
  ])
    expect(find(issuer), issuer).toBeUndefined();
});

it('has one source of keys for an issuer, however often it is asked for', () => {
  const find = trusting([outside]);
  expect(find(outside.issuer)).toBe(find(outside.issuer));
  expect(find(outside.issuer)?.keys).not.toBe(ownKeys);
});

it('gives the name of one of its own to who is configured under it', () => {
  const taken = { ...outside, issuer: `https://sts.windows.net/${tenantId}/` };
  const find = trusting([taken]);
  expect(find(taken.issuer)).toMatchObject({ isOwn: false, row: taken });
  expect(find(`https://sts.windows.net/${otherTenant}/`)).toMatchObject({ isOwn: true });
});

it('refuses to be configured with an issuer twice, or one that is not safe to ask', () => {
  expect(() => trusting([outside, outside])).toThrow('configured twice');
  expect(() => trusting([{ ...outside, issuer: 'http://issuer.example' }])).toThrow(TypeError);
});
