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
