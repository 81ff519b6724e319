/** Proves which source of a setting wins, and that what cannot be used is refused by name without showing a secret. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError, loadConfig, passphraseOf } from './config.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'strongroom-config-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function file(text: string): string {
  const path = join(folder, 'config.yaml');
  writeFileSync(path, text);
  return path;
}

const load = (flags: Record<string, unknown>, environment: NodeJS.ProcessEnv = {}, configFile?: string) =>
  loadConfig({ flags, environment, configFile });

it('flags come before the environment, and that before the file', () => {
  const configFile = file('port: 1\nlocalPort: 1\ndomain: FILE.example\n');
  const config = load({ port: '3' }, { STRONGROOM_PORT: '2', STRONGROOM_LOCAL_PORT: '2' }, configFile);
  expect(config).toMatchObject({ port: 3, localPort: 2, domain: 'file.example' });
});

it('without --dev nothing listens beside the server; with it all is on the loopback', () => {
  expect(load({})).toMatchObject({ dev: false, listen: ['0.0.0.0', '::'], localPort: undefined, port: 8443 });
  expect(load({ dev: true })).toMatchObject({ listen: ['127.0.0.1', '::1'], localPort: 8081 });
});

it('a passphrase file gives its first line, and comes before the environment when a flag names it', () => {
  const path = join(folder, 'passphrase');
  writeFileSync(path, 'first line \r\nsecond line\n');
  const passphrase = (flags: object, environment = {}) => passphraseOf(load({ ...flags }, environment));
  expect(passphrase({ passphraseFile: path })).toBe('first line ');
  expect(passphrase({ passphraseFile: path }, { STRONGROOM_PASSPHRASE: 'other' })).toBe('first line ');
  const both = { STRONGROOM_PASSPHRASE: 'given', STRONGROOM_PASSPHRASE_FILE: path };
  expect(passphrase({}, both)).toBe('given');
  expect(() => load({ passphraseFile: join(folder, 'missing') })).toThrow(/'passphraseFile'/);
});

describe('what cannot be used', () => {
  it.each([
    ['port', { port: '70000' }],
    ['port', { port: '-1' }],
    ['port', { port: '80x' }],
    ['listen.0', { listen: 'localhost' }],
    ['domain', { domain: 'single' }],
    ['domain', { domain: 'a..b' }],
    ['domain', { domain: '-a.b' }],
    ['logLevel', { logLevel: 'loud' }],
    ['dev', { dev: 'yes' }],
    ['trustedProxies.1', { trustedProxies: '10.0.0.1, 10.0.0.0/33' }],
    ['trustedProxies.0', { trustedProxies: 'proxy.example' }],
    ['proxyProtocol', { proxyProtocol: 'on' }],
  ])('%s: %j', (name, flags) => {
    expect(() => load(flags)).toThrow(ConfigError);
    expect(() => load(flags)).toThrow(`The setting '${name}' cannot be used`);
  });

  it('is named all at once', () => {
    expect(() => load({ port: 'x', domain: 'x' })).toThrow(/'port'.*\n.*'domain'/);
  });

  it('a setting of the file that nobody knows is refused', () => {
    expect(() => load({}, {}, file('prot: 1\n'))).toThrow(/'prot'/);
  });

  it('networks come from the file only, each by a name that can be one, with ranges that are some', () => {
    const subnet =
      '/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/s';
    const good = `virtualNetworks:\n  ${subnet}: [10.0.0.0/8, '::1']\nprivateEndpoints:\n  v/c: [10.0.0.1]\n`;
    expect(load({}, {}, file(good))).toMatchObject({
      virtualNetworks: { [subnet]: ['10.0.0.0/8', '::1'] },
      privateEndpoints: { 'v/c': ['10.0.0.1'] },
    });
    for (const bad of [
      'virtualNetworks: {s: [10.0.0.1]}',
      'privateEndpoints: {c: [10.0.0.1]}',
      'privateEndpoints: {v/c: [10.0.0.0/x]}',
    ])
      expect(() => load({}, {}, file(bad))).toThrow(/virtualNetworks|privateEndpoints/);
    expect(load({}, { STRONGROOM_PRIVATE_ENDPOINTS: 'v/c' }).privateEndpoints).toEqual({});
  });

  it('the PROXY protocol needs to know from whom', () => {
    expect(load({ proxyProtocol: 'true', trustedProxies: '10.0.0.1,2001:db8::/32' })).toMatchObject({
      proxyProtocol: true,
      trustedProxies: ['10.0.0.1', '2001:db8::/32'],
    });
    expect(() => load({ proxyProtocol: true })).toThrow(/'proxyProtocol' needs 'trustedProxies'/);
    expect(load({}).trustedProxies).toEqual([]);
  });

  it('a certificate without its key is refused', () => {
    expect(() => load({ tlsCert: 'a' })).toThrow(/'tlsCert' and 'tlsKey'/);
  });

  it('trusted issuers come from the file only', () => {
    expect(load({}, { STRONGROOM_TRUSTED_ISSUERS: '[]' }).trustedIssuers).toEqual([]);
  });

  it('no refusal shows a passphrase', () => {
    const secret = 'correct horse battery';
    const broken = [
      () => load({ passphrase: [secret] }),
      () => load({}, {}, file(`passphrase: "${secret}\nport: [`)),
      () => load({}, {}, file(`- ${secret}\n`)),
      () => load({}, {}, file(`passphrase: { x: ${secret} }\n`)),
    ];
    for (const attempt of broken) {
      expect(attempt).toThrow(ConfigError);
      expect(attempt).not.toThrow(secret);
    }
  });
});

it('the result cannot be changed', () => {
  expect(Object.isFrozen(load({}))).toBe(true);
});
