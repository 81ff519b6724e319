/**
 * Proves that records are published by signed updates, against a server with its own reading of the RFCs and, where it is
 * installed, BIND; and that no answer counts that is not from who has the key.
 */
import { spawn } from 'node:child_process';
import { Resolver } from 'node:dns/promises';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DnsServer, startDnsServer } from '../../../test/support/dns-server.ts';
import { manualClock } from '../../../test/support/identity.ts';
import { optional } from '../../../test/support/optional.ts';
import { findTool, temporaryFolder } from '../../../test/support/process.ts';
import { systemClock } from '../../core/clock.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { systemRandom } from '../../crypto/random.ts';
import { OrderPostponed } from '../../domain/certificates/issuer-provider.ts';
import { freePort } from '../../service/free-port.ts';
import { createDnsUpdater, type DnsUpdateOptions } from './update.ts';

const secret = Buffer.alloc(32, 5);
const key = { name: 'acme.key', algorithm: 'hmac-sha256', secret: new SecretBytes(secret) } as const;
const fqdn = '_acme-challenge.www.example.com';
const value = 'w'.repeat(43);

describe('updates', () => {
  let server: DnsServer;
  const start = Date.UTC(2026, 5, 1);
  let clock = manualClock(start);
  beforeEach(async () => {
    clock = manualClock(start);
    const options = { zone: 'example.com', key: { name: key.name, digest: 'sha256', secret } } as const;
    server = await startDnsServer({ ...options, now: () => start / 1000 });
  });
  afterEach(() => server.close());

  const updater = (more: Partial<DnsUpdateOptions> = {}) =>
    createDnsUpdater(
      { clock, random: systemRandom },
      { server: { host: '127.0.0.1', port: server.port }, key, ...more },
    );

  async function postponement(run: Promise<void>): Promise<string> {
    const error: unknown = await run.catch((thrown: unknown) => thrown);
    if (!(error instanceof OrderPostponed)) throw new Error('not postponed');
    expect(error.code).toBe('dnsUpdate');
    return error.message;
  }

  it('adds one value and removes it, others of the name left as they are', async () => {
    for (const zone of [undefined, 'example.com']) {
      server.records.set(fqdn, new Set(['other']));
      await updater({ zone }).present({ fqdn, value });
      await updater({ zone }).present({ fqdn, value });
      expect([...(server.records.get(fqdn) ?? [])]).toEqual(['other', value]);
      await updater({ zone }).remove({ fqdn, value });
      await updater({ zone }).remove({ fqdn, value });
      expect([...(server.records.get(fqdn) ?? [])]).toEqual(['other']);
    }
  });

  it.each([
    [1, 'FORMERR'],
    [2, 'SERVFAIL'],
    [5, 'REFUSED'],
    [9, 'NOTAUTH'],
    [10, 'NOTZONE'],
    [15, 'code 15'],
  ])('says what the server refuses with: %i', async (rcode, name) => {
    server.faults.rcode = rcode;
    expect(await postponement(updater().present({ fqdn, value }))).toBe(
      `The DNS server refused the update: ${name}.`,
    );
  });

  it('is refused with another key, name or algorithm', async () => {
    const others = [
      { ...key, secret: new SecretBytes(Buffer.alloc(32, 6)) },
      { ...key, name: 'other.key' },
      { ...key, algorithm: 'hmac-sha512' as const },
    ];
    for (const other of others) {
      expect(await postponement(updater({ key: other, zone: 'example.com' }).present({ fqdn, value }))).toBe(
        'The DNS server refused: NOTAUTH; the MAC is wrong (BADSIG).',
      );
    }
    expect(server.updates).toEqual([]);
  });

  it('is not for names of other zones', async () => {
    const elsewhere = { fqdn: '_acme-challenge.example.org', value };
    expect(await postponement(updater().present(elsewhere))).toMatch(
      /no zone for _acme-challenge\.example\.org/,
    );
    expect(await postponement(updater({ zone: 'example.com' }).present(elsewhere))).toMatch(/NOTZONE/);
  });

  it('believes no answer that was changed, wherever, or that is not signed', async () => {
    const publish = () => updater({ zone: 'example.com' }).present({ fqdn, value });
    let length = 0;
    server.faults.spoil = (answer) => {
      length = answer.length;
      return answer;
    };
    await publish();
    expect(length).toBeGreaterThan(100);
    for (let at = 0; at < length; at += 1) {
      server.faults.spoil = (answer) => {
        answer.writeUInt8(answer.readUInt8(at) ^ 1, at);
        return answer;
      };
      const message = await publish().then(
        () => 'believed',
        (error: Error) => error.message,
      );
      expect(message, `byte ${at}`).not.toBe('believed');
    }
    delete server.faults.spoil;
    server.faults.unsigned = true;
    expect(await postponement(publish())).toBe('The DNS update is not accepted: the answer is not signed.');
    server.faults.rcode = 5;
    expect(await postponement(publish())).toBe('The DNS server refused: REFUSED; the answer is not signed.');
  });

  it('believes no answer to another request', async () => {
    const publish = () => updater({ zone: 'example.com' }).present({ fqdn, value });
    let first: Buffer | undefined;
    server.faults.spoil = (answer) => {
      first ??= answer;
      // The id is the new one; the MAC is still over the old request's.
      const replayed = Buffer.from(first);
      answer.copy(replayed, 0, 0, 2);
      return replayed;
    };
    await publish();
    expect(await postponement(publish())).toBe(
      'The DNS update is not accepted: the MAC of the answer is wrong.',
    );
  });

  it('believes no answer of another time', async () => {
    clock.advance(299_000);
    await updater().present({ fqdn, value });
    clock.advance(2_000);
    expect(await postponement(updater().present({ fqdn, value }))).toMatch(/NOTAUTH/);
    clock.jump(-301_000);
    server.faults.ahead = 299;
    await updater().present({ fqdn, value });
    const late = updater({ zone: 'example.com' });
    server.faults.spoil = (answer) => {
      clock.jump(700_000);
      return answer;
    };
    expect(await postponement(late.present({ fqdn, value }))).toMatch(/clock differs by more than 5 minutes/);
  });

  it('cuts short what is cut short, and what is nonsense', async () => {
    const answers: ((answer: Buffer) => Buffer)[] = [
      () => Buffer.alloc(0),
      () => Buffer.alloc(11),
      (answer) => answer.subarray(0, 12),
      (answer) => answer.subarray(0, answer.length - 1),
      (answer) => answer.subarray(0, answer.length - 40),
      () => Buffer.alloc(65_535, 0xff),
      // A name that points at itself.
      (answer) => Buffer.concat([answer.subarray(0, 12), Buffer.of(0xc0, 0x0c, 0, 6, 0, 1)]),
    ];
    for (const [index, spoil] of answers.entries()) {
      server.faults.spoil = spoil;
      const message = await postponement(updater({ zone: 'example.com' }).present({ fqdn, value }));
      expect(message, `${index}`).toMatch(/nonsense|no DNS message|something else|not signed|cut short/);
    }
  });

  it('does not wait for a server that does not answer', async () => {
    server.faults.silent = true;
    const asked = server.nextRequest();
    const publishing = postponement(updater().present({ fqdn, value }));
    await asked;
    clock.advance(15_000);
    expect(await publishing).toBe('The DNS server did not answer in time.');
  });

  it('says that a server is not there', async () => {
    const port = await freePort('127.0.0.1');
    const gone = updater({ server: { host: '127.0.0.1', port } });
    expect(await postponement(gone.present({ fqdn, value }))).toBe(
      'The DNS server cannot be reached (ECONNREFUSED).',
    );
  });
});

