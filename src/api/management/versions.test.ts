import { expect, test } from 'vitest';
import { apiVersionOf, assertApiVersion } from './versions.ts';

const isServed = (provider: string, version: string): boolean => {
  try {
    assertApiVersion(provider, version);
    return true;
  } catch {
    return false;
  }
};

test('a request names its version', () => {
  for (const query of ['', 'api-version=', 'Api-Version=2021-04-01'])
    expect(() => apiVersionOf(new URLSearchParams(query))).toThrow(
      expect.objectContaining({ kind: 'missingApiVersion' }),
    );
  expect(apiVersionOf(new URLSearchParams('api%2Dversion=2021-04-01'))).toBe('2021-04-01');
});

test.each([
  ['2015-06-01', true],
  ['2022-07-01', true],
  ['2026-04-01', true],
  ['2021-04-01-preview', true],
  ['2026-01-01-preview', true],
  ['2015-01-01', false],
  ['2022-07-02', false],
  ['2014-01-01-preview', false],
  ['2026-04-02-preview', false],
  ['2099-01-01', false],
  ['7.4', false],
  ['latest', false],
  ['2021-02-30-preview', false],
  ['2022-07-01 ', false],
])('Key Vault has %s: %s', (version, served) => {
  expect(isServed('Microsoft.KeyVault', version)).toBe(served);
});

test.each([
  ['Microsoft.Resources', '2015-11-01', true],
  ['Microsoft.Resources', '2031-01-01', true],
  ['Microsoft.Resources', '2013-01-01', false],
  ['Microsoft.Resources', '2021-13-01', false],
  ['Microsoft.Authorization', '2018-01-01-preview', true],
  ['Microsoft.Authorization', '2020-04-01-preview', true],
  ['Microsoft.Authorization', '2014-10-01-preview', false],
])('%s has %s: %s', (provider, version, served) => {
  expect(isServed(provider, version)).toBe(served);
});
