/** Proves that what the settings say about ACME is what is built: providers, the listener, and files that must be usable. */
import { writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTestDomain, type TestDomain } from '../../test/support/domain.ts';
import { type TemporaryFolder, temporaryFolder } from '../../test/support/process.ts';
import { systemClock } from '../core/clock.ts';
import { createChallengeBoard } from '../storage/acme-challenges.ts';
import { buildAcmeProviders, listenForChallenges } from './acme.ts';
import { StartRefused } from './data.ts';

let domain: TestDomain;
let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await temporaryFolder();
  domain = await openTestDomain();
});
afterEach(async () => {
  await domain.close();
  await folder.remove();
});

type Acme = TestDomain['tools']['config']['acme'];
const toolsWith = (acme: Partial<Acme>) => {
  const { tools } = domain;
  return { ...tools, config: { ...tools.config, acme: { ...tools.config.acme, ...acme } } };
};

it('there is a provider for each directory, whatever the case of its name', () => {
  const own = { Own: { url: 'https://acme.example/dir', origins: [] } };
  const { directories } = domain.tools.config.acme;
  const providers = buildAcmeProviders(toolsWith({ directories: { ...directories, ...own } }), domain.data);
  expect([...providers.keys()]).toEqual(['letsencrypt', 'digicert', 'globalsign', 'own']);
});

it('answers are served from the database, by what put them up or another', async () => {
  expect(listenForChallenges(domain.tools, domain.data)).toBeUndefined();
  const listener = await listenForChallenges(
    toolsWith({ http01: { listen: ['127.0.0.1'], port: 0 } }),
    domain.data,
  );
  if (listener === undefined) throw new Error('nothing listens');
  try {
    const token = 't'.repeat(43);
    const now = domain.clock.now();
    const ask = () => statusAndText(`http://127.0.0.1:${listener.port}/.well-known/acme-challenge/${token}`);
    expect(await ask()).toEqual([404, '']);
    await createChallengeBoard(domain.data.db).put({
      token,
      keyAuthorization: 'k',
      expires: now + 1000,
      now,
    });
    expect(await ask()).toEqual([200, 'k']);
    domain.clock.jump(1000);
    expect(await ask()).toEqual([404, '']);
  } finally {
    await listener.close(systemClock, 0);
  }
});

function statusAndText(url: string): Promise<[number | undefined, string]> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (message) => {
      let text = '';
      message.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      message.on('end', () => resolve([message.statusCode, text]));
    }).on('error', reject);
  });
}

describe('a file that cannot be used', () => {
  const file = async (name: string, text: string) => {
    await writeFile(join(folder.path, name), text);
    return join(folder.path, name);
  };
  const build = (acme: Partial<Acme>) => () => buildAcmeProviders(toolsWith(acme), domain.data);
  const rfc2136 = (keySecretFile: string): Partial<Acme> => ({
    challenge: 'dns-01',
    dns01: {
      wait: 0,
      rfc2136: {
        server: { host: '127.0.0.1', port: 53 },
        keyName: 'k',
        keyAlgorithm: 'hmac-sha256',
        keySecretFile,
      },
    },
  });
  const webhook = (tokenFile: string): Partial<Acme> => ({
    challenge: 'dns-01',
    dns01: { wait: 0, webhook: { url: 'https://hook.example', tokenFile } },
  });

  it('is said when the server starts, without what is in it', async () => {
    const secret = Buffer.alloc(32, 1).toString('base64');
    expect(build(rfc2136(await file('good', `${secret}\n`)))).not.toThrow();
    expect(build(webhook(await file('token', 'the-token\n')))).not.toThrow();
    for (const [name, text] of [
      ['short', 'c2VjcmV0'],
      ['words', 'not base64 at all'],
      ['empty', ''],
      ['lines', `${secret}\n${secret}\n`],
    ] as const) {
      const refused = build(rfc2136(await file(name, text)));
      expect(refused, name).toThrow(StartRefused);
      if (text !== '') expect(refused, name).not.toThrow(text.trim());
    }
    expect(build(webhook(await file('header', 'a\r\nHost: b')))).toThrow(StartRefused);
    expect(build(rfc2136(join(folder.path, 'missing')))).toThrow(/keySecretFile/);
    expect(build(webhook(join(folder.path, 'missing')))).toThrow(/tokenFile/);
  });

  it('is an authority’s too', async () => {
    const directories = (ca: string): Partial<Acme> => ({
      directories: { Own: { url: 'https://acme.example/dir', origins: [], ca } },
    });
    expect(build(directories(join(folder.path, 'missing')))).toThrow(StartRefused);
    expect(build(directories(await file('ca.pem', 'no PEM')))).toThrow(StartRefused);
  });
});
