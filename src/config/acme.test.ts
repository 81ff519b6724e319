/** Proves which settings of ACME can be used, what they come to, and that what cannot be used is said by name. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ConfigError, loadConfig } from '../config.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'strongroom-config-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function load(acme: unknown) {
  const configFile = join(folder, 'config.yaml');
  writeFileSync(configFile, JSON.stringify({ acme }));
  return loadConfig({ flags: {}, environment: {}, configFile }).acme;
}

const rfc2136 = { server: '127.0.0.1', keyName: 'acme.key', keySecretFile: 'secret' };

it('without any there are the public authorities, http-01, and nothing that listens', () => {
  const { directories, ...rest } = loadConfig({ flags: {}, environment: {} }).acme;
  expect(Object.keys(directories)).toEqual(['LetsEncrypt', 'DigiCert', 'GlobalSign']);
  for (const { url } of Object.values(directories)) expect(new URL(url).protocol).toBe('https:');
  expect(rest).toEqual({ challenge: 'http-01' });
});

it('directories come on top of the public ones, and in their place whatever the case', () => {
  const url = 'https://acme.example/dir';
  const { directories } = load({
    directories: { digicert: { url }, Own: { url, origins: ['https://a.example:8443/'] } },
  });
  expect(directories).toMatchObject({
    LetsEncrypt: {},
    GlobalSign: {},
    digicert: { url, origins: [] },
    Own: { url, origins: ['https://a.example:8443'] },
  });
  expect(directories).not.toHaveProperty('DigiCert');
});

it('an http01 without a port is at port 80', () => {
  expect(load({ http01: {} }).http01).toEqual({ port: 80 });
  expect(load({ http01: { port: 8080, listen: ['::1'] } }).http01).toEqual({ port: 8080, listen: ['::1'] });
});

it.each([
  ['ns.example.com', { host: 'ns.example.com', port: 53 }],
  ['192.0.2.1:5353', { host: '192.0.2.1', port: 5353 }],
  ['[2001:db8::1]', { host: '2001:db8::1', port: 53 }],
  ['[2001:db8::1]:54', { host: '2001:db8::1', port: 54 }],
])('a DNS server: %s', (server, expected) => {
  const { dns01 } = load({ challenge: 'dns-01', dns01: { rfc2136: { ...rfc2136, server } } });
  expect(dns01).toMatchObject({ wait: 10, rfc2136: { server: expected, keyAlgorithm: 'hmac-sha256' } });
});

const url = 'https://acme.example/dir';
const webhook = { url: 'https://hook.example/', tokenFile: 'token' };
it.each([
  ['another member', { other: 1 }],
  ['another challenge', { challenge: 'tls-alpn-01' }],
  ['dns-01 without a way', { challenge: 'dns-01' }],
  ['no way', { dns01: {} }],
  ['two ways', { dns01: { rfc2136, webhook } }],
  ['a directory over HTTP', { directories: { a: { url: 'http://acme.example' } } }],
  ['a directory with credentials', { directories: { a: { url: 'https://u:p@acme.example' } } }],
  ['a directory without address', { directories: { a: {} } }],
  ['a directory named Self', { directories: { SELF: { url } } }],
  ['a directory named Unknown', { directories: { unknown: { url } } }],
  ['a directory named as our own authority', { directories: { strongroom: { url } } }],
  ['two directories of one name', { directories: { own: { url }, Own: { url } } }],
  ['a directory with a bad name', { directories: { 'a b': { url } } }],
  ['an origin with a path', { directories: { a: { url, origins: ['https://a.example/x'] } } }],
  ['an origin over HTTP', { directories: { a: { url, origins: ['http://a.example'] } } }],
  ['a webhook over HTTP', { dns01: { webhook: { ...webhook, url: 'http://hook.example' } } }],
  ['a webhook without token', { dns01: { webhook: { url: 'https://hook.example' } } }],
  ['a long wait', { dns01: { rfc2136, wait: 3601 } }],
  ['a server with a bad port', { dns01: { rfc2136: { ...rfc2136, server: 'ns:0' } } }],
  ['an IPv6 server without brackets', { dns01: { rfc2136: { ...rfc2136, server: '2001:db8::1' } } }],
  ['a weak algorithm', { dns01: { rfc2136: { ...rfc2136, keyAlgorithm: 'hmac-md5' } } }],
  ['a bad key name', { dns01: { rfc2136: { ...rfc2136, keyName: 'a..b' } } }],
  ['a bad address', { http01: { listen: ['localhost'] } }],
  ['a bad port', { http01: { port: 65_536 } }],
])('refused: %s', (_name, acme) => {
  expect(() => load(acme)).toThrow(ConfigError);
  expect(() => load(acme)).toThrow(/The setting 'acme/);
});

it('a webhook on this machine may be plain HTTP', () => {
  const { dns01 } = load({ dns01: { webhook: { ...webhook, url: 'http://127.0.0.1:8080/' }, wait: 0 } });
  expect(dns01).toMatchObject({ webhook: { url: 'http://127.0.0.1:8080/' }, wait: 0 });
});

it('cannot come from the environment', () => {
  expect(loadConfig({ flags: {}, environment: { STRONGROOM_ACME: '{' } }).acme.challenge).toBe('http-01');
});