describe.skipIf(!optional('DNS updates against BIND', findTool('named') !== undefined))('BIND', () => {
  it.each(['hmac-sha256', 'hmac-sha512'] as const)('takes updates signed with %s', async (algorithm) => {
    const folder = await temporaryFolder();
    const port = await freePort('127.0.0.1');
    const zone = [
      '$TTL 60',
      '@ SOA ns.example.com. admin.example.com. 1 60 60 60 60',
      '@ NS ns',
      'ns A 127.0.0.1',
      `${fqdn}. TXT other`,
      '',
    ];
    await writeFile(join(folder.path, 'zone'), zone.join('\n'));
    await writeFile(
      join(folder.path, 'named.conf'),
      `options { directory "${folder.path}"; listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };
        recursion no; pid-file none; session-keyfile none; dnssec-validation no; };
      controls { };
      key "${key.name}" { algorithm ${algorithm}; secret "${secret.toString('base64')}"; };
      zone "example.com" { type primary; file "zone"; update-policy { grant ${key.name} subdomain example.com. TXT; }; };`,
    );
    const named = spawn(findTool('named') ?? '', ['-g', '-c', join(folder.path, 'named.conf'), '-n', '1'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const gone = new Promise((resolve) => named.once('exit', resolve));
    try {
      await new Promise<void>((resolve, reject) => {
        createInterface({ input: named.stderr }).on('line', (line) => {
          if (/ running$/.test(line)) resolve();
        });
        named.once('exit', () => reject(new Error('named ended')));
      });
      const of = { server: { host: '127.0.0.1', port }, key: { ...key, algorithm } };
      const updater = createDnsUpdater({ clock: systemClock, random: systemRandom }, of);
      const resolver = new Resolver();
      resolver.setServers([`127.0.0.1:${port}`]);
      const texts = async () => (await resolver.resolveTxt(fqdn)).flat().sort();
      await updater.present({ fqdn, value });
      await updater.present({ fqdn, value: 'second' });
      expect(await texts()).toEqual(['other', 'second', value].sort());
      await updater.remove({ fqdn, value });
      expect(await texts()).toEqual(['other', 'second']);

      const wrong = { ...of, key: { ...of.key, secret: new SecretBytes(Buffer.alloc(32, 1)) } };
      const refused = createDnsUpdater({ clock: systemClock, random: systemRandom }, wrong);
      await expect(refused.present({ fqdn, value })).rejects.toThrow(
        'The DNS server refused: NOTAUTH; the MAC is wrong (BADSIG).',
      );
      const unknown = { ...of, key: { ...of.key, name: 'unknown' } };
      const stranger = createDnsUpdater({ clock: systemClock, random: systemRandom }, unknown);
      await expect(stranger.present({ fqdn, value })).rejects.toThrow(
        /NOTAUTH; the server does not know the key/,
      );
    } finally {
      named.kill('SIGKILL');
      await gone;
      await folder.remove();
    }
  });
});
