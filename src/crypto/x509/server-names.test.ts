import { describe, expect, test } from 'vitest';
import { coversNames, parseDnsName, parseDomain, parseIpAddress, parseIpRange } from './server-names.ts';

describe('parseDnsName', () => {
  test.each([
    ['Login.Strongroom.Localhost', 'login.strongroom.localhost'],
    ['*.Vault.Azure.Net', '*.vault.azure.net'],
    ['localhost', 'localhost'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
  ])('%s', (text, expected) => {
    expect(parseDnsName(text)).toBe(expected);
  });

  test.each([
    '',
    '*',
    '*.',
    '.example.com',
    'example.com.',
    'a..b',
    '*.*.example.com',
    'a*.example.com',
    'vault.*.net',
    'under_score.example',
    '-a.example',
    'a-.example',
    '10.0.0.1',
    'a b.example',
    'a.example\0.evil.example',
    'a.example\n',
    'bücher.example',
    'https://a.example',
    'a.example:443',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(127)}example`,
  ])('refuses %j', (text) => {
    expect(() => parseDnsName(text)).toThrow(RangeError);
  });

  test('a domain of an authority has no wildcard', () => {
    expect(() => parseDomain('*.example.com')).toThrow(RangeError);
  });
});

describe('parseIpAddress and parseIpRange', () => {
  test('give one form for one address', () => {
    expect(parseIpAddress('127.0.0.1')).toBe('127.0.0.1');
    expect(parseIpAddress('2001:0DB8:0:0:0:0:0:0001')).toBe('2001:db8::1');
    expect(parseIpRange('FD00:0::/8')).toBe('fd00::/8');
    expect(parseIpRange('0.0.0.0/0')).toBe('0.0.0.0/0');
  });

  test.each([
    '',
    'localhost',
    '127.1',
    '1.2.3.256',
    'fe80::1%eth0',
    '::ffff:127.0.0.1',
    '[::1]',
    '1.2.3.4/8',
  ])('refuses the address %j', (text) => {
    expect(() => parseIpAddress(text)).toThrow(RangeError);
  });

  test.each([
    '127.0.0.1',
    '127.0.0.0/33',
    '::/129',
    '127.0.0.0/',
    '/8',
    '127.0.0.0/-1',
    '127.0.0.0/8/8',
    '::ffff:0.0.0.0/96',
  ])('refuses the range %j', (text) => {
    expect(() => parseIpRange(text)).toThrow(RangeError);
  });
});

describe('coversNames', () => {
  const permitted = {
    dnsNames: ['vault.azure.net', 'Strongroom.localhost'],
    ipRanges: ['127.0.0.0/8', '::1/128'],
  };
  const dns = (name: string) => coversNames(permitted, { dnsNames: [name], ipAddresses: [] });
  const ip = (address: string) => coversNames(permitted, { dnsNames: [], ipAddresses: [address] });

  test.each(['vault.azure.net', '*.vault.azure.net', 'a.b.vault.azure.net', 'LOGIN.strongroom.localhost'])(
    'covers %s',
    (name) => {
      expect(dns(name)).toBe(true);
    },
  );

  test.each(['azure.net', '*.azure.net', 'evilvault.azure.net', 'vault.azure.net.evil.example', 'localhost'])(
    'does not cover %s',
    (name) => {
      expect(dns(name)).toBe(false);
    },
  );

  test('compares addresses within their own family', () => {
    expect(ip('127.9.9.9')).toBe(true);
    expect(ip('0:0:0:0:0:0:0:1')).toBe(true);
    expect(ip('128.0.0.1')).toBe(false);
    expect(ip('::2')).toBe(false);
    const everyIpv6 = { dnsNames: [], ipRanges: ['::/0'] };
    expect(coversNames(everyIpv6, { dnsNames: [], ipAddresses: ['127.0.0.1'] })).toBe(false);
  });

  test('one name outside spoils the rest', () => {
    const wanted = { dnsNames: ['vault.azure.net', 'evil.example'], ipAddresses: ['127.0.0.1'] };
    expect(coversNames(permitted, wanted)).toBe(false);
  });
});
