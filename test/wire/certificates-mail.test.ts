/** Proves that the contacts of a vault get a letter, over SMTP, when the policy of a certificate says so, and once. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Log } from '../../src/core/log.ts';
import { auditRecords } from '../support/audit-records.ts';
import { until } from '../support/cluster-processes.ts';
import { manualClock } from '../support/identity.ts';
import { startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import type { VaultCaller } from '../support/vault-rest.ts';

const day = 86_400;
// Clients check the server's certificate by the machine's clock, so that its own begins far enough in the past.
const clock = manualClock(Math.floor(Date.now() / 1000) * 1000 - 80 * day * 1000);
const now = () => Math.floor(clock.now() / 1000);

let server: TestServer;
let call: VaultCaller;
let relay: SMTPServer;
let isConnected = false;
const letters: { to: string[]; text: string }[] = [];
const logged: string[] = [];

beforeAll(async () => {
  relay = new SMTPServer({
    ...{ authOptional: true, disabledCommands: ['STARTTLS'], disableReverseLookup: true, closeTimeout: 1 },
    onClose() {
      isConnected = false;
    },
    onData(stream, { envelope }, done) {
      let text = '';
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      stream.on('end', () => {
        letters.push({ to: envelope.rcptTo.map(({ address }) => address), text });
        done();
      });
    },
  });
  relay.server.on('connection', () => {
    isConnected = true;
  });
  // The server loads it for its first letter, by a clock that goes on meanwhile.
  await import('nodemailer');
  relay.listen(0, '127.0.0.1');
  await once(relay.server, 'listening');
  const { port } = relay.server.address() as AddressInfo;
  const smtp = { host: '127.0.0.1', port, secure: 'none', from: 'vault@example.com' };
  const ignored = () => undefined;
  const info: Log['info'] = (message, fields) => void logged.push(`${message} ${fields?.name}`);
  const log: Log = { debug: ignored, info, warn: info, error: info };
  server = await startTestServer({ clock, log, settings: { smtp } });
  call = vaultCaller(server, await tokenFor(server));
});
afterAll(async () => {
  await server?.close();
  await new Promise<void>((resolve) => relay.close(() => resolve()));
});

async function jump(seconds: number): Promise<void> {
  clock.jump(seconds * 1000);
  call = vaultCaller(server, await tokenFor(server));
}

/** Lets jobs run until one says so. Time stands while a letter is on its way: the mailer's patience is of this clock. */
async function jobSays(line: string): Promise<void> {
  const from = logged.length;
  for (let step = 0; step < 20_000; step += 1) {
    if (logged.includes(line, from)) return;
    if (!isConnected) clock.advance(1_000);
    await call('GET', '/keys/nobody');
  }
  throw new Error(`the job does not run, but says: ${logged.slice(from).join('; ')}`);
}

test('who is a contact is told that a certificate ends, and that it has to be renewed', async () => {
  const contacts = { contacts: [{ email: 'one@example.com' }, { email: 'two@example.com' }] };
  expect((await call('PUT', '/certificates/contacts', contacts)).status).toBe(200);
  const policy = {
    issuer: { name: 'Self' },
    key_props: { kty: 'EC' },
    x509_props: { subject: 'CN=told', validity_months: 2 },
    lifetime_actions: [{ trigger: { lifetime_percentage: 50 }, action: { action_type: 'EmailContacts' } }],
  };
  expect((await call('POST', '/certificates/told/create', { policy })).status).toBe(202);
  const { attributes, id } = (await call('GET', '/certificates/told')).json;
  await jump(attributes.exp - now() - 29 * day);
  await jobSays('certificate: mailed told');
  // The next thing that the job marks comes without a letter.
  await jump(29 * day);
  await jobSays('certificate: expired told');
  expect(letters).toHaveLength(1);
  const [letter] = letters;
  expect(letter?.to.sort()).toEqual(['one@example.com', 'two@example.com']);
  expect(letter?.text).toMatch(/^Subject: Certificate told expires on /m);
  expect(letter?.text).toContain(`Version:     ${id.split('/').at(-1)}`);
  expect(letter?.text).toContain('somebody has to renew it before then');
  // Nothing of the certificate's key or secret.
  expect(letter?.text).not.toContain('/secrets/');
});

test('what a job issues is in the audit log, once', async () => {
  const policy = {
    issuer: { name: 'Self' },
    key_props: { kty: 'EC' },
    x509_props: { subject: 'CN=renewed', validity_months: 1 },
    lifetime_actions: [{ trigger: { lifetime_percentage: 20 }, action: { action_type: 'AutoRenew' } }],
  };
  await call('POST', '/certificates/renewed/create', { policy });
  const before = (await call('GET', '/certificates/renewed')).json.id;
  await jump(8 * day);
  await jobSays('certificate: issued renewed');
  const after = (await call('GET', '/certificates/renewed')).json.id;
  expect(after).not.toBe(before);
  const isRecorded = async () => (await issuedBy()).length > 0;
  await until(isRecorded);
  const issued = await issuedBy();
  expect(issued).toHaveLength(1);
  expect(JSON.stringify(issued[0])).toContain(new URL(after).pathname);
});

async function issuedBy() {
  const records = await auditRecords(server);
  return records.filter(({ operationName }) => operationName === 'CertificateEnroll');
}
