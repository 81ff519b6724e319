/** Proves what each host name means, that both families lead to the same vaults, and that no other name is taken. */
import { describe, expect, it } from 'vitest';
import { createHosts } from './hosts.ts';

const hosts = createHosts({ domain: 'strongroom.localhost', port: () => 8443 });

describe('a host name', () => {
  it.each([
    ['dev.vault.strongroom.localhost:8443', 'vault', 'own', 'dev', 'dev.vault.strongroom.localhost:8443'],
    ['dev.vault.strongroom.localhost', 'vault', 'own', 'dev', 'dev.vault.strongroom.localhost'],
    ['dev.vault.azure.net', 'vault', 'azure', 'dev', 'dev.vault.azure.net'],
    ['dev.vault.azure.net:443', 'vault', 'azure', 'dev', 'dev.vault.azure.net'],
    ['DEV.Vault.Azure.NET.', 'vault', 'azure', 'dev', 'dev.vault.azure.net'],
    ['my-hsm.managedhsm.azure.net', 'managedhsm', 'azure', 'my-hsm', 'my-hsm.managedhsm.azure.net'],
    ['p.managedhsm.strongroom.localhost:1', 'managedhsm', 'own', 'p', 'p.managedhsm.strongroom.localhost:1'],
    ['login.strongroom.localhost:8443', 'login', 'own', undefined, 'login.strongroom.localhost:8443'],
    ['login.microsoftonline.com', 'login', 'azure', undefined, 'login.microsoftonline.com'],
    ['login.windows.net', 'login', 'azure', undefined, 'login.windows.net'],
    ['sts.windows.net', 'login', 'azure', undefined, 'sts.windows.net'],
    ['management.azure.com', 'management', 'azure', undefined, 'management.azure.com'],
    ['graph.microsoft.com', 'graph', 'azure', undefined, 'graph.microsoft.com'],
    ['console.strongroom.localhost', 'console', 'own', undefined, 'console.strongroom.localhost'],
  ])('%s is one', (host, api, family, name, authority) => {
    expect(hosts.find(host)).toMatchObject({ api, family, name, authority });
  });

  it.each([
    '',
    '.',
    ':443',
    'localhost',
    'strongroom.localhost',
    'vault.azure.net',
    '.vault.azure.net',
    'a.b.vault.azure.net',
    'a..vault.azure.net',
    'devvault.azure.net',
    'dev.vault.azure.net.evil.example',
    'dev.vault.azure.netx',
    'dev.vault.azure.net..',
    'dev.vault.azure.cn',
    '-dev.vault.azure.net',
    'dev-.vault.azure.net',
    'dev_1.vault.azure.net',
    'dev.vault.azure.net:',
    'dev.vault.azure.net:0',
    'dev.vault.azure.net:0443',
    'dev.vault.azure.net:65536',
    'dev.vault.azure.net:443:443',
    'dev.vault.azure.net:443/x',
    'dev.vault.azure.net/x',
    'dev.vault.azure.net\r\nX: y',
    'dev.vault.azure.net ',
    ' dev.vault.azure.net',
    'user@dev.vault.azure.net',
    'dev.vault.azure.net,other.vault.azure.net',
    'dev%2evault.azure.net',
    'dëv.vault.azure.net',
    'ſ.vault.azure.net',
    'xvault.strongroom.localhost',
    'login.azure.net',
    'constructor.azure.net',
    '__proto__',
    'hasownproperty',
    '127.0.0.1',
    '[::1]:8443',
    `${'a'.repeat(250)}.vault.azure.net`,
  ])('%j is none', (host) => {
    expect(hosts.find(host)).toBeUndefined();
  });

  it('means the same however often it is asked for', () => {
    for (let n = 0; n < 5000; n += 1) hosts.find(`vault-${n}.vault.azure.net`);
    expect(hosts.find('vault-4999.vault.azure.net')?.name).toBe('vault-4999');
    expect(hosts.find('vault-0.vault.azure.net')?.name).toBe('vault-0');
  });
});

describe('audiences', () => {
  it('of a vault are those of both families, the one of its own family first', () => {
    expect(hosts.find('dev.vault.azure.net')?.audiences).toEqual([
      'https://vault.azure.net',
      'https://vault.strongroom.localhost',
      'https://vault.strongroom.localhost:8443',
    ]);
    expect(hosts.find('dev.vault.strongroom.localhost:8443')?.audiences).toEqual([
      'https://vault.strongroom.localhost:8443',
      'https://vault.strongroom.localhost',
      'https://vault.azure.net',
    ]);
  });

  it('of one API are not those of another', () => {
    const vault = hosts.find('dev.vault.azure.net')?.audiences ?? [];
    for (const host of ['p.managedhsm.azure.net', 'management.azure.com', 'graph.microsoft.com']) {
      for (const audience of hosts.find(host)?.audiences ?? []) expect(vault).not.toContain(audience);
    }
    expect(hosts.find('login.microsoftonline.com')?.audiences).not.toContain('https://vault.azure.net');
  });

  it.each([
    ['https://vault.azure.net', 'azure'],
    ['https://vault.azure.net/', 'azure'],
    ['https://managedhsm.azure.net', 'azure'],
    ['https://management.core.windows.net/', 'azure'],
    ['https://vault.strongroom.localhost:8443', 'own'],
    ['https://vault.azure.net.evil.example', undefined],
    ['https://evil.example/?https://vault.azure.net', undefined],
    ['https://vault.azure.net/path', undefined],
    ['https://user@vault.azure.net', undefined],
    ['http://vault.azure.net', undefined],
    ['vault.azure.net', undefined],
    ['', undefined],
  ])('%s is of the family %s', (audience, family) => {
    expect(hosts.audienceFamily(audience)).toBe(family);
  });
});

describe('what replies and certificates are made from', () => {
  it('stays in the family, and carries the port of the request', () => {
    const own = hosts.find('dev.vault.strongroom.localhost:9999');
    const azure = hosts.find('dev.vault.azure.net');
    expect(own && hosts.loginOrigin(own)).toBe('https://login.strongroom.localhost:9999');
    expect(azure && hosts.loginOrigin(azure)).toBe('https://login.microsoftonline.com');
    expect(hosts.vaultUri('dev')).toBe('https://dev.vault.strongroom.localhost:8443/');
    expect(hosts.ownLoginOrigin()).toBe('https://login.strongroom.localhost:8443');
    const plain = createHosts({ domain: 'kv.example', port: () => 443 });
    expect(plain.vaultUri('dev')).toBe('https://dev.vault.kv.example/');
  });

  it('certificates are for the names of all vaults at once, so that none tells which vaults there are', () => {
    expect(hosts.certificateNames('dev.vault.azure.net')).toEqual(['*.vault.azure.net']);
    expect(hosts.certificateNames('login.strongroom.localhost')).toEqual(['login.strongroom.localhost']);
    expect(hosts.certificateNames('evil.example')).toBeUndefined();
    expect(hosts.certificateNames('*.vault.azure.net')).toBeUndefined();
  });

  it('the proxy stands in for Azure’s names only', () => {
    expect(hosts.isAzureName('dev.vault.azure.net')).toBe(true);
    for (const host of ['dev.vault.strongroom.localhost', 'azure.com', 'portal.azure.com', 'example.com']) {
      expect(hosts.isAzureName(host)).toBe(false);
    }
  });
});
